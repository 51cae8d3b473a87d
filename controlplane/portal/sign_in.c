/* Sign-in with a password, sign-out, and who is signed in. */
#include <openssl/crypto.h>
#include <string.h>

#include "catalog/federation.h"
#include "common/alloc.h"
#include "common/log.h"
#include "controlplane/admin/me.h"
#include "controlplane/portal/portal_private.h"

static const char *const sign_up_names[] = {"off", "invitation", "domain", "open"};

bool slc_sign_up_parse(const char *text, enum slc_sign_up *out)
{
    for (size_t i = 0; i < sizeof sign_up_names / sizeof *sign_up_names; i++) {
        if (strcmp(text, sign_up_names[i]) == 0) {
            *out = (enum slc_sign_up)i;
            return true;
        }
    }
    return false;
}

/* ---- who is signed in ---- */

/* `secret` is the session's: its CSRF token goes to our pages alone, since no other site can read the answer.
 */
static bool describe(slc_txn *txn, slc_call *call, const char *secret, slc_error *err)
{
    const slc_portal_options *options = &slc_portal_of(call)->options;
    char csrf[SLC_SESSION_CSRF_CHARS + 1];
    bool signed_in = call->identity.session_id[0] != '\0';
    json_t *answer = json_pack(
        "{s:b, s:s, s:I, s:b}", "signed_in", (int)signed_in, "sign_up", sign_up_names[options->sign_up],
        "password_min", (json_int_t)options->password_min, "public_catalog", (int)options->public_catalog);
    call->answer = answer;
    json_t *providers = slc_provider_list(txn, err);
    if (providers == NULL)
        return false;
    json_object_set_new(answer, "providers", providers);
    if (!signed_in)
        return true;
    slc_session_csrf(secret, csrf);
    json_object_set_new(answer, "csrf", json_string(csrf));
    OPENSSL_cleanse(csrf, sizeof csrf);
    return slc_me_describe(txn, &call->identity, answer, err);
}

bool slc_portal_session(slc_txn *txn, slc_call *call, slc_error *err)
{
    return describe(txn, call, call->browser.session, err);
}

bool slc_portal_begin(slc_txn *txn, slc_call *call, const char *user_id, const char *provider,
                      char secret[SLC_SESSION_SECRET_CHARS + 1], slc_error *err)
{
    const slc_session_limits *limits = &slc_portal_of(call)->options.sessions;
    slc_session_facts facts = {
        .address = call->browser.address, .agent = call->browser.agent, .provider = provider};
    bool ended;
    slc_identity_release(&call->identity);
    json_decref(call->answer);
    call->answer = NULL;
    return slc_session_end(txn, call->browser.session, &ended, err) &&
           slc_session_begin(txn, user_id, limits, &facts, secret, err) &&
           slc_session_check(txn, secret, limits, &call->identity, err) && describe(txn, call, secret, err);
}

/* ---- sign-in ---- */

struct attempt {
    slc_call *call;
    const char *name, *password;
    slc_account account;
    char rehash[SLC_PASSWORD_HASH_CHARS]; /* empty: the hash has today's cost */
    char secret[SLC_SESSION_SECRET_CHARS + 1];
};

static bool find(slc_txn *txn, void *arg, slc_error *err)
{
    struct attempt *attempt = arg;
    return slc_account_find(txn, attempt->name, &attempt->account, err);
}

static bool begin(slc_txn *txn, void *arg, slc_error *err)
{
    struct attempt *attempt = arg;
    const slc_account *account = &attempt->account;
    if (attempt->rehash[0] != '\0' &&
        !slc_account_rehash(txn, account->user_id, account->hash, attempt->rehash, err))
        return false;
    return slc_portal_begin(txn, attempt->call, account->user_id, NULL, attempt->secret, err);
}

/* Somebody unknown, disabled or without a password takes the same steps as a wrong password. */
static bool is_right(const slc_portal *portal, const struct attempt *attempt)
{
    const slc_account *account = &attempt->account;
    bool same =
        slc_password_matches(account->hash[0] != '\0' ? account->hash : portal->nobody, attempt->password);
    return same && account->hash[0] != '\0' && !account->disabled;
}

static bool refuse(slc_portal *portal, const struct attempt *attempt, slc_error *err)
{
    const char *address = attempt->call->browser.address;
    slc_failures_failed(portal->failures, address, attempt->name);
    /* A name that nobody has may be a password in the wrong field. */
    slc_log(SLC_LOG_INFO, "sign-in refused",
            LS("name", attempt->account.user_id[0] != '\0' ? attempt->name : NULL), LS("address", address),
            LS("request_id", attempt->call->request_id));
    return slc_fail(err, SLC_UNAUTHENTICATED, NULL, "name or password is wrong");
}

static bool sign_in(slc_portal *portal, struct attempt *attempt, slc_error *err)
{
    slc_call *call = attempt->call;
    slc_actor actor = {.kind = "user", .request_id = call->request_id, .manager = "portal"};
    if (!slc_portal_may_try(call, portal->failures, attempt->name, err) ||
        !slc_catalog_read_sync(portal->catalog, find, attempt, err))
        return false;
    if (!is_right(portal, attempt))
        return refuse(portal, attempt, err);
    slc_failures_passed(portal->failures, call->browser.address, attempt->name);
    if (!slc_password_costs(attempt->account.hash, &portal->options.password_cost) &&
        !slc_password_hash(&portal->options.password_cost, attempt->password, attempt->rehash, err))
        return false;
    actor.id = attempt->account.user_id;
    actor.name = attempt->name;
    if (!slc_catalog_write_sync(portal->catalog, &actor, begin, attempt, err))
        return false;
    slc_portal_set_session(call, attempt->secret);
    return true;
}

bool slc_portal_sign_in(slc_txn *txn, slc_call *call, slc_error *err)
{
    static const char *const fields[] = {"name", "password", NULL};
    struct attempt attempt = {.call = call};
    (void)txn;
    if (!slc_portal_fields(call, fields, err) ||
        (attempt.name = slc_portal_text(call, "name", 1, 254, err)) == NULL ||
        (attempt.password = slc_portal_text(call, "password", 1, SLC_PASSWORD_MAX / 4, err)) == NULL)
        return false;
    bool ok = sign_in(slc_portal_of(call), &attempt, err);
    bool refused = err->code == SLC_UNAUTHENTICATED || err->code == SLC_LIMIT;
    slc_portal_count_sign_in("password", ok ? "ok" : refused ? "refused" : "failed");
    OPENSSL_cleanse(attempt.secret, sizeof attempt.secret);
    return ok;
}

bool slc_portal_sign_out(slc_txn *txn, slc_call *call, slc_error *err)
{
    bool ended;
    if (!slc_session_end(txn, call->browser.session, &ended, err))
        return false;
    slc_portal_set_session(call, NULL);
    return true;
}
