/* A whole request to the admin API up to the transaction: method, target, header fields and body as they come
 * from the network, through the table of routes and the parser of calls. The first line is "METHOD TARGET",
 * then header fields up to an empty line, then the body. Whatever comes, there is a route and a parsed call, or
 * an error that says what is wrong. */
#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/log.h"
#include "controlplane/admin/call.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next line of the text, without its end; NULL when there is none. */
static char *take_line(char **text)
{
    char *line = *text, *end = line != NULL ? strchr(line, '\n') : NULL;
    if (end == NULL)
        return NULL;
    *end = '\0';
    *text = end + 1;
    return line;
}

static void add_fields(struct evhttp_request *req, char **text)
{
    char *line;
    while ((line = take_line(text)) != NULL && *line != '\0') {
        char *colon = strchr(line, ':');
        if (colon == NULL)
            continue;
        *colon = '\0';
        evhttp_add_header(evhttp_request_get_input_headers(req), line, colon + 1 + strspn(colon + 1, " "));
    }
}

static void parse(struct evhttp_request *req, const slc_route *route, const slc_route_target *target)
{
    slc_error err = {0};
    slc_call *call = slc_calloc(1, sizeof *call);
    call->magic = SLC_CALL_MAGIC;
    call->req = req;
    call->route = route;
    call->target = *target;
    call->file_fd = -1;
    TAILQ_INIT(&call->query);
    slc_route_permission(route, target, call->permission, sizeof call->permission);
    SLC_BUG_ON(call->permission[0] == '\0');
    bool ok = slc_call_take(call, &err) && slc_call_parse(call, 1 << 20, &err);
    SLC_BUG_ON(!ok && err.message[0] == '\0');
    slc_call_free(call);
}

static void request(struct evhttp_request *req, const char *method, const char *target_text, char **text)
{
    slc_route_target target = {0};
    char allow[128];
    size_t path_len = 0;
    req->uri_elems = evhttp_uri_parse_with_flags(target_text, EVHTTP_URI_NONCONFORMANT);
    if (req->uri_elems == NULL)
        return;
    const char *raw = evhttp_uri_get_path(req->uri_elems);
    char *path = evhttp_uridecode(raw != NULL ? raw : "/", 0, &path_len);
    const slc_route *route = path != NULL && strlen(path) == path_len
                                 ? slc_route_match(method, path, &target, allow, sizeof allow)
                                 : NULL;
    add_fields(req, text);
    evbuffer_add(evhttp_request_get_input_buffer(req), *text, strlen(*text));
    if (route != NULL)
        parse(req, route, &target);
    free(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *whole = slc_strndup((const char *)data, size), *text = whole;
    char *method = take_line(&text), *target = method != NULL ? strchr(method, ' ') : NULL;
    slc_log_init("fuzz", SLC_LOG_ERROR, false);
    if (target != NULL) {
        struct evhttp_request *req = evhttp_request_new(NULL, NULL);
        *target++ = '\0';
        request(req, method, target, &text);
        evhttp_request_free(req);
    }
    free(whole);
    return 0;
}
