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

/* strtoll would take spaces and signs before it. */
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool parse_whole(const char *text, int64_t max, int64_t *out)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (!is_digit(text[0]) || errno != 0 || *end != '\0' || value > max)
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
    if (!is_digit(text[0]) || errno != 0 || value > INT32_MAX)
        return false;
    if (*end == '\0' || strcmp(end, "s") == 0)
        value *= 1000;
    else if (strcmp(end, "ms") != 0)
        return false;
    *out = value > max_ms ? max_ms : value;
    return true;
}

/* "+" in a query is a space: a time with an offset comes here as 2026-01-31T12:00:00 01:00. */
static bool parse_time(const char *text, int64_t *ms)
{
    char copy[64];
    size_t len = strlen(text);
    if (len >= sizeof copy)
        return false;
    memcpy(copy, text, len + 1);
    if (len > 6 && copy[len - 6] == ' ')
        copy[len - 6] = '+';
    return slc_rfc3339_parse(copy, len, ms);
}

static bool parse_from(slc_exchange *exchange, const char *from, slc_read_request *request)
{
    if (strcmp(from, "earliest") == 0) {
        request->start = SLC_START_EARLIEST;
    } else if (strcmp(from, "latest") == 0) {
        request->start = SLC_START_LATEST;
    } else if (parse_time(from, &request->start_ms)) { /* Kafka has no times before 1970 */
        request->start = request->start_ms < 0 ? SLC_START_EARLIEST : SLC_START_TIME;
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
    static const char *const names[] = {"cursor", "from", "limit", "wait"};
    const slc_gateway_limits *limits = api->worker->limits;
    const char *limit = stream ? NULL : slc_exchange_query(exchange, "limit");
    const char *wait = stream ? NULL : slc_exchange_query(exchange, "wait");
    *request = (slc_read_request){.limit = DEFAULT_LIMIT};
    if (!slc_exchange_query_is_valid(exchange)) /* else a cursor would be overlooked, and all read again */
        return bad_parameter(exchange, "", "The query is not of the form name=value&name=value.");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (slc_exchange_query_repeats(exchange, names[i]))
            return bad_parameter(exchange, names[i], "A parameter comes once.");
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

void slc_read_handle(slc_exchange *exchange)
{
    enum slc_read_kind kind = slc_read_kind(exchange);
    if (exchange->worker->mediation->draining)
        slc_problem(exchange, SLC_PROBLEM_DRAINING, NULL);
    else if (kind == SLC_READ_STREAM)
        slc_stream_handle(exchange);
    else if (kind == SLC_READ_PAGE)
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
