/* What a connection may do, in the words of Kafka's own authoriser: operations on topics, groups, transactional
 * ids and the cluster. A view asks its guard about each name of a request before anything reaches the backend;
 * who answers is the policies' business (dataplane/policy/access.h).
 * docs/decisions/0013-native-authorisation.md.
 *
 * The worker's thread.
 */
#ifndef SLC_DATAPLANE_VIRTUAL_GUARD_H
#define SLC_DATAPLANE_VIRTUAL_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/virtual/demands.h"

/* Numbered as Kafka's ACLs on the wire. */
enum slc_operation {
    SLC_OP_ALL = 2,
    SLC_OP_READ = 3,
    SLC_OP_WRITE = 4,
    SLC_OP_CREATE = 5,
    SLC_OP_DELETE = 6,
    SLC_OP_ALTER = 7,
    SLC_OP_DESCRIBE = 8,
    SLC_OP_CLUSTER_ACTION = 9,
    SLC_OP_DESCRIBE_CONFIGS = 10,
    SLC_OP_ALTER_CONFIGS = 11,
    SLC_OP_IDEMPOTENT_WRITE = 12,
};
#define SLC_OPERATIONS 13

enum slc_resource {
    SLC_RESOURCE_TOPIC = 2,
    SLC_RESOURCE_GROUP = 3,
    SLC_RESOURCE_CLUSTER = 4,
    SLC_RESOURCE_TXN_ID = 5,
};
#define SLC_RESOURCES 6

/* How many names a question is about. */
enum slc_guard_names {
    SLC_GUARD_ONE,  /* `name`, as the client says it; the cluster's is "kafka-cluster" */
    SLC_GUARD_LOOK, /* the same, to choose what to show: a no is no denial, and nobody is told */
    SLC_GUARD_SOME, /* is there any name that it may? `name` NULL */
    SLC_GUARD_EVERY,
};

typedef struct slc_guard slc_guard;
struct slc_guard {
    bool (*allows)(slc_guard *guard, enum slc_operation operation, enum slc_resource resource,
                   enum slc_guard_names names, const uint8_t *name, size_t len);
    unsigned demands; /* kinds of what is demanded (demands.h); 0: nothing, and the others are not called */
    /* 0: it does; else Kafka's error. */
    int16_t (*meets)(slc_guard *guard, const slc_demand *demand);
    /* Adds what is demanded, for who did not meet it: sentences, each with a space before it. */
    void (*explain)(slc_guard *guard, slc_buf *out);
};

#define SLC_GUARD_CLUSTER "kafka-cluster"

/* What each key asks for. 0: nothing of that kind. */
typedef struct slc_guard_rule {
    uint8_t topic, group, txn_id, cluster; /* enum slc_operation */
    bool whole;                            /* one topic that is not allowed refuses the request as a whole */
} slc_guard_rule;

/* Never NULL. */
const slc_guard_rule *slc_guard_rule_of(int key);

/* NULL guard: everything. */
bool slc_guard_one(slc_guard *guard, enum slc_operation operation, enum slc_resource resource,
                   const uint8_t *name, size_t len);
bool slc_guard_cluster(slc_guard *guard, enum slc_operation operation);
/* As SLC_GUARD_LOOK. */
bool slc_guard_look(slc_guard *guard, enum slc_operation operation, enum slc_resource resource,
                    const uint8_t *name, size_t len);
bool slc_guard_look_cluster(slc_guard *guard, enum slc_operation operation);
/* The bits that Kafka shows of a resource: 1 << operation, of those that make sense there. */
int32_t slc_guard_bits(slc_guard *guard, enum slc_resource resource, const uint8_t *name, size_t len);

/* Kafka's error for it, and its words; NULL for other errors. */
int16_t slc_guard_code(enum slc_resource resource);
const char *slc_guard_text(int16_t code);

#endif
