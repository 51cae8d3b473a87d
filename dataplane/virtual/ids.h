/* Which topic a topic id is (KIP-516). An id is never given again, so what is known stays true: a deleted
 * topic's id only becomes useless. One for each worker and backend; not thread safe.
 */
#ifndef SLC_DATAPLANE_VIRTUAL_IDS_H
#define SLC_DATAPLANE_VIRTUAL_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLC_TOPIC_ID_BYTES 16

typedef struct slc_topic_ids {
    struct slc_topic_id *slots; /* open addressing; private */
    size_t cap, count, max;
} slc_topic_ids;

/* When `max` topics are known, all are forgotten: they are asked for again. */
void slc_topic_ids_init(slc_topic_ids *ids, size_t max);
void slc_topic_ids_release(slc_topic_ids *ids);

/* The name is copied; an id that is zero, or known, is left. */
void slc_topic_ids_learn(slc_topic_ids *ids, const uint8_t id[SLC_TOPIC_ID_BYTES], const uint8_t *name,
                         size_t len);

/* The backend's name, NULL when it is not known; lives until the next slc_topic_ids_learn. */
const uint8_t *slc_topic_ids_find(const slc_topic_ids *ids, const uint8_t id[SLC_TOPIC_ID_BYTES], size_t *len);

#endif
