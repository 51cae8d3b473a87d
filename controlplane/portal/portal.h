/* The portal's server: the pages, sign-in by sessions, and the admin API's own handlers under /v1 for whoever
 * signed in. Everything runs on the loop that it was made with, except the routes' functions, which run on the
 * catalog's threads.
 */
#ifndef SLC_CONTROLPLANE_PORTAL_PORTAL_H
#define SLC_CONTROLPLANE_PORTAL_PORTAL_H

#include <stdint.h>

#include "catalog/password.h"
#include "catalog/session.h"
#include "common/error.h"
#include "common/httpd.h"
#include "common/loop.h"
#include "controlplane/admin/admin.h"

typedef struct slc_portal slc_portal;

enum slc_sign_up {
    SLC_SIGN_UP_OFF,        /* administrators make accounts */
    SLC_SIGN_UP_INVITATION, /* whoever has a link */
    SLC_SIGN_UP_DOMAIN,     /* and whoever a provider vouches for, with an address of one of the domains */
    SLC_SIGN_UP_OPEN,       /* everybody */
};
bool slc_sign_up_parse(const char *text, enum slc_sign_up *out) SLC_CHECKED;

typedef struct slc_portal_options {
    const char *address;
    const char *tls_certificate_file; /* NULL: plain HTTP */
    const char *tls_key_file;
    const char *public_url;      /* how browsers see it: "https://portal.example.com"; NULL: as they say */
    const char *trusted_proxies; /* networks whose X-Forwarded-For is believed, with commas; NULL: none */
    slc_httpd_limits limits;
    slc_session_limits sessions;
    slc_password_cost password_cost;
    int64_t password_min; /* characters */
    int64_t failures; /* wrong passwords of an address or account within failure_window_ms; 0: not counted */
    int64_t failure_window_ms;
    int64_t sign_ups;            /* of one address within an hour */
    int64_t provider_timeout_ms; /* of each request to a sign-in provider */
    int64_t discovery_ttl_ms;    /* how long what a provider says of itself is used */
    int64_t discovery_retry_ms;  /* least time between two attempts when it fails */
    enum slc_sign_up sign_up;
    bool public_catalog;      /* who is not signed in finds what is of the visibility public */
    const char *sign_up_role; /* of whoever comes uninvited; NULL: none */
} slc_portal_options;

/* Registers the metrics of this module; once, before threads start. */
void slc_portal_register_metrics(void);

/* Opens the listener. `admin` and the catalog must outlive it; the options' strings are copied where they are
 * kept. */
slc_portal *slc_portal_new(slc_loop *loop, slc_admin *admin, const slc_portal_options *options,
                           slc_error *err) SLC_CHECKED;
uint16_t slc_portal_port(const slc_portal *portal);
/* Stops accepting. What is under way is the admin API's to wait for (slc_admin_drain). */
void slc_portal_drain(slc_portal *portal);
/* As slc_admin_free, and before it. NULL is fine. */
void slc_portal_free(slc_portal *portal);

#endif
