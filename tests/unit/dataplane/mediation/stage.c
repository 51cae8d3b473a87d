#include "stage.h"

#include <check.h>
#include <event2/keyvalq_struct.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "dataplane/policy/chain_private.h"

struct client {
    slc_exchange base; /* first: an exchange is its client */
    stage *stage;
    struct evkeyvalq query;
    bool is_post;
    pthread_mutex_t lock;
    int status;
    bool open, ended, blocked, streaming;
    int denials;
    struct evbuffer *received, *pending;
    void (*done)(slc_exchange *exchange, void *ctx);
    struct evkeyvalq response; /* copied at the answer */
};

static pthread_mutex_t change_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t change = PTHREAD_COND_INITIALIZER;
static bool granted = true;

static void changed(void)
{
    pthread_mutex_lock(&change_lock);
    pthread_cond_broadcast(&change);
    pthread_mutex_unlock(&change_lock);
}

void stage_pause(void)
{
    struct timespec limit;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_nsec += 5000000;
    if (limit.tv_nsec >= 1000000000) {
        limit.tv_nsec -= 1000000000;
        limit.tv_sec++;
    }
    pthread_mutex_lock(&change_lock);
    pthread_cond_timedwait(&change, &change_lock, &limit);
    pthread_mutex_unlock(&change_lock);
}

/* What mediation calls of its surroundings
 * ------------------------------------------------------------------------- */

bool slc_principal_still_granted(const slc_snapshot *snapshot, const slc_event_api *api,
                                 Sluice__Snapshot__V1__Operation operation, const char *client_address,
                                 slc_principal *principal)
{
    (void)snapshot;
    (void)api;
    (void)operation;
    (void)client_address;
    (void)principal;
    return __atomic_load_n(&granted, __ATOMIC_RELAXED);
}

void slc_limits_changed(const slc_snapshot *snapshot, const slc_event_api *api, const slc_principal *principal,
                        slc_charges *charges)
{
    (void)snapshot;
    (void)api;
    (void)principal;
    (void)charges;
}

/* ---- a policy on records: the chain is the gateway's own ---- */

static slc_policy_type stage_type = {.name = "stage"};
static slc_chain *const no_chain = (slc_chain *)(void *)&stage_type; /* of which nothing is asked */
static slc_chain_entry policy = {.type = &stage_type, .id = (char *)"1", .name = (char *)"stage"};

void stage_records(const slc_record_ops *ops, void *compiled)
{
    stage_type.records = ops;
    policy.compiled = compiled;
    policy.chain = no_chain;
}

slc_chain *slc_chain_ref(slc_chain *chain)
{
    ck_assert_ptr_eq(chain, no_chain);
    return chain;
}

void slc_chain_free(slc_chain *chain)
{
    ck_assert_ptr_eq(chain, no_chain);
}

bool slc_exchange_find_records(slc_exchange *exchange, const slc_snapshot *snapshot, slc_event_api *api)
{
    (void)snapshot, (void)api;
    slc_record_policies_clear(&exchange->records);
    if (stage_type.records != NULL)
        slc_record_policies_add(&exchange->records, &policy);
    return true;
}

slc_record_chain *slc_exchange_record_chain(slc_exchange *exchange, const slc_snapshot *snapshot,
                                            slc_event_api *api)
{
    slc_policy_request request = {.principal = &exchange->principal};
    const slc_record_subject subject = {.direction = exchange->operation ==
                                                             SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_PUBLISH
                                                         ? SLC_RECORDS_PRODUCE
                                                         : SLC_RECORDS_CONSUME,
                                        .snapshot = snapshot,
                                        .vcluster = api->vcluster,
                                        .api = api,
                                        .topic = api->msg->topic,
                                        .backend_topic = api->backend_topic,
                                        .request = &request};
    return slc_record_chain_bind(&exchange->records, &subject);
}

const slc_gateway_limits *slc_gateway_limits_of(const struct slc_gateway *gateway)
{
    return &((const stage *)gateway)->limits;
}

/* There is one snapshot, which holds the one API for as long as it is granted. */
slc_event_api *slc_snapshot_event_api_by_id(const slc_snapshot *snapshot, const char *id)
{
    (void)id;
    return ((const stage *)snapshot)->api;
}

slc_backend *const *slc_snapshot_backends(const slc_snapshot *snapshot, size_t *count)
{
    *count = 1;
    return &((const stage *)snapshot)->api->vcluster->backend;
}

void slc_snapshot_unref(slc_snapshot *snapshot)
{
    (void)snapshot;
}

#define COUNTED(type)                                                                                          \
    type *type##_ref(type *object)                                                                             \
    {                                                                                                          \
        __atomic_add_fetch(&object->refs, 1, __ATOMIC_RELAXED);                                                \
        return object;                                                                                         \
    }                                                                                                          \
    void type##_unref(type *object)                                                                            \
    {                                                                                                          \
        SLC_BUG_ON(__atomic_sub_fetch(&object->refs, 1, __ATOMIC_ACQ_REL) == 0);                               \
    }
COUNTED(slc_backend)
COUNTED(slc_event_api)
COUNTED(slc_vcluster)

/* The exchange
 * ------------------------------------------------------------------------------------------------------ */

static client *client_of(slc_exchange *exchange)
{
    return (client *)exchange;
}

static void finish(client *c)
{
    const struct evkeyval *field;
    pthread_mutex_lock(&c->lock);
    TAILQ_FOREACH (field, evhttp_request_get_output_headers(c->base.req), next)
        evhttp_add_header(&c->response, field->key, field->value);
    c->open = false;
    c->ended = true;
    pthread_mutex_unlock(&c->lock);
    changed();
}

static void answer(client *c, int status, struct evbuffer *body)
{
    pthread_mutex_lock(&c->lock);
    c->status = status;
    evbuffer_add_buffer(c->received, body);
    pthread_mutex_unlock(&c->lock);
    finish(c);
}

void slc_exchange_problem(slc_exchange *exchange, int status, const char *type, const char *title,
                          const char *detail, json_t *extra)
{
    struct evbuffer *body = evbuffer_new();
    json_t *problem = json_pack("{s:s, s:s, s:s?}", "type", type, "title", title, "detail", detail);
    if (extra != NULL)
        json_object_update(problem, extra);
    json_decref(extra);
    char *text = json_dumps(problem, JSON_COMPACT);
    evbuffer_add(body, text, strlen(text));
    free(text);
    json_decref(problem);
    answer(client_of(exchange), status, body);
    evbuffer_free(body);
}

void slc_exchange_reply(slc_exchange *exchange, int status, const char *content_type, struct evbuffer *body)
{
    (void)content_type;
    answer(client_of(exchange), status, body);
}

void slc_exchange_denied(slc_exchange *exchange, const char *by, const char *reason)
{
    (void)by;
    (void)reason;
    client_of(exchange)->denials++;
}

void slc_exchange_stream_start(slc_exchange *exchange, int status, const char *content_type)
{
    client *c = client_of(exchange);
    evhttp_add_header(evhttp_request_get_output_headers(exchange->req), "Content-Type", content_type);
    pthread_mutex_lock(&c->lock);
    c->status = status;
    c->streaming = true;
    pthread_mutex_unlock(&c->lock);
}

static void take_all(client *c)
{
    pthread_mutex_lock(&c->lock);
    bool take = !c->blocked;
    if (take)
        evbuffer_add_buffer(c->received, c->pending);
    void (*done)(slc_exchange *, void *) = take ? c->done : NULL;
    if (take)
        c->done = NULL;
    pthread_mutex_unlock(&c->lock);
    changed();
    if (done != NULL && c->open)
        done(&c->base, c->base.ctx);
}

static void take_later(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    take_all(arg);
}

bool slc_exchange_owes(slc_exchange *exchange)
{
    (void)exchange;
    return false; /* nobody limits it */
}

void slc_exchange_write(slc_exchange *exchange, struct evbuffer *chunk,
                        void (*done)(slc_exchange *exchange, void *ctx))
{
    static const struct timeval now = {0};
    client *c = client_of(exchange);
    pthread_mutex_lock(&c->lock);
    evbuffer_add_buffer(c->pending, chunk);
    c->done = done;
    bool blocked = c->blocked;
    pthread_mutex_unlock(&c->lock);
    if (!blocked)
        event_base_once(slc_loop_base(exchange->worker->loop), -1, EV_TIMEOUT, take_later, c, &now);
}

void slc_exchange_stream_finish(slc_exchange *exchange)
{
    client *c = client_of(exchange);
    pthread_mutex_lock(&c->lock);
    if (!c->blocked)
        evbuffer_add_buffer(c->received, c->pending);
    c->done = NULL;
    pthread_mutex_unlock(&c->lock);
    finish(c);
}

void slc_exchange_abandon(slc_exchange *exchange)
{
    finish(client_of(exchange));
}

const char *slc_exchange_query(slc_exchange *exchange, const char *name)
{
    return evhttp_find_header(&client_of(exchange)->query, name);
}

bool slc_exchange_query_is_valid(slc_exchange *exchange)
{
    (void)exchange;
    return true;
}

bool slc_exchange_query_repeats(slc_exchange *exchange, const char *name)
{
    const struct evkeyval *parameter;
    unsigned count = 0;
    TAILQ_FOREACH (parameter, &client_of(exchange)->query, next)
        count += strcmp(parameter->key, name) == 0;
    return count > 1;
}

const char *slc_exchange_header(slc_exchange *exchange, const char *name)
{
    return evhttp_find_header(evhttp_request_get_input_headers(exchange->req), name);
}

/* Clients
 * ------------------------------------------------------------------------------------------------------------
 */

client *client_new(stage *s, unsigned worker)
{
    client *c = slc_calloc(1, sizeof *c);
    c->stage = s;
    c->base.worker = &s->workers[worker];
    c->base.req = evhttp_request_new(NULL, NULL);
    c->base.api = s->api;
    ck_assert(slc_exchange_find_records(&c->base, NULL, s->api));
    snprintf(c->base.listener_id, sizeof c->base.listener_id, "%s", s->api->msg->listener_id);
    pthread_mutex_init(&c->lock, NULL);
    TAILQ_INIT(&c->query);
    TAILQ_INIT(&c->response);
    c->received = evbuffer_new();
    c->pending = evbuffer_new();
    return c;
}

void client_header(client *c, const char *name, const char *value)
{
    evhttp_add_header(evhttp_request_get_input_headers(c->base.req), name, value);
}

void client_application(client *c, const char *id)
{
    snprintf(c->base.principal.application_id, sizeof c->base.principal.application_id, "%s", id);
}

void client_body(client *c, const void *body, size_t len)
{
    evbuffer_add(evhttp_request_get_input_buffer(c->base.req), body, len);
}

static void handle(void *arg)
{
    client *c = arg;
    c->open = true;
    if (c->is_post)
        slc_publish_handle(&c->base);
    else
        slc_read_handle(&c->base);
}

void client_get(client *c, const char *query)
{
    if (query != NULL)
        evhttp_parse_query_str(query, &c->query);
    c->base.operation = SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_READ;
    slc_loop_call(c->base.worker->loop, handle, c);
}

void client_post(client *c)
{
    c->is_post = true;
    c->base.operation = SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_PUBLISH;
    slc_loop_call(c->base.worker->loop, handle, c);
}

static void unblock(void *arg)
{
    take_all(arg);
}

void client_block(client *c, bool blocked)
{
    pthread_mutex_lock(&c->lock);
    c->blocked = blocked;
    pthread_mutex_unlock(&c->lock);
    if (!blocked)
        slc_loop_call(c->base.worker->loop, unblock, c);
}

static void abort_here(void *arg)
{
    client *c = arg;
    c->done = NULL;
    if (c->open)
        c->base.on_abort(&c->base, c->base.ctx);
    if (c->base.page_holder != NULL) /* its answer is out */
        slc_page_bytes_end(&c->base.worker->page_bytes, c->base.page_holder, c->base.page_bytes);
    c->base.page_holder = NULL;
}

void client_abort(client *c)
{
    slc_loop_call_sync(c->base.worker->loop, abort_here, c);
}

static void nothing(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    pthread_mutex_lock(&change_lock);
    *(bool *)arg = true;
    pthread_cond_broadcast(&change);
    pthread_mutex_unlock(&change_lock);
}

struct barrier {
    slc_worker *worker;
    bool passed;
};

static void set_barrier(void *arg)
{
    static const struct timeval later = {.tv_usec = 1000};
    struct barrier *barrier = arg;
    event_base_once(slc_loop_base(barrier->worker->loop), -1, EV_TIMEOUT, nothing, &barrier->passed, &later);
}

/* What the loop had scheduled for this client has run. */
static void settle(client *c)
{
    struct barrier barrier = {c->base.worker, false};
    slc_loop_call_sync(c->base.worker->loop, set_barrier, &barrier);
    for (;;) {
        pthread_mutex_lock(&change_lock);
        bool passed = barrier.passed;
        pthread_mutex_unlock(&change_lock);
        if (passed)
            return;
        stage_pause();
    }
}

void client_free(client *c)
{
    client_abort(c);
    settle(c);
    evhttp_request_free(c->base.req);
    slc_record_policies_release(&c->base.records);
    evhttp_clear_headers(&c->query);
    evhttp_clear_headers(&c->response);
    evbuffer_free(c->received);
    evbuffer_free(c->pending);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

int client_status(client *c)
{
    pthread_mutex_lock(&c->lock);
    int status = c->status;
    pthread_mutex_unlock(&c->lock);
    return status;
}

bool client_ended(client *c)
{
    pthread_mutex_lock(&c->lock);
    bool ended = c->ended;
    pthread_mutex_unlock(&c->lock);
    return ended;
}

void client_wait(client *c)
{
    STAGE_WAIT(client_ended(c));
}

size_t client_pending(client *c)
{
    pthread_mutex_lock(&c->lock);
    size_t pending = evbuffer_get_length(c->pending);
    pthread_mutex_unlock(&c->lock);
    return pending;
}

char *client_text(client *c)
{
    pthread_mutex_lock(&c->lock);
    size_t len = evbuffer_get_length(c->received);
    char *text = slc_malloc(len + 1);
    evbuffer_copyout(c->received, text, len);
    text[len] = '\0';
    pthread_mutex_unlock(&c->lock);
    return text;
}

char *client_response_header(client *c, const char *name)
{
    pthread_mutex_lock(&c->lock);
    const char *value = evhttp_find_header(&c->response, name);
    char *copy = value != NULL ? slc_strdup(value) : NULL;
    pthread_mutex_unlock(&c->lock);
    return copy;
}

/* Streams
 * ------------------------------------------------------------------------------------------------------------
 */

size_t stream_count(client *c, const char *line_start)
{
    char *text = client_text(c);
    size_t count = 0, len = strlen(line_start);
    for (char *at = text; at != NULL && *at != '\0'; at = strchr(at, '\n')) {
        if (*at == '\n')
            at++;
        count += strncmp(at, line_start, len) == 0;
        if (*at == '\n')
            continue;
    }
    free(text);
    return count;
}

char *stream_data(client *c)
{
    char *text = client_text(c), *save = NULL;
    slc_buf out;
    slc_buf_init(&out, 64 * 1024 * 1024);
    slc_buf_adds(&out, "");
    bool named = false;
    for (char *line = text; line != NULL && *line != '\0'; line = save) {
        save = strchr(line, '\n');
        if (save != NULL)
            *save++ = '\0';
        if (line[0] == '\0')
            named = false;
        else if (strncmp(line, "event: ", 7) == 0)
            named = true;
        const char *data = named || strncmp(line, "data: ", 6) != 0 ? NULL : strstr(line, "\"data\":");
        if (data != NULL)
            slc_buf_addf(&out, "%s%.*s", out.len > 0 ? "," : "", (int)strlen(data + 7) - 1, data + 7);
    }
    free(text);
    if (out.len == 0)
        slc_buf_addc(&out, '\0');
    return slc_buf_steal(&out, NULL);
}

char *stream_last_id(client *c)
{
    char *text = client_text(c), *at = text, *last = NULL;
    while ((at = strstr(at, "id: ")) != NULL) {
        if (at == text || at[-1] == '\n')
            last = at + 4;
        at += 4;
    }
    char *id = last != NULL ? slc_strndup(last, strcspn(last, "\n")) : NULL;
    free(text);
    return id;
}

/* The stage
 * ---------------------------------------------------------------------------------------------------------- */

void stage_set_granted(bool value)
{
    __atomic_store_n(&granted, value, __ATOMIC_RELAXED);
}

void stage_defaults(stage *s)
{
    *s = (stage){0};
    s->limits = (slc_gateway_limits){
        .publish_deadline_ms = 10000,
        .heartbeat_ms = 15000,
        .retry_ms = 3000,
        .feed_ring_bytes = 1 << 20,
        .feed_prefill_ms = 60000,
        .feed_idle_ms = 60000,
        .page_max_events = 1000,
        .page_max_wait_ms = 30000,
        .page_max_bytes = 8 << 20,
        .pages_bytes = 256 << 20,
        .application_bytes = 64 << 20,
        .catchup_consumers = 4,
        .catchup_queue = 256,
        .catchup_park_ms = 30000,
        .metadata_refresh_ms = 200,
        .metadata_timeout_ms = 5000,
        .ticket_lifetime_ms = 600000,
        .catchup_window_bytes = 1 << 20,
        .producer_queue_bytes = 1 << 20,
    };
    stage_set_granted(true);
}

static slc_event_api *make_api(void)
{
    static uint8_t key_bytes[32] = "0123456789abcdef0123456789abcde";
    static Sluice__Snapshot__V1__CursorKey key = SLUICE__SNAPSHOT__V1__CURSOR_KEY__INIT;
    static Sluice__Snapshot__V1__CursorKey *keys[] = {&key};
    static Sluice__Snapshot__V1__Operation operations[] = {SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_PUBLISH,
                                                           SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_READ};
    static char *exposures[] = {"rest", "sse"};
    static Sluice__Snapshot__V1__EventApi msg = SLUICE__SNAPSHOT__V1__EVENT_API__INIT;
    static Sluice__Snapshot__V1__Backend backend_msg = SLUICE__SNAPSHOT__V1__BACKEND__INIT;
    static slc_backend backend;
    static slc_vcluster vcluster;
    static slc_event_api api;
    key.id = 1;
    key.key = (ProtobufCBinaryData){sizeof key_bytes, key_bytes};
    msg = (Sluice__Snapshot__V1__EventApi)SLUICE__SNAPSHOT__V1__EVENT_API__INIT;
    msg.id = (char *)"api1";
    msg.name = (char *)"orders";
    msg.major = 1;
    msg.operations = operations;
    msg.n_operations = sizeof operations / sizeof *operations;
    msg.exposures = exposures;
    msg.n_exposures = sizeof exposures / sizeof *exposures;
    msg.cursor_keys = keys;
    msg.n_cursor_keys = 1;
    backend_msg.id = (char *)"backend1";
    backend_msg.name = (char *)"local";
    backend = (slc_backend){.refs = 1, .msg = &backend_msg};
    vcluster = (slc_vcluster){.refs = 1, .backend = &backend};
    api = (slc_event_api){.refs = 1, .msg = &msg, .vcluster = &vcluster, .backend_topic = (char *)"topic"};
    return &api;
}

static void attach(void *arg)
{
    slc_worker *worker = arg;
    worker->mediation = slc_mediation_attach(((stage *)worker->gateway)->mediation, worker);
}

void stage_open(stage *s, int32_t partitions)
{
    slc_error err;
    static bool registered;
    if (!registered)
        slc_metrics_register(slc_mediation_metrics);
    registered = true;
    s->api = make_api();
    s->mediation = slc_mediation_new_over(&s->limits, &slc_broker_memory, &err);
    ck_assert_ptr_nonnull(s->mediation);
    s->link = slc_link_get(&s->mediation->links, s->api->vcluster->backend, &err);
    s->broker = s->link->broker;
    if (partitions > 0)
        slc_memory_topic_create(s->broker, "topic", partitions);
    for (unsigned i = 0; i < STAGE_WORKERS; i++) {
        slc_worker *worker = &s->workers[i];
        *worker = (slc_worker){.index = i, .gateway = (struct slc_gateway *)s};
        worker->loop = slc_loop_new("worker", worker);
        ck_assert(slc_loop_start(worker->loop, &err));
        slc_loop_call_sync(worker->loop, attach, worker);
    }
}

static void detach(void *arg)
{
    slc_worker *worker = arg;
    slc_mediation_detach(worker->mediation);
}

void stage_close(stage *s)
{
    for (unsigned i = 0; i < STAGE_WORKERS; i++) {
        slc_worker *worker = &s->workers[i];
        slc_loop_call_sync(worker->loop, detach, worker);
        slc_loop_stop(worker->loop);
        slc_loop_join(worker->loop);
        slc_loop_free(worker->loop);
    }
    slc_link_unref(s->link);
    slc_mediation_free(s->mediation);
    ck_assert_uint_eq(s->api->refs, 1);
}

static void apply(void *arg)
{
    slc_worker *worker = arg;
    worker->snapshot = (slc_snapshot *)worker->gateway;
    slc_mediation_apply(worker->mediation);
}

void stage_apply(stage *s)
{
    for (unsigned i = 0; i < STAGE_WORKERS; i++)
        slc_loop_call_sync(s->workers[i].loop, apply, &s->workers[i]);
}

static void drain(void *arg)
{
    slc_worker *worker = arg;
    slc_mediation_drain(worker->mediation);
}

void stage_drain(stage *s)
{
    for (unsigned i = 0; i < STAGE_WORKERS; i++)
        slc_loop_call_sync(s->workers[i].loop, drain, &s->workers[i]);
}

static void cut_off(void *arg)
{
    slc_worker *worker = arg;
    slc_mediation_cut_off(worker->mediation);
}

void stage_cut_off(stage *s)
{
    for (unsigned i = 0; i < STAGE_WORKERS; i++)
        slc_loop_call_sync(s->workers[i].loop, cut_off, &s->workers[i]);
}

void stage_append_record(stage *s, const slc_record *parts)
{
    slc_memory_append(s->broker, "topic", parts);
}

void stage_append(stage *s, int32_t partition, const char *value)
{
    const slc_record parts = {.partition = partition,
                              .leader_epoch = -1,
                              .value = (const uint8_t *)value,
                              .value_len = (uint32_t)strlen(value)};
    slc_memory_append(s->broker, "topic", &parts);
}

struct topic_question {
    slc_mediation_worker *worker;
    slc_topic_info info;
};

static void look_at_topic(void *arg)
{
    struct topic_question *question = arg;
    for (unsigned i = 0; i < SLC_API_BUCKETS; i++) {
        const slc_api *api = TAILQ_FIRST(&question->worker->apis[i]);
        if (api != NULL)
            question->info = api->topic;
    }
}

slc_topic_info stage_topic(stage *s)
{
    struct topic_question question = {.worker = s->workers[0].mediation};
    slc_loop_call_sync(s->workers[0].loop, look_at_topic, &question);
    return question.info;
}
