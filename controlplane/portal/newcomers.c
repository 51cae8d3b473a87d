/* How people come to have an account: by an invitation, or where the settings allow it by themselves. */
#include <openssl/crypto.h>
#include <string.h>

#include "common/log.h"
#include "controlplane/admin/handlers.h"
#include "controlplane/portal/portal_private.h"

#define NAME_MAX_CHARS  63
#define EMAIL_MAX_CHARS 254
#define TITLE_MAX_CHARS 200

struct newcomer {
    slc_call *call;
    const char *token; /* of the invitation; NULL: uninvited */
    slc_newcomer who;
    char hash[SLC_PASSWORD_HASH_CHARS];
    char user_id[SLC_TOKEN_ID_CHARS + 1];
    char secret[SLC_SESSION_SECRET_CHARS + 1];
};

static bool check_invitations(slc_call *call, slc_error *err)
{
    if (slc_portal_of(call)->options.sign_up != SLC_SIGN_UP_OFF)
        return true;
    return slc_fail(err, SLC_DENIED, NULL,
                    "nobody can sign up here (portal.sign-up is off): an administrator makes accounts");
}

bool slc_portal_show_invitation(slc_txn *txn, slc_call *call, slc_error *err)
{
    static const char *const fields[] = {"token", NULL};
    const char *token;
    if (!check_invitations(call, err) || !slc_portal_fields(call, fields, err) ||
        (token = slc_portal_text(call, "token", 1, 100, err)) == NULL)
        return false;
    call->answer = slc_invitation_show(txn, token, err);
    return call->answer != NULL;
}

static bool read_newcomer(slc_call *call, bool with_email, struct newcomer *newcomer, slc_error *err)
{
    slc_newcomer *who = &newcomer->who;
    newcomer->call = call;
    return (who->name = slc_portal_text(call, "name", 1, NAME_MAX_CHARS, err)) != NULL &&
           (who->title = slc_portal_text(call, "title", 0, TITLE_MAX_CHARS, err)) != NULL &&
           (who->email = slc_portal_text(call, "email", with_email ? 1 : 0, EMAIL_MAX_CHARS, err)) != NULL;
}

/* All that is wrong is told before a hash is made, and again when it is done. */
static bool check(slc_txn *txn, void *arg, slc_error *err)
{
    struct newcomer *newcomer = arg;
    json_t *invitation = slc_invitation_show(txn, newcomer->token, err);
    json_decref(invitation);
    return invitation != NULL;
}

static bool make(slc_txn *txn, void *arg, slc_error *err)
{
    struct newcomer *newcomer = arg;
    const char *role = slc_portal_of(newcomer->call)->options.sign_up_role;
    bool ok = newcomer->token != NULL
                  ? slc_invitation_accept(txn, newcomer->token, &newcomer->who, newcomer->user_id, err)
                  : slc_account_open(txn, &newcomer->who, role, newcomer->user_id, err);
    if (!ok)
        return slc_call_keep_problems(txn, newcomer->call);
    return slc_portal_begin(txn, newcomer->call, newcomer->user_id, NULL, newcomer->secret, err);
}

static bool let_in(struct newcomer *newcomer, slc_error *err)
{
    slc_call *call = newcomer->call;
    slc_portal *portal = slc_portal_of(call);
    slc_actor actor = {.kind = "user",
                       .id = "new",
                       .name = newcomer->who.name,
                       .request_id = call->request_id,
                       .manager = "portal"};
    if (!slc_portal_new_password(call, "password", newcomer->who.name, newcomer->hash, err))
        return false;
    newcomer->who.hash = newcomer->hash;
    if (!slc_catalog_write_sync(portal->catalog, &actor, make, newcomer, err))
        return false;
    slc_portal_set_session(call, newcomer->secret);
    OPENSSL_cleanse(newcomer->secret, sizeof newcomer->secret);
    slc_log(SLC_LOG_INFO, "account made", LS("user", newcomer->who.name), LS("address", call->browser.address),
            LS("request_id", call->request_id));
    return true;
}

bool slc_portal_accept_invitation(slc_txn *txn, slc_call *call, slc_error *err)
{
    static const char *const fields[] = {"token", "name", "title", "email", "password", NULL};
    struct newcomer newcomer = {.call = call};
    (void)txn;
    return check_invitations(call, err) && slc_portal_fields(call, fields, err) &&
           (newcomer.token = slc_portal_text(call, "token", 1, 100, err)) != NULL &&
           read_newcomer(call, false, &newcomer, err) &&
           slc_catalog_read_sync(slc_portal_of(call)->catalog, check, &newcomer, err) && let_in(&newcomer, err);
}

bool slc_portal_open_account(slc_txn *txn, slc_call *call, slc_error *err)
{
    static const char *const fields[] = {"name", "title", "email", "password", NULL};
    struct newcomer newcomer = {.call = call};
    slc_portal *portal = slc_portal_of(call);
    (void)txn;
    if (portal->options.sign_up != SLC_SIGN_UP_OPEN)
        return slc_fail(err, SLC_DENIED, NULL,
                        "accounts are not open to everybody here (portal.sign-up): ask for an invitation");
    if (!slc_portal_may_try(call, portal->sign_ups, NULL, err) || !slc_portal_fields(call, fields, err) ||
        !read_newcomer(call, true, &newcomer, err))
        return false;
    slc_failures_failed(portal->sign_ups, call->browser.address, NULL);
    return let_in(&newcomer, err);
}
