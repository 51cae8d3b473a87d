/* The issuers' thread. Everything but the count of askers and the flag that it stops belongs to it. */
#include "dataplane/identity/issuers.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/jose/jwks.h"
#include "common/log.h"
#include "common/metrics.h"
#include "dataplane/identity/token_cache.h"

#define ISSUERS_MAGIC 0x51c155e5u
#define TICK_MS       200
#define SET_MAX_BYTES (1 << 20)

struct ask;
TAILQ_HEAD(asks, ask);

/* An issuer as one configuration has it, with its keys. */
struct issuer {
    TAILQ_ENTRY(issuer) entry;
    slc_issuers *all;
    slc_issuer *entity; /* own reference */
    json_t *keys;       /* NULL: none came yet, or they are too old */
    int64_t asked_ms;   /* monotonic: when keys were last asked for; 0: never */
    bool up;            /* the last fetch was good */
    bool asking, asking_fresh;
    bool gone; /* from the configuration: freed when it is not asked for and nothing waits */
    struct asks waiting;
};

struct ask {
    TAILQ_ENTRY(ask) entry;
    slc_issuers *issuers;
    char *text;
    slc_snapshot *snapshot; /* own reference */
    slc_loop *loop;
    slc_issuers_done done;
    void *arg;
    uint8_t digest[SLC_SHA256_BYTES];
    slc_jwt jwt;
    int64_t deadline_ms;
    bool fresh; /* the keys that it was last tried with were fetched for it */
    slc_token *token;
};

struct slc_issuers {
    unsigned magic;
    slc_issuers_options options;
    slc_loop *loop;
    slc_jwks *jwks;
    struct event *tick;
    slc_token_cache *cache;
    TAILQ_HEAD(, issuer) list;
    atomic_long pending;
    pthread_mutex_t mutex; /* of `stopping`: nothing is posted to either thread once it was told to end */
    bool stopping;
};

static const slc_metric metrics[] = {
    {.name = "sluice_identity_tokens_total",
     .type = SLC_COUNTER,
     .help = "Bearer tokens that were looked at, by outcome: good, cached, refused, unavailable.",
     .labels = {"outcome"}},
    {.name = "sluice_identity_keys",
     .type = SLC_GAUGE,
     .help = "Keys that are known of an issuer.",
     .labels = {"issuer"}},
    {.name = "sluice_identity_issuer_up",
     .type = SLC_GAUGE,
     .help = "1 when the issuer's keys could be fetched the last time, 0 when not: older ones may still serve.",
     .labels = {"issuer"}},
    {.name = NULL},
};

void slc_issuers_register_metrics(void)
{
    slc_metrics_register(metrics);
}

static void count(const char *outcome)
{
    slc_series_add(slc_metrics_series("sluice_identity_tokens_total", &outcome), 1);
}

static void show_keys(const struct issuer *issuer)
{
    const char *name = issuer->entity->msg->name;
    size_t keys = json_array_size(json_object_get(issuer->keys, "keys"));
    slc_series_set(slc_metrics_series("sluice_identity_keys", &name), (int64_t)keys);
    slc_series_set(slc_metrics_series("sluice_identity_issuer_up", &name), issuer->up ? 1 : 0);
}

/* ---- answers ---- */

static void free_ask(struct ask *ask)
{
    slc_jwt_release(&ask->jwt);
    slc_free_secret(ask->text, strlen(ask->text));
    slc_snapshot_unref(ask->snapshot);
    free(ask);
}

static void answer_here(void *arg)
{
    struct ask *ask = arg;
    ask->done(ask->arg, ask->token);
    free_ask(ask);
}

/* `token`: stolen. */
static void answer(struct ask *ask, slc_token *token)
{
    memcpy(token->digest, ask->digest, sizeof token->digest);
    ask->token = token;
    atomic_fetch_sub(&ask->issuers->pending, 1);
    slc_loop_call(ask->loop, answer_here, ask);
}

static void answer_good(struct ask *ask, slc_token *token, bool cached)
{
    count(cached ? "cached" : "good");
    ask->token = token;
    atomic_fetch_sub(&ask->issuers->pending, 1);
    slc_loop_call(ask->loop, answer_here, ask);
}

static void refuse(struct ask *ask, const slc_error *err)
{
    count("refused");
    answer(ask, slc_token_bad(SLC_TOKEN_REFUSED, err->message));
}

static void give_up(struct ask *ask, const char *why)
{
    count("unavailable");
    answer(ask, slc_token_bad(SLC_TOKEN_UNAVAILABLE, why));
}

/* ---- keys ---- */

static void try_token(struct issuer *issuer, struct ask *ask);
static void ask_for_keys(struct issuer *issuer, bool fresh);

static void free_issuer(struct issuer *issuer)
{
    TAILQ_REMOVE(&issuer->all->list, issuer, entry);
    json_decref(issuer->keys);
    show_keys(&(struct issuer){.entity = issuer->entity});
    slc_issuer_unref(issuer->entity);
    free(issuer);
}

static void on_keys(void *arg, json_t *keys, const slc_error *err)
{
    struct issuer *issuer = arg;
    struct asks waiting = TAILQ_HEAD_INITIALIZER(waiting);
    bool fresh = issuer->asking_fresh;
    struct ask *ask;
    issuer->asking = issuer->asking_fresh = false;
    json_decref(issuer->keys);
    issuer->keys = json_incref(keys);
    issuer->up = err == NULL;
    show_keys(issuer);
    TAILQ_CONCAT(&waiting, &issuer->waiting, entry);
    while ((ask = TAILQ_FIRST(&waiting)) != NULL) {
        TAILQ_REMOVE(&waiting, ask, entry);
        if (keys == NULL) {
            give_up(ask, err->message);
            continue;
        }
        ask->fresh = ask->fresh || fresh;
        try_token(issuer, ask);
    }
    if (issuer->gone && !issuer->asking)
        free_issuer(issuer);
}

static void ask_for_keys(struct issuer *issuer, bool fresh)
{
    const Sluice__Snapshot__V1__Issuer *msg = issuer->entity->msg;
    slc_jwks_source source = {.issuer = msg->url,
                              .url = msg->jwks_url[0] != '\0' ? msg->jwks_url : NULL,
                              .file = msg->jwks_file[0] != '\0' ? msg->jwks_file : NULL,
                              .ca_pem = msg->ca_pem[0] != '\0' ? msg->ca_pem : NULL};
    if (issuer->asking)
        return;
    pthread_mutex_lock(&issuer->all->mutex);
    if (!issuer->all->stopping) {
        issuer->asking = true;
        issuer->asking_fresh = fresh;
        issuer->asked_ms = slc_monotonic_ms();
        slc_jwks_get(issuer->all->jwks, &source, fresh, issuer->all->loop, on_keys, issuer);
    }
    pthread_mutex_unlock(&issuer->all->mutex);
}

static struct issuer *find_issuer(slc_issuers *issuers, const slc_issuer *entity)
{
    struct issuer *issuer;
    TAILQ_FOREACH (issuer, &issuers->list, entry) {
        if (!issuer->gone && strcmp(issuer->entity->msg->id, entity->msg->id) == 0 &&
            memcmp(issuer->entity->digest, entity->digest, sizeof entity->digest) == 0)
            return issuer;
    }
    return NULL;
}

static struct issuer *get_issuer(slc_issuers *issuers, slc_issuer *entity)
{
    struct issuer *issuer = find_issuer(issuers, entity);
    if (issuer != NULL)
        return issuer;
    issuer = slc_calloc(1, sizeof *issuer);
    issuer->all = issuers;
    issuer->entity = slc_issuer_ref(entity);
    TAILQ_INIT(&issuer->waiting);
    TAILQ_INSERT_TAIL(&issuers->list, issuer, entry);
    ask_for_keys(issuer, false);
    return issuer;
}

/* ---- tokens ---- */

static void wait_for_keys(struct issuer *issuer, struct ask *ask, bool fresh)
{
    TAILQ_INSERT_TAIL(&issuer->waiting, ask, entry);
    ask_for_keys(issuer, fresh);
}

static void try_token(struct issuer *issuer, struct ask *ask)
{
    slc_error err = {0};
    bool unknown_key = false;
    if (issuer->keys == NULL) {
        wait_for_keys(issuer, ask, false);
    } else if (slc_jwt_verify(&ask->jwt, issuer->keys, &unknown_key, &err)) {
        slc_token *token = slc_token_good(&ask->jwt, issuer->entity, ask->digest);
        slc_token_cache_put(issuer->all->cache, token);
        answer_good(ask, token, false);
    } else if (unknown_key && !ask->fresh) {
        wait_for_keys(issuer, ask, true);
    } else {
        refuse(ask, &err);
    }
}

static void serve(void *arg)
{
    struct ask *ask = arg;
    slc_issuers *issuers = ask->issuers;
    slc_error err = {0};
    SLC_CHECK_MAGIC(issuers, ISSUERS_MAGIC);
    slc_sha256(ask->text, strlen(ask->text), ask->digest);
    slc_token *known = slc_token_cache_find(issuers->cache, ask->digest, ask->snapshot);
    if (known != NULL) {
        answer_good(ask, slc_token_ref(known), true);
        return;
    }
    slc_issuer *entity = slc_jwt_parse(ask->text, &ask->jwt, &err)
                             ? slc_token_issuer(&ask->jwt, ask->snapshot, slc_wall_ms(), &err)
                             : NULL;
    if (entity == NULL)
        refuse(ask, &err);
    else
        try_token(get_issuer(issuers, entity), ask);
}

static bool is_stopping(slc_issuers *issuers)
{
    pthread_mutex_lock(&issuers->mutex);
    bool stopping = issuers->stopping;
    pthread_mutex_unlock(&issuers->mutex);
    return stopping;
}

slc_token *slc_issuers_ask(slc_issuers *issuers, const char *text, slc_snapshot *snapshot, slc_loop *loop,
                           slc_issuers_done done, void *arg)
{
    struct ask *ask = slc_calloc(1, sizeof *ask);
    SLC_CHECK_MAGIC(issuers, ISSUERS_MAGIC);
    ask->issuers = issuers;
    ask->text = slc_strdup(text);
    ask->snapshot = slc_snapshot_ref(snapshot);
    ask->loop = loop;
    ask->done = done;
    ask->arg = arg;
    ask->deadline_ms = slc_monotonic_ms() + issuers->options.wait_ms;
    bool full = atomic_fetch_add(&issuers->pending, 1) >= issuers->options.queue;
    pthread_mutex_lock(&issuers->mutex);
    bool stopping = issuers->stopping;
    if (!full && !stopping)
        slc_loop_call(issuers->loop, serve, ask);
    pthread_mutex_unlock(&issuers->mutex);
    if (!full && !stopping)
        return NULL;
    atomic_fetch_sub(&issuers->pending, 1);
    free_ask(ask);
    count("unavailable");
    return slc_token_bad(SLC_TOKEN_UNAVAILABLE,
                         full ? "too many tokens wait to be verified (identity.token-queue)"
                              : "the gateway is stopping");
}

/* ---- configuration and time ---- */

struct applied {
    slc_issuers *issuers;
    slc_snapshot *snapshot;
};

static void apply_here(void *arg)
{
    struct applied *applied = arg;
    slc_issuers *issuers = applied->issuers;
    struct issuer *next, *issuer = TAILQ_FIRST(&issuers->list);
    size_t count;
    slc_issuer *const *entities = slc_snapshot_issuers(applied->snapshot, &count);
    for (; issuer != NULL; issuer = next) {
        next = TAILQ_NEXT(issuer, entry);
        bool kept = false;
        for (size_t i = 0; i < count; i++)
            kept = kept || memcmp(entities[i]->digest, issuer->entity->digest, sizeof entities[i]->digest) == 0;
        issuer->gone = issuer->gone || !kept;
        if (issuer->gone && !issuer->asking)
            free_issuer(issuer);
    }
    for (size_t i = 0; i < count; i++)
        (void)get_issuer(issuers, entities[i]);
    slc_snapshot_unref(applied->snapshot);
    free(applied);
}

void slc_issuers_apply(slc_issuers *issuers, slc_snapshot *snapshot)
{
    struct applied *applied = slc_calloc(1, sizeof *applied);
    SLC_CHECK_MAGIC(issuers, ISSUERS_MAGIC);
    SLC_BUG_ON(is_stopping(issuers));
    applied->issuers = issuers;
    applied->snapshot = slc_snapshot_ref(snapshot);
    slc_loop_call(issuers->loop, apply_here, applied);
}

static void end_waits(struct issuer *issuer, int64_t now_ms)
{
    struct ask *next, *ask = TAILQ_FIRST(&issuer->waiting);
    for (; ask != NULL; ask = next) {
        next = TAILQ_NEXT(ask, entry);
        if (ask->deadline_ms > now_ms)
            continue;
        TAILQ_REMOVE(&issuer->waiting, ask, entry);
        give_up(ask, "the issuer's keys did not come in time");
    }
}

/* Before the set's own end, so that nobody waits for it; one that never came as often as it may be tried. */
static bool keys_are_due(const struct issuer *issuer, int64_t now_ms)
{
    const slc_issuers_options *options = &issuer->all->options;
    int64_t wait_ms = issuer->keys == NULL ? options->retry_ms : options->refresh_ms;
    return now_ms - issuer->asked_ms >= wait_ms;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    slc_issuers *issuers = arg;
    struct issuer *issuer;
    int64_t now_ms = slc_monotonic_ms();
    (void)fd, (void)what;
    TAILQ_FOREACH (issuer, &issuers->list, entry) {
        end_waits(issuer, now_ms);
        if (!issuer->gone && keys_are_due(issuer, now_ms))
            ask_for_keys(issuer, false);
    }
}

/* ---- start and stop ---- */

slc_issuers *slc_issuers_new(const slc_issuers_options *options, slc_error *err)
{
    struct timeval interval = {.tv_usec = TICK_MS * 1000};
    slc_issuers *issuers = slc_calloc(1, sizeof *issuers);
    slc_jwks_options keys = {.ttl_ms = options->refresh_ms,
                             .retry_ms = options->retry_ms,
                             .stale_ms = options->stale_ms,
                             .timeout_ms = options->fetch_timeout_ms,
                             .max_bytes = SET_MAX_BYTES,
                             .fetches = options->fetches};
    issuers->magic = ISSUERS_MAGIC;
    issuers->options = *options;
    TAILQ_INIT(&issuers->list);
    SLC_BUG_ON(pthread_mutex_init(&issuers->mutex, NULL) != 0);
    issuers->cache = slc_token_cache_new((size_t)options->cache_tokens, options->cache_ms);
    issuers->loop = slc_loop_new("issuers", issuers);
    issuers->tick = event_new(slc_loop_base(issuers->loop), -1, EV_PERSIST, on_tick, issuers);
    SLC_BUG_ON(issuers->tick == NULL);
    event_add(issuers->tick, &interval);
    issuers->jwks = slc_jwks_new(&keys, err);
    if (issuers->jwks != NULL && slc_loop_start(issuers->loop, err))
        return issuers;
    issuers->stopping = true;
    slc_issuers_free(issuers);
    return NULL;
}

/* The sets' thread has ended by now: nothing is asked for that would not come. */
static void stop_here(void *arg)
{
    slc_issuers *issuers = arg;
    struct issuer *issuer;
    TAILQ_FOREACH (issuer, &issuers->list, entry)
        end_waits(issuer, INT64_MAX);
}

void slc_issuers_stop(slc_issuers *issuers)
{
    SLC_CHECK_MAGIC(issuers, ISSUERS_MAGIC);
    pthread_mutex_lock(&issuers->mutex);
    issuers->stopping = true;
    pthread_mutex_unlock(&issuers->mutex);
    slc_jwks_stop(issuers->jwks);
    slc_loop_call(issuers->loop, stop_here, issuers);
    slc_loop_stop(issuers->loop);
    slc_loop_join(issuers->loop);
}

void slc_issuers_free(slc_issuers *issuers)
{
    if (issuers == NULL)
        return;
    SLC_CHECK_MAGIC(issuers, ISSUERS_MAGIC);
    SLC_BUG_ON(!is_stopping(issuers));
    while (!TAILQ_EMPTY(&issuers->list))
        free_issuer(TAILQ_FIRST(&issuers->list));
    slc_jwks_free(issuers->jwks);
    event_free(issuers->tick);
    slc_loop_free(issuers->loop);
    slc_token_cache_free(issuers->cache);
    pthread_mutex_destroy(&issuers->mutex);
    issuers->magic = 0;
    free(issuers);
}

const slc_issuers_options *slc_issuers_options_of(const slc_issuers *issuers)
{
    return &issuers->options;
}
