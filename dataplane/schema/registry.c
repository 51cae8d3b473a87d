/* Registries and who asks them. */
#include "dataplane/schema/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "dataplane/schema/registry_private.h"

#define IDLE_MAX 64 /* registries that nobody uses: their schemas are kept for who comes next */

/* ---- options ---- */

/* The texts, secrets among them. */
static const char **text_at(slc_registry_options *options, size_t i)
{
    const char **const all[] = {
        &options->name,  &options->url,    &options->username,        &options->password,
        &options->token, &options->ca_pem, &options->certificate_pem, &options->key_pem};
    return i < sizeof all / sizeof all[0] ? all[i] : NULL;
}

static void copy_options(slc_registry_options *to, const slc_registry_options *from)
{
    const char **text;
    *to = *from;
    for (size_t i = 0; (text = text_at(to, i)) != NULL; i++)
        *text = slc_strdup(*text != NULL ? *text : "");
}

static void digest_of(const slc_registry_options *options, uint8_t out[SLC_SHA256_BYTES])
{
    slc_registry_options copy = *options;
    const char **text;
    slc_buf all;
    slc_buf_init(&all, 4 << 20);
    for (size_t i = 0; (text = text_at(&copy, i)) != NULL; i++)
        slc_buf_add(&all, *text != NULL ? *text : "", (*text != NULL ? strlen(*text) : 0) + 1);
    const int64_t numbers[] = {options->timeout_ms,    options->cache_schemas,  options->ttl_ms,
                               options->latest_ttl_ms, options->missing_ttl_ms, options->stale_ms};
    slc_buf_add(&all, numbers, sizeof numbers);
    slc_sha256(all.data, all.len, out);
    size_t len;
    char *data = slc_buf_steal(&all, &len);
    slc_free_secret(data, len);
}

/* ---- registries ---- */

static void free_registry(slc_registry *registry)
{
    const char **text;
    TAILQ_REMOVE(&registry->schemas->registries, registry, entry);
    slc_registry_drop_entries(registry);
    for (size_t i = 0; (text = text_at(&registry->options, i)) != NULL; i++)
        slc_free_secret((char *)*text, strlen(*text));
    free(registry);
}

/* The one that was used last is first. */
static void drop_idle(slc_schemas *schemas)
{
    slc_registry *registry, *next;
    size_t idle = 0;
    for (registry = TAILQ_FIRST(&schemas->registries); registry != NULL; registry = next) {
        next = TAILQ_NEXT(registry, entry);
        bool queued = false;
        const slc_schema_entry *entry;
        TAILQ_FOREACH (entry, &schemas->queue, queue)
            queued = queued || entry->registry == registry;
        idle += registry->refs == 0 ? 1 : 0;
        if (registry->refs == 0 && !queued && idle > IDLE_MAX)
            free_registry(registry);
    }
}

slc_registry *slc_registry_get(slc_schemas *schemas, const slc_registry_options *options)
{
    uint8_t digest[SLC_SHA256_BYTES];
    slc_registry *registry;
    digest_of(options, digest);
    pthread_mutex_lock(&schemas->lock);
    TAILQ_FOREACH (registry, &schemas->registries, entry)
        if (memcmp(registry->digest, digest, sizeof digest) == 0)
            break;
    if (registry == NULL) {
        registry = slc_calloc(1, sizeof *registry);
        registry->schemas = schemas;
        memcpy(registry->digest, digest, sizeof digest);
        copy_options(&registry->options, options);
        TAILQ_INIT(&registry->there);
        TAILQ_INIT(&registry->missing);
        registry->refs = 1;
        TAILQ_INSERT_HEAD(&schemas->registries, registry, entry);
        drop_idle(schemas);
    } else {
        registry->refs++;
        TAILQ_REMOVE(&schemas->registries, registry, entry);
        TAILQ_INSERT_HEAD(&schemas->registries, registry, entry);
    }
    pthread_mutex_unlock(&schemas->lock);
    return registry;
}

slc_registry *slc_registry_ref(slc_registry *registry)
{
    pthread_mutex_lock(&registry->schemas->lock);
    registry->refs++;
    pthread_mutex_unlock(&registry->schemas->lock);
    return registry;
}

void slc_registry_unref(slc_registry *registry)
{
    if (registry == NULL)
        return;
    slc_schemas *schemas = registry->schemas;
    pthread_mutex_lock(&schemas->lock);
    SLC_BUG_ON(registry->refs == 0);
    registry->refs--;
    pthread_mutex_unlock(&schemas->lock);
}

static slc_schemas *of_process;

void slc_schemas_set_process(slc_schemas *schemas)
{
    of_process = schemas;
}

slc_schemas *slc_schemas_of_process(void)
{
    return of_process;
}

uint64_t slc_schemas_steps(void)
{
    return of_process != NULL ? (uint64_t)of_process->options.steps : (uint64_t)SLC_SCHEMAS_DEFAULTS.steps;
}

/* ---- asking ---- */

static void queue_fetch(slc_schemas *schemas, slc_schema_entry *entry)
{
    entry->busy = true;
    TAILQ_INSERT_TAIL(&schemas->queue, entry, queue);
    schemas->queued++;
    if (schemas->n_threads == 0)
        slc_schemas_start(schemas);
    pthread_cond_signal(&schemas->work);
}

/* Is what is there good enough? It may be fetched anew all the same. */
static bool serve(slc_registry *registry, slc_schema_entry *entry, int64_t now_ms)
{
    slc_schemas *schemas = registry->schemas;
    if (entry->schema == NULL)
        return false;
    const slc_registry_options *options = &registry->options;
    int64_t age_ms = now_ms - entry->fetched_ms;
    int64_t ttl_ms = entry->want.by == SLC_WANT_LATEST ? options->latest_ttl_ms : options->ttl_ms;
    if (age_ms >= ttl_ms && !entry->busy && now_ms >= entry->retry_ms &&
        schemas->queued < (size_t)schemas->options.queue)
        queue_fetch(schemas, entry);
    if (age_ms >= ttl_ms + options->stale_ms)
        return false;
    slc_schema_entry_touch(entry);
    return true;
}

static enum slc_schema_answer ask(slc_registry *registry, const slc_schema_want *want,
                                  slc_record_waiter *waiter, slc_schema **schema, slc_error *err)
{
    slc_schemas *schemas = registry->schemas;
    int64_t now_ms = slc_monotonic_ms();
    slc_schema_entry *entry = atomic_load(&schemas->stopping) ? NULL : slc_schema_entry_get(registry, want);
    if (entry == NULL) {
        slc_fail(err, SLC_UNAVAILABLE, NULL, "too much is asked of the schema registries already");
        return SLC_SCHEMA_FAILED;
    }
    if (serve(registry, entry, now_ms)) {
        *schema = slc_schema_ref(entry->schema);
        return SLC_SCHEMA_READY;
    }
    if (!entry->busy && now_ms < entry->retry_ms) {
        *err = entry->err;
        return SLC_SCHEMA_FAILED;
    }
    if (!entry->busy)
        queue_fetch(schemas, entry);
    if (waiter == NULL) {
        slc_fail(err, SLC_UNAVAILABLE, NULL, "the schema is still being fetched from the registry %.60s",
                 registry->options.name);
        return SLC_SCHEMA_FAILED;
    }
    slc_record_wait(&entry->waiters, waiter);
    return SLC_SCHEMA_LATER;
}

enum slc_schema_answer slc_registry_ask(slc_registry *registry, const slc_schema_want *want,
                                        slc_record_waiter *waiter, slc_schema **schema, slc_error *err)
{
    SLC_BUG_ON(want->by == SLC_WANT_LATEST && want->subject == NULL);
    SLC_BUG_ON(want->by == SLC_WANT_GUID && want->subject != NULL);
    slc_error_clear(err);
    pthread_mutex_lock(&registry->schemas->lock);
    enum slc_schema_answer answer = ask(registry, want, waiter, schema, err);
    pthread_mutex_unlock(&registry->schemas->lock);
    return answer;
}

/* ---- start and stop ---- */

slc_schemas *slc_schemas_new(const slc_schemas_options *options)
{
    slc_schemas *schemas = slc_calloc(1, sizeof *schemas);
    schemas->options = *options;
    pthread_mutex_init(&schemas->lock, NULL);
    pthread_cond_init(&schemas->work, NULL);
    TAILQ_INIT(&schemas->registries);
    TAILQ_INIT(&schemas->queue);
    schemas->threads = slc_calloc((size_t)options->threads, sizeof *schemas->threads);
    /* Before threads: it is not safe beside others. */
    SLC_BUG_ON(curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK);
    return schemas;
}

void slc_schemas_stop(slc_schemas *schemas)
{
    slc_registry *registry;
    pthread_mutex_lock(&schemas->lock);
    bool stopped = atomic_exchange(&schemas->stopping, true);
    pthread_cond_broadcast(&schemas->work);
    pthread_mutex_unlock(&schemas->lock);
    if (stopped)
        return;
    for (size_t i = 0; i < schemas->n_threads; i++)
        SLC_BUG_ON(pthread_join(schemas->threads[i], NULL) != 0);
    pthread_mutex_lock(&schemas->lock);
    TAILQ_INIT(&schemas->queue);
    schemas->queued = 0;
    TAILQ_FOREACH (registry, &schemas->registries, entry)
        slc_registry_drop_entries(registry); /* tells who waits */
    pthread_mutex_unlock(&schemas->lock);
}

void slc_schemas_free(slc_schemas *schemas)
{
    slc_registry *registry;
    if (schemas == NULL)
        return;
    slc_schemas_stop(schemas);
    while ((registry = TAILQ_FIRST(&schemas->registries)) != NULL) {
        SLC_BUG_ON(registry->refs > 0);
        free_registry(registry);
    }
    curl_global_cleanup();
    pthread_cond_destroy(&schemas->work);
    pthread_mutex_destroy(&schemas->lock);
    free(schemas->threads);
    free(schemas);
}
