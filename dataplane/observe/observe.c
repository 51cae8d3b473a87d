/* /health/live, /health/ready, /health/backends, /health/keys and /metrics. */
#include "dataplane/observe/observe.h"

#include <event2/http.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/httpd.h"
#include "common/metrics.h"
#include "common/process_metrics.h"
#include "dataplane/observe/metrics.h"

#define METRICS_MAX_BYTES (32u << 20)

struct slc_observe {
    slc_observe_source source;
    slc_httpd *httpd;
    uint16_t port;
    json_t *known_backends; /* that /metrics has told of */
};

static void answer_live(slc_observe *observe, struct evhttp_request *req)
{
    (void)observe;
    slc_http_json(req, 200, json_pack("{s:s}", "status", "live"));
}

static void answer_ready(slc_observe *observe, struct evhttp_request *req)
{
    json_t *reasons = observe->source.not_ready(observe->source.arg);
    bool ready = json_array_size(reasons) == 0;
    slc_http_json(req, ready ? 200 : 503,
                  json_pack("{s:s, s:o}", "status", ready ? "ready" : "not ready", "reasons", reasons));
}

/* `all`: stolen. */
static void answer_up(struct evhttp_request *req, const char *what, json_t *all)
{
    const char *name;
    json_t *one;
    bool up = true;
    json_object_foreach (all, name, one) {
        up = up && json_is_true(json_object_get(one, "up"));
    }
    slc_http_json(req, up ? 200 : 503, json_pack("{s:s, s:o}", "status", up ? "up" : "down", what, all));
}

static void answer_backends(slc_observe *observe, struct evhttp_request *req)
{
    answer_up(req, "backends", observe->source.backends(observe->source.arg));
}

static void answer_keys(slc_observe *observe, struct evhttp_request *req)
{
    answer_up(req, "key_rings", observe->source.keys(observe->source.arg));
}

static void answer_metrics(slc_observe *observe, struct evhttp_request *req)
{
    slc_buf text;
    json_t *backends = observe->source.backends(observe->source.arg);
    slc_gateway_metrics_refresh(observe->source.connections(observe->source.arg), backends,
                                observe->known_backends);
    json_decref(backends);
    slc_process_metrics_refresh(observe->source.folder);
    slc_buf_init(&text, METRICS_MAX_BYTES);
    slc_metrics_render(&text);
    slc_http_send(req, 200, "text/plain; version=0.0.4; charset=utf-8", text.data, text.len);
    slc_buf_release(&text);
}

static const struct {
    const char *path;
    void (*answer)(slc_observe *observe, struct evhttp_request *req);
} pages[] = {
    {"/health/live", answer_live}, {"/health/ready", answer_ready}, {"/health/backends", answer_backends},
    {"/health/keys", answer_keys}, {"/metrics", answer_metrics},
};

static void on_request(struct evhttp_request *req, void *arg)
{
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(req));
    const char *method = slc_http_method(req);
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        if (path == NULL || strcmp(path, pages[i].path) != 0)
            continue;
        if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
            pages[i].answer(arg, req);
        else
            slc_http_problem(req, 405, "method-not-allowed", NULL, NULL, NULL);
        return;
    }
    slc_http_problem(req, 404, "not-found", NULL, "Try /health/ready or /metrics.", NULL);
}

slc_observe *slc_observe_new(slc_loop *loop, const char *address, const slc_observe_source *source,
                             slc_error *err)
{
    slc_httpd_limits limits = {
        .header_bytes = 16 * 1024, .body_bytes = 1024, .request_timeout_ms = 15000, .connections = 200};
    int fd = slc_listen(address, false, err);
    if (fd < 0)
        return NULL;
    slc_observe *observe = slc_calloc(1, sizeof *observe);
    observe->source = *source;
    observe->known_backends = json_object();
    observe->port = slc_listen_port(fd);
    observe->httpd = slc_httpd_new(slc_loop_base(loop), &limits, on_request, observe);
    slc_httpd_serve(observe->httpd, fd, NULL, observe);
    return observe;
}

uint16_t slc_observe_port(const slc_observe *observe)
{
    return observe->port;
}

void slc_observe_free(slc_observe *observe)
{
    if (observe == NULL)
        return;
    slc_httpd_free(observe->httpd);
    json_decref(observe->known_backends);
    free(observe);
}
