#include "controlplane/webhooks/sender.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "catalog/notify.h"
#include "common/alloc.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/utf8.h"

#define ANSWER_MAX   (64 * 1024) /* bytes of an answer, which nobody reads */
#define AT_ONCE_MAX  256
#define PRUNE_MS     60000
#define LOOK_MS      60000
#define STOP_MS      200 /* how late it is noticed at most */
#define BACKOFF_BITS 20

static const slc_metric metrics[] = {
    {"sluice_webhook_attempts_total",
     SLC_COUNTER,
     "Attempts to send a notification, by result: delivered, failed, dead.",
     {"result"},
     3,
     NULL},
    {NULL, SLC_COUNTER, NULL, {NULL}, 0, NULL},
};

/* An attempt under way. */
struct attempt {
    slc_webhook_sender *sender;
    slc_delivery delivery;
    CURL *curl; /* NULL: a free place */
    struct curl_slist *headers;
    char detail[CURL_ERROR_SIZE];
    size_t answer_bytes;
    bool refused; /* a private address */
};

struct slc_webhook_sender {
    slc_catalog *catalog;
    slc_webhook_options options;
    pthread_t thread;
    atomic_bool stopping;
    CURLM *multi;
    struct attempt *attempts;
    size_t count;
    int64_t started_ms, poll_at_ms, prune_at_ms, look_at_ms; /* monotonic */
    bool troubled; /* the catalog could not be read or written; it was logged */
};

void slc_webhooks_register_metrics(void)
{
    slc_metrics_register(metrics);
}

/* ---- the catalog ---- */

static void note_trouble(slc_webhook_sender *sender, bool ok, const char *what, const slc_error *err)
{
    if (!ok && !sender->troubled)
        slc_log_error(SLC_LOG_WARN, what, err);
    sender->troubled = !ok;
}

struct due {
    slc_webhook_sender *sender;
    json_t *busy, *busy_webhooks;
    slc_delivery found[AT_ONCE_MAX];
    int count, max;
};

static bool find_due(slc_txn *txn, void *arg, slc_error *err)
{
    struct due *due = arg;
    int each = due->sender->options.at_once >= 4 ? (int)(due->sender->options.at_once / 4) : 1;
    due->count = slc_deliveries_due(txn, due->busy, due->busy_webhooks, each, due->found, due->max, err);
    return due->count >= 0;
}

static bool write_result(slc_txn *txn, void *arg, slc_error *err)
{
    return slc_delivery_done(txn, arg, err);
}

/* What cannot be written is found again, and sent again: the receiver knows it by its id. */
static void write_down(slc_webhook_sender *sender, const slc_delivery_result *result)
{
    const slc_actor actor = {.kind = "system", .id = "system", .name = "webhooks"};
    const char *word[] = {result->good ? "delivered" : result->retry_at_ms > 0 ? "failed" : "dead"};
    slc_error err = {0};
    bool ok = slc_catalog_write_sync(sender->catalog, &actor, write_result, (void *)result, &err);
    note_trouble(sender, ok, "what became of a notification was not written down", &err);
    slc_series_add(slc_metrics_series("sluice_webhook_attempts_total", word), 1);
}

struct looking {
    slc_notify_look look;
    int64_t prune_before_ms; /* 0: not now */
};

static bool look_around(slc_txn *txn, void *arg, slc_error *err)
{
    const struct looking *looking = arg;
    return slc_notify_look_around(txn, &looking->look, err) &&
           (looking->prune_before_ms == 0 || slc_deliveries_prune(txn, looking->prune_before_ms, err));
}

static void look(slc_webhook_sender *sender, int64_t now_ms)
{
    const slc_actor actor = {.kind = "system", .id = "system", .name = "webhooks"};
    struct looking looking = {.look = {.credential_before_ms = sender->options.credential_before_ms,
                                       .nodes = now_ms - sender->started_ms >= sender->options.settle_ms}};
    int64_t every_ms = sender->options.poll_ms < LOOK_MS / 10 ? 10 * sender->options.poll_ms : LOOK_MS;
    slc_error err = {0};
    if (now_ms < sender->look_at_ms)
        return;
    sender->look_at_ms = now_ms + every_ms;
    if (now_ms >= sender->prune_at_ms) {
        sender->prune_at_ms = now_ms + PRUNE_MS;
        looking.prune_before_ms = slc_wall_ms() - sender->options.keep_ms;
    }
    bool ok = slc_catalog_write_sync(sender->catalog, &actor, look_around, &looking, &err);
    note_trouble(sender, ok, "nodes and credentials were not looked at for notifications", &err);
}

/* ---- an attempt ---- */

static size_t on_answer(char *data, size_t size, size_t count, void *arg)
{
    struct attempt *attempt = arg;
    (void)data;
    attempt->answer_bytes += size * count;
    return attempt->answer_bytes <= ANSWER_MAX ? size * count : 0;
}

/* The address is known here, whatever the name said before and says later. */
static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct attempt *attempt = arg;
    (void)purpose;
    if (!attempt->sender->options.allow_private && slc_webhook_is_private(&address->addr)) {
        attempt->refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static void add_header(struct attempt *attempt, const char *name, const char *value)
{
    char line[400];
    snprintf(line, sizeof line, "%s:%s%s", name, *value != '\0' ? " " : "", value);
    attempt->headers = curl_slist_append(attempt->headers, line);
}

static void make_headers(struct attempt *attempt)
{
    const slc_delivery *delivery = &attempt->delivery;
    int64_t now_s = slc_wall_ms() / 1000;
    char text[24], signatures[SLC_WEBHOOK_SECRETS * (SLC_SIGNATURE_CHARS + 1)] = "";
    for (size_t i = 0; i < SLC_WEBHOOK_SECRETS && delivery->secrets[i].bytes != NULL; i++) {
        char signature[SLC_SIGNATURE_CHARS];
        slc_webhook_sign(delivery->secrets[i].bytes, delivery->secrets[i].len, delivery->id, now_s,
                         delivery->body, signature);
        snprintf(signatures + strlen(signatures), sizeof signatures - strlen(signatures), "%s%s",
                 i > 0 ? " " : "", signature);
    }
    snprintf(text, sizeof text, "%lld", (long long)now_s);
    add_header(attempt, "webhook-id", delivery->id);
    add_header(attempt, "webhook-timestamp", text);
    add_header(attempt, "webhook-signature", signatures);
    add_header(attempt, "Content-Type", "application/json");
    add_header(attempt, "Expect", "");
}

static void set_options(struct attempt *attempt)
{
    CURL *curl = attempt->curl;
    const slc_webhook_options *options = &attempt->sender->options;
    curl_easy_setopt(curl, CURLOPT_URL, attempt->delivery.url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, options->allow_http ? "http,https" : "https");
    curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* a proxy would see other addresses than we do */
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, attempt->delivery.body);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(attempt->delivery.body));
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, attempt->headers);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)options->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L); /* the address is looked at each time */
    curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, attempt);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, attempt);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "sluice");
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, attempt->detail);
    curl_easy_setopt(curl, CURLOPT_PRIVATE, attempt);
}

static void let_go(struct attempt *attempt)
{
    if (attempt->curl == NULL)
        return;
    curl_multi_remove_handle(attempt->sender->multi, attempt->curl);
    curl_easy_cleanup(attempt->curl);
    curl_slist_free_all(attempt->headers);
    slc_delivery_release(&attempt->delivery);
    attempt->curl = NULL;
    attempt->headers = NULL;
}

/* Doubling from retry-min up to retry-max, spread by a fifth; 0: that was the last. */
static int64_t retry_at(const slc_webhook_options *options, int64_t attempts)
{
    if (attempts + 1 >= options->attempts)
        return 0;
    int64_t wait_ms = attempts < BACKOFF_BITS ? options->retry_min_ms << attempts : options->retry_max_ms;
    wait_ms = wait_ms < options->retry_max_ms ? wait_ms : options->retry_max_ms;
    return slc_wall_ms() + slc_jitter_ms(wait_ms, 20);
}

static const char *describe(const struct attempt *attempt, CURLcode code, long status, char text[200])
{
    if (attempt->refused)
        snprintf(text, 200, "the address is private, which webhooks.allow-private does not allow");
    else if (code == CURLE_UNSUPPORTED_PROTOCOL)
        snprintf(text, 200, "the URL is not https, and webhooks.allow-http is off");
    else if (status >= 300 && status < 400)
        snprintf(text, 200, "the receiver answered %ld: redirects are not followed", status);
    else if (status > 0)
        snprintf(text, 200, "the receiver answered %ld", status);
    else
        snprintf(text, 200, "%.190s", attempt->detail[0] != '\0' ? attempt->detail : curl_easy_strerror(code));
    slc_utf8_clean(text);
    return text;
}

static void finish(struct attempt *attempt, CURLcode code)
{
    slc_webhook_sender *sender = attempt->sender;
    char text[200];
    long status = 0;
    curl_easy_getinfo(attempt->curl, CURLINFO_RESPONSE_CODE, &status);
    bool answered = code == CURLE_OK || code == CURLE_WRITE_ERROR; /* too long an answer is one */
    slc_delivery_result result = {.id = attempt->delivery.id,
                                  .webhook_id = attempt->delivery.webhook_id,
                                  .good = answered && status >= 200 && status < 300,
                                  .gone = answered && status == 410,
                                  .status = answered ? (int)status : 0,
                                  .disable_after_ms = sender->options.disable_after_ms};
    if (!result.good) {
        result.error = describe(attempt, code, answered ? status : 0, text);
        result.retry_at_ms = retry_at(&sender->options, attempt->delivery.attempts);
        slc_log(SLC_LOG_INFO, "a notification was not delivered", LS("delivery", result.id),
                LS("webhook", result.webhook_id), LS("error", result.error),
                LI("attempts", attempt->delivery.attempts + 1));
    }
    write_down(sender, &result);
    let_go(attempt);
}

/* ---- the thread ---- */

static void begin(slc_webhook_sender *sender, slc_delivery *delivery)
{
    struct attempt *attempt = sender->attempts;
    while (attempt->curl != NULL)
        attempt++;
    *attempt = (struct attempt){.sender = sender, .delivery = *delivery, .curl = curl_easy_init()};
    if (attempt->curl == NULL) {
        slc_delivery_release(&attempt->delivery);
        return;
    }
    make_headers(attempt);
    set_options(attempt);
    curl_multi_add_handle(sender->multi, attempt->curl);
}

static void send_due(slc_webhook_sender *sender)
{
    struct due *due = slc_calloc(1, sizeof *due);
    slc_error err = {0};
    due->sender = sender;
    due->busy = json_array();
    due->busy_webhooks = json_array();
    due->max = (int)sender->count;
    for (size_t i = 0; i < sender->count; i++) {
        if (sender->attempts[i].curl == NULL)
            continue;
        due->max--;
        json_array_append_new(due->busy, json_string(sender->attempts[i].delivery.id));
        json_array_append_new(due->busy_webhooks, json_string(sender->attempts[i].delivery.webhook_id));
    }
    if (due->max > 0) {
        bool ok = slc_catalog_read_sync(sender->catalog, find_due, due, &err);
        note_trouble(sender, ok, "notifications cannot be read from the catalog", &err);
        for (int i = 0; ok && i < due->count; i++)
            begin(sender, &due->found[i]);
    }
    json_decref(due->busy);
    json_decref(due->busy_webhooks);
    free(due);
}

/* True when a place has become free. */
static bool take_ends(slc_webhook_sender *sender)
{
    int left;
    bool ended = false;
    const CURLMsg *message;
    while ((message = curl_multi_info_read(sender->multi, &left)) != NULL) {
        struct attempt *attempt = NULL;
        CURLcode code = message->data.result;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&attempt);
        finish(attempt, code);
        ended = true;
    }
    return ended;
}

static void *sender_main(void *arg)
{
    slc_webhook_sender *sender = arg;
    int running;
    pthread_setname_np(pthread_self(), "webhooks");
    while (!atomic_load(&sender->stopping)) {
        int64_t now_ms = slc_monotonic_ms();
        if (now_ms >= sender->poll_at_ms) {
            sender->poll_at_ms = now_ms + sender->options.poll_ms;
            look(sender, now_ms);
            send_due(sender);
        }
        curl_multi_perform(sender->multi, &running);
        if (take_ends(sender))
            sender->poll_at_ms = 0;
        int64_t wait_ms = sender->poll_at_ms - slc_monotonic_ms();
        wait_ms = wait_ms < 0 ? 0 : wait_ms < STOP_MS ? wait_ms : STOP_MS;
        curl_multi_poll(sender->multi, NULL, 0, (int)wait_ms, NULL);
    }
    for (size_t i = 0; i < sender->count; i++)
        let_go(&sender->attempts[i]);
    return NULL;
}

slc_webhook_sender *slc_webhook_sender_new(slc_catalog *catalog, const slc_webhook_options *options,
                                           slc_error *err)
{
    slc_webhook_sender *sender = slc_calloc(1, sizeof *sender);
    sender->catalog = catalog;
    sender->options = *options;
    sender->count = (size_t)(options->at_once < AT_ONCE_MAX ? options->at_once : AT_ONCE_MAX);
    sender->attempts = slc_calloc(sender->count, sizeof *sender->attempts);
    sender->started_ms = slc_monotonic_ms();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    sender->multi = curl_multi_init();
    if (sender->multi != NULL && pthread_create(&sender->thread, NULL, sender_main, sender) == 0)
        return sender;
    slc_fail(err, SLC_LIMIT, NULL, "cannot start the thread that sends notifications");
    curl_multi_cleanup(sender->multi);
    free(sender->attempts);
    free(sender);
    return NULL;
}

void slc_webhook_sender_free(slc_webhook_sender *sender)
{
    if (sender == NULL)
        return;
    atomic_store(&sender->stopping, true);
    curl_multi_wakeup(sender->multi);
    pthread_join(sender->thread, NULL);
    curl_multi_cleanup(sender->multi);
    free(sender->attempts);
    free(sender);
}
