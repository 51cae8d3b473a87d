/* Routing: path → event API → operation → policies → mediation. */
#include "dataplane/http/route.h"

#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/json.h"
#include "common/log.h"
#include "dataplane/http/admit.h"
#include "dataplane/http/describe.h"
#include "dataplane/http/front_private.h"
#include "dataplane/http/proof.h"
#include "dataplane/mediation/mediation.h"
#include "dataplane/policy/policy.h"

#define PUBLISH SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_PUBLISH
#define READ    SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_READ

static void route_events(slc_exchange *exchange, const char *method);
static void route_tickets(slc_exchange *exchange, const char *method);
static void route_description(slc_exchange *exchange, enum slc_api_resource resource, const char *method);
static void add_other_fields(slc_exchange *exchange);

static bool parse_major(const char *text, size_t len, uint32_t *major)
{
    uint32_t value = 0;
    if (len < 2 || len > 10 || text[0] != 'v' || text[1] == '0')
        return false;
    for (size_t i = 1; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (uint32_t)(text[i] - '0');
    }
    *major = value;
    return true;
}

static bool parse_resource(const char *text, enum slc_api_resource *resource)
{
    static const struct {
        const char *text;
        enum slc_api_resource resource;
    } resources[] = {{"", SLC_RESOURCE_API},
                     {"/events", SLC_RESOURCE_EVENTS},
                     {"/events/tickets", SLC_RESOURCE_TICKETS},
                     {"/openapi.json", SLC_RESOURCE_OPENAPI},
                     {"/asyncapi.json", SLC_RESOURCE_ASYNCAPI}};
    for (size_t i = 0; i < sizeof resources / sizeof *resources; i++) {
        if (strcmp(text, resources[i].text) == 0) {
            *resource = resources[i].resource;
            return true;
        }
    }
    return false;
}

bool slc_api_path_parse(const char *path, struct slc_api_path *out)
{
    if (path == NULL || path[0] != '/')
        return false;
    out->name = path + 1;
    out->name_len = strcspn(out->name, "/");
    const char *major = out->name + out->name_len;
    if (out->name_len == 0 || *major != '/')
        return false;
    major++;
    size_t major_len = strcspn(major, "/");
    if (!parse_major(major, major_len, &out->major))
        return false;
    return parse_resource(major + major_len, &out->resource);
}

static void not_found(slc_exchange *exchange)
{
    slc_exchange_problem(exchange, 404, "not-found", "Not found", "There is no event API at this path.", NULL);
}

void slc_http_route(struct evhttp_request *req, void *arg)
{
    struct slc_http_front *front = arg;
    SLC_CHECK_MAGIC(front, SLC_FRONT_MAGIC);
    struct slc_front_listener *listener = slc_httpd_tag(req);
    struct slc_api_path path;
    slc_exchange *exchange = slc_exchange_new(front, req);
    if (exchange->snapshot == NULL || listener == NULL || front->refuse) {
        evhttp_add_header(evhttp_request_get_output_headers(req), "Retry-After", "5");
        slc_exchange_problem(exchange, 503, "unavailable", "No valid configuration",
                             "The gateway has no configuration that it may serve now.", NULL);
        return;
    }
    if (!slc_api_path_parse(evhttp_uri_get_path(evhttp_request_get_evhttp_uri(req)), &path)) {
        not_found(exchange);
        return;
    }
    slc_event_api *api = slc_snapshot_find_api(exchange->snapshot, listener->listener->msg->id, path.name,
                                               path.name_len, path.major);
    if (api == NULL) {
        not_found(exchange);
        return;
    }
    exchange->api = slc_event_api_ref(api);
    slc_describe_deprecation(exchange);
    if (path.resource == SLC_RESOURCE_EVENTS)
        route_events(exchange, slc_http_method(req));
    else if (path.resource == SLC_RESOURCE_TICKETS)
        route_tickets(exchange, slc_http_method(req));
    else
        route_description(exchange, path.resource, slc_http_method(req));
}

static void add_allow(slc_exchange *exchange)
{
    bool publish = slc_event_api_offers(exchange->api, PUBLISH) && slc_event_api_exposes(exchange->api, "rest");
    bool read = slc_event_api_offers(exchange->api, READ);
    const char *allow = publish && read ? "GET, HEAD, POST, OPTIONS"
                        : publish       ? "POST, OPTIONS"
                                        : "GET, HEAD, OPTIONS";
    evhttp_add_header(evhttp_request_get_output_headers(exchange->req), "Allow", allow);
}

static void not_allowed(slc_exchange *exchange)
{
    add_allow(exchange);
    add_other_fields(exchange);
    slc_exchange_problem(exchange, 405, "method-not-allowed", "Method not allowed",
                         "This event API does not offer that operation.", NULL);
}

static const char *get_header(void *protocol, const char *name)
{
    return slc_exchange_header(protocol, name);
}

static const char *get_query(void *protocol, const char *name)
{
    return slc_exchange_query(protocol, name);
}

static void add_header(void *protocol, const char *name, const char *value)
{
    slc_exchange *exchange = protocol;
    evhttp_add_header(evhttp_request_get_output_headers(exchange->req), name, value);
}

static const slc_listener *listener_of(const slc_exchange *exchange)
{
    const struct slc_front_listener *listener = slc_httpd_tag(exchange->req);
    return listener != NULL ? listener->listener : NULL;
}

slc_policy_request slc_exchange_policy_request(slc_exchange *exchange, const char *method)
{
    return (slc_policy_request){.snapshot = exchange->snapshot,
                                .api = exchange->api,
                                .operation = exchange->operation,
                                .client_address = exchange->client_address,
                                .body_bytes = exchange->bytes_in,
                                .header = get_header,
                                .query = get_query,
                                .add_header = add_header,
                                .method = method,
                                .path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(exchange->req)),
                                .protocol = exchange,
                                .token = exchange->token,
                                .certificate = slc_proof_certificate(exchange),
                                .listener = listener_of(exchange),
                                .headers = &exchange->headers,
                                .records = &exchange->records,
                                .connection = slc_exchange_connection_charges,
                                .principal = &exchange->principal,
                                .failures = exchange->worker->failures};
}

/* A page in a browser must be able to read also what is answered without the policies. */
static void add_other_fields(slc_exchange *exchange)
{
    slc_policy_request request = slc_exchange_policy_request(exchange, slc_http_method(exchange->req));
    slc_chain_other_answer(exchange->api->chain, &request);
}

static void deny(slc_exchange *exchange, const slc_denial *denial)
{
    char seconds[24];
    if (denial->retry_after_ms > 0) {
        snprintf(seconds, sizeof seconds, "%lld", (long long)(denial->retry_after_ms + 999) / 1000);
        add_header(exchange, "Retry-After", seconds);
    }
    slc_exchange_note_denial(exchange, denial->reason);
    slc_metrics_denied(denial->status);
    slc_exchange_problem(exchange, denial->status, denial->type, denial->title, denial->detail, NULL);
}

/* A preflight is a policy's to answer; any other OPTIONS lists the methods. `allow` NULL: those of events. */
static void list_methods(slc_exchange *exchange, const char *allow)
{
    evhttp_remove_header(evhttp_request_get_output_headers(exchange->req), "WWW-Authenticate");
    if (slc_exchange_header(exchange, "Access-Control-Request-Method") == NULL)
        add_other_fields(exchange);
    if (allow != NULL)
        add_header(exchange, "Allow", allow);
    else
        add_allow(exchange);
    slc_exchange_empty(exchange, 204);
}

static void answer_preflight(slc_exchange *exchange, enum slc_verdict verdict, const slc_denial *denial)
{
    if (verdict == SLC_ANSWER)
        slc_exchange_empty(exchange, denial->status);
    else
        list_methods(exchange, ((struct slc_exchange_private *)exchange)->allow);
}

static void options(slc_exchange *exchange, const char *allow)
{
    ((struct slc_exchange_private *)exchange)->allow = allow;
    if (slc_exchange_header(exchange, "Access-Control-Request-Method") != NULL)
        slc_admit_then(exchange, "OPTIONS", false, answer_preflight);
    else
        list_methods(exchange, allow);
}

/* What GET would be; reading events for it would be of no use, and a stream would never end. */
static void answer_head(slc_exchange *exchange, bool stream)
{
    struct evbuffer *nothing = evbuffer_new();
    SLC_BUG_ON(nothing == NULL);
    slc_exchange_reply(exchange, 200, stream ? "text/event-stream" : "application/json", nothing);
    evbuffer_free(nothing);
}

static bool is_stream(slc_exchange *exchange)
{
    return exchange->operation == READ && slc_read_kind(exchange) == SLC_READ_STREAM;
}

/* An operation that the API offers, by whoever sends it. */
static void handle(slc_exchange *exchange, enum slc_verdict verdict, const slc_denial *denial)
{
    const char *method = slc_http_method(exchange->req);
    bool stream = is_stream(exchange);
    struct slc_http_front *front = exchange->private_http;
    const slc_gateway_limits *limits = slc_gateway_limits_of(exchange->worker->gateway);
    if (verdict == SLC_ALLOW && !stream)
        slc_exchange_note_connection(exchange);
    if (verdict == SLC_ANSWER)
        slc_exchange_empty(exchange, denial->status);
    else if (verdict != SLC_ALLOW)
        deny(exchange, denial);
    else if (stream && exchange->outdated)
        slc_exchange_problem(exchange, 503, "configuration-changing", "Configuration is changing",
                             "This listener is being closed; connect again.", NULL);
    else if (stream && front->streams >= limits->streams)
        slc_exchange_problem(exchange, 503, "too-many-streams", "Too many streams",
                             "This gateway has as many open streams as it may; retry later.", NULL);
    else if (strcmp(method, "HEAD") == 0)
        answer_head(exchange, stream);
    else if (exchange->operation == PUBLISH)
        slc_publish_handle(exchange);
    else
        slc_read_handle(exchange);
}

static void dispatch(slc_exchange *exchange)
{
    slc_admit_then(exchange, slc_http_method(exchange->req), is_stream(exchange), handle);
}

static void not_acceptable(slc_exchange *exchange)
{
    bool pages = slc_event_api_exposes(exchange->api, "rest"),
         streams = slc_event_api_exposes(exchange->api, "sse");
    add_other_fields(exchange);
    slc_exchange_problem(exchange, 406, "not-acceptable", "Not acceptable",
                         pages && streams ? "Events come as application/json or text/event-stream."
                         : pages          ? "Events of this API come as application/json."
                         : streams        ? "Events of this API come as text/event-stream."
                                          : "This event API is not offered over HTTP.",
                         NULL);
}

static void route_events(slc_exchange *exchange, const char *method)
{
    bool read = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    enum slc_read_kind kind = read ? slc_read_kind(exchange) : SLC_READ_PAGE;
    if (strcmp(method, "OPTIONS") == 0) {
        options(exchange, NULL);
        return;
    }
    if (!read && strcmp(method, "POST") != 0) {
        not_allowed(exchange);
        return;
    }
    exchange->operation = read ? READ : PUBLISH;
    if (read)
        add_header(exchange, "Vary", "Accept");
    if (!slc_event_api_offers(exchange->api, exchange->operation) ||
        (!read && !slc_event_api_exposes(exchange->api, "rest")))
        not_allowed(exchange);
    else if (kind == SLC_READ_NEITHER)
        not_acceptable(exchange);
    else
        slc_proof_then(exchange, dispatch);
}

static void handle_ticket(slc_exchange *exchange, enum slc_verdict verdict, const slc_denial *denial)
{
    if (verdict == SLC_ANSWER)
        slc_exchange_empty(exchange, denial->status);
    else if (verdict != SLC_ALLOW)
        deny(exchange, denial);
    else
        slc_tickets_handle(exchange);
}

static void dispatch_ticket(slc_exchange *exchange)
{
    slc_admit_then(exchange, "POST", false, handle_ticket);
}

/* A ticket is for streams: who may not open one gets none. */
static void route_tickets(slc_exchange *exchange, const char *method)
{
    if (strcmp(method, "OPTIONS") == 0) {
        options(exchange, "POST, OPTIONS");
        return;
    }
    exchange->operation = READ;
    if (strcmp(method, "POST") != 0 || !slc_event_api_offers(exchange->api, READ)) {
        add_header(exchange, "Allow", "POST, OPTIONS");
        add_other_fields(exchange);
        slc_exchange_problem(exchange, 405, "method-not-allowed", "Method not allowed",
                             "Tickets are made by POST, for event APIs that can be read.", NULL);
    } else if (!slc_event_api_exposes(exchange->api, "sse")) {
        add_other_fields(exchange);
        slc_exchange_problem(exchange, 406, "not-acceptable", "Not acceptable",
                             "This event API is not offered as server-sent events.", NULL);
    } else {
        slc_proof_then(exchange, dispatch_ticket);
    }
}

/* A page that sends its key along asks by a preflight first. */
static void route_description(slc_exchange *exchange, enum slc_api_resource resource, const char *method)
{
    if (strcmp(method, "OPTIONS") == 0) {
        options(exchange, "GET, HEAD, OPTIONS");
        return;
    }
    add_other_fields(exchange);
    slc_describe(exchange, resource, method);
}
