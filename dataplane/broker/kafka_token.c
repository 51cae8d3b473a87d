/* OAuth client credentials for SASL OAUTHBEARER. Blocks on its caller's thread, until a deadline. */
#include <curl/curl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/json.h"
#include "dataplane/broker/kafka_wire.h"
#include "dataplane/config/secret.h"

#define MAX_ANSWER     (256UL * 1024)
#define DEFAULT_LIFE_S 300 /* of a token that does not say */
#define MAX_LIFE_S     (7 * 86400)

struct slc_kafka_tokens {
    unsigned refs;
    pthread_mutex_t lock; /* held while one is fetched: who waits for it wants the same */
    char *token;
    int64_t expires_ms, renew_ms; /* wall */
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void init_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t on_data(char *data, size_t size, size_t count, void *arg)
{
    return slc_buf_add(arg, data, size * count) ? size * count : 0;
}

/* Not 0 ends the transfer. */
static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    struct pollfd cancel = {.fd = *(const int *)arg, .events = POLLIN};
    return poll(&cancel, 1, 0) > 0;
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
    slc_fail(err, status == 400 || status == 401 ? SLC_DENIED : SLC_UNAVAILABLE, "/token_url",
             "%s answers %ld to the client's credentials", msg->token_url, status);
    return NULL;
}

static char *fetch(CURL *curl, const Sluice__Snapshot__V1__Backend *msg, const char *secret, int64_t left_ms,
                   const int *cancel_fd, int64_t *life_s, slc_error *err)
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
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, (void *)cancel_fd);
    char *token = NULL;
    if (set_form(curl, msg))
        token = perform(curl, msg, &answer, life_s, err);
    else
        slc_fail(err, SLC_INVALID, "/scope", "the backend's scope is too long");
    if (answer.data != NULL)
        explicit_bzero(answer.data, answer.cap);
    slc_buf_release(&answer);
    return token;
}

static char *fetch_token(const slc_backend *backend, int64_t deadline_ms, int cancel_fd, int64_t *life_s,
                         slc_error *err)
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
        token = fetch(curl, msg, secret, left_ms, &cancel_fd, life_s, err);
    curl_easy_cleanup(curl);
    slc_free_secret(secret, len);
    return token;
}

/* Sharing
 * ------------------------------------------------------------------------------------------------------
 */

slc_kafka_tokens *slc_kafka_tokens_new(void)
{
    slc_kafka_tokens *tokens = slc_calloc(1, sizeof *tokens);
    tokens->refs = 1;
    pthread_mutex_init(&tokens->lock, NULL);
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
    if (__atomic_sub_fetch(&tokens->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    forget(tokens);
    pthread_mutex_destroy(&tokens->lock);
    free(tokens);
}

char *slc_kafka_tokens_get(slc_kafka_tokens *tokens, const slc_backend *backend, int64_t deadline_ms,
                           int cancel_fd, int64_t *expires_wall_ms, slc_error *err)
{
    int64_t life_s = 0;
    pthread_mutex_lock(&tokens->lock);
    if (tokens->token == NULL || slc_wall_ms() >= tokens->renew_ms) {
        char *fresh = fetch_token(backend, deadline_ms, cancel_fd, &life_s, err);
        forget(tokens);
        tokens->token = fresh;
        tokens->expires_ms = slc_wall_ms() + life_s * 1000;
        tokens->renew_ms = slc_wall_ms() + life_s * 700;
    }
    char *copy = tokens->token != NULL ? slc_strdup(tokens->token) : NULL;
    *expires_wall_ms = tokens->expires_ms;
    pthread_mutex_unlock(&tokens->lock);
    return copy;
}
