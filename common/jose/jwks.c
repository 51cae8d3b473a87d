/* Key sets. One thread has them all; each fetch has a thread of its own, so that an issuer that is slow delays
 * nobody but those who wait for it. At most one fetch of a set, and `fetches` in all. */
#include "common/jose/jwks.h"

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/json.h"
#include "common/log.h"

#define SLC_JWKS_MAGIC  0x4a574b53u
#define HOUR_MS         (3600 * 1000LL)
#define MAX_SETS        1024  /* issuers are configured by people; over it the oldest set goes */
#define LOG_INTERVAL_MS 60000 /* a failure that stays is told again */
#define WELL_KNOWN      "/.well-known/openid-configuration"

TAILQ_HEAD(requests, request);

/* A source and what came from it. */
struct set {
    TAILQ_ENTRY(set) entry;
    TAILQ_ENTRY(set) want;   /* jwks->wanted */
    struct requests waiting; /* for the fetch */
    bool wanted, fetching;   /* in that list; under way */
    char *issuer, *url, *file, *ca_pem;
    json_t *keys;       /* NULL: never came */
    int64_t fetched_ms; /* monotonic: when they came */
    int64_t tried_ms;   /* when a fetch was last tried; 0: never */
    int64_t logged_ms;  /* monotonic: when a failure was last logged; 0: not since it was well */
    slc_error err;      /* of the last try */
};

struct slc_jwks {
    unsigned magic;
    slc_jwks_options options;
    slc_loop *loop;
    TAILQ_HEAD(sets, set) sets; /* the one that was used last is first */
    unsigned count;
    TAILQ_HEAD(, set) wanted; /* to be fetched when one of the fetches under way has ended */
    pthread_mutex_t lock;     /* of the two below */
    pthread_cond_t quiet;     /* no fetch is under way */
    unsigned fetching;
    atomic_bool stopping; /* set under the lock, after which no fetch begins */
};

/* A fetch and its thread. The set's source does not change meanwhile. */
struct fetch {
    slc_jwks *jwks;
    struct set *set;
    pthread_t thread;
    CURL *curl;
    json_t *keys; /* what came: own reference */
    slc_error err;
};

struct request {
    TAILQ_ENTRY(request) entry;
    slc_jwks *jwks;
    char *issuer, *url, *file, *ca_pem;
    bool fresh;
    slc_loop *loop;
    slc_jwks_done done;
    void *arg;
    json_t *keys; /* own reference */
    slc_error err;
};

static char *copy(const char *text)
{
    return text != NULL && text[0] != '\0' ? slc_strdup(text) : NULL;
}

/* ---- fetching ---- */

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    slc_buf *body = arg;
    return slc_buf_add(body, data, size * count) ? size * count : 0;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const slc_jwks *jwks = arg;
    (void)a, (void)b, (void)c, (void)d;
    return atomic_load(&jwks->stopping) ? 1 : 0;
}

/* No redirects: a key set is where its issuer says that it is. */
static void set_options(const struct fetch *fetch, const char *url, slc_buf *body)
{
    slc_jwks *jwks = fetch->jwks;
    const struct set *set = fetch->set;
    CURL *curl = fetch->curl;
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)jwks->options.timeout_ms);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, jwks);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "sluice");
    curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)jwks->options.max_bytes);
    if (set->ca_pem != NULL) {
        struct curl_blob blob = {.data = set->ca_pem, .len = strlen(set->ca_pem), .flags = CURL_BLOB_NOCOPY};
        curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &blob);
    }
}

/* The JSON object at a URL: new. */
static json_t *fetch_object(const struct fetch *fetch, const char *url, slc_error *err)
{
    const slc_jwks *jwks = fetch->jwks;
    char detail[CURL_ERROR_SIZE] = "";
    long status = 0;
    slc_buf body;
    json_t *object = NULL;
    slc_buf_init(&body, (size_t)jwks->options.max_bytes);
    set_options(fetch, url, &body);
    curl_easy_setopt(fetch->curl, CURLOPT_ERRORBUFFER, detail);
    CURLcode rc = curl_easy_perform(fetch->curl);
    curl_easy_getinfo(fetch->curl, CURLINFO_RESPONSE_CODE, &status);
    if (body.overflow)
        slc_fail(err, SLC_UNAVAILABLE, NULL, "%s sends more than %lld bytes", url,
                 (long long)jwks->options.max_bytes);
    else if (rc != CURLE_OK)
        slc_fail(err, SLC_UNAVAILABLE, NULL, "%s: %s", url,
                 detail[0] != '\0' ? detail : curl_easy_strerror(rc));
    else if (status != 200)
        slc_fail(err, SLC_UNAVAILABLE, NULL, "%s answers with status %ld", url, status);
    else
        object = slc_json_parse((const char *)body.data, body.len, (size_t)jwks->options.max_bytes, err);
    slc_buf_release(&body);
    if (object != NULL || status == 200)
        slc_fail_context(err, "%s", url);
    return object;
}

/* Where the issuer says that its keys are: new text. */
static char *discover(const struct fetch *fetch, slc_error *err)
{
    const struct set *set = fetch->set;
    size_t len = strlen(set->issuer);
    while (len > 0 && set->issuer[len - 1] == '/')
        len--;
    char *url = slc_asprintf("%.*s%s", (int)len, set->issuer, WELL_KNOWN), *found = NULL;
    json_t *document = fetch_object(fetch, url, err);
    const char *issuer = json_string_value(json_object_get(document, "issuer"));
    const char *keys = json_string_value(json_object_get(document, "jwks_uri"));
    if (document != NULL && (issuer == NULL || strcmp(issuer, set->issuer) != 0))
        slc_fail(err, SLC_UNAVAILABLE, NULL, "%s is about the issuer \"%.200s\", not \"%.200s\"", url,
                 issuer != NULL ? issuer : "", set->issuer);
    else if (document != NULL && keys == NULL)
        slc_fail(err, SLC_UNAVAILABLE, NULL, "%s names no jwks_uri", url);
    else if (document != NULL)
        found = slc_strdup(keys);
    json_decref(document);
    free(url);
    return found;
}

static json_t *fetch_keys(const struct fetch *fetch, slc_error *err)
{
    const slc_jwks *jwks = fetch->jwks;
    const struct set *set = fetch->set;
    json_t *keys = NULL;
    size_t len = 0;
    if (set->url == NULL && set->file != NULL) {
        char *text = slc_file_read(set->file, (size_t)jwks->options.max_bytes, &len, err);
        keys = text != NULL ? slc_json_parse(text, len, len, err) : NULL;
        free(text);
    } else {
        char *url = set->url != NULL ? slc_strdup(set->url) : discover(fetch, err);
        keys = url != NULL ? fetch_object(fetch, url, err) : NULL;
        free(url);
    }
    if (keys != NULL && !json_is_array(json_object_get(keys, "keys"))) {
        json_decref(keys);
        keys = NULL;
        slc_fail(err, SLC_UNAVAILABLE, NULL, "it is no JWK set: it has no \"keys\"");
    }
    return keys;
}

/* `keys`: stolen; NULL: it failed, as set->err says. */
static void refreshed(struct set *set, json_t *keys)
{
    set->tried_ms = slc_monotonic_ms();
    if (keys == NULL) {
        slc_fail_context(&set->err, "the keys of the issuer %s", set->issuer);
        set->err.code = SLC_UNAVAILABLE;
        if (set->logged_ms == 0 || set->tried_ms - set->logged_ms >= LOG_INTERVAL_MS) {
            slc_log_error(SLC_LOG_WARN, "an issuer's keys cannot be fetched", &set->err);
            set->logged_ms = set->tried_ms;
        }
        return;
    }
    set->logged_ms = 0;
    json_decref(set->keys);
    set->keys = keys;
    set->fetched_ms = set->tried_ms;
}

/* ---- sets ---- */

static bool same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void free_set(slc_jwks *jwks, struct set *set)
{
    TAILQ_REMOVE(&jwks->sets, set, entry);
    jwks->count--;
    json_decref(set->keys);
    free(set->issuer);
    free(set->url);
    free(set->file);
    free(set->ca_pem);
    free(set);
}

static struct set *find_set(slc_jwks *jwks, const struct request *request)
{
    struct set *set, *oldest = TAILQ_LAST(&jwks->sets, sets);
    TAILQ_FOREACH (set, &jwks->sets, entry) {
        if (same(set->issuer, request->issuer) && same(set->url, request->url) &&
            same(set->file, request->file) && same(set->ca_pem, request->ca_pem))
            break;
    }
    if (set == NULL) {
        while (oldest != NULL && (oldest->wanted || oldest->fetching))
            oldest = TAILQ_PREV(oldest, sets, entry);
        if (jwks->count >= MAX_SETS && oldest != NULL)
            free_set(jwks, oldest);
        set = slc_calloc(1, sizeof(*set));
        TAILQ_INIT(&set->waiting);
        set->issuer = copy(request->issuer);
        set->url = copy(request->url);
        set->file = copy(request->file);
        set->ca_pem = copy(request->ca_pem);
        jwks->count++;
    } else {
        TAILQ_REMOVE(&jwks->sets, set, entry);
    }
    TAILQ_INSERT_HEAD(&jwks->sets, set, entry);
    return set;
}

static bool should_fetch(const slc_jwks *jwks, const struct set *set, bool fresh)
{
    int64_t now_ms = slc_monotonic_ms();
    bool due = set->keys == NULL || fresh || now_ms - set->fetched_ms >= jwks->options.ttl_ms;
    return due && (set->tried_ms == 0 || now_ms - set->tried_ms >= jwks->options.retry_ms);
}

static bool may_use(const slc_jwks *jwks, const struct set *set)
{
    return set->keys != NULL &&
           slc_monotonic_ms() - set->fetched_ms < jwks->options.ttl_ms + jwks->options.stale_ms;
}

/* ---- requests ---- */

static void free_request(struct request *request)
{
    json_decref(request->keys);
    free(request->issuer);
    free(request->url);
    free(request->file);
    free(request->ca_pem);
    free(request);
}

static void answer_here(void *arg)
{
    struct request *request = arg;
    bool good = request->keys != NULL && request->err.code == SLC_OK;
    request->done(request->arg, request->keys, good ? NULL : &request->err);
    free_request(request);
}

static void answer(struct request *request, struct set *set)
{
    if (set == NULL)
        slc_fail(&request->err, SLC_UNAVAILABLE, NULL, "the program is stopping");
    else if (may_use(request->jwks, set))
        request->keys = json_deep_copy(set->keys); /* jansson's counts are not for two threads */
    if (set != NULL)
        request->err = set->err;
    slc_loop_call(request->loop, answer_here, request);
}

static void answer_all(struct set *set, bool stopping)
{
    struct request *request;
    while ((request = TAILQ_FIRST(&set->waiting)) != NULL) {
        TAILQ_REMOVE(&set->waiting, request, entry);
        answer(request, stopping ? NULL : set);
    }
}

/* ---- fetches ---- */

static void start_fetches(slc_jwks *jwks);

/* On the sets' thread, with what a fetch has brought. */
static void on_fetched(void *arg)
{
    struct fetch *fetch = arg;
    slc_jwks *jwks = fetch->jwks;
    SLC_BUG_ON(pthread_join(fetch->thread, NULL) != 0);
    bool stopping = atomic_load(&jwks->stopping);
    fetch->set->fetching = false;
    fetch->set->err = fetch->err;
    refreshed(fetch->set, fetch->keys);
    answer_all(fetch->set, stopping);
    free(fetch);
    pthread_mutex_lock(&jwks->lock);
    jwks->fetching--;
    pthread_cond_signal(&jwks->quiet);
    pthread_mutex_unlock(&jwks->lock);
    start_fetches(jwks);
}

static void *fetch_main(void *arg)
{
    struct fetch *fetch = arg;
    fetch->curl = curl_easy_init();
    if (fetch->curl != NULL)
        fetch->keys = fetch_keys(fetch, &fetch->err);
    else
        slc_fail(&fetch->err, SLC_UNAVAILABLE, NULL, "libcurl cannot be set up");
    curl_easy_cleanup(fetch->curl);
    slc_loop_call(fetch->jwks->loop, on_fetched, fetch);
    return NULL;
}

/* Signals are the main thread's. */
static int start_thread(struct fetch *fetch)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&fetch->thread, NULL, fetch_main, fetch);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

/* May one more begin? Then it counts. */
static bool begin(slc_jwks *jwks)
{
    pthread_mutex_lock(&jwks->lock);
    bool free_place = !atomic_load(&jwks->stopping) && jwks->fetching < (unsigned)jwks->options.fetches;
    jwks->fetching += free_place ? 1 : 0;
    pthread_mutex_unlock(&jwks->lock);
    return free_place;
}

/* On the sets' thread: nothing will be fetched any more. */
static void refuse_wanted(slc_jwks *jwks)
{
    struct set *set;
    while ((set = TAILQ_FIRST(&jwks->wanted)) != NULL) {
        TAILQ_REMOVE(&jwks->wanted, set, want);
        set->wanted = false;
        answer_all(set, true);
    }
}

static void start_fetches(slc_jwks *jwks)
{
    struct set *set;
    while ((set = TAILQ_FIRST(&jwks->wanted)) != NULL && begin(jwks)) {
        struct fetch *fetch = slc_calloc(1, sizeof *fetch);
        fetch->jwks = jwks;
        fetch->set = set;
        TAILQ_REMOVE(&jwks->wanted, set, want);
        set->wanted = false;
        set->fetching = true;
        int failed = start_thread(fetch);
        if (failed == 0)
            continue;
        slc_fail(&set->err, SLC_UNAVAILABLE, NULL, "cannot start a thread: %s", strerror(failed));
        set->fetching = false;
        refreshed(set, NULL);
        answer_all(set, false);
        free(fetch);
        pthread_mutex_lock(&jwks->lock);
        jwks->fetching--;
        pthread_mutex_unlock(&jwks->lock);
    }
    if (atomic_load(&jwks->stopping))
        refuse_wanted(jwks);
}

static bool is_recent(const slc_jwks *jwks, const struct set *set)
{
    return set->keys != NULL && slc_monotonic_ms() - set->fetched_ms < jwks->options.ttl_ms;
}

static void serve(void *arg)
{
    struct request *request = arg;
    slc_jwks *jwks = request->jwks;
    SLC_CHECK_MAGIC(jwks, SLC_JWKS_MAGIC);
    if (atomic_load(&jwks->stopping)) {
        answer(request, NULL);
        return;
    }
    struct set *set = find_set(jwks, request);
    bool busy = set->wanted || set->fetching;
    if (busy ? !request->fresh && is_recent(jwks, set) : !should_fetch(jwks, set, request->fresh)) {
        answer(request, set);
        return;
    }
    TAILQ_INSERT_TAIL(&set->waiting, request, entry);
    if (busy)
        return;
    set->wanted = true;
    TAILQ_INSERT_TAIL(&jwks->wanted, set, want);
    start_fetches(jwks);
}

void slc_jwks_get(slc_jwks *jwks, const slc_jwks_source *source, bool fresh, slc_loop *loop, slc_jwks_done done,
                  void *arg)
{
    struct request *request = slc_calloc(1, sizeof(*request));
    SLC_CHECK_MAGIC(jwks, SLC_JWKS_MAGIC);
    request->jwks = jwks;
    request->issuer = slc_strdup(source->issuer);
    request->url = copy(source->url);
    request->file = copy(source->file);
    request->ca_pem = copy(source->ca_pem);
    request->fresh = fresh;
    request->loop = loop;
    request->done = done;
    request->arg = arg;
    slc_loop_call(jwks->loop, serve, request);
}

/* ---- start and stop ---- */

static int64_t or_default(int64_t value, int64_t otherwise)
{
    return value > 0 ? value : otherwise;
}

static void free_locks(slc_jwks *jwks)
{
    pthread_cond_destroy(&jwks->quiet);
    pthread_mutex_destroy(&jwks->lock);
}

slc_jwks *slc_jwks_new(const slc_jwks_options *options, slc_error *err)
{
    slc_jwks *jwks = slc_calloc(1, sizeof(*jwks));
    jwks->magic = SLC_JWKS_MAGIC;
    jwks->options = (slc_jwks_options){.ttl_ms = or_default(options->ttl_ms, HOUR_MS),
                                       .retry_ms = or_default(options->retry_ms, 10000),
                                       .stale_ms = or_default(options->stale_ms, 24 * HOUR_MS),
                                       .timeout_ms = or_default(options->timeout_ms, 5000),
                                       .max_bytes = or_default(options->max_bytes, 1 << 20),
                                       .fetches = or_default(options->fetches, 16)};
    TAILQ_INIT(&jwks->sets);
    TAILQ_INIT(&jwks->wanted);
    pthread_mutex_init(&jwks->lock, NULL);
    pthread_cond_init(&jwks->quiet, NULL);
    /* Before threads: curl_global_init is not safe beside others. */
    bool ok = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    if (!ok)
        slc_fail(err, SLC_INTERNAL, NULL, "libcurl cannot be set up");
    jwks->loop = slc_loop_new("jwks", jwks);
    if (ok && slc_loop_start(jwks->loop, err))
        return jwks;
    slc_loop_free(jwks->loop);
    free_locks(jwks);
    free(jwks);
    return NULL;
}

void slc_jwks_stop(slc_jwks *jwks)
{
    SLC_CHECK_MAGIC(jwks, SLC_JWKS_MAGIC);
    pthread_mutex_lock(&jwks->lock);
    bool stopped = atomic_exchange(&jwks->stopping, true);
    while (jwks->fetching > 0)
        pthread_cond_wait(&jwks->quiet, &jwks->lock);
    pthread_mutex_unlock(&jwks->lock);
    if (stopped)
        return;
    slc_loop_stop(jwks->loop);
    slc_loop_join(jwks->loop);
}

void slc_jwks_free(slc_jwks *jwks)
{
    if (jwks == NULL)
        return;
    slc_jwks_stop(jwks);
    slc_loop_free(jwks->loop);
    while (!TAILQ_EMPTY(&jwks->sets))
        free_set(jwks, TAILQ_FIRST(&jwks->sets));
    curl_global_cleanup();
    free_locks(jwks);
    jwks->magic = 0;
    free(jwks);
}
