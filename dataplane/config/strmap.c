/* Open addressing with linear probing, at most half full. */
#include "dataplane/config/strmap.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

#define MIN_SLOTS 8

/* FNV-1a: only the configuration adds keys, so nobody can choose colliding ones. */
static uint32_t hash_of(const char *key, size_t key_len)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < key_len; i++)
        hash = (hash ^ (uint8_t)key[i]) * 16777619u;
    return hash;
}

static void allocate(slc_strmap *map, size_t slots)
{
    map->slots = slc_calloc(slots, sizeof(*map->slots));
    map->mask = slots - 1;
}

void slc_strmap_init(slc_strmap *map, size_t capacity)
{
    size_t slots = MIN_SLOTS;

    memset(map, 0, sizeof(*map));
    while (slots < 2 * capacity)
        slots *= 2;
    allocate(map, slots);
}

void slc_strmap_release(slc_strmap *map)
{
    free(map->slots);
    memset(map, 0, sizeof(*map));
}

/* The slot that holds the key, or the free one where it belongs. */
static struct slc_strmap_slot *slot_of(const slc_strmap *map, const char *key, size_t key_len, uint32_t hash)
{
    size_t i = hash & map->mask;

    for (;; i = (i + 1) & map->mask) {
        struct slc_strmap_slot *slot = &map->slots[i];

        if (slot->key == NULL ||
            (slot->hash == hash && slot->key_len == key_len && memcmp(slot->key, key, key_len) == 0))
            return slot;
    }
}

static void grow(slc_strmap *map)
{
    struct slc_strmap_slot *old = map->slots;
    size_t old_slots = map->mask + 1;

    allocate(map, old_slots * 2);
    for (size_t i = 0; i < old_slots; i++)
        if (old[i].key != NULL)
            *slot_of(map, old[i].key, old[i].key_len, old[i].hash) = old[i];
    free(old);
}

bool slc_strmap_add(slc_strmap *map, const char *key, size_t key_len, void *value)
{
    uint32_t hash = hash_of(key, key_len);
    struct slc_strmap_slot *slot;

    if (map->slots == NULL)
        slc_strmap_init(map, 1);
    if (2 * (map->count + 1) > map->mask + 1)
        grow(map);
    slot = slot_of(map, key, key_len, hash);
    if (slot->key != NULL)
        return false;
    *slot = (struct slc_strmap_slot){key, (uint32_t)key_len, hash, value};
    map->count++;
    return true;
}

void *slc_strmap_find(const slc_strmap *map, const char *key, size_t key_len)
{
    if (map->slots == NULL)
        return NULL;
    return slot_of(map, key, key_len, hash_of(key, key_len))->value;
}
