/* The portal's server: what comes in goes to the routes or to the pages. */
#include "controlplane/portal/portal.h"

#include <event2/http.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/crypto.h"
#include "common/metrics.h"
#include "controlplane/portal/portal_private.h"

#define FAILURE_KEYS    16384
#define SIGN_UP_HOUR_MS 3600000

static const slc_metric metrics[] = {
    {"sluice_portal_sign_ins_total",
     SLC_COUNTER,
     "Attempts to sign in to the portal, by how (password, provider) and result (ok, refused, failed).",
     {"by", "result"},
     0,
     NULL},
    {NULL, SLC_COUNTER, NULL, {NULL}, 0, NULL},
};

void slc_portal_register_metrics(void)
{
    slc_failures_register_metrics();
    slc_metrics_register(metrics);
}

void slc_portal_count_sign_in(const char *by, const char *result)
{
    const char *labels[] = {by, result};
    slc_series_add(slc_metrics_series("sluice_portal_sign_ins_total", labels), 1);
}

static bool is_under(const char *path, const char *folder)
{
    size_t len = strlen(folder);
    return strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

static void on_request(struct evhttp_request *req, void *arg)
{
    slc_portal *portal = arg;
    SLC_CHECK_MAGIC(portal, SLC_PORTAL_MAGIC);
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(req));
    char request_id[65];
    if (path == NULL || *path == '\0')
        path = "/";
    if (is_under(path, "/v1") || is_under(path, "/auth")) {
        slc_admin_handle(portal->admin, req, &portal->surface);
        return;
    }
    slc_http_request_id(req, request_id);
    slc_site_serve(portal->site, req, path, portal->secure, slc_connect_sources(portal->connect));
    if (!is_under(path, "/assets"))
        slc_connect_refresh(portal->connect);
}

/* "https://portal.example.com", without a path: the portal is the whole of its host, or cookies and links would
 * need one more thing to be right. */
static bool read_public_url(slc_portal *portal, const char *url, slc_error *err)
{
    if (url == NULL || *url == '\0')
        return true;
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/')
        len--;
    portal->origin = slc_strndup(url, len);
    struct evhttp_uri *uri = evhttp_uri_parse(portal->origin);
    const char *scheme = uri != NULL ? evhttp_uri_get_scheme(uri) : NULL;
    const char *path = uri != NULL ? evhttp_uri_get_path(uri) : NULL;
    bool secure = scheme != NULL && strcmp(scheme, "https") == 0;
    bool ok = (secure || (scheme != NULL && strcmp(scheme, "http") == 0)) && evhttp_uri_get_host(uri) != NULL &&
              evhttp_uri_get_userinfo(uri) == NULL && (path == NULL || *path == '\0') &&
              evhttp_uri_get_query(uri) == NULL && evhttp_uri_get_fragment(uri) == NULL;
    if (uri != NULL)
        evhttp_uri_free(uri);
    portal->secure = portal->secure || secure;
    return ok ||
           slc_fail(err, SLC_INVALID, "portal.public-url",
                    "portal.public-url must be like https://portal.example.com, without a path, not %.200s",
                    url);
}

/* Of the text that nobody knows: what names without an account are checked against. */
static bool make_nobody(slc_portal *portal, slc_error *err)
{
    char secret[33];
    slc_random_id(secret, sizeof secret - 1);
    return slc_password_hash(&portal->options.password_cost, secret, portal->nobody, err);
}

static bool listen_on(slc_portal *portal, slc_error *err)
{
    const slc_portal_options *options = &portal->options;
    if (options->tls_certificate_file != NULL) {
        slc_tls_options tls = {.cert_file = options->tls_certificate_file, .key_file = options->tls_key_file};
        portal->tls = slc_tls_server_new(&tls, err);
        if (portal->tls == NULL)
            return slc_fail_context(err, "portal-tls");
    }
    int fd = slc_listen(options->address, false, err);
    if (fd < 0)
        return slc_fail_context(err, "portal.address");
    portal->port = slc_listen_port(fd);
    portal->httpd = slc_httpd_new(slc_loop_base(portal->loop), &options->limits, on_request, portal);
    slc_httpd_serve(portal->httpd, fd, portal->tls, portal);
    return true;
}

static void keep_options(slc_portal *portal, const slc_portal_options *options)
{
    const char **strings[] = {&portal->options.address,      &portal->options.tls_certificate_file,
                              &portal->options.tls_key_file, &portal->options.public_url,
                              &portal->options.sign_up_role, &portal->options.trusted_proxies};
    portal->options = *options;
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        *strings[i] = *strings[i] != NULL ? slc_strdup(*strings[i]) : NULL;
}

slc_portal *slc_portal_new(slc_loop *loop, slc_admin *admin, const slc_portal_options *options, slc_error *err)
{
    slc_portal *portal = slc_calloc(1, sizeof *portal);
    portal->magic = SLC_PORTAL_MAGIC;
    portal->loop = loop;
    portal->admin = admin;
    portal->catalog = slc_admin_catalog(admin);
    portal->surface = (slc_surface){.routes = slc_portal_routes,
                                    .arg = portal,
                                    .take = slc_portal_take,
                                    .identify = slc_portal_identify,
                                    .answering = slc_portal_answering};
    keep_options(portal, options);
    slc_random(portal->flow_key, sizeof portal->flow_key);
    portal->secure = options->tls_certificate_file != NULL;
    slc_failures_options failures = {
        .allowed = options->failures, .window_ms = options->failure_window_ms, .keys = FAILURE_KEYS};
    slc_failures_options sign_ups = {
        .allowed = options->sign_ups, .window_ms = SIGN_UP_HOUR_MS, .keys = FAILURE_KEYS};
    portal->discoveries = slc_discoveries_new(options->discovery_ttl_ms, options->discovery_retry_ms);
    portal->failures = slc_failures_new(&failures);
    portal->sign_ups = slc_failures_new(&sign_ups);
    if (read_public_url(portal, options->public_url, err) &&
        slc_portal_read_proxies(portal, options->trusted_proxies, err) && make_nobody(portal, err)) {
        portal->cookie_name = slc_portal_cookie_name(portal->secure);
        portal->site = slc_site_new();
        if (listen_on(portal, err)) {
            portal->connect = slc_connect_new(loop, portal->catalog);
            return portal;
        }
    }
    slc_portal_free(portal);
    return NULL;
}

uint16_t slc_portal_port(const slc_portal *portal)
{
    return portal->port;
}

void slc_portal_drain(slc_portal *portal)
{
    slc_httpd_drain(portal->httpd);
}

void slc_portal_free(slc_portal *portal)
{
    if (portal == NULL)
        return;
    SLC_CHECK_MAGIC(portal, SLC_PORTAL_MAGIC);
    if (portal->httpd != NULL)
        slc_httpd_free(portal->httpd);
    slc_tls_unref(portal->tls);
    slc_connect_free(portal->connect);
    slc_site_free(portal->site);
    slc_discoveries_free(portal->discoveries);
    slc_failures_free(portal->failures);
    slc_failures_free(portal->sign_ups);
    free((char *)portal->options.address);
    free((char *)portal->options.tls_certificate_file);
    free((char *)portal->options.tls_key_file);
    free((char *)portal->options.public_url);
    free((char *)portal->options.sign_up_role);
    free((char *)portal->options.trusted_proxies);
    free(portal->proxies);
    free(portal->origin);
    portal->magic = 0;
    free(portal);
}
