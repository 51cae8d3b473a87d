/* Topics that two names meet in, as answers showed them: of a namespace, and invisible because an alias or an
 * extra topic has their name. For the control plane to tell people. Of the whole process; thread safe. */
#ifndef SLC_DATAPLANE_VIRTUAL_CONFLICTS_H
#define SLC_DATAPLANE_VIRTUAL_CONFLICTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLC_CONFLICTS_MAX 100 /* in memory; a newer one takes the place of the oldest */

typedef struct slc_conflict {
    char vcluster[64]; /* id */
    char name[256];    /* the client's; cut */
    char topic[256];   /* of the backend, which lost it; cut */
    bool alias;        /* an alias has the name; else an extra topic */
    int64_t seen_ms;   /* wall clock */
} slc_conflict;

typedef struct slc_conflict_found {
    const char *vcluster;
    const uint8_t *name, *topic;
    size_t name_len, topic_len;
    bool alias;
} slc_conflict_found;

void slc_conflicts_note(const slc_conflict_found *found, int64_t now_ms);

/* Those seen since, at most SLC_CONFLICTS_MAX. */
size_t slc_conflicts_list(slc_conflict *out, int64_t since_ms);

#endif
