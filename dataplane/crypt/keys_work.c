/* The threads that ask providers. */
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"
#include "dataplane/crypt/keys_private.h"

#define LOG_INTERVAL_MS     60000 /* a failure that stays is told again */
#define REFUSED_INTERVAL_MS 1000  /* of a ring: whoever writes to a topic can make up names of keys */

static const slc_metric table[] = {
    {"sluice_encryption_key_calls_total",
     SLC_COUNTER,
     "Calls to who holds key-encryption keys.",
     {"key_ring", "operation", "outcome"},
     0,
     NULL},
    {"sluice_encryption_key_ring_up",
     SLC_GAUGE,
     "1 when the last call of the key ring was answered, 0 when it was not.",
     {"key_ring"},
     0,
     NULL},
    {NULL, SLC_COUNTER, NULL, {NULL}, 0, NULL},
};
static atomic_bool registered;

void slc_keys_register_metrics(void)
{
    slc_metrics_register(table);
    atomic_store(&registered, true);
}

void slc_keys_count(const slc_key_ring *ring, const char *operation, const char *outcome)
{
    if (!atomic_load(&registered))
        return;
    slc_series_add(slc_metrics_series(table[0].name, (const char *[]){ring->options.name, operation, outcome}),
                   1);
    slc_series_set(slc_metrics_series(table[1].name, (const char *[]){ring->options.name}),
                   strcmp(outcome, "unavailable") != 0);
}

/* ---- one call ---- */

struct brought {
    enum slc_key_want_kind kind;
    enum slc_key_job job;
    unsigned generation;
    bool ok;
    slc_edek edek; /* TO_ENCRYPT, FETCH */
    uint8_t secret[SLC_FIXED_KEY_BYTES];
    slc_error err;
};

static const char *operation_of(const struct brought *brought)
{
    if (brought->job == SLC_JOB_VERIFY)
        return "verify";
    return brought->kind == SLC_KEY_TO_ENCRYPT   ? "generate"
           : brought->kind == SLC_KEY_TO_DECRYPT ? "unwrap"
                                                 : "fixed";
}

/* Without the lock; the entry stays because its job is not over. What is read of it does not change meanwhile.
 */
static void call_provider(slc_key_entry *entry, const slc_key_call *call, const uint8_t *edek, size_t edek_len,
                          struct brought *brought)
{
    const slc_key_provider_ops *ops = entry->ring->ops;
    void *provider = entry->ring->provider;
    if (brought->job == SLC_JOB_VERIFY || brought->kind == SLC_KEY_TO_DECRYPT)
        brought->ok = ops->unwrap(provider, call, entry->kek, edek, edek_len, brought->secret, &brought->err);
    else if (brought->kind == SLC_KEY_TO_ENCRYPT)
        brought->ok = ops->generate(provider, call, entry->kek, brought->secret, &brought->edek, &brought->err);
    else
        brought->ok = ops->fixed(provider, call, entry->kek, brought->secret, &brought->err);
}

/* ---- what it brought ---- */

static void log_outcome(slc_key_ring *ring, const slc_key_entry *entry, const struct brought *brought,
                        int64_t now_ms)
{
    if (brought->ok || brought->err.code != SLC_UNAVAILABLE) {
        if (ring->logged_ms != 0)
            slc_log(SLC_LOG_INFO, "a key ring answers again", LS("key_ring", ring->options.name));
        ring->logged_ms = 0;
        ring->health[0] = '\0';
        return;
    }
    snprintf(ring->health, sizeof ring->health, "%.*s", (int)sizeof ring->health - 1, brought->err.message);
    if (ring->logged_ms != 0 && now_ms - ring->logged_ms < LOG_INTERVAL_MS)
        return;
    ring->logged_ms = now_ms;
    slc_log(SLC_LOG_WARN, "a key ring cannot be reached", LS("key_ring", ring->options.name),
            LS("kek", entry->kek), LS("error", brought->err.message));
}

/* A provider that is away is asked again after a time that doubles; a key that is not there, after another.
 * Whoever has one of its keys goes on with it until it expires, unless the KEK is gone. */
static void failed(slc_keys *keys, slc_key_entry *entry, const struct brought *brought, int64_t now_ms)
{
    bool away = brought->err.code == SLC_UNAVAILABLE;
    int64_t wait_ms = keys->options.missing_ms;
    if (away) {
        wait_ms = keys->options.retry_min_ms << (entry->failures < 20 ? entry->failures : 20);
        if (wait_ms > keys->options.retry_max_ms)
            wait_ms = keys->options.retry_max_ms;
        entry->failures++;
    }
    entry->err = brought->err;
    if (brought->err.code == SLC_NOT_FOUND)
        slc_keys_forget(keys, entry->ring, entry->kek);
    else if (!away)
        slc_key_entry_kill(entry);
    entry->retry_ms = now_ms + (away ? slc_jitter_ms(wait_ms, 20) : wait_ms);
    if (!away && (entry->ring->refused_ms == 0 || now_ms - entry->ring->refused_ms >= REFUSED_INTERVAL_MS)) {
        entry->ring->refused_ms = now_ms;
        slc_log(SLC_LOG_WARN, "a key cannot be had", LS("key_ring", entry->ring->options.name),
                LS("kek", entry->kek), LS("error", brought->err.message));
    }
}

static size_t secret_len(const struct brought *brought)
{
    return brought->kind == SLC_KEY_FIXED ? SLC_FIXED_KEY_BYTES : SLC_DATA_KEY_BYTES;
}

static void keep(slc_keys *keys, slc_key_entry *entry, const struct brought *brought, int64_t now_ms)
{
    bool encrypts = brought->kind == SLC_KEY_TO_ENCRYPT;
    const uint8_t *edek = encrypts ? brought->edek.bytes : entry->edek;
    size_t edek_len = encrypts ? brought->edek.len : entry->edek_len;
    if (!encrypts && entry->key != NULL &&
        slc_equal_secret(entry->key->secret, brought->secret, secret_len(brought))) {
        atomic_store(&entry->key->expires_ms, now_ms + keys->options.ttl_ms);
        return;
    }
    slc_data_key_unref(entry->key); /* an older data key still works for those who have it */
    entry->key =
        slc_data_key_new(entry->kek, entry->kek_len, edek, edek_len, brought->secret, secret_len(brought));
    atomic_store(&entry->key->expires_ms, now_ms + (encrypts ? keys->options.rotate_ms : keys->options.ttl_ms));
    entry->until_ms = now_ms + keys->options.rotate_ms;
    entry->verify_ms = now_ms + keys->options.ttl_ms;
}

/* With the lock. */
static void take(slc_keys *keys, slc_key_entry *entry, struct brought *brought)
{
    int64_t now_ms = slc_monotonic_ms();
    slc_keys_count(entry->ring, operation_of(brought),
                   brought->ok                            ? "ok"
                   : brought->err.code == SLC_UNAVAILABLE ? "unavailable"
                                                          : "refused");
    log_outcome(entry->ring, entry, brought, now_ms);
    if (brought->generation != entry->generation)
        return; /* keys were forgotten meanwhile: whoever waits asks anew */
    if (brought->ok && brought->job == SLC_JOB_VERIFY &&
        (entry->key == NULL || !slc_equal_secret(entry->key->secret, brought->secret, SLC_DATA_KEY_BYTES))) {
        brought->ok = slc_fail(&brought->err, SLC_CORRUPT, NULL, "the data key opens as another one");
        failed(keys, entry, brought, now_ms);
        return;
    }
    if (!brought->ok) {
        failed(keys, entry, brought, now_ms);
        return;
    }
    slc_error_clear(&entry->err);
    entry->failures = 0;
    entry->retry_ms = 0;
    if (brought->job == SLC_JOB_VERIFY)
        entry->verify_ms = now_ms + keys->options.ttl_ms;
    else
        keep(keys, entry, brought, now_ms);
}

/* ---- a thread ---- */

/* With the lock, which is given up during the call. */
static void work(slc_keys *keys, slc_key_entry *entry, slc_http_client *http)
{
    const slc_key_call call = {.http = http, .timeout_ms = keys->options.timeout_ms};
    struct brought brought = {.kind = entry->kind, .job = entry->job, .generation = entry->generation};
    slc_data_key *verified =
        brought.job == SLC_JOB_VERIFY && entry->key != NULL ? slc_data_key_ref(entry->key) : NULL;
    TAILQ_REMOVE(&keys->queue, entry, queue);
    pthread_mutex_unlock(&keys->lock);
    if (brought.job == SLC_JOB_VERIFY && verified == NULL)
        slc_fail(&brought.err, SLC_UNAVAILABLE, NULL, "the data key was forgotten");
    else if (verified != NULL)
        call_provider(entry, &call, verified->edek, verified->edek_len, &brought);
    else
        call_provider(entry, &call, entry->edek, entry->edek_len, &brought);
    pthread_mutex_lock(&keys->lock);
    slc_data_key_unref(verified);
    entry->job = SLC_JOB_NONE;
    take(keys, entry, &brought);
    OPENSSL_cleanse(brought.secret, sizeof brought.secret);
    slc_record_waiters_tell(&entry->waiters);
    pthread_cond_broadcast(&keys->answered);
    slc_key_ring *ring = entry->ring;
    pthread_mutex_unlock(&keys->lock);
    slc_key_ring_unref(ring);
    pthread_mutex_lock(&keys->lock);
}

/* Have keystores changed? With the lock; the rings stay, for only we let them go meanwhile. */
static void watch(slc_keys *keys)
{
    slc_key_ring *ring;
    TAILQ_FOREACH (ring, &keys->rings, entry) {
        if (ring->ops->changed == NULL || !ring->ops->changed(ring->provider))
            continue;
        slc_log(SLC_LOG_INFO, "a keystore has changed: its keys are read anew",
                LS("key_ring", ring->options.name));
        slc_keys_forget(keys, ring, NULL);
    }
}

static void wait_for_work(slc_keys *keys)
{
    int64_t until_ms = keys->watched_ms + keys->options.watch_ms;
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    pthread_cond_timedwait(&keys->work, &keys->lock, &until);
}

static void *thread_main(void *arg)
{
    slc_keys *keys = arg;
    slc_http_client *http = slc_http_client_new(&keys->stopping);
    pthread_mutex_lock(&keys->lock);
    while (!atomic_load(&keys->stopping)) {
        slc_key_entry *entry = TAILQ_FIRST(&keys->queue);
        int64_t now_ms = slc_monotonic_ms();
        if (now_ms - keys->watched_ms >= keys->options.watch_ms) {
            keys->watched_ms = now_ms;
            watch(keys);
        } else if (entry != NULL) {
            work(keys, entry, http);
        } else {
            wait_for_work(keys);
        }
    }
    pthread_mutex_unlock(&keys->lock);
    slc_http_client_free(http);
    return NULL;
}

/* Signals are the main thread's. */
void slc_keys_start(slc_keys *keys)
{
    sigset_t all, before;
    if (keys->threads != NULL || atomic_load(&keys->stopping))
        return;
    keys->watched_ms = slc_monotonic_ms();
    keys->threads = slc_calloc((size_t)keys->options.threads, sizeof *keys->threads);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (keys->n_threads < (size_t)keys->options.threads &&
           pthread_create(&keys->threads[keys->n_threads], NULL, thread_main, keys) == 0)
        keys->n_threads++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    SLC_BUG_ON(keys->n_threads == 0);
}
