#include "dataplane/policy/redis.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/settings.h"
#include "dataplane/broker/backend_tls.h"

#define MAX_CA_BYTES       (1024UL * 1024)
#define MAX_PASSWORD_BYTES 4096
#define MAX_ARGUMENTS      8
#define SHA1_CHARS         40

typedef void reply_fn(const redisReply *reply, void *arg);

struct question {
    reply_fn *done; /* NULL: of the greeting, an error ends the connection */
    void *arg;
    int64_t asked_ms;
    TAILQ_ENTRY(question) entry;
};

struct slc_redis {
    struct event_base *base;
    const slc_redis_options *options;
    const char *script;
    char host[256];
    uint16_t port;
    Sluice__Snapshot__V1__ClientTls tls_settings;
    SSL_CTX *tls; /* NULL: plain */
    struct evdns_base *dns;
    struct bufferevent *bev; /* NULL: waits to connect */
    redisReader *reader;
    TAILQ_HEAD(, question) questions; /* in the order of their answers */
    int64_t pending;
    int64_t begun_ms; /* monotonic: connecting */
    struct event *retry, *watch;
    char sha1[SHA1_CHARS + 1]; /* of the script, as the server said; empty: it has not yet */
    bool ready, told_down;
};

static void connect_now(slc_redis *redis);

/* ---- the end of a connection ---- */

static void fail_questions(slc_redis *redis)
{
    TAILQ_HEAD(, question) failed = TAILQ_HEAD_INITIALIZER(failed);
    struct question *question;
    TAILQ_CONCAT(&failed, &redis->questions, entry);
    redis->pending = 0;
    while ((question = TAILQ_FIRST(&failed)) != NULL) {
        TAILQ_REMOVE(&failed, question, entry);
        if (question->done != NULL)
            question->done(NULL, question->arg);
        free(question);
    }
}

static void count_ready(int64_t change)
{
    slc_series_add(slc_metrics_series("sluice_limits_redis_connections", NULL), change);
}

static void drop(slc_redis *redis)
{
    if (redis->ready)
        count_ready(-1);
    redis->ready = false;
    redis->sha1[0] = '\0';
    if (redis->bev != NULL)
        bufferevent_free(redis->bev);
    if (redis->reader != NULL)
        redisReaderFree(redis->reader);
    redis->bev = NULL;
    redis->reader = NULL;
    fail_questions(redis);
}

static void later(struct event *timer, int64_t ms)
{
    const struct timeval wait = {ms / 1000, (ms % 1000) * 1000};
    event_add(timer, &wait);
}

static void fail(slc_redis *redis, const char *why)
{
    slc_log(redis->told_down ? SLC_LOG_DEBUG : SLC_LOG_WARN,
            "no connection to the Redis server of shared limits; it is tried again",
            LS("address", redis->options->address), LS("reason", why));
    redis->told_down = true;
    event_del(redis->watch);
    later(redis->retry, slc_jitter_ms(redis->options->retry_ms, 30));
    drop(redis);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    connect_now(arg);
}

static void on_watch(evutil_socket_t fd, short what, void *arg)
{
    slc_redis *redis = arg;
    const struct question *oldest = TAILQ_FIRST(&redis->questions);
    int64_t since_ms = !redis->ready ? redis->begun_ms : oldest != NULL ? oldest->asked_ms : 0;
    (void)fd, (void)what;
    if (since_ms != 0 && slc_monotonic_ms() - since_ms >= redis->options->timeout_ms)
        fail(redis, redis->ready ? "no answer in time" : "not ready in time");
}

/* ---- questions and answers ---- */

static void ask(slc_redis *redis, int count, const char **arguments, reply_fn *done, void *arg)
{
    char *text = NULL;
    int len = redisFormatCommandArgv(&text, count, arguments, NULL);
    SLC_BUG_ON(len < 0);
    struct question *question = slc_calloc(1, sizeof *question);
    *question = (struct question){.done = done, .arg = arg, .asked_ms = slc_monotonic_ms()};
    TAILQ_INSERT_TAIL(&redis->questions, question, entry);
    redis->pending++;
    bufferevent_write(redis->bev, text, (size_t)len);
    explicit_bzero(text, (size_t)len);
    redisFreeCommand(text);
}

static void become_ready(slc_redis *redis, const redisReply *reply)
{
    snprintf(redis->sha1, sizeof redis->sha1, "%s", reply->str);
    redis->ready = true;
    count_ready(1);
    redis->told_down = false;
    slc_log(SLC_LOG_INFO, "connected to the Redis server of shared limits",
            LS("address", redis->options->address));
}

/* False: the connection is no more. */
static bool on_reply(slc_redis *redis, const redisReply *reply)
{
    struct question *question = TAILQ_FIRST(&redis->questions);
    bool error = reply->type == REDIS_REPLY_ERROR;
    char why[160] = "an answer to nothing";
    if (question != NULL && !error) {
        TAILQ_REMOVE(&redis->questions, question, entry);
        redis->pending--;
        if (question->done != NULL)
            question->done(reply, question->arg);
        else if (TAILQ_EMPTY(&redis->questions))
            become_ready(redis, reply); /* the last of the greeting is the script's digest */
        free(question);
        return true;
    }
    /* A script that is not known any more, a user whose rights have gone: a new connection settles it, or says
     * why not. Servers name no secrets here. */
    if (question != NULL)
        snprintf(why, sizeof why, "%s", reply->str);
    fail(redis, why);
    return false;
}

static void on_read(struct bufferevent *bev, void *arg)
{
    slc_redis *redis = arg;
    struct evbuffer *in = bufferevent_get_input(bev);
    char text[16384];
    int len;
    while ((len = evbuffer_remove(in, text, sizeof text)) > 0) {
        void *reply = NULL;
        int status = redisReaderFeed(redis->reader, text, (size_t)len);
        while (status == REDIS_OK && (status = redisReaderGetReply(redis->reader, &reply)) == REDIS_OK &&
               reply != NULL) {
            bool alive = on_reply(redis, reply);
            freeReplyObject(reply);
            if (!alive)
                return;
        }
        if (status != REDIS_OK) {
            fail(redis, "what answers there is no Redis server");
            return;
        }
    }
}

/* ---- connecting ---- */

static bool greet(slc_redis *redis, slc_error *err)
{
    const slc_redis_options *options = redis->options;
    size_t len = 0;
    char number[24];
    if (options->password_file != NULL) {
        char *password = slc_file_read(options->password_file, MAX_PASSWORD_BYTES, &len, err);
        if (password == NULL)
            return false;
        password[strcspn(password, "\r\n")] = '\0';
        const char *arguments[] = {"AUTH", options->username != NULL ? options->username : password, password};
        ask(redis, options->username != NULL ? 3 : 2, arguments, NULL, NULL);
        slc_free_secret(password, len);
    }
    if (options->database != 0) {
        snprintf(number, sizeof number, "%lld", (long long)options->database);
        ask(redis, 2, (const char *[]){"SELECT", number}, NULL, NULL);
    }
    ask(redis, 3, (const char *[]){"SCRIPT", "LOAD", redis->script}, NULL, NULL);
    return true;
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    slc_redis *redis = arg;
    slc_error err = {0};
    int dns = bufferevent_socket_get_dns_error(bev);
    SSL *ssl = bufferevent_openssl_get_ssl(bev);
    if (what & BEV_EVENT_CONNECTED) {
        if (!greet(redis, &err))
            fail(redis, err.message);
    } else if (dns != 0) {
        fail(redis, evutil_gai_strerror(dns));
    } else if (ssl != NULL && !SSL_is_init_finished(ssl)) {
        fail(redis, slc_backend_tls_reason(ssl, &redis->tls_settings));
    } else {
        fail(redis, what & BEV_EVENT_EOF ? "closed by the server"
                                         : evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
    }
}

static struct bufferevent *new_transport(slc_redis *redis)
{
    if (redis->tls == NULL)
        return bufferevent_socket_new(redis->base, -1, BEV_OPT_CLOSE_ON_FREE);
    SSL *ssl = SSL_new(redis->tls);
    SLC_BUG_ON(ssl == NULL);
    if (!slc_backend_tls_expect(ssl, &redis->tls_settings, redis->host)) {
        SSL_free(ssl);
        return NULL;
    }
    return bufferevent_openssl_socket_new(redis->base, -1, ssl, BUFFEREVENT_SSL_CONNECTING,
                                          BEV_OPT_CLOSE_ON_FREE);
}

static void connect_now(slc_redis *redis)
{
    const struct timeval half = {redis->options->timeout_ms / 2000, redis->options->timeout_ms % 2000 * 500};
    redis->begun_ms = slc_monotonic_ms();
    event_add(redis->watch, &half);
    redis->reader = redisReaderCreate();
    redis->bev = new_transport(redis);
    if (redis->bev == NULL || redis->reader == NULL) {
        fail(redis, "its host cannot be a name in a certificate");
        return;
    }
    bufferevent_setcb(redis->bev, on_read, NULL, on_event, redis);
    bufferevent_enable(redis->bev, EV_READ | EV_WRITE);
    if (bufferevent_socket_connect_hostname(redis->bev, redis->dns, AF_UNSPEC, redis->host, redis->port) != 0 &&
        redis->bev != NULL && bufferevent_socket_get_dns_error(redis->bev) == 0)
        fail(redis, "cannot connect");
}

static bool prepare_tls(slc_redis *redis, slc_error *err)
{
    size_t len;
    char *pem = NULL;
    sluice__snapshot__v1__client_tls__init(&redis->tls_settings);
    if (!redis->options->tls)
        return true;
    if (redis->options->ca_file != NULL) {
        pem = slc_file_read(redis->options->ca_file, MAX_CA_BYTES, &len, err);
        if (pem == NULL)
            return false;
        redis->tls_settings.ca_pem = pem;
    }
    redis->tls = slc_backend_tls_new(&redis->tls_settings, err);
    redis->tls_settings.ca_pem = (char *)protobuf_c_empty_string;
    free(pem);
    return redis->tls != NULL || slc_fail_context(err, "limits.redis-ca-file");
}

slc_redis *slc_redis_new(struct event_base *base, const slc_redis_options *options, const char *script,
                         slc_error *err)
{
    slc_redis *redis = slc_calloc(1, sizeof *redis);
    TAILQ_INIT(&redis->questions);
    redis->base = base;
    redis->options = options;
    redis->script = script;
    if (!slc_address_split(options->address, redis->host, sizeof redis->host, &redis->port, err) ||
        !prepare_tls(redis, err)) {
        free(redis);
        return NULL;
    }
    redis->dns = evdns_base_new(base, EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (redis->dns == NULL) /* no resolv.conf; addresses and the hosts file still work */
        redis->dns = evdns_base_new(base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    redis->retry = evtimer_new(base, on_retry, redis);
    redis->watch = event_new(base, -1, EV_PERSIST, on_watch, redis);
    SLC_BUG_ON(redis->retry == NULL || redis->watch == NULL);
    connect_now(redis);
    return redis;
}

void slc_redis_free(slc_redis *redis)
{
    if (redis == NULL)
        return;
    drop(redis);
    event_free(redis->retry);
    event_free(redis->watch);
    if (redis->dns != NULL)
        evdns_base_free(redis->dns, 0);
    SSL_CTX_free(redis->tls);
    free(redis);
}

bool slc_redis_ready(const slc_redis *redis)
{
    return redis->ready;
}

bool slc_redis_run(slc_redis *redis, const char *key, unsigned count, const char *const *arguments,
                   reply_fn *done, void *arg)
{
    const char *all[4 + MAX_ARGUMENTS] = {"EVALSHA", redis->sha1, "1", key};
    SLC_BUG_ON(count > MAX_ARGUMENTS || done == NULL);
    if (!redis->ready || redis->pending >= redis->options->pending_max)
        return false;
    for (unsigned i = 0; i < count; i++)
        all[4 + i] = arguments[i];
    ask(redis, (int)(4 + count), all, done, arg);
    return true;
}
