/* The threads that ask registries. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"
#include "dataplane/schema/registry_private.h"

#define LOG_INTERVAL_MS 60000 /* a failure that stays is told again */
#define RETRY_MIN_MS    500   /* after a registry could not be reached; doubles */
#define RETRY_MAX_MS    10000

static const slc_metric table[] = {
    {"sluice_schema_registry_fetches_total",
     SLC_COUNTER,
     "Schemas that were asked of a registry.",
     {"registry", "outcome"},
     0,
     NULL},
    {"sluice_schema_registry_up",
     SLC_GAUGE,
     "1 when the registry answered the last time, 0 when it did not.",
     {"registry"},
     0,
     NULL},
    {NULL, SLC_COUNTER, NULL, {NULL}, 0, NULL},
};
static atomic_bool registered;

void slc_schemas_register_metrics(void)
{
    slc_metrics_register(table);
    atomic_store(&registered, true);
}

static void count(const slc_registry *registry, const slc_error *err)
{
    const char *outcome = err->code == SLC_OK            ? "found"
                          : err->code == SLC_NOT_FOUND   ? "missing"
                          : err->code == SLC_UNAVAILABLE ? "unavailable"
                                                         : "unusable";
    if (!atomic_load(&registered))
        return;
    slc_series_add(slc_metrics_series(table[0].name, (const char *[]){registry->options.name, outcome}), 1);
    slc_series_set(slc_metrics_series(table[1].name, (const char *[]){registry->options.name}),
                   err->code != SLC_UNAVAILABLE);
}

static void tell_log(slc_registry *registry, const slc_schema_entry *entry, const slc_error *err,
                     int64_t now_ms)
{
    if (err->code != SLC_UNAVAILABLE) {
        if (registry->logged_ms != 0)
            slc_log(SLC_LOG_INFO, "a schema registry answers again", LS("registry", registry->options.name));
        registry->logged_ms = 0;
        return;
    }
    if (registry->logged_ms != 0 && now_ms - registry->logged_ms < LOG_INTERVAL_MS)
        return;
    registry->logged_ms = now_ms;
    slc_log(SLC_LOG_WARN, "a schema registry cannot be asked", LS("registry", registry->options.name),
            LS("wanted", entry->key), LS("error", err->message));
}

/* With the lock. While the registry is away what is there stays, until it is too old. */
static void store(slc_schema_entry *entry, slc_schema *schema, const slc_error *err)
{
    slc_registry *registry = entry->registry;
    int64_t now_ms = slc_monotonic_ms(), wait_ms = registry->options.missing_ttl_ms;
    tell_log(registry, entry, err, now_ms);
    entry->err = *err;
    entry->busy = false;
    entry->retry_ms = 0;
    if (err->code == SLC_UNAVAILABLE) {
        wait_ms = (int64_t)RETRY_MIN_MS << (entry->failures < 8 ? entry->failures : 8);
        wait_ms = slc_jitter_ms(wait_ms < RETRY_MAX_MS ? wait_ms : RETRY_MAX_MS, 20);
        entry->failures++;
    } else {
        entry->failures = 0;
    }
    if (schema == NULL)
        entry->retry_ms = now_ms + wait_ms;
    if (schema != NULL)
        entry->fetched_ms = now_ms;
    if (schema != NULL || entry->schema == NULL || err->code != SLC_UNAVAILABLE)
        slc_schema_entry_set(entry, schema);
    slc_record_waiters_tell(&entry->waiters);
}

static void *work(void *arg)
{
    slc_schemas *schemas = arg;
    CURL *curl = curl_easy_init();
    SLC_BUG_ON(curl == NULL);
    pthread_mutex_lock(&schemas->lock);
    while (!atomic_load(&schemas->stopping)) {
        slc_schema_entry *entry = TAILQ_FIRST(&schemas->queue);
        if (entry == NULL) {
            pthread_cond_wait(&schemas->work, &schemas->lock);
            continue;
        }
        TAILQ_REMOVE(&schemas->queue, entry, queue);
        schemas->queued--;
        slc_registry *registry = entry->registry;
        slc_error err = {0};
        registry->refs++; /* the entry stays because it is busy, and the registry because of this */
        pthread_mutex_unlock(&schemas->lock);
        slc_schema *schema = slc_registry_fetch(curl, registry, &entry->want, &err);
        count(registry, &err);
        pthread_mutex_lock(&schemas->lock);
        store(entry, schema, &err);
        registry->refs--;
    }
    pthread_mutex_unlock(&schemas->lock);
    curl_easy_cleanup(curl);
    return NULL;
}

/* Signals are the main thread's. */
void slc_schemas_start(slc_schemas *schemas)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (schemas->n_threads < (size_t)schemas->options.threads) {
        int failed = pthread_create(&schemas->threads[schemas->n_threads], NULL, work, schemas);
        if (failed != 0) {
            slc_log(SLC_LOG_WARN, "cannot start a thread for schema registries", LS("error", strerror(failed)));
            break;
        }
        pthread_setname_np(schemas->threads[schemas->n_threads++], "schemas");
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}
