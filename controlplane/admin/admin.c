/* Requests of the admin API from the socket to a catalog transaction and back. */
#include "controlplane/admin/admin.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "catalog/session.h"
#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/version.h"
#include "controlplane/admin/call.h"
#include "controlplane/admin/certificate.h"
#include "controlplane/admin/download.h"
#include "controlplane/admin/explain_groups.h"
#include "controlplane/admin/idempotency.h"
#include "controlplane/admin/kept_pages.h"
#include "controlplane/admin/surface.h"
#include "controlplane/admin/work.h"

#define SLC_ADMIN_MAGIC 0x51ad3141u
#define RETRY_AFTER_S   "1"

struct slc_admin {
    unsigned magic;
    slc_loop *loop;
    slc_catalog *catalog;
    slc_control_grpc *grpc;
    slc_httpd *httpd;
    slc_tls *tls;
    uint16_t port;
    int64_t max_body_bytes;
    int64_t kept_bytes;
    char *portal_url;
    int64_t export_rows;
    struct {
        bool under_way, session;
        char id[SLC_TOKEN_ID_CHARS + 1];
    } touch; /* the token or session whose use is being noted */
    unsigned open_calls;
    slc_works works;
    slc_explain_groups *explained;
    slc_kept_pages *pages;
    slc_certificate_watch *certificate; /* NULL: plain HTTP */
    struct event *drain_timer;
    void (*drained)(void *arg);
    void *drained_arg;
};

static const slc_metric metrics[] = {
    {"sluice_admin_requests_total", SLC_COUNTER, "Requests to the admin API.", {"method", "status"}, 0, NULL},
    {"sluice_control_nodes",
     SLC_GAUGE,
     "Gateway nodes by state: connected, lost, revoked, never (seen).",
     {"state"},
     4,
     NULL},
    {"sluice_catalog_damaged",
     SLC_GAUGE,
     "1 when SQLite found the catalog's database damaged.",
     {NULL},
     0,
     NULL},
    {"sluice_catalog_pages_total",
     SLC_COUNTER,
     "Pages of the catalog by where they came from: hit (kept in memory), miss (made anew).",
     {"result"},
     2,
     NULL},
    {"sluice_catalog_waiting", SLC_GAUGE, "Transactions that wait for the catalog.", {"queue"}, 0, NULL},
    {"sluice_backup_last_success_timestamp_seconds",
     SLC_GAUGE,
     "Unix time at which the newest backup was made; 0 before the first.",
     {NULL},
     0,
     NULL},
    {NULL, SLC_COUNTER, NULL, {NULL}, 0, NULL},
};

static void on_request(struct evhttp_request *req, void *arg);
static bool start_call(slc_admin *admin, struct evhttp_request *req, const slc_surface *surface,
                       const slc_route *route, const slc_route_target *target);
static bool authenticate(slc_txn *txn, void *arg, slc_error *err);
static void on_authenticated(void *arg, bool ok, const slc_error *err);
static bool run_write(slc_txn *txn, void *arg, slc_error *err);
static void on_done(void *arg, bool ok, const slc_error *err);
static void on_downloaded(slc_call *call);
static void end_call(slc_call *call);
static void answering(slc_call *call);
static void answer_error(slc_call *call, const slc_error *err);
static void count(const slc_call *call, int status);
static void finish(slc_call *call);
static void on_drain_timeout(evutil_socket_t fd, short what, void *arg);
static void check_drained(slc_admin *admin);

void slc_admin_register_metrics(void)
{
    slc_metrics_register(metrics);
}

slc_admin *slc_admin_new(slc_loop *loop, slc_catalog *catalog, slc_control_grpc *grpc,
                         const slc_admin_options *options, slc_error *err)
{
    slc_admin *admin = slc_calloc(1, sizeof *admin);
    admin->magic = SLC_ADMIN_MAGIC;
    admin->loop = loop;
    admin->catalog = catalog;
    admin->grpc = grpc;
    admin->max_body_bytes = options->limits.body_bytes;
    admin->kept_bytes = options->kept_bytes;
    admin->portal_url = options->portal_url != NULL ? slc_strdup(options->portal_url) : NULL;
    admin->export_rows = options->export_rows;
    TAILQ_INIT(&admin->works);
    admin->explained = slc_explain_groups_new(options->explained);
    admin->pages = slc_kept_pages_new(options->pages, options->page_bytes);
    if (options->tls_certificate_file != NULL && options->tls_certificate_file[0] != '\0') {
        slc_tls_options tls = {.cert_file = options->tls_certificate_file, .key_file = options->tls_key_file};
        admin->tls = slc_tls_server_new(&tls, err);
        if (admin->tls == NULL)
            goto failed;
        admin->certificate =
            slc_certificate_watch_new(loop, admin->tls, options->tls_certificate_file, options->tls_reload_ms);
    }
    int fd = slc_listen(options->address, false, err);
    if (fd < 0)
        goto failed;
    admin->port = slc_listen_port(fd);
    admin->drain_timer = evtimer_new(slc_loop_base(loop), on_drain_timeout, admin);
    SLC_BUG_ON(admin->drain_timer == NULL);
    admin->httpd = slc_httpd_new(slc_loop_base(loop), &options->limits, on_request, admin);
    slc_httpd_serve(admin->httpd, fd, admin->tls, admin);
    return admin;
failed:
    slc_admin_free(admin);
    return NULL;
}

void slc_admin_free(slc_admin *admin)
{
    if (admin == NULL)
        return;
    SLC_CHECK_MAGIC(admin, SLC_ADMIN_MAGIC);
    if (admin->httpd != NULL)
        slc_httpd_free(admin->httpd);
    if (admin->drain_timer != NULL)
        event_free(admin->drain_timer);
    slc_certificate_watch_free(admin->certificate);
    slc_tls_unref(admin->tls);
    slc_explain_groups_free(admin->explained);
    slc_kept_pages_free(admin->pages);
    free(admin->portal_url);
    admin->magic = 0;
    free(admin);
}

void slc_admin_reload_certificate(slc_admin *admin)
{
    if (admin->certificate != NULL)
        slc_certificate_watch_reload(admin->certificate);
}

uint16_t slc_admin_port(const slc_admin *admin)
{
    return admin->port;
}

slc_explain_groups *slc_admin_explained(const slc_admin *admin)
{
    return admin->explained;
}

slc_kept_pages *slc_admin_pages(const slc_admin *admin)
{
    return admin->pages;
}

const char *slc_admin_portal_url(const slc_admin *admin)
{
    return admin->portal_url;
}

int64_t slc_admin_kept_bytes(const slc_admin *admin)
{
    return admin->kept_bytes;
}

int64_t slc_admin_export_rows(const slc_admin *admin)
{
    return admin->export_rows;
}

slc_loop *slc_admin_loop(const slc_admin *admin)
{
    return admin->loop;
}

slc_catalog *slc_admin_catalog(const slc_admin *admin)
{
    return admin->catalog;
}

slc_control_grpc *slc_admin_grpc(const slc_admin *admin)
{
    return admin->grpc;
}

void slc_admin_drain(slc_admin *admin, int64_t grace_ms, void (*done)(void *arg), void *arg)
{
    struct timeval grace = {.tv_sec = grace_ms / 1000, .tv_usec = (grace_ms % 1000) * 1000};
    admin->drained = done;
    admin->drained_arg = arg;
    slc_httpd_drain(admin->httpd);
    event_add(admin->drain_timer, &grace);
    check_drained(admin);
}

static void on_drain_timeout(evutil_socket_t fd, short what, void *arg)
{
    slc_admin *admin = arg;
    (void)fd, (void)what;
    void (*done)(void *) = admin->drained;
    admin->drained = NULL;
    if (done != NULL)
        done(admin->drained_arg);
}

static void check_drained(slc_admin *admin)
{
    if (admin->drained != NULL && admin->open_calls == 0) {
        event_del(admin->drain_timer);
        on_drain_timeout(-1, 0, admin);
    }
}

static void answer_unmatched(struct evhttp_request *req, const char *allow)
{
    if (allow[0] == '\0') {
        slc_http_problem(req, 404, "not-found", "No such resource",
                         "The admin API is under /v1; /openapi.json describes it.", NULL);
        return;
    }
    evhttp_add_header(evhttp_request_get_output_headers(req), "Allow", allow);
    slc_http_problem(req, 405, "method-not-allowed", "Method not allowed here", NULL, NULL);
}

static void on_request(struct evhttp_request *req, void *arg)
{
    slc_admin_handle(arg, req, NULL);
}

/* A surface has routes of its own, and of the admin API's those of the catalog. */
static const slc_route *match(const slc_surface *surface, const char *method, const char *path,
                              slc_route_target *target, char *allow, size_t allow_size)
{
    const slc_route *route = NULL;
    allow[0] = '\0';
    if (surface != NULL)
        route = slc_route_match_in(surface->routes, method, path, target, allow, allow_size);
    if (route != NULL || allow[0] != '\0' || (surface != NULL && strncmp(path, "/v1/", 4) != 0))
        return route;
    return slc_route_match(method, path, target, allow, allow_size);
}

void slc_admin_handle(slc_admin *admin, struct evhttp_request *req, const slc_surface *surface)
{
    SLC_CHECK_MAGIC(admin, SLC_ADMIN_MAGIC);
    char allow[64], request_id[65];
    slc_route_target target = {0};
    size_t path_len = 0;
    const char *raw = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(req));
    char *path = evhttp_uridecode(raw != NULL ? raw : "/", 0, &path_len);

    slc_http_request_id(req, request_id);
    const slc_route *route = path != NULL && strlen(path) == path_len
                                 ? match(surface, slc_http_method(req), path, &target, allow, sizeof allow)
                                 : NULL;
    if (path == NULL || strlen(path) != path_len)
        slc_http_problem(req, 400, "invalid", "Bad request", "The path cannot be decoded.", NULL);
    else if (route == NULL)
        answer_unmatched(req, allow);
    else if (!start_call(admin, req, surface, route, &target))
        slc_log(SLC_LOG_DEBUG, "request refused before it ran", LS("path", path), LS("request_id", request_id));
    free(path);
}

static bool start_call(slc_admin *admin, struct evhttp_request *req, const slc_surface *surface,
                       const slc_route *route, const slc_route_target *target)
{
    slc_error err = {0};
    slc_call *call = slc_calloc(1, sizeof *call);
    call->magic = SLC_CALL_MAGIC;
    call->admin = admin;
    call->req = req;
    call->surface = surface;
    call->route = route;
    call->target = *target;
    call->etag = -1;
    call->file_fd = -1;
    TAILQ_INIT(&call->query);
    slc_http_request_id(req, call->request_id);
    slc_route_permission(route, target, call->permission, sizeof call->permission);
    if (!slc_call_take(call, &err)) {
        answer_error(call, &err);
        slc_call_free(call);
        return false;
    }
    admin->open_calls++;
    slc_catalog_read(admin->catalog, admin->loop, authenticate, on_authenticated, call);
    return true;
}

static bool needs_right(const slc_call *call)
{
    return strcmp(call->permission, SLC_PERMISSION_OPEN) != 0 &&
           strcmp(call->permission, SLC_PERMISSION_ANY) != 0 &&
           strcmp(call->permission, SLC_PERMISSION_SESSION) != 0;
}

/* Who asks? */
static bool identify(slc_txn *txn, slc_call *call, slc_error *err)
{
    slc_identity_release(&call->identity);
    if (call->surface != NULL)
        return call->surface->identify(txn, call, err);
    if (strcmp(call->permission, SLC_PERMISSION_OPEN) == 0)
        return true;
    if (call->token[0] == '\0')
        return slc_fail(err, SLC_UNAUTHENTICATED, NULL, "send a token: `Authorization: Bearer sla_...`");
    return slc_catalog_token_check(txn, call->token, &call->identity, err);
}

/* And may they? */
static bool check_rights(slc_txn *txn, slc_call *call, slc_error *err)
{
    if (!identify(txn, call, err))
        return false;
    if (needs_right(call) && !slc_identity_may(&call->identity, call->permission))
        return slc_fail(err, SLC_DENIED, NULL, "%s the permission %s",
                        call->surface != NULL ? "your roles lack" : "the token lacks", call->permission);
    return true;
}

/* A read goes on in the same transaction. */
static bool authenticate(slc_txn *txn, void *arg, slc_error *err)
{
    slc_call *call = arg;
    SLC_CHECK_MAGIC(call, SLC_CALL_MAGIC);
    if (!check_rights(txn, call, err) || !slc_call_parse(call, call->admin->max_body_bytes, err))
        return false;
    return call->route->access != SLC_ROUTE_READ || call->route->run(txn, call, err);
}

/* Outside of a transaction, where it may take its time. */
static bool run_task(slc_catalog *catalog, void *arg, slc_error *err)
{
    slc_call *call = arg;
    (void)catalog;
    SLC_CHECK_MAGIC(call, SLC_CALL_MAGIC);
    return call->route->run(NULL, call, err);
}

/* ---- noting that a token or session is used ---- */

static bool touch(slc_txn *txn, void *arg, slc_error *err)
{
    const slc_admin *admin = arg;
    return admin->touch.session ? slc_session_touch(txn, admin->touch.id, err)
                                : slc_catalog_token_touch(txn, admin->touch.id, err);
}

static void on_touched(void *arg, bool ok, const slc_error *err)
{
    slc_admin *admin = arg;
    (void)ok, (void)err; /* the next use tries again */
    admin->touch.under_way = false;
}

/* One at a time: what is missed now is seen with the next request. */
static void note_use(slc_admin *admin, const slc_call *call)
{
    slc_actor actor = {.kind = "system", .id = "system", .name = "admin"};
    if (!call->identity.stale || admin->touch.under_way || admin->drained != NULL)
        return;
    admin->touch.under_way = true;
    admin->touch.session = call->identity.session_id[0] != '\0';
    memcpy(admin->touch.id, call->identity.token_id, sizeof admin->touch.id);
    slc_catalog_write(admin->catalog, admin->loop, &actor, touch, on_touched, admin);
}

/* ---- answering ---- */

static void on_authenticated(void *arg, bool ok, const slc_error *err)
{
    slc_call *call = arg;
    SLC_CHECK_MAGIC(call, SLC_CALL_MAGIC);
    if (!ok || call->route->access == SLC_ROUTE_READ) {
        on_done(call, ok, err);
        return;
    }
    if (call->route->access == SLC_ROUTE_WORK) {
        slc_work_start(&call->admin->works, call, on_done);
        return;
    }
    if (call->route->access != SLC_ROUTE_WRITE) {
        slc_catalog_task(call->admin->catalog, call->admin->loop, run_task, on_done, call);
        return;
    }
    slc_actor actor = slc_call_actor(call);
    slc_catalog_write(call->admin->catalog, call->admin->loop, &actor, run_write, on_done, call);
}

/* Rights are looked at again: they may have changed since the read. */
static bool run_write(slc_txn *txn, void *arg, slc_error *err)
{
    slc_call *call = arg;
    bool replayed = false;
    if (!check_rights(txn, call, err) || !slc_call_replay(txn, call, &replayed, err))
        return false;
    if (replayed)
        return true;
    return call->route->run(txn, call, err) && slc_call_remember(txn, call, err);
}

static void on_done(void *arg, bool ok, const slc_error *err)
{
    slc_call *call = arg;
    SLC_CHECK_MAGIC(call, SLC_CALL_MAGIC);
    if (ok && call->after != NULL)
        call->after(call);
    else
        slc_admin_resume(call, ok, err);
}

void slc_admin_resume(slc_call *call, bool ok, const slc_error *err)
{
    SLC_CHECK_MAGIC(call, SLC_CALL_MAGIC);
    slc_admin *admin = call->admin;
    note_use(admin, call);
    if (ok && call->file_fd >= 0) {
        count(call, call->route->success);
        answering(call);
        slc_download_start(admin->loop, admin->catalog, call, on_downloaded);
        return;
    }
    if (ok)
        finish(call);
    else
        answer_error(call, err);
    end_call(call);
}

static void on_downloaded(slc_call *call)
{
    end_call(call);
}

static void end_call(slc_call *call)
{
    slc_admin *admin = call->admin;
    slc_call_free(call);
    admin->open_calls--;
    check_drained(admin);
}

static void count(const slc_call *call, int status)
{
    char text[8];
    snprintf(text, sizeof text, "%d", status);
    const char *labels[] = {call->route->method, text};
    slc_series_add(slc_metrics_series("sluice_admin_requests_total", labels), 1);
}

static bool is_damaged(const slc_admin *admin)
{
    slc_catalog_status status;
    slc_catalog_get_status(admin->catalog, &status);
    return status.damaged;
}

/* Header fields of every answer. */
static void answering(slc_call *call)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(call->req);
    for (size_t i = 0; i < sizeof call->cookies / sizeof *call->cookies; i++)
        if (call->cookies[i] != NULL)
            evhttp_add_header(headers, "Set-Cookie", call->cookies[i]);
    if (call->surface != NULL)
        call->surface->answering(call);
}

static void add_retry_after(slc_call *call, int status)
{
    char seconds[24];
    if (status != 503 && call->retry_after_s == 0)
        return;
    snprintf(seconds, sizeof seconds, "%lld", (long long)call->retry_after_s);
    evhttp_add_header(evhttp_request_get_output_headers(call->req), "Retry-After",
                      call->retry_after_s > 0 ? seconds : RETRY_AFTER_S);
}

static void answer_error(slc_call *call, const slc_error *err)
{
    int status = call->status != 0 ? call->status : slc_code_http_status(err->code);
    evhttp_add_header(evhttp_request_get_output_headers(call->req), "Sluice-Version", SLC_VERSION);
    if (err->code == SLC_UNAUTHENTICATED && call->surface == NULL)
        evhttp_add_header(evhttp_request_get_output_headers(call->req), "WWW-Authenticate",
                          "Bearer realm=\"sluice\"");
    add_retry_after(call, status);
    answering(call);
    count(call, status);
    if (err->code == SLC_CORRUPT && is_damaged(call->admin))
        slc_http_problem(
            call->req, status, "catalog-damaged", "The catalog's database is damaged",
            "The log has the file, its backups and the command that restores one. Gateways go on serving.",
            NULL);
    else if (call->problem == NULL && call->status == 0 && call->problem_type == NULL)
        slc_http_problem_error(call->req, err);
    else
        slc_http_problem(call->req, status,
                         call->problem_type != NULL ? call->problem_type : slc_code_name(err->code),
                         slc_http_reason(status), err->message, json_incref(call->problem));
}

static void send_text(slc_call *call, int status)
{
    struct evbuffer *body = evbuffer_new();
    SLC_BUG_ON(body == NULL);
    evbuffer_add(body, call->text, call->text_len);
    evhttp_add_header(evhttp_request_get_output_headers(call->req), "Content-Type", call->text_type);
    evhttp_send_reply(call->req, status, slc_http_reason(status), body);
    evbuffer_free(body);
}

static void finish(slc_call *call)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(call->req);
    int status = call->status != 0 ? call->status : call->route->success;
    char etag[32];
    if (call->etag >= 0) {
        snprintf(etag, sizeof etag, "\"%lld\"", (long long)call->etag);
        evhttp_add_header(headers, "ETag", etag);
    }
    if (call->location[0] != '\0')
        evhttp_add_header(headers, "Location", call->location);
    evhttp_add_header(headers, "Cache-Control", "no-store");
    evhttp_add_header(headers, "Sluice-Version", SLC_VERSION);
    answering(call);
    count(call, status);
    if (call->text != NULL)
        send_text(call, status);
    else if (call->answer != NULL)
        slc_http_json(call->req, status, json_incref(call->answer));
    else
        evhttp_send_reply(call->req, status, slc_http_reason(status), NULL);
}
