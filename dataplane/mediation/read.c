#include "dataplane/mediation/read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "dataplane/mediation/problem.h"

#define DEFAULT_LIMIT 100

static bool bad_parameter(slc_exchange *exchange, const char *name, const char *detail)
{
    json_t *extra = json_pack("{s:[{s:s, s:s}]}", "errors", "parameter", name, "detail", detail);
    slc_problem_with(exchange, SLC_PROBLEM_PARAMETER, detail, extra);
    return false;
}

static bool parse_whole(const char *text, int64_t max, int64_t *out)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < 0 || value > max)
        return false;
    *out = value;
    return true;
}

/* Seconds, or milliseconds with "ms": "5", "2.5" is not taken, "250ms" is. */
static bool parse_wait(const char *text, int64_t max_ms, int64_t *out)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || value < 0 || value > INT32_MAX)
        return false;
    if (*end == '\0' || strcmp(end, "s") == 0)
        value *= 1000;
    else if (strcmp(end, "ms") != 0)
        return false;
    *out = value > max_ms ? max_ms : value;
    return true;
}

static bool parse_from(slc_exchange *exchange, const char *from, slc_read_request *request)
{
    if (strcmp(from, "earliest") == 0) {
        request->start = SLC_START_EARLIEST;
    } else if (strcmp(from, "latest") == 0) {
        request->start = SLC_START_LATEST;
    } else if (slc_rfc3339_parse(from, strlen(from), &request->start_ms) && request->start_ms >= 0) {
        request->start = SLC_START_TIME;
    } else {
        return bad_parameter(exchange, "from", "from is earliest, latest or a time like 2026-01-31T12:00:00Z.");
    }
    return true;
}

static bool parse_cursor(slc_exchange *exchange, const slc_api *api, const char *text,
                         slc_read_request *request)
{
    slc_error err;
    request->start = SLC_START_CURSOR;
    if (slc_cursor_decode(&api->codec, text, strlen(text), &request->cursor, &err))
        return true;
    slc_problem(exchange, SLC_PROBLEM_CURSOR, NULL);
    return false;
}

static bool parse_start(slc_exchange *exchange, const slc_api *api, bool stream, slc_read_request *request)
{
    const char *last = stream ? slc_exchange_header(exchange, "Last-Event-ID") : NULL;
    const char *cursor = slc_exchange_query(exchange, "cursor");
    const char *from = slc_exchange_query(exchange, "from");
    request->start_ms = slc_wall_ms();
    if (last != NULL && last[0] != '\0')
        return parse_cursor(exchange, api, last, request);
    if (cursor != NULL)
        return parse_cursor(exchange, api, cursor, request);
    if (from != NULL)
        return parse_from(exchange, from, request);
    request->start = stream ? SLC_START_LATEST : SLC_START_EARLIEST;
    return true;
}

bool slc_read_request_parse(slc_exchange *exchange, const slc_api *api, bool stream, slc_read_request *request)
{
    const slc_gateway_limits *limits = api->worker->limits;
    const char *limit = slc_exchange_query(exchange, "limit");
    const char *wait = slc_exchange_query(exchange, "wait");
    *request = (slc_read_request){.limit = DEFAULT_LIMIT};
    if (request->limit > limits->page_max_events)
        request->limit = limits->page_max_events;
    if (limit != NULL &&
        (!parse_whole(limit, limits->page_max_events, &request->limit) || request->limit == 0)) {
        char text[96];
        snprintf(text, sizeof text, "limit is a number from 1 to %lld.", (long long)limits->page_max_events);
        return bad_parameter(exchange, "limit", text);
    }
    if (wait != NULL && !parse_wait(wait, limits->page_max_wait_ms, &request->wait_ms))
        return bad_parameter(exchange, "wait", "wait is a time in seconds, or in milliseconds like 250ms.");
    return parse_start(exchange, api, stream, request);
}

static bool accepts_json(const char *accept)
{
    return accept == NULL || strcasestr(accept, "application/json") != NULL || strstr(accept, "*/*") != NULL ||
           strcasestr(accept, "application/*") != NULL;
}

void slc_read_handle(slc_exchange *exchange)
{
    const char *accept = slc_exchange_header(exchange, "Accept");
    evhttp_add_header(evhttp_request_get_output_headers(exchange->req), "Vary", "Accept");
    if (exchange->worker->mediation->draining)
        slc_problem(exchange, SLC_PROBLEM_DRAINING, NULL);
    else if (accept != NULL && strcasestr(accept, "text/event-stream") != NULL)
        slc_stream_handle(exchange);
    else if (accepts_json(accept))
        slc_page_handle(exchange);
    else
        slc_problem(exchange, SLC_PROBLEM_NOT_ACCEPTABLE, NULL);
}

void slc_readers_end(slc_api *api)
{
    slc_reader *reader;
    while ((reader = TAILQ_FIRST(&api->readers)) != NULL)
        reader->ops->removed(reader);
}
