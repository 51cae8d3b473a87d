#include "dataplane/crypt/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "dataplane/crypt/keys_private.h"

#define TTL_MAX_MS 3600000

/* ---- all of them ---- */

slc_keys *slc_keys_new(const slc_keys_options *options)
{
    slc_keys *keys = slc_calloc(1, sizeof *keys);
    pthread_condattr_t monotonic;
    keys->options = *options;
    if (keys->options.ttl_ms > TTL_MAX_MS)
        keys->options.ttl_ms = TTL_MAX_MS;
    TAILQ_INIT(&keys->rings);
    TAILQ_INIT(&keys->lru);
    TAILQ_INIT(&keys->queue);
    SLC_BUG_ON(pthread_condattr_init(&monotonic) != 0 ||
               pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) != 0);
    SLC_BUG_ON(pthread_mutex_init(&keys->lock, NULL) != 0 || pthread_cond_init(&keys->work, &monotonic) != 0 ||
               pthread_cond_init(&keys->answered, NULL) != 0);
    pthread_condattr_destroy(&monotonic);
    return keys;
}

/* What was queued is not done any more. */
static void drop_queue(slc_keys *keys)
{
    slc_key_entry *entry;
    while ((entry = TAILQ_FIRST(&keys->queue)) != NULL) {
        TAILQ_REMOVE(&keys->queue, entry, queue);
        entry->job = SLC_JOB_NONE;
        entry->ring->refs--;
        slc_fail(&entry->err, SLC_UNAVAILABLE, NULL, "the program is stopping");
        slc_record_waiters_tell(&entry->waiters);
    }
    pthread_cond_broadcast(&keys->answered);
}

void slc_keys_stop(slc_keys *keys)
{
    pthread_mutex_lock(&keys->lock);
    atomic_store(&keys->stopping, true);
    pthread_cond_broadcast(&keys->work);
    pthread_mutex_unlock(&keys->lock);
    for (size_t i = 0; i < keys->n_threads; i++)
        SLC_BUG_ON(pthread_join(keys->threads[i], NULL) != 0);
    free(keys->threads);
    keys->threads = NULL;
    keys->n_threads = 0;
    pthread_mutex_lock(&keys->lock);
    drop_queue(keys);
    pthread_mutex_unlock(&keys->lock);
}

static void free_ring(slc_key_ring *ring);

void slc_keys_free(slc_keys *keys)
{
    slc_key_ring *ring, *next;
    if (keys == NULL)
        return;
    slc_keys_stop(keys);
    for (ring = TAILQ_FIRST(&keys->rings); ring != NULL; ring = next) {
        next = TAILQ_NEXT(ring, entry);
        SLC_BUG_ON(ring->refs > 0);
        free_ring(ring);
    }
    pthread_cond_destroy(&keys->answered);
    pthread_cond_destroy(&keys->work);
    pthread_mutex_destroy(&keys->lock);
    free(keys);
}

static slc_keys *of_process;

void slc_keys_set_process(slc_keys *keys)
{
    of_process = keys;
}

slc_keys *slc_keys_of_process(void)
{
    return of_process;
}

/* ---- rings ---- */

/* With the lock; nobody has it. */
static void free_ring(slc_key_ring *ring)
{
    slc_keys_drop_ring(ring->keys, ring);
    TAILQ_REMOVE(&ring->keys->rings, ring, entry);
    ring->ops->close(ring->provider);
    slc_key_ring_options_release(&ring->options);
    free(ring);
}

slc_key_ring *slc_key_ring_get(slc_keys *keys, const slc_key_ring_options *options)
{
    uint8_t digest[SLC_SHA256_BYTES];
    slc_key_ring *ring;
    slc_key_ring_options_digest(options, digest);
    pthread_mutex_lock(&keys->lock);
    TAILQ_FOREACH (ring, &keys->rings, entry)
        if (memcmp(ring->digest, digest, sizeof digest) == 0)
            break;
    if (ring == NULL) {
        ring = slc_calloc(1, sizeof *ring);
        ring->keys = keys;
        memcpy(ring->digest, digest, sizeof digest);
        slc_key_ring_options_copy(&ring->options, options);
        ring->ops = slc_key_provider_find(options->provider);
        SLC_BUG_ON(ring->ops == NULL);
        ring->provider = ring->ops->open(&ring->options);
        TAILQ_INSERT_TAIL(&keys->rings, ring, entry);
        slc_keys_start(keys);
    }
    ring->refs++;
    pthread_mutex_unlock(&keys->lock);
    return ring;
}

slc_key_ring *slc_key_ring_ref(slc_key_ring *ring)
{
    pthread_mutex_lock(&ring->keys->lock);
    ring->refs++;
    pthread_mutex_unlock(&ring->keys->lock);
    return ring;
}

void slc_key_ring_unref(slc_key_ring *ring)
{
    if (ring == NULL)
        return;
    slc_keys *keys = ring->keys;
    pthread_mutex_lock(&keys->lock);
    if (--ring->refs == 0)
        free_ring(ring);
    pthread_mutex_unlock(&keys->lock);
}

const char *slc_key_ring_name(const slc_key_ring *ring)
{
    return ring->options.name;
}

void slc_key_ring_health(slc_key_ring *ring, char *text, size_t size)
{
    pthread_mutex_lock(&ring->keys->lock);
    snprintf(text, size, "%s", ring->health);
    pthread_mutex_unlock(&ring->keys->lock);
}

json_t *slc_keys_health(slc_keys *keys)
{
    json_t *all = json_object();
    const slc_key_ring *ring;
    pthread_mutex_lock(&keys->lock);
    TAILQ_FOREACH (ring, &keys->rings, entry) {
        bool up = ring->health[0] == '\0';
        json_t *one = json_pack("{s:s, s:b}", "provider", ring->ops->name, "up", up);
        if (!up)
            json_object_set_new(one, "error", json_string(ring->health));
        json_object_set_new(all, ring->options.name, one);
    }
    pthread_mutex_unlock(&keys->lock);
    return all;
}

/* ---- asking ---- */

bool slc_data_key_holds(const slc_data_key *key, int64_t now_ms)
{
    return !atomic_load_explicit(&key->dead, memory_order_acquire) && now_ms < atomic_load(&key->expires_ms);
}

/* Has a data key done enough? `eighths` of its limits. */
static bool is_worn(const slc_keys *keys, const slc_key_entry *entry, int64_t now_ms, int64_t eighths)
{
    int64_t begun_ms = entry->until_ms - keys->options.rotate_ms;
    int64_t records = (int64_t)atomic_load(&entry->key->records),
            bytes = (int64_t)atomic_load(&entry->key->bytes);
    return now_ms - begun_ms >= keys->options.rotate_ms / 8 * eighths ||
           records >= keys->options.rotate_records / 8 * eighths ||
           bytes >= keys->options.rotate_bytes / 8 * eighths;
}

static bool is_there(const slc_keys *keys, const slc_key_entry *entry, int64_t now_ms)
{
    if (entry->key == NULL || !slc_data_key_holds(entry->key, now_ms))
        return false;
    return entry->kind != SLC_KEY_TO_ENCRYPT || !is_worn(keys, entry, now_ms, 8);
}

/* Looks ahead, so that nobody has to wait: another data key, whether the KEK still lives, a key that will be
 * forgotten. */
static void look_ahead(slc_keys *keys, slc_key_entry *entry, int64_t now_ms)
{
    if (entry->job != SLC_JOB_NONE || now_ms < entry->retry_ms)
        return;
    if (entry->kind == SLC_KEY_TO_ENCRYPT && is_worn(keys, entry, now_ms, 7))
        slc_key_entry_queue(keys, entry, SLC_JOB_FETCH);
    else if (entry->kind == SLC_KEY_TO_ENCRYPT && now_ms >= entry->verify_ms)
        slc_key_entry_queue(keys, entry, SLC_JOB_VERIFY);
    else if (entry->kind != SLC_KEY_TO_ENCRYPT &&
             atomic_load(&entry->key->expires_ms) - now_ms < keys->options.ttl_ms / 8)
        slc_key_entry_queue(keys, entry, SLC_JOB_FETCH);
}

/* With the lock. LATER: it is being fetched. */
static enum slc_key_answer ask(slc_keys *keys, slc_key_entry *entry, slc_data_key **key, slc_error *err)
{
    int64_t now_ms = slc_monotonic_ms();
    if (is_there(keys, entry, now_ms)) {
        look_ahead(keys, entry, now_ms);
        *key = slc_data_key_ref(entry->key);
        return SLC_KEY_READY;
    }
    if (entry->job == SLC_JOB_FETCH)
        return SLC_KEY_LATER;
    if (entry->retry_ms > now_ms) {
        if (err != NULL)
            *err = entry->err;
        return SLC_KEY_FAILED;
    }
    if (entry->job == SLC_JOB_NONE)
        slc_key_entry_queue(keys, entry, SLC_JOB_FETCH);
    return SLC_KEY_LATER;
}

static enum slc_key_answer refuse(slc_error *err, const char *why)
{
    slc_fail(err, SLC_UNAVAILABLE, NULL, "%s", why);
    return SLC_KEY_FAILED;
}

enum slc_key_answer slc_key_ring_ask(slc_key_ring *ring, const slc_key_want *want, slc_record_waiter *waiter,
                                     slc_data_key **key, slc_error *err)
{
    slc_keys *keys = ring->keys;
    enum slc_key_answer answer;
    pthread_mutex_lock(&keys->lock);
    slc_key_entry *entry = atomic_load(&keys->stopping) ? NULL : slc_key_entry_get(keys, ring, want);
    if (entry == NULL)
        answer = refuse(err, "too many keys are wanted at once");
    else
        answer = ask(keys, entry, key, err);
    if (answer == SLC_KEY_LATER && waiter == NULL)
        answer = refuse(err, "the key is being fetched");
    else if (answer == SLC_KEY_LATER)
        slc_record_wait(&entry->waiters, waiter);
    pthread_mutex_unlock(&keys->lock);
    return answer;
}

slc_data_key *slc_key_ring_ask_now(slc_key_ring *ring, const slc_key_want *want, slc_error *err)
{
    slc_keys *keys = ring->keys;
    slc_data_key *key = NULL;
    enum slc_key_answer answer = SLC_KEY_FAILED;
    pthread_mutex_lock(&keys->lock);
    slc_key_entry *entry = atomic_load(&keys->stopping) ? NULL : slc_key_entry_get(keys, ring, want);
    if (entry == NULL)
        refuse(err, "the program is stopping");
    while (entry != NULL && (answer = ask(keys, entry, &key, err)) == SLC_KEY_LATER) {
        entry->blocked++;
        pthread_cond_wait(&keys->answered, &keys->lock);
        entry->blocked--;
        if (atomic_load(&keys->stopping)) {
            refuse(err, "the program is stopping");
            break;
        }
    }
    pthread_mutex_unlock(&keys->lock);
    return answer == SLC_KEY_READY ? key : NULL;
}
