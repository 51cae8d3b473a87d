/* Resources of ACLs (KIP-11, KIP-290) in a namespace: a name, and how it is to be understood. Topics, groups
 * and transactional ids of the namespace alone; in the mode hide `*` is everything of the namespace, which on
 * the backend is all that begins with the prefix. */
#ifndef SLC_DATAPLANE_VIRTUAL_ACL_H
#define SLC_DATAPLANE_VIRTUAL_ACL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/kafka/table.h"
#include "dataplane/virtual/names.h"

/* Kafka's pattern types, of ACLs and of filters for them. */
enum {
    SLC_ACL_ANY = 1,
    SLC_ACL_MATCH = 2,
    SLC_ACL_LITERAL = 3,
    SLC_ACL_PREFIXED = 4,
};

typedef struct slc_acl_resource {
    int16_t type;    /* SLC_KAFKA_ACL_... */
    int16_t pattern; /* SLC_ACL_... */
    slc_kafka_span name;
} slc_acl_resource;

/* A name made of the two, in this order, and its pattern type. */
typedef struct slc_acl_mapped {
    slc_kafka_span head, body;
    int16_t pattern;
} slc_acl_mapped;

/* A client's resource becomes the backend's. False: it is not the namespace's. An empty name stays one, for
 * brokers to refuse. */
bool slc_acl_map(const slc_names *names, const slc_acl_resource *resource, slc_acl_mapped *mapped);

/* A filter's resource with a name. What can match nothing of the namespace becomes a name that nothing has;
 * other types pass, since what they match is left out of answers. */
void slc_acl_map_filter(const slc_names *names, const slc_acl_resource *filter, slc_acl_mapped *mapped);

/* Does a filter say so much that what it deletes is the namespace's? It names a resource and how. */
bool slc_acl_is_narrow(const slc_acl_resource *filter);

/* The backend's resource as the client knows it. False: it is none of the namespace's. */
bool slc_acl_unmap(const slc_names *names, const slc_acl_resource *resource, slc_acl_mapped *mapped);

#endif
