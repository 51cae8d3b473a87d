/* OAuth client credentials for SASL OAUTHBEARER. One token for each backend of the process; it is fetched on
 * the thread of who may block, or on one of its own for loops that may not. */
#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "dataplane/broker/kafka_token.h"
#include "dataplane/config/secret.h"

#define MAX_ANSWER     (256UL * 1024)
#define DEFAULT_LIFE_S 300 /* of a token that does not say */
#define MAX_LIFE_S     (7 * 86400)
#define RETRY_MS       5000 /* after a failure, while the old token is still good */
#define LOOK_MS        50   /* a waiting thread looks whether it is cancelled */

struct slc_kafka_tokens {
    unsigned refs;
    pthread_mutex_t lock;
    pthread_cond_t fetched; /* somebody who fetched has come back */
    bool fetching;          /* somebody does; who has no token waits for what comes of it */
    unsigned fetches;       /* that are over */
    char *token;
    int64_t expires_ms, renew_ms; /* wall */
    slc_error failure;            /* of the last fetch, when there is no token */
    bool cut_short;               /* that one was: who has more time may fare better */
    uint8_t backend[32];          /* digest: whose */
    pthread_t thread;             /* fetches for loops */
    bool has_thread;              /* to be joined */
    bool stopping;
    struct fetch_order { /* the thread's */
        slc_backend *backend;
        int64_t deadline_ms;
    } order;
    TAILQ_HEAD(, slc_kafka_token_wait) waits; /* of loops */
    TAILQ_ENTRY(slc_kafka_tokens) entry;
};

static struct {
    pthread_mutex_t lock;
    TAILQ_HEAD(, slc_kafka_tokens) list;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER, .list = TAILQ_HEAD_INITIALIZER(all.list)};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void init_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t on_data(char *data, size_t size, size_t count, void *arg)
{
    return slc_buf_add(arg, data, size * count) ? size * count : 0;
}

static bool is_cancelled(int cancel_fd)
{
    struct pollfd cancel = {.fd = cancel_fd, .events = POLLIN};
    return cancel_fd >= 0 && poll(&cancel, 1, 0) > 0;
}

struct cancel {
    int fd;
    const bool *stopping;
};

/* Not 0 ends the transfer. */
static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    const struct cancel *cancel = arg;
    return is_cancelled(cancel->fd) || __atomic_load_n(cancel->stopping, __ATOMIC_RELAXED);
}

/* What the server says of an error (RFC 6749 section 5.2): one word, of which only harmless characters are
 * kept. */
static void read_refusal(const slc_buf *answer, char word[64])
{
    slc_error ignored = {0};
    json_t *json = slc_json_parse((const char *)answer->data, answer->len, MAX_ANSWER, &ignored);
    const char *error = json_string_value(json_object_get(json, "error"));
    size_t len = 0;
    for (; error != NULL && *error != '\0' && len < 63; error++)
        if (isalnum((unsigned char)*error) || *error == '_')
            word[len++] = *error;
    word[len] = '\0';
    json_decref(json);
}

static char *read_token(const char *url, const slc_buf *answer, int64_t *life_s, slc_error *err)
{
    slc_error inner = {0};
    json_t *json = slc_json_parse((const char *)answer->data, answer->len, MAX_ANSWER, &inner);
    const char *token = json_string_value(json_object_get(json, "access_token"));
    json_int_t life = json_integer_value(json_object_get(json, "expires_in"));
    *life_s = life > 0 && life < MAX_LIFE_S ? life : DEFAULT_LIFE_S;
    char *copy = token != NULL && token[0] != '\0' ? slc_strdup(token) : NULL;
    json_decref(json);
    if (copy == NULL)
        slc_fail(err, SLC_UNAVAILABLE, "/token_url", "%s answers without an access_token", url);
    return copy;
}

static bool set_form(CURL *curl, const Sluice__Snapshot__V1__Backend *msg)
{
    char form[1024] = "grant_type=client_credentials";
    if (msg->scope == NULL || msg->scope[0] == '\0')
        return curl_easy_setopt(curl, CURLOPT_COPYPOSTFIELDS, form) == CURLE_OK;
    char *scope = curl_easy_escape(curl, msg->scope, 0);
    int len = snprintf(form, sizeof form, "grant_type=client_credentials&scope=%s", scope != NULL ? scope : "");
    curl_free(scope);
    return len < (int)sizeof form && curl_easy_setopt(curl, CURLOPT_COPYPOSTFIELDS, form) == CURLE_OK;
}

static char *perform(CURL *curl, const Sluice__Snapshot__V1__Backend *msg, slc_buf *answer, int64_t *life_s,
                     slc_error *err)
{
    long status = 0;
    CURLcode code = curl_easy_perform(curl);
    if (code != CURLE_OK) {
        slc_fail(err, code == CURLE_OPERATION_TIMEDOUT ? SLC_TIMEOUT : SLC_UNAVAILABLE, "/token_url", "%s: %s",
                 msg->token_url, curl_easy_strerror(code));
        return NULL;
    }
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (status == 200)
        return read_token(msg->token_url, answer, life_s, err);
    char word[64];
    read_refusal(answer, word);
    slc_fail(err, status == 400 || status == 401 ? SLC_DENIED : SLC_UNAVAILABLE, "/token_url",
             "%s answers %ld%s%s to the client credentials of %s", msg->token_url, status,
             word[0] != '\0' ? " " : "", word, msg->client_id);
    return NULL;
}

/* An issuer of one's own often has its certificate from the same authority as the brokers; the system's are
 * trusted as well where they are a folder. */
static bool trust(CURL *curl, const Sluice__Snapshot__V1__Backend *msg)
{
    const char *pem = msg->tls != NULL ? msg->tls->ca_pem : NULL;
    if (pem == NULL || pem[0] == '\0')
        return true;
    struct curl_blob blob = {.data = (void *)pem, .len = strlen(pem), .flags = CURL_BLOB_COPY};
    return curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &blob) == CURLE_OK;
}

static char *fetch(CURL *curl, const Sluice__Snapshot__V1__Backend *msg, const char *secret, int64_t left_ms,
                   const struct cancel *cancel, int64_t *life_s, slc_error *err)
{
    slc_buf answer;
    slc_buf_init(&answer, MAX_ANSWER);
    curl_easy_setopt(curl, CURLOPT_URL, msg->token_url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)left_ms);
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    curl_easy_setopt(curl, CURLOPT_USERNAME, msg->client_id);
    curl_easy_setopt(curl, CURLOPT_PASSWORD, secret);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, (void *)cancel);
    bool trusted = trust(curl, msg);
    char *token = NULL;
    if (!trusted)
        slc_fail(err, SLC_INVALID, "/tls/ca_pem", "the backend's CA cannot be used for the token server");
    else if (set_form(curl, msg))
        token = perform(curl, msg, &answer, life_s, err);
    else
        slc_fail(err, SLC_INVALID, "/scope", "the backend's scope is too long");
    if (answer.data != NULL)
        explicit_bzero(answer.data, answer.cap);
    slc_buf_release(&answer);
    return token;
}

static char *fetch_token(const slc_backend *backend, int64_t deadline_ms, const struct cancel *cancel,
                         int64_t *life_s, slc_error *err)
{
    const Sluice__Snapshot__V1__Backend *msg = backend->msg;
    int64_t left_ms = deadline_ms - slc_monotonic_ms();
    size_t len;
    char *secret = slc_secret_resolve(msg->client_secret, &len, err);
    if (secret == NULL) {
        slc_fail_context(err, "client secret of the backend");
        return NULL;
    }
    pthread_once(&curl_once, init_curl);
    CURL *curl = curl_easy_init();
    char *token = NULL;
    if (curl == NULL)
        slc_fail(err, SLC_INTERNAL, NULL, "no HTTP client");
    else if (left_ms <= 0)
        slc_fail(err, SLC_TIMEOUT, NULL, "no time is left to fetch a token");
    else
        token = fetch(curl, msg, secret, left_ms, cancel, life_s, err);
    curl_easy_cleanup(curl);
    slc_free_secret(secret, len);
    return token;
}

/* Sharing
 * ------------------------------------------------------------------------------------------------------
 */

static slc_kafka_tokens *new_tokens(const slc_backend *backend)
{
    slc_kafka_tokens *tokens = slc_calloc(1, sizeof *tokens);
    tokens->refs = 1;
    pthread_mutex_init(&tokens->lock, NULL);
    pthread_cond_init(&tokens->fetched, NULL);
    TAILQ_INIT(&tokens->waits);
    memcpy(tokens->backend, backend->digest, sizeof tokens->backend);
    TAILQ_INSERT_TAIL(&all.list, tokens, entry);
    return tokens;
}

slc_kafka_tokens *slc_kafka_tokens_of(const slc_backend *backend)
{
    slc_kafka_tokens *tokens;
    pthread_mutex_lock(&all.lock);
    TAILQ_FOREACH (tokens, &all.list, entry)
        if (memcmp(tokens->backend, backend->digest, sizeof tokens->backend) == 0)
            break;
    tokens = tokens != NULL ? slc_kafka_tokens_ref(tokens) : new_tokens(backend);
    pthread_mutex_unlock(&all.lock);
    return tokens;
}

slc_kafka_tokens *slc_kafka_tokens_ref(slc_kafka_tokens *tokens)
{
    __atomic_add_fetch(&tokens->refs, 1, __ATOMIC_RELAXED);
    return tokens;
}

static void forget(slc_kafka_tokens *tokens)
{
    if (tokens->token != NULL)
        slc_free_secret(tokens->token, strlen(tokens->token));
    tokens->token = NULL;
}

void slc_kafka_tokens_unref(slc_kafka_tokens *tokens)
{
    if (tokens == NULL)
        return;
    pthread_mutex_lock(&all.lock);
    bool last = __atomic_sub_fetch(&tokens->refs, 1, __ATOMIC_ACQ_REL) == 0;
    if (last)
        TAILQ_REMOVE(&all.list, tokens, entry);
    pthread_mutex_unlock(&all.lock);
    if (!last)
        return;
    __atomic_store_n(&tokens->stopping, true, __ATOMIC_RELAXED);
    if (tokens->has_thread)
        pthread_join(tokens->thread, NULL);
    forget(tokens);
    pthread_cond_destroy(&tokens->fetched);
    pthread_mutex_destroy(&tokens->lock);
    free(tokens);
}

static bool is_good(const slc_kafka_tokens *tokens)
{
    return tokens->token != NULL && slc_wall_ms() < tokens->expires_ms;
}

/* With the lock. */
static void wake_loops(slc_kafka_tokens *tokens)
{
    static const uint64_t one = 1;
    slc_kafka_token_wait *wait;
    while ((wait = TAILQ_FIRST(&tokens->waits)) != NULL) {
        TAILQ_REMOVE(&tokens->waits, wait, entry);
        wait->listed = false;
        if (write(wait->fd, &one, sizeof one) < 0)
            slc_log(SLC_LOG_WARN, "a thread could not be told of an access token", LI("errno", errno));
    }
}

/* With the lock, which is let go meanwhile. A token that is still good outlives a failure: it is tried again a
 * little later. */
static void fetch_for_all(slc_kafka_tokens *tokens, const slc_backend *backend, int64_t deadline_ms,
                          int cancel_fd)
{
    int64_t life_s = 0;
    slc_error err = {0};
    const struct cancel cancel = {cancel_fd, &tokens->stopping};
    tokens->fetching = true;
    pthread_mutex_unlock(&tokens->lock);
    char *fresh = fetch_token(backend, deadline_ms, &cancel, &life_s, &err);
    pthread_mutex_lock(&tokens->lock);
    tokens->fetching = false;
    tokens->fetches++;
    if (fresh != NULL) {
        forget(tokens);
        tokens->token = fresh;
        tokens->expires_ms = slc_wall_ms() + life_s * 1000;
        tokens->renew_ms = slc_wall_ms() + life_s * 700;
    } else {
        if (is_good(tokens))
            slc_log_error(SLC_LOG_WARN,
                          "an access token for a backend could not be renewed; the old one serves", &err);
        tokens->renew_ms = slc_wall_ms() + RETRY_MS;
        tokens->failure = err;
        tokens->cut_short = err.code == SLC_TIMEOUT || is_cancelled(cancel_fd);
    }
    pthread_cond_broadcast(&tokens->fetched);
    wake_loops(tokens);
}

/* With the lock. Until who fetches has come back, the deadline or the cancellation. */
static void wait_for_other(slc_kafka_tokens *tokens, int64_t deadline_ms, int cancel_fd)
{
    unsigned fetches = tokens->fetches;
    while (tokens->fetching && tokens->fetches == fetches && slc_monotonic_ms() < deadline_ms &&
           !is_cancelled(cancel_fd)) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += LOOK_MS * 1000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&tokens->fetched, &tokens->lock, &until);
    }
}

char *slc_kafka_tokens_get(slc_kafka_tokens *tokens, const slc_backend *backend, int64_t deadline_ms,
                           int cancel_fd, int64_t *expires_wall_ms, slc_error *err)
{
    char *copy = NULL;
    pthread_mutex_lock(&tokens->lock);
    bool due = !is_good(tokens) || slc_wall_ms() >= tokens->renew_ms;
    if (due && !tokens->fetching) {
        fetch_for_all(tokens, backend, deadline_ms, cancel_fd);
    } else if (!is_good(tokens)) {
        wait_for_other(tokens, deadline_ms, cancel_fd);
        if (!is_good(tokens) && !tokens->fetching && tokens->cut_short && slc_monotonic_ms() < deadline_ms &&
            !is_cancelled(cancel_fd))
            fetch_for_all(tokens, backend, deadline_ms, cancel_fd);
    }
    if (is_good(tokens))
        copy = slc_strdup(tokens->token);
    else if (tokens->fetching)
        slc_fail(err, SLC_TIMEOUT, "/token_url", "%s does not answer in time", backend->msg->token_url);
    else
        *err = tokens->failure;
    *expires_wall_ms = tokens->expires_ms;
    pthread_mutex_unlock(&tokens->lock);
    return copy;
}

/* Loops
 * ------------------------------------------------------------------------------------------------------
 */

static void *fetch_thread(void *arg)
{
    slc_kafka_tokens *tokens = arg;
    pthread_mutex_lock(&tokens->lock);
    struct fetch_order order = tokens->order;
    fetch_for_all(tokens, order.backend, order.deadline_ms, -1);
    pthread_mutex_unlock(&tokens->lock);
    slc_backend_unref(order.backend);
    return NULL;
}

/* With the lock, and nobody fetches. */
static void fetch_aside(slc_kafka_tokens *tokens, slc_backend *backend, int64_t deadline_ms)
{
    if (tokens->has_thread) /* it has come back, or does so without the lock */
        pthread_join(tokens->thread, NULL);
    tokens->order = (struct fetch_order){slc_backend_ref(backend), deadline_ms};
    tokens->fetching = true;
    tokens->has_thread = pthread_create(&tokens->thread, NULL, fetch_thread, tokens) == 0;
    if (tokens->has_thread)
        return;
    tokens->fetching = false;
    slc_backend_unref(backend);
    slc_fail(&tokens->failure, SLC_UNAVAILABLE, NULL, "no thread to fetch an access token");
    wake_loops(tokens);
}

static void enlist(slc_kafka_tokens *tokens, slc_kafka_token_wait *wait)
{
    wait->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    SLC_BUG_ON(wait->fd < 0);
    wait->listed = true;
    TAILQ_INSERT_TAIL(&tokens->waits, wait, entry);
}

char *slc_kafka_tokens_now(slc_kafka_tokens *tokens, slc_backend *backend, int64_t deadline_ms,
                           slc_kafka_token_wait *wait)
{
    char *copy = NULL;
    pthread_mutex_lock(&tokens->lock);
    if (is_good(tokens))
        copy = slc_strdup(tokens->token);
    else
        enlist(tokens, wait);
    if (!tokens->fetching && (copy == NULL || slc_wall_ms() >= tokens->renew_ms))
        fetch_aside(tokens, backend, deadline_ms);
    pthread_mutex_unlock(&tokens->lock);
    return copy;
}

char *slc_kafka_tokens_waited(slc_kafka_tokens *tokens, slc_kafka_token_wait *wait, slc_error *err)
{
    slc_kafka_tokens_unwait(tokens, wait);
    pthread_mutex_lock(&tokens->lock);
    char *copy = is_good(tokens) ? slc_strdup(tokens->token) : NULL;
    if (copy == NULL)
        *err = tokens->failure;
    pthread_mutex_unlock(&tokens->lock);
    return copy;
}

void slc_kafka_tokens_unwait(slc_kafka_tokens *tokens, slc_kafka_token_wait *wait)
{
    if (wait->fd < 0)
        return;
    pthread_mutex_lock(&tokens->lock);
    if (wait->listed)
        TAILQ_REMOVE(&tokens->waits, wait, entry);
    wait->listed = false;
    pthread_mutex_unlock(&tokens->lock);
    close(wait->fd);
    wait->fd = -1;
}
