/* Rules: credentials and subscriptions. */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "catalog/access.h"
#include "catalog/entity.h"
#include "catalog/store.h"
#include "catalog/token.h"
#include "catalog/verifier.h"
#include "common/assert.h"

#define LOOKUP_CHARS 1200

/* ---- credentials ---- */

static bool exactly_one(const json_t *certificate)
{
    return json_object_size(certificate) == 1;
}

/* What gateways find it by: see Credential in proto/sluice/snapshot.proto. */
static void make_lookup(const slc_change *change, char out[LOOKUP_CHARS])
{
    const json_t *certificate = json_object_get(change->next, "certificate");
    const json_t *oidc = json_object_get(change->next, "oidc");
    const char *wrong;
    if (oidc != NULL)
        snprintf(out, LOOKUP_CHARS, "oidc:%s:%s=%s", slc_get_text(oidc, "issuer"), slc_get_text(oidc, "claim"),
                 slc_get_text(oidc, "value"));
    else if (certificate != NULL)
        (void)slc_certificate_property(certificate, out, LOOKUP_CHARS, &wrong);
    else
        snprintf(out, LOOKUP_CHARS, "secret:%s", change->id);
}

static bool check_match(slc_txn *txn, const slc_change *change, slc_error *err)
{
    static const char *const matches[] = {"certificate", "oidc"};
    const char *type = slc_get_text(change->next, "type");
    for (size_t i = 0; i < 2; i++) {
        bool wanted = strcmp(type, matches[i]) == 0;
        char pointer[32];
        snprintf(pointer, sizeof(pointer), "/%s", matches[i]);
        if (wanted != (json_object_get(change->next, matches[i]) != NULL))
            return slc_txn_problem(txn, pointer, err,
                                   wanted ? "is required for this type" : "is only for type %s", matches[i]);
    }
    if (strcmp(type, "certificate") == 0 && !exactly_one(json_object_get(change->next, "certificate")))
        return slc_txn_problem(txn, "/certificate", err,
                               "must have exactly one of subject, san and fingerprint");
    return true;
}

static bool check_lookup(slc_txn *txn, slc_change *change, slc_error *err)
{
    char lookup[LOOKUP_CHARS];
    make_lookup(change, lookup);
    json_object_set_new(change->next, "lookup", json_string(lookup));
    sqlite3_stmt *stmt = slc_txn_query(
        txn, err, "SELECT id FROM credentials WHERE lookup = ?1 AND revoked_at IS NULL AND id <> ?2", "ss",
        lookup, change->id);
    int rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    if (rc == 1)
        slc_fail(err, SLC_CONFLICT, json_object_get(change->next, "oidc") != NULL ? "/oidc" : "/certificate",
                 "credential %s matches the same already", slc_column_text(stmt, 0));
    slc_txn_finish(txn, stmt);
    return rc == 0;
}

static bool check_credential(slc_txn *txn, slc_change *change, slc_error *err)
{
    if (change->before != NULL) {
        if (json_object_get(change->before, "revoked_at") != NULL)
            return slc_fail(err, SLC_CONFLICT, NULL, "the credential is revoked: it can only be deleted");
        return true;
    }
    int64_t expires_at = slc_get_int(change->next, "expires_at");
    if (expires_at != 0 && expires_at <= slc_txn_now_ms(txn))
        return slc_txn_problem(txn, "/expires_at", err, "must be in the future");
    return check_match(txn, change, err) && slc_identifying_check(txn, change, err) &&
           check_lookup(txn, change, err);
}

static bool make_secret(slc_txn *txn, slc_change *change, slc_error *err)
{
    if (change->before != NULL || strcmp(slc_get_text(change->next, "type"), "secret") != 0)
        return true;
    slc_token token;
    slc_token_make(&token, SLC_TOKEN_KEY, change->id);
    json_object_set_new(change->once, "secret", json_string(token.secret));
    json_object_set_new(change->once, "api_key", json_string(token.text));
    json_object_set_new(change->once, "username", json_string(change->id));
    uint8_t sha256[SLC_SCRAM_SHA256_BYTES], sha512[SLC_SCRAM_SHA512_BYTES];
    slc_scram_verifier(token.secret, 256, sha256);
    slc_scram_verifier(token.secret, 512, sha512);
    bool ok = slc_txn_exec(
        txn, err,
        "UPDATE credentials SET secret_sha256 = ?2, scram_sha256 = ?3, scram_sha512 = ?4 WHERE id = ?1", "sbbb",
        change->id, token.sha256, sizeof(token.sha256), sha256, sizeof(sha256), sha512, sizeof(sha512));
    slc_token_release(&token);
    return ok;
}

static bool act_on_credential(slc_txn *txn, slc_change *change, const slc_action *action, const json_t *body,
                              slc_error *err)
{
    (void)action; /* revoke is the only one */
    (void)body;
    (void)err;
    if (json_object_get(change->before, "revoked_at") == NULL)
        json_object_set_new(change->next, "revoked_at", json_integer(slc_txn_now_ms(txn)));
    return true;
}

const struct slc_kind_rules slc_rules_credential = {
    .check = check_credential, .written = make_secret, .act = act_on_credential};

/* ---- subscriptions ---- */

static bool is_live(const char *state)
{
    return strcmp(state, "pending") == 0 || strcmp(state, "approved") == 0 || strcmp(state, "suspended") == 0;
}

static int exists(slc_txn *txn, slc_error *err, const char *sql, const char *a, const char *b)
{
    sqlite3_stmt *stmt =
        b != NULL ? slc_txn_query(txn, err, sql, "ss", a, b) : slc_txn_query(txn, err, sql, "s", a);
    int rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    slc_txn_finish(txn, stmt);
    return rc;
}

static bool check_product(slc_txn *txn, const json_t *product, const json_t *application, slc_error *err)
{
    const char *lifecycle = slc_get_text(product, "lifecycle");
    if (strcmp(lifecycle, "draft") == 0 || strcmp(lifecycle, "retired") == 0)
        return slc_txn_problem(txn, "/plan", err, "the product %s is %s: it cannot be subscribed to",
                               slc_get_text(product, "name"),
                               strcmp(lifecycle, "draft") == 0 ? "a draft" : "retired");
    const char *team = slc_get_text(application, "team");
    bool seen = strcmp(slc_get_text(product, "visibility"), "teams") != 0 ||
                strcmp(team, slc_get_text(product, "team")) == 0 ||
                slc_has_text(json_object_get(product, "visible_to"), team);
    return seen || slc_txn_problem(txn, "/plan", err, "the product %s is not offered to the application's team",
                                   slc_get_text(product, "name"));
}

static bool check_environment(slc_txn *txn, const json_t *next, slc_error *err)
{
    const char *environment = slc_get_text(next, "environment");
    int rc = exists(txn, err, "SELECT 1 FROM gateway_groups WHERE environment = ?1", environment, NULL);
    if (rc == 0)
        slc_txn_problem(txn, "/environment", err, "there is no gateway group with the environment %s",
                        environment);
    return rc == 1;
}

/* One live subscription per application, product and environment. What has run out does not count, even if
 * nobody has marked it yet. */
static bool check_single(slc_txn *txn, const json_t *next, slc_error *err)
{
    static const char sql[] = "SELECT id FROM subscriptions WHERE application = ?1 AND product = ?2 AND "
                              "environment = ?3 AND state IN ('pending', 'approved', 'suspended')";
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "sss", slc_get_text(next, "application"),
                                       slc_get_text(next, "product"), slc_get_text(next, "environment"));
    int rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    if (rc == 1)
        slc_fail(err, SLC_CONFLICT, "/plan",
                 "the application has a live subscription to this product in this environment already: %s",
                 slc_column_text(stmt, 0));
    slc_txn_finish(txn, stmt);
    return rc == 0;
}

/* Pending and suspended ones count, so that no decision about one can be the one too many. */
static bool check_room(slc_txn *txn, const json_t *next, slc_error *err)
{
    static const char sql[] = "SELECT count(*) FROM subscriptions WHERE application = ?1 AND +environment = ?2 "
                              "AND state IN ('pending', 'approved', 'suspended')";
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "ss", slc_get_text(next, "application"),
                                       slc_get_text(next, "environment"));
    int rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    bool ok = rc == 1 && sqlite3_column_int64(stmt, 0) < SLC_LIVE_SUBSCRIPTIONS_MAX;
    if (rc == 1 && !ok)
        slc_fail(
            err, SLC_CONFLICT, "/application",
            "the application has %d live subscriptions in this environment, and more are not possible: end "
            "some, or use another application",
            SLC_LIVE_SUBSCRIPTIONS_MAX);
    slc_txn_finish(txn, stmt);
    return ok;
}

static bool admit(slc_txn *txn, slc_change *change, const json_t *plan, slc_error *err)
{
    json_t *next = change->next;
    json_object_set(next, "product", json_object_get(plan, "product"));
    json_t *product = slc_entity_load(txn, slc_kind_find("products"), slc_get_text(plan, "product"), err);
    json_t *application =
        slc_entity_load(txn, slc_kind_find("applications"), slc_get_text(next, "application"), err);
    bool ok = product != NULL && application != NULL && check_product(txn, product, application, err) &&
              check_environment(txn, next, err) && check_single(txn, next, err) && check_room(txn, next, err);
    bool automatic = strcmp(slc_get_text(plan, "approval"), "auto") == 0;
    json_object_set_new(next, "state", json_string(automatic ? "approved" : "pending"));
    json_decref(application);
    json_decref(product);
    return ok;
}

/* A suspension holds against the subscriber, who would be approved anew by a plan that approves by itself if
 * the subscription could be ended. */
static bool check_suspension(slc_txn *txn, const slc_change *change, const char *pointer, slc_error *err)
{
    const slc_identity *identity = slc_access_bound(txn);
    const slc_action *resume = slc_kind_action(change->kind, "resume");
    if (identity == NULL || strcmp(slc_get_text(change->before, "state"), "suspended") != 0)
        return true;
    if (!slc_identity_may(identity, resume->permission))
        return slc_fail(err, SLC_DENIED, pointer,
                        "the subscription is suspended: to end it the token needs the permission %s",
                        resume->permission);
    return slc_access_act(txn, change->kind, resume, change->before, err);
}

static bool check_removal(slc_txn *txn, slc_change *change, slc_error *err)
{
    return check_suspension(txn, change, NULL, err);
}

static bool check_subscription(slc_txn *txn, slc_change *change, slc_error *err)
{
    const json_t *expires = json_object_get(change->next, "expires_at");
    bool expires_changed =
        change->before == NULL || slc_get_int(change->before, "expires_at") != json_integer_value(expires);
    bool same_state = change->before != NULL &&
                      strcmp(slc_get_text(change->before, "state"), slc_get_text(change->next, "state")) == 0;
    if (change->before != NULL && expires_changed && !is_live(slc_get_text(change->before, "state")))
        return slc_fail(err, SLC_CONFLICT, "/expires_at", "the subscription has ended");
    if (change->before != NULL && expires_changed && same_state &&
        !check_suspension(txn, change, "/expires_at", err))
        return false;
    if (expires != NULL && expires_changed && json_integer_value(expires) <= slc_txn_now_ms(txn) &&
        (change->before == NULL || same_state))
        return slc_txn_problem(txn, "/expires_at", err, "must be in the future");
    if (change->before != NULL)
        return true;
    if (!slc_catalog_expire(txn, NULL, err))
        return false;
    json_t *plan = slc_entity_load(txn, slc_kind_find("plans"), slc_get_text(change->next, "plan"), err);
    bool ok = plan != NULL && admit(txn, change, plan, err);
    json_decref(plan);
    return ok;
}

static const struct {
    const char *action;
    const char *from[4];
    const char *to;
} decisions[] = {
    {"approve", {"pending"}, "approved"},
    {"refuse", {"pending"}, "refused"},
    {"suspend", {"approved"}, "suspended"},
    {"resume", {"suspended"}, "approved"},
    {"revoke", {"pending", "approved", "suspended"}, "revoked"},
};

static bool act_on_subscription(slc_txn *txn, slc_change *change, const slc_action *action, const json_t *body,
                                slc_error *err)
{
    size_t i = 0;
    while (strcmp(decisions[i].action, action->name) != 0)
        i++;
    const char *state = slc_get_text(change->before, "state");
    int64_t expires_at = slc_get_int(change->before, "expires_at");
    bool over = is_live(state) && expires_at != 0 && expires_at <= slc_txn_now_ms(txn);
    bool allowed = false;
    for (const char *const *from = decisions[i].from; *from != NULL; from++)
        allowed = allowed || strcmp(*from, state) == 0;
    if (!allowed || over)
        return slc_fail(err, SLC_CONFLICT, "/state", "a subscription that is %s cannot be %s",
                        over ? "expired" : state,
                        strcmp(action->name, "resume") == 0 ? "resumed" : decisions[i].to);
    json_object_set_new(change->next, "state", json_string(decisions[i].to));
    const char *reason = slc_get_text(body, "reason");
    if (reason != NULL)
        json_object_set_new(change->next, "reason", json_string(reason));
    else
        json_object_del(change->next, "reason");
    return true;
}

const struct slc_kind_rules slc_rules_subscription = {
    .check = check_subscription, .removing = check_removal, .act = act_on_subscription};

/* ---- the passing of time ---- */

static bool expire_one(slc_txn *txn, const char *id, slc_error *err)
{
    const slc_kind *kind = slc_kind_find("subscriptions");
    json_t *before = slc_entity_load(txn, kind, id, err);
    if (before == NULL)
        return false;
    json_t *next = json_deep_copy(before);
    json_object_set_new(next, "state", json_string("expired"));
    bool ok = slc_entity_save(txn, kind, "expire", before, next, NULL, err);
    json_decref(next);
    json_decref(before);
    return ok;
}

static int next_expired(slc_txn *txn, char id[SLC_ID_CHARS + 1], int64_t *expires_at, slc_error *err)
{
    static const char sql[] = "SELECT id, expires_at FROM subscriptions WHERE expires_at IS NOT NULL AND "
                              "state IN ('pending', 'approved', 'suspended') ORDER BY expires_at LIMIT 1";
    sqlite3_stmt *stmt = slc_txn_prepare(txn, sql, err);
    int rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    if (rc == 1) {
        snprintf(id, SLC_ID_CHARS + 1, "%s", slc_column_text(stmt, 0));
        *expires_at = sqlite3_column_int64(stmt, 1);
    }
    slc_txn_finish(txn, stmt);
    return rc;
}

bool slc_catalog_next_expiry(slc_txn *txn, int64_t *next_ms, slc_error *err)
{
    char id[SLC_ID_CHARS + 1];
    *next_ms = 0;
    return next_expired(txn, id, next_ms, err) >= 0;
}

bool slc_catalog_expire(slc_txn *txn, int64_t *next_ms, slc_error *err)
{
    char id[SLC_ID_CHARS + 1];
    int64_t expires_at;
    int rc;
    if (next_ms != NULL)
        *next_ms = 0;
    while ((rc = next_expired(txn, id, &expires_at, err)) == 1) {
        if (expires_at > slc_txn_now_ms(txn)) {
            if (next_ms != NULL)
                *next_ms = expires_at;
            return true;
        }
        if (!expire_one(txn, id, err))
            return false;
    }
    return rc == 0;
}
