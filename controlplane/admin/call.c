/* A request's parts: token, conditions, query, body. */
#include "controlplane/admin/call.h"

#include <ctype.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/json.h"
#include "controlplane/admin/surface.h"

static bool parse_if_match(slc_call *call, const char *header, slc_error *err);
static bool parse_idempotency_key(slc_call *call, const char *header, slc_error *err);
static bool parse_query(slc_call *call, slc_error *err);
static bool parse_body(slc_call *call, int64_t max_body_bytes, slc_error *err);
static bool prefers_yaml(const char *accept);

static char *copy(const char *text)
{
    return text != NULL ? slc_strdup(text) : NULL;
}

static bool take_bearer(slc_call *call, const char *header, slc_error *err)
{
    if (header == NULL)
        return true;
    if (strncasecmp(header, "Bearer ", 7) != 0)
        return slc_fail(err, SLC_UNAUTHENTICATED, NULL,
                        "the admin API takes `Authorization: Bearer TOKEN` only");
    const char *token = header + 7 + strspn(header + 7, " ");
    if (strlen(token) >= sizeof call->token)
        return slc_fail(err, SLC_UNAUTHENTICATED, NULL, "the token is not one of this control plane's");
    memcpy(call->token, token, strlen(token) + 1);
    return true;
}

bool slc_call_take(slc_call *call, slc_error *err)
{
    struct evkeyvalq *headers = evhttp_request_get_input_headers(call->req);
    struct evbuffer *input = evhttp_request_get_input_buffer(call->req);
    call->if_match_text = copy(evhttp_find_header(headers, "If-Match"));
    call->idempotency_text = copy(evhttp_find_header(headers, "Idempotency-Key"));
    call->content_type = copy(evhttp_find_header(headers, "Content-Type"));
    call->query_text = copy(evhttp_uri_get_query(evhttp_request_get_evhttp_uri(call->req)));
    call->wants_yaml = prefers_yaml(evhttp_find_header(headers, "Accept"));
    call->body_len = evbuffer_get_length(input);
    if (call->body_len > 0) {
        call->body_text = slc_malloc(call->body_len + 1);
        evbuffer_remove(input, call->body_text, call->body_len);
        call->body_text[call->body_len] = '\0';
    }
    if (call->surface != NULL)
        return call->surface->take(call, err);
    return take_bearer(call, evhttp_find_header(headers, "Authorization"), err);
}

bool slc_call_parse(slc_call *call, int64_t max_body_bytes, slc_error *err)
{
    return parse_if_match(call, call->if_match_text, err) &&
           parse_idempotency_key(call, call->idempotency_text, err) && parse_query(call, err) &&
           parse_body(call, max_body_bytes, err);
}

void slc_call_free(slc_call *call)
{
    SLC_CHECK_MAGIC(call, SLC_CALL_MAGIC);
    evhttp_clear_headers(&call->query);
    json_decref(call->body);
    json_decref(call->answer);
    json_decref(call->problem);
    free(call->text);
    if (call->file_fd >= 0)
        close(call->file_fd);
    free(call->if_match_text);
    free(call->idempotency_text);
    free(call->query_text);
    free(call->content_type);
    free(call->browser.origin);
    free(call->browser.fetch_site);
    free(call->browser.host);
    free(call->browser.agent);
    slc_free_secret(call->browser.flow, call->browser.flow != NULL ? strlen(call->browser.flow) : 0);
    for (size_t i = 0; i < sizeof call->cookies / sizeof *call->cookies; i++)
        slc_free_secret(call->cookies[i], call->cookies[i] != NULL ? strlen(call->cookies[i]) : 0);
    slc_free_secret(call->body_text, call->body_len);
    slc_identity_release(&call->identity);
    call->magic = 0;
    slc_free_secret(call, sizeof *call);
}

bool slc_call_fail(slc_call *call, int status, slc_error *err, enum slc_code code, const char *field,
                   const char *fmt, ...)
{
    va_list args;
    call->status = status;
    va_start(args, fmt);
    slc_vfail(err, code, field, fmt, args);
    va_end(args);
    return false;
}

slc_actor slc_call_actor(const slc_call *call)
{
    const slc_identity *who = &call->identity;
    bool user = who->user_id[0] != '\0';
    return (slc_actor){.kind = user ? "user" : "token",
                       .id = user ? who->user_id : who->token_id,
                       .name = user ? who->user_name : who->token_name,
                       .request_id = call->request_id,
                       .manager = call->surface != NULL ? "portal" : NULL,
                       .identity = who};
}

/* If-Match: "7" or * (RFC 9110 section 13.1.1). A weak tag never matches, and we never hand one out. */
static bool parse_if_match(slc_call *call, const char *header, slc_error *err)
{
    char *end = NULL;
    call->if_match = SLC_IF_MATCH_NONE;
    if (header == NULL)
        return true;
    if (strcmp(header, "*") == 0) {
        call->if_match = SLC_IF_MATCH_ANY;
        return true;
    }
    if (header[0] == '"' && isdigit((unsigned char)header[1])) {
        call->if_match = strtoll(header + 1, &end, 10);
        if (end != NULL && strcmp(end, "\"") == 0)
            return true;
    }
    return slc_call_fail(call, 412, err, SLC_STALE, NULL,
                         "If-Match must be the ETag of an answer, such as \"7\", or *");
}

static bool parse_idempotency_key(slc_call *call, const char *header, slc_error *err)
{
    if (header == NULL)
        return true;
    size_t len = strlen(header);
    if (len == 0 || len >= sizeof call->idempotency_key)
        return slc_fail(err, SLC_INVALID, NULL, "Idempotency-Key must have 1 to %zu characters",
                        sizeof call->idempotency_key - 1);
    memcpy(call->idempotency_key, header, len + 1);
    return true;
}

/* libevent decodes values only. A decoded name is not longer. */
static void decode_names(struct evkeyvalq *query)
{
    struct evkeyval *pair;
    TAILQ_FOREACH (pair, query, next) {
        char *name = evhttp_uridecode(pair->key, 1, NULL);
        if (name != NULL)
            memcpy(pair->key, name, strlen(name) + 1);
        free(name);
    }
}

/* A parameter that comes twice would mean one thing to us and another to somebody in between. */
static bool parse_query(slc_call *call, slc_error *err)
{
    const struct evkeyval *pair, *other;
    TAILQ_INIT(&call->query);
    if (call->query_text == NULL || call->query_text[0] == '\0')
        return true;
    if (evhttp_parse_query_str(call->query_text, &call->query) != 0)
        return slc_fail(err, SLC_INVALID, NULL, "the query string cannot be parsed");
    if (strstr(call->query_text, "%00") != NULL)
        return slc_fail(err, SLC_INVALID, NULL, "the query string holds a NUL character");
    decode_names(&call->query);
    TAILQ_FOREACH (pair, &call->query, next)
        for (other = TAILQ_NEXT(pair, next); other != NULL; other = TAILQ_NEXT(other, next))
            if (strcmp(pair->key, other->key) == 0)
                return slc_fail(err, SLC_INVALID, pair->key, "the query parameter %.60s is given twice",
                                pair->key);
    return true;
}

static bool is_type(const char *content_type, const char *wanted)
{
    size_t len = content_type != NULL ? strcspn(content_type, "; \t") : 0;
    return len == strlen(wanted) && strncasecmp(content_type, wanted, len) == 0;
}

/* The weight of a media type in Accept (RFC 9110 section 12.5.1): the most specific range that matches counts.
 */
static double weight_of(const char *accept, const char *type)
{
    size_t type_len = strlen(type), major_len = (size_t)(strchr(type, '/') - type) + 1;
    double weight = 0;
    int best = 0;
    for (const char *p = accept; *p != '\0'; p += *p == ',') {
        p += strspn(p, " \t");
        size_t len = strcspn(p, ",; \t");
        int match = len == type_len && strncasecmp(p, type, len) == 0                                   ? 3
                    : len == major_len + 1 && p[len - 1] == '*' && strncasecmp(p, type, major_len) == 0 ? 2
                    : len == 3 && strncmp(p, "*/*", 3) == 0                                             ? 1
                                                                                                        : 0;
        const char *end = p + strcspn(p, ",");
        const char *q = strstr(p, "q=");
        if (match > best) {
            best = match;
            weight = q != NULL && q < end ? strtod(q + 2, NULL) : 1;
        }
        p = end;
    }
    return weight;
}

static bool prefers_yaml(const char *accept)
{
    return accept != NULL && weight_of(accept, "application/yaml") > weight_of(accept, "application/json");
}

static bool parse_body(slc_call *call, int64_t max_body_bytes, slc_error *err)
{
    bool patch = strcmp(call->route->method, "PATCH") == 0;
    bool yaml = is_type(call->content_type, "application/yaml");
    if (call->route->has_body == SLC_ROUTE_NO_BODY) {
        if (call->body_len == 0)
            return true;
        return slc_fail(err, SLC_INVALID, NULL, "this request takes no body");
    }
    bool optional = call->route->has_body == SLC_ROUTE_BODY_OPTIONAL || call->target.action[0] != '\0';
    if (call->body_len == 0 && optional)
        return true;
    if (!yaml && !is_type(call->content_type, "application/json") &&
        !(patch && is_type(call->content_type, "application/merge-patch+json")))
        return slc_call_fail(call, 415, err, SLC_INVALID, NULL, "the body must be application/json%s or %s",
                             patch ? ", application/merge-patch+json" : "", "application/yaml");
    call->body_is_yaml = yaml;
    const char *text = call->body_text != NULL ? call->body_text : "";
    call->body = yaml ? slc_yaml_parse(text, call->body_len, (size_t)max_body_bytes, err)
                      : slc_json_parse(text, call->body_len, (size_t)max_body_bytes, err);
    if (call->body == NULL)
        return false;
    if (!json_is_object(call->body))
        return slc_fail(err, SLC_INVALID, "", "the body must be a JSON object");
    return true;
}

const char *slc_call_query(const slc_call *call, const char *name)
{
    return evhttp_find_header(&call->query, name);
}

bool slc_call_query_only(const slc_call *call, const char *const *names, slc_error *err)
{
    const struct evkeyval *pair;
    for (pair = call->query.tqh_first; pair != NULL; pair = pair->next.tqe_next) {
        const char *const *name = names;
        while (*name != NULL && strcmp(*name, pair->key) != 0)
            name++;
        if (*name == NULL)
            return slc_fail(err, SLC_INVALID, NULL, "there is no query parameter %.60s here", pair->key);
    }
    return true;
}

bool slc_call_query_bool(const slc_call *call, const char *name, bool *value, slc_error *err)
{
    const char *text = slc_call_query(call, name);
    *value = text != NULL && strcmp(text, "true") == 0;
    if (text == NULL || *value || strcmp(text, "false") == 0)
        return true;
    return slc_fail(err, SLC_INVALID, NULL, "the query parameter %s must be true or false", name);
}
