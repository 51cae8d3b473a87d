/* The cache of keys: a hash table, and a list by use. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "dataplane/crypt/keys_private.h"

static uint64_t mix(uint64_t hash, const void *data, size_t len)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < len; i++) /* FNV-1a */
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}

static uint64_t hash_of(const slc_key_ring *ring, const slc_key_want *want)
{
    uint64_t hash = mix(0xcbf29ce484222325u, &ring, sizeof(const void *)) + (uint64_t)want->kind;
    return mix(mix(hash, want->kek, want->kek_len), want->edek, want->edek_len);
}

static bool is_it(const slc_key_entry *entry, const slc_key_ring *ring, const slc_key_want *want)
{
    return entry->ring == ring && entry->kind == want->kind && entry->kek_len == want->kek_len &&
           entry->edek_len == want->edek_len && memcmp(entry->kek, want->kek, want->kek_len) == 0 &&
           (want->edek_len == 0 || memcmp(entry->edek, want->edek, want->edek_len) == 0);
}

void slc_key_entry_kill(slc_key_entry *entry)
{
    if (entry->key != NULL)
        atomic_store(&entry->key->dead, true);
    slc_data_key_unref(entry->key);
    entry->key = NULL;
    entry->generation++;
}

void slc_key_entry_drop(slc_keys *keys, slc_key_entry *entry)
{
    slc_key_entry **at = &keys->buckets[entry->hash % SLC_KEY_BUCKETS];
    SLC_BUG_ON(entry->job != SLC_JOB_NONE || entry->blocked > 0);
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    TAILQ_REMOVE(&keys->lru, entry, lru);
    keys->count--;
    slc_data_key_unref(entry->key);
    slc_record_waiters_tell(&entry->waiters);
    free(entry);
}

/* The one that was used longest ago, of those that nothing is going on with. */
static bool make_room(slc_keys *keys)
{
    slc_key_entry *entry = TAILQ_LAST(&keys->lru, slc_key_lru);
    if ((int64_t)keys->count < keys->options.cache_keys)
        return true;
    while (entry != NULL && (entry->job != SLC_JOB_NONE || entry->blocked > 0))
        entry = TAILQ_PREV(entry, slc_key_lru, lru);
    if (entry == NULL)
        return false;
    slc_key_entry_drop(keys, entry);
    return true;
}

slc_key_entry *slc_key_entry_get(slc_keys *keys, slc_key_ring *ring, const slc_key_want *want)
{
    uint64_t hash = hash_of(ring, want);
    slc_key_entry *entry = keys->buckets[hash % SLC_KEY_BUCKETS];
    while (entry != NULL && !(entry->hash == hash && is_it(entry, ring, want)))
        entry = entry->next;
    if (entry != NULL) {
        TAILQ_REMOVE(&keys->lru, entry, lru);
        TAILQ_INSERT_HEAD(&keys->lru, entry, lru);
        return entry;
    }
    if (want->kek_len == 0 || want->kek_len > SLC_KEK_NAME_MAX || want->edek_len > SLC_EDEK_MAX ||
        !make_room(keys))
        return NULL;
    entry = slc_calloc(1, sizeof *entry + want->edek_len);
    entry->hash = hash;
    entry->ring = ring;
    entry->kind = want->kind;
    entry->kek_len = want->kek_len;
    memcpy(entry->kek, want->kek, want->kek_len);
    entry->edek_len = want->edek_len;
    if (want->edek_len > 0)
        memcpy(entry->edek, want->edek, want->edek_len);
    entry->next = keys->buckets[hash % SLC_KEY_BUCKETS];
    keys->buckets[hash % SLC_KEY_BUCKETS] = entry;
    TAILQ_INSERT_HEAD(&keys->lru, entry, lru);
    keys->count++;
    return entry;
}

void slc_keys_forget(slc_keys *keys, const slc_key_ring *ring, const char *kek)
{
    slc_key_entry *entry;
    TAILQ_FOREACH (entry, &keys->lru, lru) {
        if (entry->ring != ring || (kek != NULL && strcmp(entry->kek, kek) != 0))
            continue;
        slc_key_entry_kill(entry);
        entry->retry_ms = 0;
        entry->failures = 0;
    }
}

void slc_keys_drop_ring(slc_keys *keys, const slc_key_ring *ring)
{
    slc_key_entry *entry = TAILQ_FIRST(&keys->lru);
    while (entry != NULL) {
        slc_key_entry *next = TAILQ_NEXT(entry, lru);
        if (entry->ring == ring)
            slc_key_entry_drop(keys, entry);
        entry = next;
    }
}

void slc_key_entry_queue(slc_keys *keys, slc_key_entry *entry, enum slc_key_job job)
{
    SLC_BUG_ON(entry->job != SLC_JOB_NONE);
    entry->job = job;
    entry->ring->refs++; /* a call may outlast whoever wanted it */
    TAILQ_INSERT_TAIL(&keys->queue, entry, queue);
    pthread_cond_signal(&keys->work);
}
