/* Requests that read: a query and fields become a start within bounds, or one answer; and nothing that we did
 * not sign is a cursor. Input: the query, a newline, Accept, a newline, Last-Event-ID. */
#include <ctype.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "dataplane/mediation/problem.h"
#include "dataplane/mediation/read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct evkeyvalq query, fields;
static bool query_is_valid;
static unsigned answers;

/* What read.c calls
 * ------------------------------------------------------------------------------------------------------------
 */

const char *slc_exchange_query(slc_exchange *exchange, const char *name)
{
    (void)exchange;
    return evhttp_find_header(&query, name);
}

bool slc_exchange_query_is_valid(slc_exchange *exchange)
{
    (void)exchange;
    return query_is_valid;
}

bool slc_exchange_query_repeats(slc_exchange *exchange, const char *name)
{
    (void)exchange;
    const struct evkeyval *parameter;
    unsigned count = 0;
    TAILQ_FOREACH (parameter, &query, next)
        count += strcasecmp(parameter->key, name) == 0;
    return count > 1;
}

const char *slc_exchange_header(slc_exchange *exchange, const char *name)
{
    (void)exchange;
    return evhttp_find_header(&fields, name);
}

void slc_problem(slc_exchange *exchange, enum slc_problem_kind kind, const char *detail)
{
    (void)exchange;
    (void)detail;
    SLC_BUG_ON(kind != SLC_PROBLEM_CURSOR);
    answers++;
}

void slc_problem_with(slc_exchange *exchange, enum slc_problem_kind kind, const char *detail, json_t *extra)
{
    (void)exchange;
    SLC_BUG_ON(kind != SLC_PROBLEM_PARAMETER || detail == NULL || extra == NULL);
    json_decref(extra);
    answers++;
}

void slc_stream_handle(slc_exchange *exchange)
{
    (void)exchange;
}

void slc_page_handle(slc_exchange *exchange)
{
    (void)exchange;
}

/* Requests
 * ------------------------------------------------------------------------------------------------------------
 */

static void init_codec(slc_cursor_codec *codec)
{
    static uint8_t key_bytes[32];
    static Sluice__Snapshot__V1__CursorKey key = SLUICE__SNAPSHOT__V1__CURSOR_KEY__INIT;
    static Sluice__Snapshot__V1__CursorKey *keys[] = {&key};
    static Sluice__Snapshot__V1__Backend backend_msg = SLUICE__SNAPSHOT__V1__BACKEND__INIT;
    static Sluice__Snapshot__V1__EventApi msg = SLUICE__SNAPSHOT__V1__EVENT_API__INIT;
    static slc_backend backend = {.msg = &backend_msg};
    static slc_vcluster vcluster = {.backend = &backend};
    static slc_event_api event_api = {.msg = &msg, .vcluster = &vcluster, .backend_topic = (char *)"topic"};
    slc_error err;
    key.id = 1;
    key.key = (ProtobufCBinaryData){sizeof key_bytes, key_bytes};
    backend_msg.id = (char *)"backend";
    msg.id = msg.name = (char *)"api";
    msg.cursor_keys = keys;
    msg.n_cursor_keys = 1;
    SLC_BUG_ON(!slc_cursor_codec_init(codec, &event_api, &err));
}

static void parse(bool stream)
{
    static const slc_gateway_limits limits = {.page_max_events = 1000, .page_max_wait_ms = 30000};
    slc_mediation_worker worker = {.limits = &limits};
    slc_api api = {.worker = &worker};
    slc_exchange exchange = {0};
    slc_read_request request;
    init_codec(&api.codec);
    answers = 0;
    if (!slc_read_request_parse(&exchange, &api, stream, &request)) {
        SLC_BUG_ON(answers != 1);
        return;
    }
    SLC_BUG_ON(answers != 0 || request.start == SLC_START_CURSOR);
    SLC_BUG_ON(request.start != SLC_START_EARLIEST && request.start_ms < 0);
    SLC_BUG_ON(request.limit < 1 || request.limit > limits.page_max_events);
    SLC_BUG_ON(request.wait_ms < 0 || request.wait_ms > limits.page_max_wait_ms);
}

static char *take_line(const char **at, const char *end)
{
    const char *newline = memchr(*at, '\n', (size_t)(end - *at));
    const char *stop = newline != NULL ? newline : end;
    char *line = slc_strndup(*at, (size_t)(stop - *at));
    *at = newline != NULL ? newline + 1 : end;
    return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char empty[1];
    const char *at = size > 0 ? (const char *)data : empty, *end = at + size;
    char *text = take_line(&at, end), *accept = take_line(&at, end), *last = take_line(&at, end);
    TAILQ_INIT(&query);
    TAILQ_INIT(&fields);
    query_is_valid = text[0] == '\0' || evhttp_parse_query_str(text, &query) == 0;
    (void)!evhttp_add_header(&fields, "Accept", accept);
    (void)!evhttp_add_header(&fields, "Prefer", accept);
    (void)!evhttp_add_header(&fields, "Last-Event-ID", last);
    /* A list of something, but no media range at all; an empty one says no more than none. */
    if (strchr(accept, '/') == NULL && isalnum((unsigned char)accept[strspn(accept, " \t,")]))
        SLC_BUG_ON(evhttp_find_header(&fields, "Accept") != NULL &&
                   slc_read_kind_of(&fields, true, true) != SLC_READ_NEITHER);
    if (slc_read_kind_of(&fields, true, true) == SLC_READ_STREAM)
        SLC_BUG_ON(strcasestr(accept, "text/") == NULL);
    if (slc_prefers(&fields, "respond-async"))
        SLC_BUG_ON(strcasestr(accept, "respond-async") == NULL);
    parse(true);
    parse(false);
    evhttp_clear_headers(&query);
    evhttp_clear_headers(&fields);
    free(text);
    free(accept);
    free(last);
    return 0;
}
