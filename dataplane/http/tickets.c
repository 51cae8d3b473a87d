/* POST /{api}/v{major}/events/tickets: mints a ticket for who asks. */
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "common/clock.h"
#include "common/json.h"
#include "dataplane/http/front_private.h"
#include "dataplane/policy/ticket.h"

#define MAX_BODY 4096

static void refuse(slc_exchange *exchange, int status, const char *type, const char *detail)
{
    slc_exchange_problem(exchange, status, type, status == 422 ? "Invalid origin" : "Invalid request", detail,
                         NULL);
}

/* The body's origin, or NULL. False: the exchange was answered. */
static bool read_body(slc_exchange *exchange, json_t **body, const char **origin)
{
    slc_error err;
    struct evbuffer *in = evhttp_request_get_input_buffer(exchange->req);
    size_t len = evbuffer_get_length(in);
    *body = NULL;
    *origin = NULL;
    if (len == 0)
        return true;
    *body = slc_json_parse((const char *)evbuffer_pullup(in, -1), len, MAX_BODY, &err);
    const json_t *value = json_object_get(*body, "origin");
    bool fine = json_is_object(*body) && json_object_size(*body) == (value != NULL ? 1 : 0) &&
                (value == NULL || json_is_string(value));
    *origin = json_string_value(value);
    if (!fine)
        refuse(exchange, 400, "invalid-json",
               "The body is empty, or JSON like {\"origin\": \"https://shop.example\"}.");
    return fine;
}

/* From the body, from the request's field, or none. False: the exchange was answered. */
static bool find_origin(slc_exchange *exchange, const char *wanted, char *origin)
{
    char sent[SLC_TICKET_MAX_ORIGIN + 1] = "";
    const char *field = slc_exchange_header(exchange, "Origin");
    origin[0] = '\0';
    if ((wanted != NULL && !slc_origin_parse(wanted, origin)) ||
        (field != NULL && !slc_origin_parse(field, sent))) {
        refuse(exchange, 422, "invalid-origin",
               "An origin is http:// or https:// with a host and perhaps a port.");
        return false;
    }
    if (wanted != NULL && field != NULL && strcmp(origin, sent) != 0) {
        refuse(exchange, 422, "invalid-origin", "A page gets tickets for its own origin only.");
        return false;
    }
    if (field != NULL)
        memcpy(origin, sent, sizeof sent);
    return true;
}

static void answer(slc_exchange *exchange, const char *ticket, const char *origin, int64_t expires_ms)
{
    char time[SLC_RFC3339_CHARS];
    size_t len;
    slc_rfc3339_format(expires_ms, time);
    json_t *json = json_pack("{s:s, s:s, s:s?}", "ticket", ticket, "expires_at", time, "origin",
                             origin[0] != '\0' ? origin : NULL);
    char *text = slc_json_print(json, &len);
    struct evbuffer *out = evbuffer_new();
    SLC_BUG_ON(out == NULL);
    evbuffer_add(out, text, len);
    evhttp_add_header(evhttp_request_get_output_headers(exchange->req), "Cache-Control", "no-store");
    slc_exchange_reply(exchange, 201, "application/json", out);
    evbuffer_free(out);
    free(text);
    json_decref(json);
}

void slc_tickets_handle(slc_exchange *exchange)
{
    char origin[SLC_TICKET_MAX_ORIGIN + 1], ticket[SLC_TICKET_MAX_CHARS + 1];
    const char *wanted;
    json_t *body;
    int64_t now_ms = slc_wall_ms(), until_ms = exchange->principal.expires_at_ms;
    int64_t expires_ms = now_ms + slc_gateway_limits_of(exchange->worker->gateway)->ticket_lifetime_ms;
    if (until_ms > 0 && until_ms < expires_ms)
        expires_ms = until_ms;
    bool fine = read_body(exchange, &body, &wanted) && find_origin(exchange, wanted, origin);
    json_decref(body);
    if (!fine)
        return;
    if (slc_ticket_mint(exchange->snapshot, exchange->api, &exchange->principal, origin, expires_ms, ticket))
        answer(exchange, ticket, origin, expires_ms / 1000 * 1000);
    else
        slc_exchange_problem(exchange, 503, "configuration-changing", "The configuration is changing", NULL,
                             NULL);
}
