/* Pages: {events, next, caught_up}. Whatever one record holds, the page has it; `next` is always there. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "dataplane/mediation/problem.h"
#include "dataplane/mediation/read.h"
#include "dataplane/policy/policy.h"

#define PAGE_MAGIC      0x50414745U
#define PAGE_START      "{\"events\":["
#define PAGE_LIMIT      (4ULL << 30) /* page.max-size and one event more, whose rendering is bounded */
#define FIRST_ANSWER_MS 5000 /* to find the place and what is there, when the client does not wait longer */

typedef struct slc_page {
    unsigned magic;
    slc_reader reader;
    slc_exchange *exchange;
    slc_buf text; /* the answer so far: grows by whole events */
    unsigned count;
    int64_t limit;
    int64_t wait_ms;
    int64_t deadline_ms; /* monotonic: answers with what there is */
    struct event *timer;
    bool patient;              /* got time beyond its own to find its place */
    struct question *question; /* expired: the log's start and end are being asked for */
    slc_position *resume;      /* expired: where to go on; NULL: the stream was made anew */
    int64_t *earliest;
    int32_t partitions;
    TAILQ_ENTRY(slc_page) entry;
} slc_page;

static slc_page *page_of(slc_reader *reader)
{
    slc_page *page = (slc_page *)((char *)reader - offsetof(slc_page, reader));
    SLC_CHECK_MAGIC(page, PAGE_MAGIC);
    return page;
}

static void forget_question(slc_page *page);

static slc_exchange *page_free(slc_page *page)
{
    slc_exchange *exchange = page->exchange;
    slc_mediation_worker *worker = exchange->worker->mediation;
    slc_api *api = page->reader.api;
    TAILQ_REMOVE(&worker->all_pages, page, entry);
    worker->pages--;
    slc_reader_release(&page->reader);
    forget_question(page);
    event_free(page->timer);
    slc_buf_release(&page->text);
    free(page->resume);
    free(page->earliest);
    page->magic = 0;
    free(page);
    slc_api_settle(api);
    return exchange;
}

/* Answers
 * ---------------------------------------------------------------------------------------------------------- */

static void fail_page(slc_page *page, enum slc_problem_kind kind)
{
    slc_problem(page_free(page), kind, NULL);
}

static void free_text(const void *data, size_t len, void *text)
{
    (void)data;
    (void)len;
    free(text);
}

/* The text as a body, without a copy. */
static struct evbuffer *take_body(slc_page *page)
{
    size_t len;
    char *text = slc_buf_steal(&page->text, &len);
    struct evbuffer *body = evbuffer_new();
    SLC_BUG_ON(body == NULL || evbuffer_add_reference(body, text, len, free_text, text) != 0);
    return body;
}

static void answer(slc_page *page)
{
    slc_frame_id *id = slc_reader_id(&page->reader);
    if (id == NULL) { /* not even its place is known */
        fail_page(page, page->reader.api->failing ? slc_problem_of(&page->reader.api->err)
                                                  : SLC_PROBLEM_BACKEND_UNAVAILABLE);
        return;
    }
    bool caught_up = slc_reader_caught_up(&page->reader);
    if (page->count == 0)
        slc_buf_adds(&page->text, PAGE_START);
    slc_buf_adds(&page->text, "],\"next\":\"");
    slc_buf_add(&page->text, id->text + 4, id->len - 5);
    slc_buf_adds(&page->text, caught_up ? "\",\"caught_up\":true}" : "\",\"caught_up\":false}");
    SLC_BUG_ON(page->text.overflow); /* the limit leaves room for this */
    page->reader.api->page_bytes = page->text.len;
    struct evbuffer *body = take_body(page);
    page->exchange->events = page->count;
    slc_series_add(page->reader.api->delivered, page->count);
    slc_exchange *exchange = page_free(page);
    evhttp_add_header(evhttp_request_get_output_headers(exchange->req), "Cache-Control", "no-store");
    slc_exchange_reply(exchange, 200, "application/json", body);
    evbuffer_free(body);
}

static json_t *cursor_json(const slc_page *page, const slc_position *positions)
{
    const slc_api *api = page->reader.api;
    slc_frame_id *id = slc_frame_id_new(&api->codec, api->ring.topic_id, positions, page->partitions);
    json_t *text = json_stringn(id->text + 4, id->len - 5);
    slc_frame_id_unref(id);
    return text;
}

static json_t *cursor_of_offsets(const slc_page *page, const int64_t *offsets)
{
    slc_position *positions = slc_calloc((size_t)page->partitions, sizeof *positions);
    for (int32_t i = 0; i < page->partitions; i++)
        positions[i] = (slc_position){offsets[i], -1};
    json_t *text = cursor_json(page, positions);
    free(positions);
    return text;
}

/* Expired: where to go on is part of the answer, which takes two more questions.
 * ----------------------------------- */

typedef struct question {
    slc_message msg;
    slc_page *page; /* NULL: has gone */
    slc_api *api;
    slc_tally *tally;
    slc_loop *loop;
    int64_t *offsets;
    int32_t count;
} question;

static void forget_question(slc_page *page)
{
    if (page->question != NULL)
        page->question->page = NULL;
    page->question = NULL;
}

static void take_bounds(slc_message *msg, void *owner);

static void on_bounds(void *ctx, const int64_t *offsets, int32_t count, const slc_error *err)
{
    question *asked = ctx;
    slc_tally *tally = asked->tally;
    if (err == NULL) {
        asked->offsets = slc_memdup(offsets, (size_t)count * sizeof *offsets);
        asked->count = count;
    }
    asked->msg.run = take_bounds;
    slc_mailbox_post(slc_loop_mailbox(asked->loop), &asked->msg);
    slc_tally_end(tally);
}

static void ask(slc_page *page, int64_t which)
{
    slc_api *api = page->reader.api;
    question *asked = slc_calloc(1, sizeof *asked);
    *asked =
        (question){.page = page, .api = api, .tally = api->worker->tally, .loop = api->worker->worker->loop};
    page->question = asked;
    api->references++;
    slc_tally_begin(asked->tally);
    api->link->ops->offsets(api->link->broker, api->api->backend_topic, page->partitions, which,
                            FIRST_ANSWER_MS, on_bounds, asked);
}

/* Only the partitions that are out of range are moved, to what the log holds. */
static void move_into_range(slc_page *page, const int64_t *latest)
{
    for (int32_t i = 0; i < page->partitions; i++) {
        if (page->resume[i].next < page->earliest[i])
            page->resume[i] = (slc_position){page->earliest[i], -1};
        if (page->resume[i].next > latest[i])
            page->resume[i] = (slc_position){latest[i], -1};
    }
}

static void answer_gone(slc_page *page, const int64_t *latest)
{
    bool recreated = page->resume == NULL;
    json_t *extra = json_object();
    if (!recreated)
        move_into_range(page, latest);
    json_object_set_new(extra, "resume",
                        recreated ? cursor_of_offsets(page, page->earliest) : cursor_json(page, page->resume));
    json_object_set_new(extra, "earliest", cursor_of_offsets(page, page->earliest));
    json_object_set_new(extra, "latest", cursor_of_offsets(page, latest));
    slc_problem_with(page_free(page), recreated ? SLC_PROBLEM_RECREATED : SLC_PROBLEM_CURSOR_EXPIRED, NULL,
                     extra);
}

static void take_bounds(slc_message *msg, void *owner)
{
    (void)owner;
    question *asked = (question *)msg;
    slc_api *api = asked->api;
    slc_page *page = asked->page;
    api->references--;
    if (page != NULL) {
        page->question = NULL;
        if (asked->offsets == NULL || asked->count < page->partitions) {
            fail_page(page, SLC_PROBLEM_BACKEND_UNAVAILABLE);
        } else if (page->earliest == NULL) {
            page->earliest = slc_memdup(asked->offsets, (size_t)asked->count * sizeof *asked->offsets);
            ask(page, SLC_OFFSET_LATEST);
        } else {
            answer_gone(page, asked->offsets);
        }
    }
    free(asked->offsets);
    free(asked);
    slc_api_settle(api);
}

/* Reading
 * ---------------------------------------------------------------------------------------------------------- */

static bool is_full(const slc_page *page)
{
    const slc_worker *worker = page->exchange->worker;
    const slc_gateway_limits *limits = worker->mediation->limits;
    return page->count >= page->limit || page->text.len >= (size_t)limits->page_max_bytes ||
           (page->count > 0 && (worker->page_bytes.total >= (size_t)limits->pages_bytes ||
                                page->exchange->page_holder->bytes >= (size_t)limits->application_bytes));
}

/* Most pages are as long as the one before: no growing by steps, which copies. */
static void make_room(slc_page *page)
{
    size_t last = page->reader.api->page_bytes;
    slc_buf_reserve(&page->text, last + last / 16);
}

static void add(slc_page *page)
{
    slc_reader *reader = &page->reader;
    if (page->count == 0)
        make_room(page);
    slc_buf_adds(&page->text, page->count++ > 0 ? "," : PAGE_START);
    bool added = slc_reader_add_json(reader, &page->text);
    SLC_BUG_ON(!added); /* its limit is beyond a full page and the largest record */
    slc_exchange *exchange = page->exchange;
    if (exchange->span != NULL)
        slc_reader_trace(reader, exchange->span);
    slc_reader_advance(reader);
    slc_page_bytes_add(&exchange->worker->page_bytes, exchange->page_holder,
                       page->text.len - exchange->page_bytes);
    exchange->page_bytes = page->text.len;
}

/* The backend is out of reach, and there is nothing to show: an empty page would pass for the end of the
 * stream. A page that waits goes on waiting, since the backend may be back in time. */
static bool is_hopeless(const slc_page *page)
{
    const slc_api *api = page->reader.api;
    bool waits = page->wait_ms > 0 && api->err.code != SLC_NOT_FOUND;
    return api->failing && (!page->reader.placed || (page->count == 0 && !waits));
}

/* Nothing is there now: is that the answer? */
static bool is_finished(const slc_page *page)
{
    const slc_reader *reader = &page->reader;
    if (page->count > 0)
        return reader->ring != NULL && reader->scan == NULL;
    return page->wait_ms == 0 && slc_reader_caught_up(reader);
}

/* At a record that cannot be shown yet: what comes before it need not wait for that. */
static void wait_for_policies(slc_page *page)
{
    if (page->count > 0)
        answer(page);
    else if (page->reader.unreachable && page->wait_ms == 0)
        fail_page(page, SLC_PROBLEM_RECORD_UNAVAILABLE);
}

static void collect(slc_page *page)
{
    slc_reader *reader = &page->reader;
    if (page->question != NULL)
        return;
    if (is_hopeless(page)) {
        fail_page(page, slc_problem_of(&reader->api->err));
        return;
    }
    while (!is_full(page)) {
        enum slc_peek found = slc_reader_peek(reader);
        if (found == SLC_PEEK_ENDED)
            return;
        if (found == SLC_PEEK_NOTHING) {
            if (slc_reader_waits_for_policies(reader))
                wait_for_policies(page);
            else if (is_finished(page))
                answer(page);
            return;
        }
        add(page);
    }
    answer(page);
}

static void on_wake(slc_reader *reader)
{
    collect(page_of(reader));
}

static bool on_gap(slc_reader *reader, int32_t partition, int64_t from, int64_t to)
{
    slc_page *page = page_of(reader);
    (void)to;
    if (page->count > 0) { /* the next page meets the gap */
        reader->own[partition].next = from;
        answer(page);
        return false;
    }
    page->partitions = reader->own_count;
    page->resume = slc_memdup(reader->own, (size_t)reader->own_count * sizeof *reader->own);
    page->resume[partition].next = from;
    ask(page, SLC_OFFSET_EARLIEST);
    return false;
}

static bool on_recreated(slc_reader *reader)
{
    slc_page *page = page_of(reader);
    page->partitions = reader->api->ring.partitions;
    ask(page, SLC_OFFSET_EARLIEST);
    return false;
}

static bool on_crowded(slc_reader *reader)
{
    slc_page *page = page_of(reader);
    if (page->count > 0)
        answer(page);
    else
        fail_page(page, SLC_PROBLEM_CROWDED);
    return false;
}

static void on_refused(slc_reader *reader, const slc_error *err)
{
    fail_page(page_of(reader), slc_problem_of(err));
}

static void on_removed(slc_reader *reader)
{
    fail_page(page_of(reader), SLC_PROBLEM_REMOVED);
}

static const slc_reader_ops page_ops = {on_wake, on_gap, on_recreated, on_crowded, on_refused, on_removed};

/* Start and end
 * ---------------------------------------------------------------------------------------------------- */

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    slc_page *page = arg;
    SLC_CHECK_MAGIC(page, PAGE_MAGIC);
    if (page->question != NULL) {
        fail_page(page, SLC_PROBLEM_BACKEND_UNAVAILABLE);
    } else if (!page->reader.placed && !page->patient) { /* a feed that begins just now */
        static const struct timeval more = {.tv_sec = FIRST_ANSWER_MS / 1000};
        page->patient = true;
        event_add(page->timer, &more);
    } else if (page->reader.api->failing && page->count == 0) {
        fail_page(page, slc_problem_of(&page->reader.api->err));
    } else if (page->count == 0 && slc_reader_waits_for_policies(&page->reader)) {
        fail_page(page, SLC_PROBLEM_RECORD_UNAVAILABLE);
    } else {
        answer(page);
    }
}

static void on_abort(slc_exchange *exchange, void *ctx)
{
    slc_page *page = ctx;
    SLC_CHECK_MAGIC(page, PAGE_MAGIC);
    page_free(page);
    slc_exchange_abandon(exchange);
}

/* False: the exchange was answered. */
static bool has_room(slc_exchange *exchange)
{
    const slc_gateway_limits *limits = exchange->worker->mediation->limits;
    const slc_page_bytes *held = &exchange->worker->page_bytes;
    if (held->total >= (size_t)limits->pages_bytes)
        slc_problem(exchange, SLC_PROBLEM_TOO_MANY_PAGES, NULL);
    else if (slc_page_bytes_of(held, exchange->principal.application_id) >= (size_t)limits->application_bytes)
        slc_problem(exchange, SLC_PROBLEM_TOO_MANY_PAGES,
                    "More pages of this application wait to be taken than the gateway holds for one.");
    else
        return true;
    return false;
}

void slc_page_handle(slc_exchange *exchange)
{
    slc_read_request request;
    slc_mediation_worker *worker = exchange->worker->mediation;
    slc_api *api = slc_api_of(exchange);
    if (api == NULL || !slc_read_request_parse(exchange, api, false, &request))
        return;
    if (!has_room(exchange)) {
        slc_cursor_release(&request.cursor);
        return;
    }
    slc_page *page = slc_calloc(1, sizeof *page);
    page->magic = PAGE_MAGIC;
    page->exchange = exchange;
    exchange->page_holder =
        slc_page_bytes_begin(&exchange->worker->page_bytes, exchange->principal.application_id);
    slc_buf_init(&page->text, PAGE_LIMIT);
    page->limit = request.limit;
    page->wait_ms = request.wait_ms;
    int64_t patience_ms = request.wait_ms > 0 ? request.wait_ms : FIRST_ANSWER_MS;
    struct timeval patience = {.tv_sec = patience_ms / 1000, .tv_usec = patience_ms % 1000 * 1000};
    page->timer = event_new(slc_loop_base(exchange->worker->loop), -1, 0, on_timer, page);
    event_add(page->timer, &patience);
    TAILQ_INSERT_TAIL(&worker->all_pages, page, entry);
    worker->pages++;
    exchange->ctx = page;
    exchange->on_abort = on_abort;
    slc_reader_init(&page->reader, api, &page_ops, request.start, request.start_ms, &request.cursor, true);
    slc_cursor_release(&request.cursor);
    slc_reader_set_lens(&page->reader, slc_lens_get(api, exchange, exchange->snapshot));
    collect(page);
}

/* A page that waits may wait for what its caller may not see any more. */
void slc_pages_recheck(slc_api *api)
{
    slc_reader *next, *reader = TAILQ_FIRST(&api->readers);
    for (; reader != NULL; reader = next) {
        next = TAILQ_NEXT(reader, entry);
        if (reader->ops != &page_ops)
            continue;
        slc_page *page = page_of(reader);
        slc_exchange *exchange = page->exchange;
        slc_snapshot *snapshot = api->worker->worker->snapshot;
        if (snapshot != NULL && !slc_principal_still_granted(snapshot, api->api, exchange->operation,
                                                             exchange->client_address, &exchange->principal))
            fail_page(page, SLC_PROBLEM_REVOKED);
        else if (snapshot != NULL && !slc_reader_follow(reader, exchange, snapshot))
            fail_page(page, SLC_PROBLEM_REVOKED);
        else if (exchange->outdated && page->question == NULL)
            answer(page);
    }
}

void slc_pages_drain(slc_mediation_worker *worker)
{
    slc_page *next, *page = TAILQ_FIRST(&worker->all_pages);
    for (; page != NULL; page = next) {
        next = TAILQ_NEXT(page, entry);
        if (page->question == NULL)
            answer(page);
    }
}

/* What a page has collected so far is not shown either: the same cursor brings it again. */
unsigned slc_pages_cut_off(slc_mediation_worker *worker)
{
    slc_page *page;
    unsigned count = 0;
    for (; (page = TAILQ_FIRST(&worker->all_pages)) != NULL; count++)
        fail_page(page, SLC_PROBLEM_CUT_OFF);
    return count;
}
