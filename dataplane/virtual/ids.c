#include "dataplane/virtual/ids.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

#define FIRST_CAP 64

struct slc_topic_id {
    uint8_t id[SLC_TOPIC_ID_BYTES];
    uint8_t *name; /* NULL: the slot is free */
    size_t len;
};

static const uint8_t zero[SLC_TOPIC_ID_BYTES];

void slc_topic_ids_init(slc_topic_ids *ids, size_t max)
{
    *ids = (slc_topic_ids){.max = max};
}

void slc_topic_ids_release(slc_topic_ids *ids)
{
    for (size_t i = 0; i < ids->cap; i++)
        free(ids->slots[i].name);
    free(ids->slots);
    ids->slots = NULL;
    ids->cap = ids->count = 0;
}

/* Brokers choose ids at random (KIP-516), so any bytes of them are a hash; clients choose what they ask for,
 * but only what a broker said is kept. */
static size_t slot_of(const slc_topic_ids *ids, const uint8_t *id)
{
    uint64_t hash;
    memcpy(&hash, id + 8, sizeof hash);
    size_t slot = (size_t)hash & (ids->cap - 1);
    while (ids->slots[slot].name != NULL && memcmp(ids->slots[slot].id, id, SLC_TOPIC_ID_BYTES) != 0)
        slot = (slot + 1) & (ids->cap - 1);
    return slot;
}

static void grow(slc_topic_ids *ids)
{
    slc_topic_ids old = *ids;
    ids->cap = old.cap == 0 ? FIRST_CAP : old.cap * 2;
    ids->slots = slc_calloc(ids->cap, sizeof *ids->slots);
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].name != NULL)
            ids->slots[slot_of(ids, old.slots[i].id)] = old.slots[i];
    free(old.slots);
}

void slc_topic_ids_learn(slc_topic_ids *ids, const uint8_t id[SLC_TOPIC_ID_BYTES], const uint8_t *name,
                         size_t len)
{
    if (memcmp(id, zero, sizeof zero) == 0)
        return;
    if (ids->count >= ids->max)
        slc_topic_ids_release(ids);
    if (ids->count * 2 >= ids->cap)
        grow(ids);
    struct slc_topic_id *slot = &ids->slots[slot_of(ids, id)];
    if (slot->name != NULL)
        return;
    memcpy(slot->id, id, sizeof slot->id);
    slot->name = slc_malloc(len + 1);
    memcpy(slot->name, name, len);
    slot->len = len;
    ids->count++;
}

const uint8_t *slc_topic_ids_find(const slc_topic_ids *ids, const uint8_t id[SLC_TOPIC_ID_BYTES], size_t *len)
{
    if (ids->cap == 0)
        return NULL;
    const struct slc_topic_id *slot = &ids->slots[slot_of(ids, id)];
    *len = slot->len;
    return slot->name;
}
