/* The portal's own routes. Those of the catalog, under /v1, are the admin API's. */
#include "controlplane/portal/portal_private.h"

#define OPEN    SLC_PERMISSION(SLC_PERMISSION_OPEN)
#define SESSION SLC_PERMISSION(SLC_PERMISSION_SESSION)

const slc_route slc_portal_routes[] = {
    {"GET", "/auth/session", OPEN, SLC_ROUTE_READ, false, 200, slc_portal_session,
     "Who is signed in, and how one may come in"},
    {"POST", "/auth/sign-in", OPEN, SLC_ROUTE_TASK, true, 200, slc_portal_sign_in, "Sign in with a password"},
    {"POST", "/auth/providers/{key}/start", OPEN, SLC_ROUTE_TASK, true, 200, slc_portal_start,
     "Begin to sign in by a provider: where the browser goes"},
    {"GET", "/auth/providers/{key}/callback", OPEN, SLC_ROUTE_TASK, false, 303, slc_portal_callback,
     "Where it comes back"},
    {"POST", "/auth/sign-out", SESSION, SLC_ROUTE_WRITE, false, 204, slc_portal_sign_out, "End this session"},
    {"POST", "/auth/invitation", OPEN, SLC_ROUTE_READ, true, 200, slc_portal_show_invitation,
     "What an invitation promises"},
    {"POST", "/auth/invitation/accept", OPEN, SLC_ROUTE_TASK, true, 201, slc_portal_accept_invitation,
     "Make the account that an invitation promises"},
    {"POST", "/auth/reset", OPEN, SLC_ROUTE_READ, true, 200, slc_portal_show_reset,
     "Whose password a link is for"},
    {"POST", "/auth/reset/accept", OPEN, SLC_ROUTE_TASK, true, 200, slc_portal_use_reset,
     "Set the password that a link is for"},
    {"POST", "/auth/sign-up", OPEN, SLC_ROUTE_TASK, true, 201, slc_portal_open_account,
     "Make an account without an invitation"},
    {"GET", "/auth/sessions", SESSION, SLC_ROUTE_READ, false, 200, slc_portal_sessions, "Own sessions"},
    {"DELETE", "/auth/sessions", SESSION, SLC_ROUTE_WRITE, false, 204, slc_portal_end_others,
     "End all own sessions but this one"},
    {"DELETE", "/auth/sessions/{key}", SESSION, SLC_ROUTE_WRITE, false, 204, slc_portal_end_session,
     "End one of them"},
    {"PATCH", "/auth/profile", SESSION, SLC_ROUTE_WRITE, true, 200, slc_portal_change_profile,
     "Change how others see one"},
    {"PUT", "/auth/password", SESSION, SLC_ROUTE_TASK, true, 200, slc_portal_change_password,
     "Change the own password"},
    {"GET", "/auth/tokens", SESSION, SLC_ROUTE_READ, false, 200, slc_portal_tokens, "Own API tokens"},
    {"POST", "/auth/tokens", SESSION, SLC_ROUTE_WRITE, true, 201, slc_portal_make_token, "Make one"},
    {"DELETE", "/auth/tokens/{key}", SESSION, SLC_ROUTE_WRITE, false, 204, slc_portal_delete_token,
     "Delete one of them"},
    {NULL, NULL, NULL, SLC_ROUTE_READ, false, 0, NULL, NULL},
};
