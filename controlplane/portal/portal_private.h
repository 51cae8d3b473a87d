/* What the portal's files share. */
#ifndef SLC_CONTROLPLANE_PORTAL_PORTAL_PRIVATE_H
#define SLC_CONTROLPLANE_PORTAL_PORTAL_PRIVATE_H

#include "catalog/account.h"
#include "controlplane/admin/call.h"
#include "controlplane/admin/surface.h"
#include "controlplane/portal/connect.h"
#include "controlplane/portal/discovery.h"
#include "controlplane/portal/portal.h"
#include "controlplane/portal/site.h"
#include "dataplane/policy/failures.h"

#define SLC_PORTAL_MAGIC 0x51c90974u

struct slc_portal {
    unsigned magic;
    slc_loop *loop;
    slc_admin *admin;
    slc_catalog *catalog;
    slc_httpd *httpd;
    slc_tls *tls;
    uint16_t port;
    slc_site *site;
    slc_connect *connect;
    slc_surface surface;
    slc_portal_options options; /* the strings are own, or NULL */
    char *origin;               /* of public_url; NULL: as the browser says */
    bool secure;                /* browsers reach it by TLS */
    const char *cookie_name;
    slc_network *proxies; /* whose X-Forwarded-For is believed */
    size_t proxy_count;
    slc_discoveries *discoveries;
    slc_failures *failures;               /* of passwords; NULL: not counted */
    slc_failures *sign_ups;               /* each counts, good or not */
    uint8_t flow_key[SLC_SEAL_KEY_BYTES]; /* of cookies of sign-ins under way; of this process */
    char nobody[SLC_PASSWORD_HASH_CHARS]; /* what a password is compared with when there is no such account */
};

extern const slc_route slc_portal_routes[];

/* `by`: "password" or "provider"; `result`: "ok", "refused" (whoever it was may not) or "failed" (nobody could
 * tell). */
void slc_portal_count_sign_in(const char *by, const char *result);

/* ---- browser.c: what tells who asks ---- */
bool slc_portal_take(slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_portal_identify(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
void slc_portal_answering(slc_call *call);
/* Header fields that every answer of the portal has. */
void slc_portal_guard_headers(struct evhttp_request *req, bool secure);
/* Sets the cookie of the answer: a session's secret, or (NULL) none any more. */
void slc_portal_set_session(slc_call *call, const char *secret);
/* The same for the cookie of a sign-in under way. */
void slc_portal_set_flow(slc_call *call, const char *flow, int64_t life_s);
slc_portal *slc_portal_of(const slc_call *call);
const char *slc_portal_cookie_name(bool secure);

/* ---- client_address.c ---- */
/* Networks, separated by commas; NULL is none. */
bool slc_portal_read_proxies(slc_portal *portal, const char *text, slc_error *err) SLC_CHECKED;
/* `address` is the connection's peer, and becomes the client's as far as trusted proxies tell it. */
void slc_portal_client_address(const slc_portal *portal, const char *forwarded_for, char *address, size_t size);

/* ---- body.c: the fields of a body that is no entity's ---- */
/* A text of min..max characters; absent is "" and fine with min 0. Borrowed; NULL with err. */
const char *slc_portal_text(slc_call *call, const char *field, size_t min, size_t max,
                            slc_error *err) SLC_CHECKED;
/* A field that is none of these (ends with NULL) fails. */
bool slc_portal_fields(const slc_call *call, const char *const *names, slc_error *err) SLC_CHECKED;
/* A new password, long enough and hashed. On a thread that may take its time. */
bool slc_portal_new_password(slc_call *call, const char *field, const char *name,
                             char hash[SLC_PASSWORD_HASH_CHARS], slc_error *err) SLC_CHECKED;
/* Not too many failures before? Else 429. */
bool slc_portal_may_try(slc_call *call, slc_failures *failures, const char *account,
                        slc_error *err) SLC_CHECKED;

/* ---- sign_in.c ---- */
/* In a write transaction: ends the session that the browser had, begins one, and fills the answer as GET
 * /auth/session does. The cookie is set by slc_portal_set_session once it is committed. */
bool slc_portal_begin(slc_txn *txn, slc_call *call, const char *user_id, const char *provider,
                      char secret[SLC_SESSION_SECRET_CHARS + 1], slc_error *err) SLC_CHECKED;
bool slc_portal_session(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_portal_sign_in(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_portal_sign_out(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;

/* ---- oidc.c ---- */
bool slc_portal_start(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_portal_callback(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;

/* ---- newcomers.c ---- */
bool slc_portal_show_invitation(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_portal_accept_invitation(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_portal_open_account(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;

/* ---- reset.c ---- */
bool slc_portal_show_reset(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_portal_use_reset(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;

/* ---- visitors.c ---- */
/* The admin API's own routes of the catalog: for who is signed in as ever; for others, where the setting lets
 * them. */
bool slc_portal_catalog(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_portal_catalog_one(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_portal_catalog_document(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;

/* ---- profile.c ---- */
bool slc_portal_sessions(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_portal_end_session(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_portal_end_others(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_portal_change_profile(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_portal_change_password(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_portal_tokens(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_portal_make_token(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_portal_delete_token(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;

#endif
