#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "dataplane/mediation/event_json.h"
#include "dataplane/mediation/publish_private.h"
#include "dataplane/observe/trace.h"

#define DEFAULT_MAX_BYTES (1024 * 1024)

static const enum slc_problem_kind problem_of_outcome[SLC_PUBLISH_OUTCOMES] = {
    [SLC_NOT_PERSISTED] = SLC_PROBLEM_NOT_PERSISTED,  [SLC_OUTCOME_UNKNOWN] = SLC_PROBLEM_OUTCOME_UNKNOWN,
    [SLC_RECORD_TOO_LARGE] = SLC_PROBLEM_TOO_LARGE,   [SLC_TOPIC_MISSING] = SLC_PROBLEM_TOPIC_MISSING,
    [SLC_QUEUE_FULL] = SLC_PROBLEM_QUEUE_FULL,        [SLC_NOT_AUTHORISED] = SLC_PROBLEM_NOT_AUTHORISED,
    [SLC_RECORD_REFUSED] = SLC_PROBLEM_EVENT_REFUSED,
};

static slc_mediation_worker *worker_of(const slc_publish *publish)
{
    return publish->api->worker;
}

/* The client has its answer, or needs none any more. The records go on. */
static slc_exchange *let_exchange_go(slc_publish *publish)
{
    slc_exchange *exchange = publish->exchange;
    publish->exchange = NULL;
    if (publish->listed)
        TAILQ_REMOVE(&worker_of(publish)->publishes_by_deadline, publish, entry);
    publish->listed = false;
    return exchange;
}

static void free_if_done(slc_publish *publish)
{
    if (publish->left > 0 || publish->exchange != NULL)
        return;
    slc_api *api = publish->api;
    for (size_t i = 0; i < publish->count; i++) {
        free(publish->items[i].detail);
        free(publish->items[i].pointer);
    }
    slc_record_chain_free(publish->records);
    api->worker->publishes--;
    publish->magic = 0;
    free(publish);
    api->references--;
    slc_api_settle(api);
}

/* Answers
 * ---------------------------------------------------------------------------------------------------------- */

static bool is_stored(const publish_item *item)
{
    return item->done && !item->rejected && item->outcome == SLC_PUBLISHED;
}

static enum slc_problem_kind problem_of_item(const publish_item *item)
{
    if (item->rejected)
        return item->problem;
    return item->done ? problem_of_outcome[item->outcome] : SLC_PROBLEM_OUTCOME_UNKNOWN;
}

/* Where in the event: what slc_problem_with adds. NULL: no place. */
static json_t *place_of(const publish_item *item)
{
    if (item->pointer == NULL)
        return NULL;
    return json_pack("{s:[{s:s, s:s?}]}", "errors", "pointer", item->pointer, "detail", item->detail);
}

static json_t *problem_json(const publish_item *item)
{
    json_t *problem = slc_problem_json(problem_of_item(item), item->detail), *place = place_of(item);
    if (place != NULL)
        json_object_update(problem, place);
    json_decref(place);
    return problem;
}

static void reply_json(slc_exchange *exchange, int status, const char *text, size_t len)
{
    struct evbuffer *body = evbuffer_new();
    SLC_BUG_ON(body == NULL);
    evbuffer_add(body, text, len);
    slc_exchange_reply(exchange, status, "application/json", body);
    evbuffer_free(body);
}

static void answer_single(slc_exchange *exchange, const publish_item *item)
{
    char id[40], text[64];
    if (!is_stored(item)) {
        slc_problem_with(exchange, problem_of_item(item), item->detail, place_of(item));
        return;
    }
    slc_event_id(item->partition, item->offset, id);
    int len = snprintf(text, sizeof text, "{\"id\":\"%s\"}", id);
    exchange->events = 1;
    reply_json(exchange, 201, text, (size_t)len);
}

/* Of a batch of which nothing was stored. */
static json_t *results(const slc_publish *publish)
{
    json_t *list = json_array();
    for (size_t i = 0; i < publish->count; i++) {
        const publish_item *item = &publish->items[i];
        json_array_append_new(list, problem_json(item));
    }
    return list;
}

/* The one status for a batch of which nothing was stored: what may be stored weighs most, then what can be
 * retried. */
static enum slc_problem_kind problem_of_all(const slc_publish *publish)
{
    enum slc_problem_kind first = problem_of_item(&publish->items[0]);
    bool same = true, retry = false;
    for (size_t i = 0; i < publish->count; i++) {
        enum slc_problem_kind kind = problem_of_item(&publish->items[i]);
        if (kind == SLC_PROBLEM_OUTCOME_UNKNOWN)
            return kind;
        same = same && kind == first;
        retry = retry || kind == SLC_PROBLEM_NOT_PERSISTED || kind == SLC_PROBLEM_RECORD_UNAVAILABLE;
    }
    return same ? first : retry ? SLC_PROBLEM_NOT_PERSISTED : SLC_PROBLEM_ALL_FAILED;
}

static void add_result(struct evbuffer *body, const publish_item *item)
{
    char id[40];
    if (is_stored(item)) {
        slc_event_id(item->partition, item->offset, id);
        evbuffer_add(body, "{\"id\":\"", 7);
        evbuffer_add(body, id, strlen(id));
        evbuffer_add(body, "\"}", 2);
        return;
    }
    json_t *problem = problem_json(item);
    char *text = json_dumps(problem, JSON_COMPACT);
    evbuffer_add(body, text, strlen(text));
    free(text);
    json_decref(problem);
}

static void answer_batch(slc_exchange *exchange, const slc_publish *publish)
{
    size_t stored = 0;
    for (size_t i = 0; i < publish->count; i++)
        stored += is_stored(&publish->items[i]);
    if (stored == 0) {
        slc_problem_with(exchange, problem_of_all(publish), NULL,
                         json_pack("{s:o}", "results", results(publish)));
        return;
    }
    struct evbuffer *body = evbuffer_new();
    SLC_BUG_ON(body == NULL);
    evbuffer_add(body, "{\"results\":[", 12);
    for (size_t i = 0; i < publish->count; i++) {
        if (i > 0)
            evbuffer_add(body, ",", 1);
        add_result(body, &publish->items[i]);
    }
    evbuffer_add(body, "]}", 2);
    exchange->events = (uint32_t)stored;
    slc_exchange_reply(exchange, stored == publish->count ? 201 : 207, "application/json", body);
    evbuffer_free(body);
}

static void answer(slc_publish *publish)
{
    slc_exchange *exchange = let_exchange_go(publish);
    if (publish->batch)
        answer_batch(exchange, publish);
    else
        answer_single(exchange, &publish->items[0]);
}

/* Those that never went out: nobody else will ever tell. NULL: none. */
static json_t *refused_items(const slc_publish *publish)
{
    json_t *list = NULL;
    for (size_t i = 0; i < publish->count; i++) {
        const publish_item *item = &publish->items[i];
        if (!item->rejected)
            continue;
        json_t *problem = problem_json(item);
        json_object_set_new(problem, "index", json_integer((json_int_t)i));
        list = list != NULL ? list : json_array();
        json_array_append_new(list, problem);
    }
    return list;
}

static void answer_accepted(slc_publish *publish)
{
    slc_exchange *exchange = let_exchange_go(publish);
    json_t *body =
        json_pack("{s:I, s:o*}", "accepted", (json_int_t)publish->left, "refused", refused_items(publish));
    char *text = json_dumps(body, JSON_COMPACT);
    evhttp_add_header(evhttp_request_get_output_headers(exchange->req), "Preference-Applied", "respond-async");
    exchange->events = (uint32_t)publish->left;
    reply_json(exchange, 202, text, strlen(text));
    free(text);
    json_decref(body);
}

/* Acknowledgements
 * --------------------------------------------------------------------------------------------------- */

static void take_ack(slc_message *msg, void *owner)
{
    (void)owner;
    publish_item *item = (publish_item *)msg;
    slc_publish *publish = item->publish;
    SLC_CHECK_MAGIC(publish, SLC_PUBLISH_MAGIC);
    item->done = true;
    publish->left--;
    if (item->outcome == SLC_RECORD_TOO_LARGE || item->outcome == SLC_RECORD_REFUSED)
        slc_api_topic_changed(publish->api);
    slc_series_add(publish->api->published[item->outcome], 1);
    slc_publish_decided(publish);
}

/* The last one to post lets the worker go; the publish may be gone right after the post. */
static void owe_one_less(slc_publish *publish, publish_item *item)
{
    slc_tally *tally = worker_of(publish)->tally;
    slc_mailbox *mailbox = slc_loop_mailbox(worker_of(publish)->worker->loop);
    bool last = atomic_fetch_sub(&publish->to_post, 1) == 1;
    if (item != NULL)
        slc_mailbox_post(mailbox, &item->msg);
    if (last)
        slc_tally_end(tally);
}

void slc_publish_owe(slc_publish *publish)
{
    if (atomic_fetch_add(&publish->to_post, 1) ==
        0) /* who was the last lets the worker go, and it begins anew */
        slc_tally_begin(worker_of(publish)->tally);
}

void slc_publish_owe_less(slc_publish *publish)
{
    owe_one_less(publish, NULL);
}

void slc_publish_decided(slc_publish *publish)
{
    if (publish->left == 0 && publish->exchange != NULL)
        answer(publish);
    free_if_done(publish);
}

static void on_published(void *ctx, enum slc_publish_outcome outcome, int32_t partition, int64_t offset)
{
    publish_item *item = ctx;
    item->outcome = outcome;
    item->partition = partition;
    item->offset = offset;
    item->msg.run = take_ack;
    owe_one_less(item->publish, item);
}

/* Items
 * --------------------------------------------------------------------------------------------------------------
 */

publish_item *slc_publish_next_item(slc_publish *publish)
{
    SLC_BUG_ON(publish->count == publish->max_items);
    publish_item *item = &publish->items[publish->count++];
    *item = (publish_item){.publish = publish};
    return item;
}

void slc_publish_reject_item(publish_item *item, enum slc_problem_kind kind, const char *detail,
                             const char *pointer)
{
    item->done = item->rejected = true;
    item->problem = kind;
    item->detail = detail != NULL ? slc_strdup(detail) : NULL;
    item->pointer = pointer != NULL ? slc_strdup(pointer) : NULL;
}

void slc_publish_reject(slc_publish *publish, enum slc_problem_kind kind, const char *detail)
{
    slc_publish_reject_item(slc_publish_next_item(publish), kind, detail, NULL);
}

static size_t size_of(const slc_outgoing *record)
{
    size_t size = record->key_len + record->value_len;
    for (size_t i = 0; i < record->header_count; i++)
        size += strlen(record->headers[i].name) + record->headers[i].value_len;
    return size;
}

static void send_record(publish_item *item, const slc_outgoing *record)
{
    slc_error err;
    slc_publish *publish = item->publish;
    slc_link *link = publish->api->link;
    publish->left++;
    atomic_fetch_add(&publish->to_post, 1);
    if (link->ops->publish(link->broker, record, on_published, item, &err))
        return;
    publish->left--;
    atomic_fetch_sub(&publish->to_post, 1);
    slc_publish_reject_item(item,
                            err.code == SLC_LIMIT       ? SLC_PROBLEM_QUEUE_FULL
                            : err.code == SLC_TOO_LARGE ? SLC_PROBLEM_TOO_LARGE
                                                        : SLC_PROBLEM_NOT_PERSISTED,
                            NULL, NULL);
}

/* Over what the topic takes, as far as that is known: the others of the batch must not fail with it. */
static bool is_over(const slc_publish *publish, const slc_outgoing *record)
{
    int64_t limit = publish->api->topic.max_message_bytes;
    return limit > 0 && publish->api->link->ops->stored_bytes(record) > (size_t)limit;
}

void slc_publish_send_item(publish_item *item, slc_outgoing *record)
{
    const slc_topic_info *topic = &item->publish->api->topic;
    record->limit_bytes = topic->max_message_bytes;
    record->partitions = topic->partitions;
    if (is_over(item->publish, record))
        slc_publish_reject_item(item, SLC_PROBLEM_TOO_LARGE, NULL, NULL);
    else if (topic->compacted && record->key == NULL)
        slc_publish_reject_item(item, SLC_PROBLEM_KEY, "Events of this stream need a key.", NULL);
    else
        send_record(item, record);
}

static void take_event(slc_publish *publish, slc_outgoing *record)
{
    publish_item *item = slc_publish_next_item(publish);
    int64_t max_bytes = publish->api->api->msg->max_event_bytes;
    if (size_of(record) > (size_t)(max_bytes > 0 ? max_bytes : DEFAULT_MAX_BYTES))
        slc_publish_reject_item(item, SLC_PROBLEM_TOO_LARGE, NULL, NULL);
    else if (publish->records != NULL)
        slc_publish_through(item, record);
    else
        slc_publish_send_item(item, record);
}

static void add_header(slc_outgoing *record, slc_broker_header *headers, const char *name, const char *value)
{
    if (value != NULL)
        headers[record->header_count++] = (slc_broker_header){name, value, strlen(value)};
}

void slc_publish_event(slc_publish *publish, slc_outgoing *record)
{
    slc_broker_header headers[SLC_PUBLISH_MAX_HEADERS + SLC_PUBLISH_OWN_HEADERS];
    const slc_span *span = publish->span;
    record->topic = publish->api->api->backend_topic;
    if (publish->idempotency_key != NULL || span != NULL) {
        SLC_BUG_ON(record->header_count > SLC_PUBLISH_MAX_HEADERS);
        if (record->header_count > 0)
            memcpy(headers, record->headers, record->header_count * sizeof *headers);
        add_header(record, headers, "idempotency-key", publish->idempotency_key);
        add_header(record, headers, "traceparent", span != NULL ? slc_span_traceparent(span) : NULL);
        add_header(record, headers, "tracestate", span != NULL ? slc_span_tracestate(span) : NULL);
        record->headers = headers;
    }
    take_event(publish, record);
}

/* Start and end
 * ------------------------------------------------------------------------------------------------------ */

static void on_abort(slc_exchange *exchange, void *ctx)
{
    slc_publish *publish = ctx;
    SLC_CHECK_MAGIC(publish, SLC_PUBLISH_MAGIC);
    let_exchange_go(publish);
    slc_exchange_abandon(exchange);
    slc_publish_give_up(publish);
    free_if_done(publish);
}

slc_publish *slc_publish_begin(slc_exchange *exchange, slc_api *api, size_t max_items, bool batch)
{
    const struct evkeyvalq *fields = evhttp_request_get_input_headers(exchange->req);
    slc_publish *publish = slc_malloc(sizeof *publish + max_items * sizeof *publish->items);
    *publish = (slc_publish){.magic = SLC_PUBLISH_MAGIC,
                             .exchange = exchange,
                             .api = api,
                             .batch = batch,
                             .asynchronous = slc_prefers(fields, "respond-async"),
                             .idempotency_key = slc_exchange_header(exchange, "Idempotency-Key"),
                             .span = exchange->span,
                             .records = slc_exchange_record_chain(exchange, exchange->snapshot, exchange->api),
                             .max_items = max_items,
                             .deadline_ms =
                                 slc_monotonic_ms() + api->worker->limits->publish_deadline_ms - SLC_TICK_MS};
    atomic_init(&publish->to_post, 1);
    TAILQ_INIT(&publish->put_by);
    slc_tally_begin(api->worker->tally);
    api->references++;
    api->worker->publishes++;
    slc_api_learn_topic(api);
    return publish;
}

void slc_publish_end(slc_publish *publish)
{
    slc_mediation_worker *worker = worker_of(publish);
    SLC_BUG_ON(publish->count == 0);
    owe_one_less(publish, NULL);
    publish->idempotency_key = NULL; /* the request's */
    publish->span = NULL;
    if (publish->left == 0) {
        answer(publish);
        free_if_done(publish);
    } else if (publish->asynchronous) {
        answer_accepted(publish);
    } else {
        publish->exchange->ctx = publish;
        publish->exchange->on_abort = on_abort;
        TAILQ_INSERT_TAIL(&worker->publishes_by_deadline, publish, entry);
        publish->listed = true;
    }
}

void slc_publishes_tick(slc_mediation_worker *worker, int64_t now_ms)
{
    slc_publish *publish;
    while ((publish = TAILQ_FIRST(&worker->publishes_waiting)) != NULL && publish->deadline_ms <= now_ms) {
        slc_publish_give_up(publish);
        slc_publish_decided(publish);
    }
    while ((publish = TAILQ_FIRST(&worker->publishes_by_deadline)) != NULL && publish->deadline_ms <= now_ms)
        answer(publish); /* what was not decided counts as unknown; freed with the last acknowledgement */
}

void slc_publishes_stop(slc_mediation_worker *worker)
{
    slc_publish *publish;
    while ((publish = TAILQ_FIRST(&worker->publishes_waiting)) != NULL) {
        slc_publish_give_up(publish);
        slc_publish_decided(publish);
    }
}

void slc_publish_handle(slc_exchange *exchange)
{
    slc_api *api = slc_api_of(exchange);
    if (api != NULL)
        slc_publish_body(exchange, api);
}
