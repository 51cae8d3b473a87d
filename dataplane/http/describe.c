#include "dataplane/http/describe.h"

#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/assert.h"
#include "common/json.h"
#include "dataplane/gateway.h"

#define OPENAPI_TYPE  "application/vnd.oai.openapi+json;version=3.1"
#define ASYNCAPI_TYPE "application/vnd.aai.asyncapi+json;version=3.0.0"

typedef Sluice__Snapshot__V1__EventApi pb_event_api;

static void add_header(slc_exchange *exchange, const char *name, const char *value)
{
    evhttp_add_header(evhttp_request_get_output_headers(exchange->req), name, value);
}

static json_t *operations_of(const pb_event_api *msg)
{
    json_t *names = json_array();
    for (size_t i = 0; i < msg->n_operations; i++) {
        bool publish = msg->operations[i] == SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_PUBLISH;
        json_array_append_new(names, json_string(publish ? "publish" : "read"));
    }
    return names;
}

static void link_to(json_t *links, const pb_event_api *msg, const char *relation, const char *resource)
{
    json_object_set_new(
        links, relation,
        json_pack("{s:o}", "href", json_sprintf("/%s/v%u/%s", msg->name, msg->major, resource)));
}

static json_t *description_of(const pb_event_api *msg)
{
    json_t *exposures = json_array(), *links = json_object();
    for (size_t i = 0; i < msg->n_exposures; i++)
        json_array_append_new(exposures, json_string(msg->exposures[i]));
    link_to(links, msg, "events", "events");
    if (msg->openapi_json[0] != '\0')
        link_to(links, msg, "openapi", "openapi.json");
    if (msg->asyncapi_json[0] != '\0')
        link_to(links, msg, "asyncapi", "asyncapi.json");
    return json_pack("{s:s, s:i, s:s, s:s, s:o, s:o, s:o}", "name", msg->name, "major", (int)msg->major,
                     "title", msg->title, "lifecycle", msg->lifecycle, "operations", operations_of(msg),
                     "exposures", exposures, "links", links);
}

static void reply(slc_exchange *exchange, const char *type, const char *text, size_t len)
{
    struct evbuffer *out = evbuffer_new();
    SLC_BUG_ON(out == NULL);
    evbuffer_add(out, text, len);
    slc_exchange_reply(exchange, 200, type, out);
    evbuffer_free(out);
}

static void reply_description(slc_exchange *exchange)
{
    size_t len = 0;
    json_t *body = description_of(exchange->api->msg);
    char *text = slc_json_print(body, &len);
    reply(exchange, "application/json", text, len);
    free(text);
    json_decref(body);
}

void slc_describe(slc_exchange *exchange, enum slc_api_resource resource, const char *method)
{
    const pb_event_api *msg = exchange->api->msg;
    const char *document = resource == SLC_RESOURCE_OPENAPI ? msg->openapi_json : msg->asyncapi_json;
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        add_header(exchange, "Allow", "GET, HEAD, OPTIONS");
        slc_exchange_problem(exchange, 405, "method-not-allowed", "Method not allowed", NULL, NULL);
    } else if (resource == SLC_RESOURCE_API) {
        reply_description(exchange);
    } else if (document[0] == '\0') {
        slc_exchange_problem(exchange, 404, "not-found", "Not found",
                             "The configuration of this gateway holds no such document.", NULL);
    } else {
        reply(exchange, resource == SLC_RESOURCE_OPENAPI ? OPENAPI_TYPE : ASYNCAPI_TYPE, document,
              strlen(document));
    }
}

static void http_date(int64_t wall_ms, char out[40])
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    snprintf(out, 40, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
             tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

void slc_describe_deprecation(slc_exchange *exchange)
{
    const pb_event_api *msg = exchange->api->msg;
    char text[40];
    if (strcmp(msg->lifecycle, "deprecated") != 0)
        return;
    snprintf(text, sizeof text, "@%lld", (long long)(msg->deprecated_at_ms / 1000));
    add_header(exchange, "Deprecation", text);
    if (msg->sunset_at_ms > 0) {
        http_date(msg->sunset_at_ms, text);
        add_header(exchange, "Sunset", text);
    }
}
