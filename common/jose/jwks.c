/* Key sets. One thread fetches, one set after the other; everything but the queue belongs to it. */
#include "common/jose/jwks.h"

#include <curl/curl.h>
#include <openssl/crypto.h>
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

/* A source and what came from it. */
struct set {
    TAILQ_ENTRY(set) entry;
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
    CURL *curl;
    TAILQ_HEAD(sets, set) sets; /* the one that was used last is first */
    unsigned count;
    atomic_bool stopping;
};

struct request {
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
static void set_options(slc_jwks *jwks, const struct set *set, const char *url, slc_buf *body)
{
    CURL *curl = jwks->curl;
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
static json_t *fetch_object(slc_jwks *jwks, const struct set *set, const char *url, slc_error *err)
{
    char detail[CURL_ERROR_SIZE] = "";
    long status = 0;
    slc_buf body;
    json_t *object = NULL;
    slc_buf_init(&body, (size_t)jwks->options.max_bytes);
    set_options(jwks, set, url, &body);
    curl_easy_setopt(jwks->curl, CURLOPT_ERRORBUFFER, detail);
    CURLcode rc = curl_easy_perform(jwks->curl);
    curl_easy_getinfo(jwks->curl, CURLINFO_RESPONSE_CODE, &status);
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
static char *discover(slc_jwks *jwks, const struct set *set, slc_error *err)
{
    size_t len = strlen(set->issuer);
    while (len > 0 && set->issuer[len - 1] == '/')
        len--;
    char *url = slc_asprintf("%.*s%s", (int)len, set->issuer, WELL_KNOWN), *found = NULL;
    json_t *document = fetch_object(jwks, set, url, err);
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

static json_t *fetch_keys(slc_jwks *jwks, const struct set *set, slc_error *err)
{
    json_t *keys = NULL;
    size_t len = 0;
    if (set->url == NULL && set->file != NULL) {
        char *text = slc_file_read(set->file, (size_t)jwks->options.max_bytes, &len, err);
        keys = text != NULL ? slc_json_parse(text, len, len, err) : NULL;
        free(text);
    } else {
        char *url = set->url != NULL ? slc_strdup(set->url) : discover(jwks, set, err);
        keys = url != NULL ? fetch_object(jwks, set, url, err) : NULL;
        free(url);
    }
    if (keys != NULL && !json_is_array(json_object_get(keys, "keys"))) {
        json_decref(keys);
        keys = NULL;
        slc_fail(err, SLC_UNAVAILABLE, NULL, "it is no JWK set: it has no \"keys\"");
    }
    return keys;
}

static void refresh(slc_jwks *jwks, struct set *set)
{
    slc_error_clear(&set->err);
    json_t *keys = fetch_keys(jwks, set, &set->err);
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
    struct set *set;
    TAILQ_FOREACH (set, &jwks->sets, entry) {
        if (same(set->issuer, request->issuer) && same(set->url, request->url) &&
            same(set->file, request->file) && same(set->ca_pem, request->ca_pem))
            break;
    }
    if (set == NULL) {
        if (jwks->count == MAX_SETS)
            free_set(jwks, TAILQ_LAST(&jwks->sets, sets));
        set = slc_calloc(1, sizeof(*set));
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
    request->done(request->arg, request->keys, request->keys != NULL ? NULL : &request->err);
    free_request(request);
}

static void serve(void *arg)
{
    struct request *request = arg;
    slc_jwks *jwks = request->jwks;
    SLC_CHECK_MAGIC(jwks, SLC_JWKS_MAGIC);
    if (atomic_load(&jwks->stopping)) {
        slc_fail(&request->err, SLC_UNAVAILABLE, NULL, "the program is stopping");
        slc_loop_call(request->loop, answer_here, request);
        return;
    }
    struct set *set = find_set(jwks, request);
    if (should_fetch(jwks, set, request->fresh))
        refresh(jwks, set);
    if (may_use(jwks, set))
        request->keys = json_deep_copy(set->keys); /* jansson's counts are not for two threads */
    else
        request->err = set->err;
    slc_loop_call(request->loop, answer_here, request);
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

slc_jwks *slc_jwks_new(const slc_jwks_options *options, slc_error *err)
{
    slc_jwks *jwks = slc_calloc(1, sizeof(*jwks));
    jwks->magic = SLC_JWKS_MAGIC;
    jwks->options = (slc_jwks_options){.ttl_ms = or_default(options->ttl_ms, HOUR_MS),
                                       .retry_ms = or_default(options->retry_ms, 10000),
                                       .stale_ms = or_default(options->stale_ms, 24 * HOUR_MS),
                                       .timeout_ms = or_default(options->timeout_ms, 5000),
                                       .max_bytes = or_default(options->max_bytes, 1 << 20)};
    TAILQ_INIT(&jwks->sets);
    /* Before threads: curl_global_init is not safe beside others. */
    bool ok = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK && (jwks->curl = curl_easy_init()) != NULL;
    if (!ok)
        slc_fail(err, SLC_INTERNAL, NULL, "libcurl cannot be set up");
    jwks->loop = slc_loop_new("jwks", jwks);
    if (ok && slc_loop_start(jwks->loop, err))
        return jwks;
    slc_loop_free(jwks->loop);
    if (jwks->curl != NULL)
        curl_easy_cleanup(jwks->curl);
    free(jwks);
    return NULL;
}

void slc_jwks_stop(slc_jwks *jwks)
{
    SLC_CHECK_MAGIC(jwks, SLC_JWKS_MAGIC);
    if (atomic_exchange(&jwks->stopping, true))
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
    curl_easy_cleanup(jwks->curl);
    curl_global_cleanup();
    jwks->magic = 0;
    free(jwks);
}
