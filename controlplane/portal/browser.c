/* What a browser's request says about who asks: the session's cookie, and that the page that sent it is ours.
 */
#include <event2/http.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/crypto.h"
#include "controlplane/portal/portal_private.h"

/* With the prefix a browser takes it from this host alone, by TLS alone (RFC 6265bis section 4.1.3). */
#define COOKIE_SECURE "__Host-sluice-session"
#define COOKIE_PLAIN  "sluice-session"
#define FLOW_SECURE   "__Host-sluice-sign-in"
#define FLOW_PLAIN    "sluice-sign-in"
#define FLOW_MAX      3000

slc_portal *slc_portal_of(const slc_call *call)
{
    slc_portal *portal = call->surface->arg;
    SLC_CHECK_MAGIC(portal, SLC_PORTAL_MAGIC);
    return portal;
}

const char *slc_portal_cookie_name(bool secure)
{
    return secure ? COOKIE_SECURE : COOKIE_PLAIN;
}

/* ---- taking ---- */

/* One that comes twice was set by somebody else too: then it is nobody's. */
static void take_cookie(const char *header, const char *name, char *out, size_t size)
{
    size_t name_len = strlen(name);
    bool found = false;
    for (const char *p = header; p != NULL && *p != '\0'; p += *p == ';') {
        p += strspn(p, " \t");
        size_t len = strcspn(p, ";");
        bool ours = len > name_len && strncmp(p, name, name_len) == 0 && p[name_len] == '=';
        size_t value_len = ours ? len - name_len - 1 : 0;
        if (ours && (found || value_len >= size)) {
            out[0] = '\0';
            return;
        }
        if (ours) {
            memcpy(out, p + name_len + 1, value_len);
            out[value_len] = '\0';
            found = true;
        }
        p += len;
    }
}

static void take_flow(slc_call *call, const char *header)
{
    char flow[FLOW_MAX] = "";
    take_cookie(header, slc_portal_of(call)->secure ? FLOW_SECURE : FLOW_PLAIN, flow, sizeof flow);
    if (flow[0] != '\0')
        call->browser.flow = slc_strdup(flow);
}

static char *take_header(struct evkeyvalq *headers, const char *name)
{
    const char *value = evhttp_find_header(headers, name);
    return value != NULL ? slc_strdup(value) : NULL;
}

bool slc_portal_take(slc_call *call, slc_error *err)
{
    struct evkeyvalq *headers = evhttp_request_get_input_headers(call->req);
    slc_call_browser *browser = &call->browser;
    const char *csrf = evhttp_find_header(headers, "X-CSRF-Token");
    char *address = NULL;
    uint16_t port = 0;
    (void)err;
    take_cookie(evhttp_find_header(headers, "Cookie"), slc_portal_of(call)->cookie_name, browser->session,
                sizeof browser->session);
    take_flow(call, evhttp_find_header(headers, "Cookie"));
    if (csrf != NULL && strlen(csrf) < sizeof browser->csrf)
        memcpy(browser->csrf, csrf, strlen(csrf) + 1);
    browser->origin = take_header(headers, "Origin");
    browser->fetch_site = take_header(headers, "Sec-Fetch-Site");
    browser->host = take_header(headers, "Host");
    browser->agent = take_header(headers, "User-Agent");
    if (evhttp_request_get_connection(call->req) != NULL)
        evhttp_connection_get_peer(evhttp_request_get_connection(call->req), &address, &port);
    if (address != NULL && strlen(address) < sizeof browser->address)
        memcpy(browser->address, address, strlen(address) + 1);
    slc_portal_client_address(slc_portal_of(call), evhttp_find_header(headers, "X-Forwarded-For"),
                              browser->address, sizeof browser->address);
    return true;
}

/* ---- is the page ours? ---- */

static bool is_own_origin(const slc_portal *portal, const slc_call_browser *browser)
{
    if (portal->origin != NULL)
        return strcmp(browser->origin, portal->origin) == 0;
    /* Whether there is TLS in front is not known. */
    const char *host = strstr(browser->origin, "://");
    return host != NULL && browser->host != NULL && strcasecmp(host + 3, browser->host) == 0;
}

/* Browsers say where a request comes from; what is no browser brings no cookie that it was not given. */
static bool check_origin(const slc_portal *portal, slc_call *call, slc_error *err)
{
    const slc_call_browser *browser = &call->browser;
    bool ours = true;
    if (browser->origin != NULL)
        ours = is_own_origin(portal, browser);
    else if (browser->fetch_site != NULL)
        ours = strcmp(browser->fetch_site, "same-origin") == 0 || strcmp(browser->fetch_site, "none") == 0;
    if (ours)
        return true;
    call->problem_type = "cross-site";
    return slc_call_fail(
        call, 403, err, SLC_DENIED, NULL, "the request comes from another site than the portal's own pages%s%s",
        portal->origin != NULL ? ": open the portal at " : "", portal->origin != NULL ? portal->origin : "");
}

static bool check_csrf(slc_call *call, slc_error *err)
{
    char expected[SLC_SESSION_CSRF_CHARS + 1];
    slc_session_csrf(call->browser.session, expected);
    if (strlen(call->browser.csrf) == SLC_SESSION_CSRF_CHARS &&
        slc_equal_secret(call->browser.csrf, expected, SLC_SESSION_CSRF_CHARS))
        return true;
    call->problem_type = "cross-site";
    return slc_call_fail(call, 403, err, SLC_DENIED, NULL,
                         "X-CSRF-Token must be what GET /auth/session gave for this session");
}

static bool changes_something(const slc_call *call)
{
    return strcmp(call->route->method, "GET") != 0;
}

bool slc_portal_identify(slc_txn *txn, slc_call *call, slc_error *err)
{
    slc_portal *portal = slc_portal_of(call);
    bool open = strcmp(call->permission, SLC_PERMISSION_OPEN) == 0;
    slc_error none;
    if (changes_something(call) && !check_origin(portal, call, err))
        return false;
    bool known = slc_session_check(txn, call->browser.session, &portal->options.sessions, &call->identity,
                                   open ? &none : err);
    if (!known && open)
        slc_identity_release(&call->identity);
    if (open)
        return known || none.code == SLC_UNAUTHENTICATED || (*err = none, false);
    return known && (!changes_something(call) || check_csrf(call, err));
}

/* ---- answering ---- */

static void set_cookie(slc_call *call, size_t place, const char *name, const char *value, int64_t life_s)
{
    char **cookie = &call->cookies[place];
    if (*cookie != NULL)
        slc_free_secret(*cookie, strlen(*cookie));
    *cookie =
        slc_asprintf("%s=%s; Path=/; HttpOnly; SameSite=Lax%s; Max-Age=%lld", name, value != NULL ? value : "",
                     slc_portal_of(call)->secure ? "; Secure" : "", value != NULL ? (long long)life_s : 0LL);
}

void slc_portal_set_session(slc_call *call, const char *secret)
{
    const slc_portal *portal = slc_portal_of(call);
    set_cookie(call, 0, portal->cookie_name, secret, portal->options.sessions.absolute_ms / 1000);
}

void slc_portal_set_flow(slc_call *call, const char *flow, int64_t life_s)
{
    set_cookie(call, 1, slc_portal_of(call)->secure ? FLOW_SECURE : FLOW_PLAIN, flow, life_s);
}

void slc_portal_guard_headers(struct evhttp_request *req, bool secure)
{
    static const struct {
        const char *name, *value;
    } fields[] = {
        {"X-Content-Type-Options", "nosniff"},
        {"X-Frame-Options", "DENY"},
        {"Referrer-Policy", "same-origin"},
        {"Cross-Origin-Opener-Policy", "same-origin"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"},
    };
    struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        evhttp_add_header(headers, fields[i].name, fields[i].value);
    if (secure)
        evhttp_add_header(headers, "Strict-Transport-Security", "max-age=31536000");
}

void slc_portal_answering(slc_call *call)
{
    slc_portal *portal = slc_portal_of(call);
    struct evkeyvalq *headers = evhttp_request_get_output_headers(call->req);
    slc_portal_guard_headers(call->req, portal->secure);
    evhttp_add_header(headers, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
    if (evhttp_find_header(headers, "Cache-Control") == NULL)
        evhttp_add_header(headers, "Cache-Control", "no-store");
}
