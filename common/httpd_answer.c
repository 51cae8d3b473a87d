#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/crypto.h"
#include "common/httpd_private.h"
#include "common/json.h"
#include "common/log.h"

#define PROBLEM_BASE      "https://sluice.dev/problems/"
#define REQUEST_ID_HEADER "X-Request-Id"
#define NEW_ID_CHARS      26
#define POOLED_IDS        32

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {207, "Multi-Status"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {424, "Failed Dependency"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

static const struct {
    int status;
    const char *title;
} by_code[] = {
    [SLC_OK] = {200, "OK"},
    [SLC_INVALID] = {400, "The request is not valid"},
    [SLC_NOT_FOUND] = {404, "No such resource"},
    [SLC_CONFLICT] = {409, "The request conflicts with the current state"},
    [SLC_STALE] = {412, "The resource has changed in between"},
    [SLC_UNAUTHENTICATED] = {401, "Authentication is needed"},
    [SLC_DENIED] = {403, "Not allowed"},
    [SLC_LIMIT] = {429, "A limit is reached"},
    [SLC_TOO_LARGE] = {413, "Too large"},
    [SLC_UNSUPPORTED] = {501, "Not supported"},
    [SLC_UNAVAILABLE] = {503, "Not available at the moment"},
    [SLC_TIMEOUT] = {504, "Took too long"},
    [SLC_NO_SPACE] = {507, "The disk is full"},
    [SLC_CORRUPT] = {500, "Internal error"},
    [SLC_IO] = {500, "Internal error"},
    [SLC_INTERNAL] = {500, "Internal error"},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const char *slc_http_reason(int status)
{
    for (size_t i = 0; i < COUNT(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}

int slc_code_http_status(enum slc_code code)
{
    return (size_t)code < COUNT(by_code) ? by_code[code].status : 500;
}

const char *slc_http_method(struct evhttp_request *req)
{
    static const struct {
        enum evhttp_cmd_type type;
        const char *name;
    } methods[] = {
        {EVHTTP_REQ_GET, "GET"},         {EVHTTP_REQ_POST, "POST"},       {EVHTTP_REQ_HEAD, "HEAD"},
        {EVHTTP_REQ_PUT, "PUT"},         {EVHTTP_REQ_DELETE, "DELETE"},   {EVHTTP_REQ_PATCH, "PATCH"},
        {EVHTTP_REQ_OPTIONS, "OPTIONS"}, {EVHTTP_REQ_CONNECT, "CONNECT"}, {EVHTTP_REQ_TRACE, "TRACE"},
    };
    enum evhttp_cmd_type type = evhttp_request_get_command(req);
    for (size_t i = 0; i < COUNT(methods); i++)
        if (methods[i].type == type)
            return methods[i].name;
    return "UNKNOWN";
}

/* ---- request ids ---- */

static bool is_request_id(const char *s)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t len = strlen(s);
    return len >= 1 && len <= 64 && strspn(s, allowed) == len;
}

/* Many at once: to ask the generator for each takes longer than the rest of an answer's head. They are no
 * secrets. */
static void new_request_id(char out[NEW_ID_CHARS + 1])
{
    static _Thread_local char pool[NEW_ID_CHARS * POOLED_IDS + 1];
    static _Thread_local unsigned left;
    if (left == 0) {
        slc_random_id(pool, sizeof(pool) - 1);
        left = POOLED_IDS;
    }
    memcpy(out, pool + NEW_ID_CHARS * --left, NEW_ID_CHARS);
    out[NEW_ID_CHARS] = '\0';
}

void slc_http_request_id(struct evhttp_request *req, char out[65])
{
    struct evkeyvalq *output = evhttp_request_get_output_headers(req);
    const char *id = evhttp_find_header(output, REQUEST_ID_HEADER);
    if (id != NULL) { /* an earlier call */
        snprintf(out, 65, "%s", id);
        return;
    }
    id = evhttp_find_header(evhttp_request_get_input_headers(req), REQUEST_ID_HEADER);
    if (id != NULL && is_request_id(id))
        snprintf(out, 65, "%s", id);
    else
        new_request_id(out);
    evhttp_add_header(output, REQUEST_ID_HEADER, out);
}

/* ---- answers ---- */

static void set_header(struct evhttp_request *req, const char *name, const char *value)
{
    struct evkeyvalq *output = evhttp_request_get_output_headers(req);
    evhttp_remove_header(output, name);
    evhttp_add_header(output, name, value);
}

void slc_http_send(struct evhttp_request *req, int status, const char *content_type, const void *data,
                   size_t len)
{
    bool bodyless = status == 204 || status == 304;
    if (content_type != NULL)
        set_header(req, "Content-Type", content_type);
    if (!bodyless) {
        char text[24];
        snprintf(text, sizeof(text), "%zu", len);
        set_header(req, "Content-Length", text);
    }
    struct evbuffer *body = NULL;
    /* evhttp would send a body with HEAD. */
    if (len > 0 && !bodyless && evhttp_request_get_command(req) != EVHTTP_REQ_HEAD) {
        body = evbuffer_new();
        SLC_BUG_ON(body == NULL || evbuffer_add(body, data, len) != 0);
    }
    evhttp_send_reply(req, status, slc_http_reason(status), body);
    if (body != NULL)
        evbuffer_free(body);
}

void slc_http_json(struct evhttp_request *req, int status, json_t *body)
{
    size_t len;
    char *text = slc_json_print(body, &len);
    json_decref(body);
    slc_http_send(req, status, "application/json", text, len);
    free(text);
}

/* Text that comes from outside and may not be UTF-8. */
static json_t *safe_string(const char *text)
{
    json_t *value = json_string(text);
    return value != NULL ? value : json_string("(not UTF-8)");
}

char *slc_http_problem_text(int status, const char *type, const char *title, const char *detail,
                            const char *request_id, json_t *extra, size_t *len)
{
    char text[128];
    json_t *problem = json_object();
    snprintf(text, sizeof(text), PROBLEM_BASE "%s", type);
    json_object_set_new(problem, "type", json_string(text));
    json_object_set_new(problem, "title", json_string(title != NULL ? title : slc_http_reason(status)));
    json_object_set_new(problem, "status", json_integer(status));
    if (detail != NULL)
        json_object_set_new(problem, "detail", safe_string(detail));
    if (request_id != NULL) {
        snprintf(text, sizeof(text), "urn:request:%s", request_id);
        json_object_set_new(problem, "instance", json_string(text));
    }
    if (extra != NULL) {
        json_object_update(problem, extra);
        json_decref(extra);
    }
    char *printed = slc_json_print(problem, len);
    json_decref(problem);
    return printed;
}

void slc_http_problem(struct evhttp_request *req, int status, const char *type, const char *title,
                      const char *detail, json_t *extra)
{
    const char *id = evhttp_find_header(evhttp_request_get_output_headers(req), REQUEST_ID_HEADER);
    size_t len;
    char *text = slc_http_problem_text(status, type, title, detail, id, extra, &len);
    slc_http_send(req, status, "application/problem+json", text, len);
    free(text);
}

void slc_http_problem_error(struct evhttp_request *req, const slc_error *err)
{
    enum slc_code code = (size_t)err->code < COUNT(by_code) && err->code != SLC_OK ? err->code : SLC_INTERNAL;
    int status = by_code[code].status;
    if (status == 500) {
        char id[65];
        slc_http_request_id(req, id);
        slc_log(SLC_LOG_ERROR, "request failed", LS("request_id", id), LS("code", slc_code_name(err->code)),
                LS("error", err->message));
        slc_http_problem(req, status, slc_code_name(SLC_INTERNAL), by_code[code].title,
                         "The log has the cause, under the request's id.", NULL);
        return;
    }
    json_t *extra = NULL;
    if (err->field[0] != '\0')
        extra = json_pack("{s:[{s:o,s:o}]}", "errors", err->field[0] == '/' ? "pointer" : "parameter",
                          safe_string(err->field), "detail", safe_string(err->message));
    slc_http_problem(req, status, slc_code_name(code), by_code[code].title, err->message, extra);
}
