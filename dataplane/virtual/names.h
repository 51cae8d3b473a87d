/* The names of a virtual cluster and those of its backend: a map that is total and reversible.
 *
 * Whatever a client says becomes a name in its own namespace, an alias' topic or an extra topic. What it may
 * not say becomes a name in the void, `prefix U+001F name`, which can exist for topics nowhere (it is illegal)
 * and for groups and transactional ids only if a request that makes one is let through: see `visible`. Where
 * two names collide the alias wins, then the extra topic, then the namespace.
 * docs/decisions/0011-virtual-clusters.md.
 *
 * Immutable after slc_names_new, so any thread may read it. Nothing is allocated by a lookup. Names are bytes;
 * they need not end with a NUL.
 */
#ifndef SLC_DATAPLANE_VIRTUAL_NAMES_H
#define SLC_DATAPLANE_VIRTUAL_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "dataplane/kafka/edit.h"
#include "dataplane/virtual/conflicts.h"
#include "sluice/snapshot.pb-c.h"

#define SLC_NAMES_VOID '\x1f'

enum slc_name_kind {
    SLC_NAME_TOPIC,
    SLC_NAME_GROUP,
    SLC_NAME_TXN_ID,
};

typedef struct slc_names slc_names;

/* What a client's name is on the backend: `head` followed by `body`, which point into the map and into what was
 * looked up. */
typedef struct slc_name {
    slc_kafka_span head;
    slc_kafka_span body;
    bool visible; /* false: it is in the void */
    bool owned;   /* in the namespace: not an extra topic or an alias */
} slc_name;

/* `msg` must outlive it. NULL in the mode none: every name passes. */
slc_names *slc_names_new(const Sluice__Snapshot__V1__VirtualCluster *msg);
void slc_names_free(slc_names *names);
/* The map in which every name is itself and only the void is not: for a view that has no namespace and a guard.
 * Lives for ever. */
const slc_names *slc_names_identity(void);
bool slc_names_is_identity(const slc_names *names);

void slc_names_map(const slc_names *names, enum slc_name_kind kind, const uint8_t *data, size_t len,
                   slc_name *name);

/* What stands before a name in the void. */
void slc_names_void(const slc_names *names, slc_kafka_span *head);

/* What a backend's name is to the client; in the map or in `data`. False: there is no way to say it. A name in
 * the void is what the client wrote. */
bool slc_names_unmap(const slc_names *names, enum slc_name_kind kind, const uint8_t *data, size_t len,
                     slc_kafka_span *name);

/* Is it a topic of the namespace that clients cannot name, because an alias or an extra topic has its name?
 * Then `found` says so. */
bool slc_names_shadowed(const slc_names *names, const uint8_t *data, size_t len, slc_conflict_found *found);

/* Is a backend's name one in the void for the filters alone: a topic of the namespace that could be there, and
 * is not for these clients? */
bool slc_names_filtered_out(const slc_names *names, const uint8_t *data, size_t len);

/* Adds a broker's free text with the backend's names in it replaced by the client's. */
void slc_names_text(const slc_names *names, const uint8_t *data, size_t len, slc_buf *out);

/* The id of the backend cluster; "" where nobody knows. */
const char *slc_names_backend(const slc_names *names);

/* For patterns. */
bool slc_names_hides(const slc_names *names); /* mode hide */
const char *slc_names_prefix(const slc_names *names);
/* Topics of fixed names outside the namespace: aliases and extra topics without wildcards. False at the end.
 */
bool slc_names_fixed(const slc_names *names, size_t index, const char **client, const char **backend);
/* What clients of the namespace may make; 0: no limit. */
typedef struct slc_names_limits {
    uint32_t topics, partitions;
    bool topic_configs; /* some alone */
} slc_names_limits;

slc_names_limits slc_names_limits_of(const slc_names *names);
/* May they set this configuration of a topic? */
bool slc_names_may_set(const slc_names *names, const uint8_t *config, size_t len);

/* Adds those that they may. */
void slc_names_add_configs(const slc_names *names, slc_buf *out);

/* Are there names of the namespace that are not visible? */
bool slc_names_filters(const slc_names *names, enum slc_name_kind kind);
/* Are there topics outside the namespace? */
bool slc_names_has_extras(const slc_names *names);

#endif
