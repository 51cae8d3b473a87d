/* A new password by a link that an administrator made. */
#include <openssl/crypto.h>
#include <stdio.h>

#include "common/log.h"
#include "controlplane/portal/portal_private.h"

struct reset {
    slc_call *call;
    const char *token;
    char name[SLC_KEY_CHARS];
    char hash[SLC_PASSWORD_HASH_CHARS];
    char user_id[SLC_TOKEN_ID_CHARS + 1];
    char secret[SLC_SESSION_SECRET_CHARS + 1];
};

bool slc_portal_show_reset(slc_txn *txn, slc_call *call, slc_error *err)
{
    static const char *const fields[] = {"token", NULL};
    const char *token;
    if (!slc_portal_fields(call, fields, err) || (token = slc_portal_text(call, "token", 1, 100, err)) == NULL)
        return false;
    call->answer = slc_reset_show(txn, token, err);
    return call->answer != NULL;
}

/* Before a hash is made, which is costly, and again when it is done. */
static bool check(slc_txn *txn, void *arg, slc_error *err)
{
    struct reset *reset = arg;
    json_t *shown = slc_reset_show(txn, reset->token, err);
    if (shown != NULL)
        snprintf(reset->name, sizeof reset->name, "%s", json_string_value(json_object_get(shown, "name")));
    json_decref(shown);
    return shown != NULL;
}

static bool set(slc_txn *txn, void *arg, slc_error *err)
{
    struct reset *reset = arg;
    return slc_reset_use(txn, reset->token, reset->hash, reset->user_id, err) &&
           slc_portal_begin(txn, reset->call, reset->user_id, NULL, reset->secret, err);
}

static bool use(struct reset *reset, slc_error *err)
{
    slc_call *call = reset->call;
    slc_portal *portal = slc_portal_of(call);
    slc_actor actor = {.kind = "user",
                       .id = "reset",
                       .name = reset->name,
                       .request_id = call->request_id,
                       .manager = "portal"};
    if (!slc_catalog_read_sync(portal->catalog, check, reset, err) ||
        !slc_portal_new_password(call, "password", reset->name, reset->hash, err) ||
        !slc_catalog_write_sync(portal->catalog, &actor, set, reset, err))
        return false;
    slc_portal_set_session(call, reset->secret);
    slc_failures_passed(portal->failures, call->browser.address, reset->name);
    slc_log(SLC_LOG_INFO, "password set by a link", LS("user", reset->name),
            LS("address", call->browser.address), LS("request_id", call->request_id));
    return true;
}

bool slc_portal_use_reset(slc_txn *txn, slc_call *call, slc_error *err)
{
    static const char *const fields[] = {"token", "password", NULL};
    struct reset reset = {.call = call};
    (void)txn;
    if (!slc_portal_fields(call, fields, err) ||
        (reset.token = slc_portal_text(call, "token", 1, 100, err)) == NULL ||
        !slc_portal_may_try(call, slc_portal_of(call)->failures, NULL, err))
        return false;
    bool ok = use(&reset, err);
    if (!ok && err->code == SLC_NOT_FOUND)
        slc_failures_failed(slc_portal_of(call)->failures, call->browser.address, NULL);
    OPENSSL_cleanse(reset.secret, sizeof reset.secret);
    return ok;
}
