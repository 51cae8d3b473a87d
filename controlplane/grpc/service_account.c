/* Tokens of Kubernetes service accounts: which rule takes one, and whether its issuer signed it.
 *
 * The claims choose the rule before the signature is looked at, because the rule says whose keys to take;
 * nothing is granted before all of it holds. */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/read.h"
#include "common/alloc.h"
#include "common/assert.h"
#include "common/jose/jwt.h"
#include "controlplane/grpc/grpc_private.h"

#define CHECK_MAGIC    0x51ce4acc
#define SUBJECT_PREFIX "system:serviceaccount:"

struct check {
    unsigned magic;
    slc_control_grpc *grpc;
    slc_account_done done;
    void *arg;
    slc_jwt jwt;
    const char *namespace, *name; /* of the account, inside jwt */
    json_t *rules;
    const json_t *rule; /* the one that takes it, inside rules */
    bool fresh;         /* the keys were fetched anew for it */
    slc_account account;
};

static void ask_keys(struct check *check);

static void finish(struct check *check, const slc_error *err)
{
    check->done(check->arg, err == NULL ? &check->account : NULL, err);
    slc_jwt_release(&check->jwt);
    json_decref(check->rules);
    check->magic = 0;
    free(check);
}

/* ---- what the token says ---- */

/* Kubernetes has the names of pod, namespace and account in a claim of its own. Only tokens that are bound to a
 * pod are taken: they end with it. */
static bool read_account(struct check *check, slc_error *err)
{
    const json_t *kubernetes = json_object_get(check->jwt.claims, "kubernetes.io");
    const char *pod = json_string_value(json_object_get(json_object_get(kubernetes, "pod"), "name"));
    const char *uid = json_string_value(json_object_get(json_object_get(kubernetes, "pod"), "uid"));
    const char *subject = slc_jwt_text(&check->jwt, "sub");
    char expected[sizeof check->account.subject];
    check->namespace = json_string_value(json_object_get(kubernetes, "namespace"));
    check->name = json_string_value(json_object_get(json_object_get(kubernetes, "serviceaccount"), "name"));
    if (check->namespace == NULL || check->name == NULL || pod == NULL || pod[0] == '\0' || uid == NULL ||
        uid[0] == '\0')
        return slc_fail(
            err, SLC_UNAUTHENTICATED, "kubernetes.io",
            "the token is not one of a service account that is bound to a pod: mount it by a projected "
            "volume");
    snprintf(expected, sizeof expected, SUBJECT_PREFIX "%s:%s", check->namespace, check->name);
    if (subject == NULL || strcmp(subject, expected) != 0 || strlen(pod) >= sizeof check->account.pod ||
        strlen(uid) >= sizeof check->account.pod_uid)
        return slc_fail(err, SLC_UNAUTHENTICATED, "sub", "the token's subject is not its service account");
    snprintf(check->account.subject, sizeof check->account.subject, "%s", expected);
    snprintf(check->account.pod, sizeof check->account.pod, "%s", pod);
    snprintf(check->account.pod_uid, sizeof check->account.pod_uid, "%s", uid);
    return true;
}

/* ---- rules ---- */

static json_t *read_rule(sqlite3_stmt *stmt)
{
    static const char *const texts[] = {
        "id",  "name",     "group",     "audience", "namespace", "service_account",
        "url", "jwks_url", "jwks_file", "ca_pem"};
    static const char *const lists[] = {"algorithms", "audiences", "claims"};
    const int first_list = (int)(sizeof texts / sizeof *texts);
    json_t *rule = json_object();
    for (int i = 0; i < first_list; i++)
        if (slc_column_text(stmt, i) != NULL)
            json_object_set_new(rule, texts[i], json_string(slc_column_text(stmt, i)));
    for (int i = 0; i < 3; i++) {
        json_t *value = slc_column_json(stmt, first_list + i);
        if (value != NULL)
            json_object_set_new(rule, lists[i], value);
    }
    return rule;
}

static bool load_rules(slc_txn *txn, void *arg, slc_error *err)
{
    static const char sql[] =
        "SELECT r.id, r.name, r.\"group\", r.audience, r.namespace, r.service_account, i.url, i.jwks_url, "
        "i.jwks_file, i.ca_pem, i.algorithms, i.audiences, i.claims FROM enrolment_rules AS r "
        "JOIN issuers AS i ON i.id = r.issuer WHERE i.url = ?1 ORDER BY r.name";
    struct check *check = arg;
    int row = -1;
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "s", slc_jwt_text(&check->jwt, "iss"));
    while (stmt != NULL && (row = slc_txn_step(txn, stmt, err)) == 1)
        json_array_append_new(check->rules, read_rule(stmt));
    slc_txn_finish(txn, stmt);
    return row == 0;
}

static const char *text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

/* What the issuer asks of all of its tokens. */
static bool issuer_takes(const struct check *check, const json_t *rule)
{
    json_t *audiences = json_object_get(rule, "audiences"), *claims = json_object_get(rule, "claims"), *value;
    const char *name;
    size_t i;
    bool found = json_array_size(audiences) == 0;
    json_array_foreach (audiences, i, value) {
        found = found || slc_jwt_has_audience(&check->jwt, json_string_value(value));
    }
    json_object_foreach (claims, name, value) {
        const char *claim = slc_jwt_text(&check->jwt, name);
        found = found && claim != NULL && strcmp(claim, json_string_value(value)) == 0;
    }
    return found;
}

static bool rule_takes(const struct check *check, const json_t *rule)
{
    const char *account = text(rule, "service_account");
    return slc_jwt_has_audience(&check->jwt, text(rule, "audience")) &&
           fnmatch(text(rule, "namespace"), check->namespace, 0) == 0 &&
           (account == NULL || fnmatch(account, check->name, 0) == 0) && issuer_takes(check, rule);
}

/* The first by name. */
static bool choose_rule(struct check *check, slc_error *err)
{
    size_t i;
    json_t *rule;
    json_array_foreach (check->rules, i, rule) {
        if (!rule_takes(check, rule))
            continue;
        check->rule = rule;
        snprintf(check->account.rule_id, sizeof check->account.rule_id, "%s", text(rule, "id"));
        snprintf(check->account.rule, sizeof check->account.rule, "%s", text(rule, "name"));
        snprintf(check->account.group_id, sizeof check->account.group_id, "%s", text(rule, "group"));
        return true;
    }
    return slc_fail(
        err, SLC_UNAUTHENTICATED, NULL,
        "no enrolment rule takes a token of the issuer \"%.200s\" with this audience for the service "
        "account %.63s/%.200s: look at the issuer's url and the rule's audience, namespace and "
        "service_account",
        slc_jwt_text(&check->jwt, "iss"), check->namespace, check->name);
}

static bool check_claims(const struct check *check, slc_error *err)
{
    slc_jwt_expect expect = {.issuer = text(check->rule, "url"),
                             .audience = text(check->rule, "audience"),
                             .now_ms = slc_ca_now_ms(check->grpc->ca),
                             .skew_ms = slc_ca_skew_ms(check->grpc->ca)};
    return slc_jwt_check_algorithm(&check->jwt, json_object_get(check->rule, "algorithms"), err) &&
           slc_jwt_check_claims(&check->jwt, &expect, err);
}

/* ---- the way ---- */

static void on_keys(void *arg, json_t *keys, const slc_error *err)
{
    struct check *check = arg;
    slc_error why = {0};
    bool unknown_key = false;
    SLC_CHECK_MAGIC(check, CHECK_MAGIC);
    check->grpc->pending--;
    if (keys == NULL) {
        finish(check, err);
    } else if (slc_jwt_verify(&check->jwt, keys, &unknown_key, &why)) {
        finish(check, NULL);
    } else if (unknown_key && !check->fresh && !check->grpc->stopping) {
        check->fresh = true; /* the issuer may have new ones */
        ask_keys(check);
    } else {
        finish(check, &why);
    }
}

static void ask_keys(struct check *check)
{
    slc_jwks_source source = {.issuer = text(check->rule, "url"),
                              .url = text(check->rule, "jwks_url"),
                              .file = text(check->rule, "jwks_file"),
                              .ca_pem = text(check->rule, "ca_pem")};
    check->grpc->pending++;
    slc_jwks_get(check->grpc->jwks, &source, check->fresh, check->grpc->loop, on_keys, check);
}

static void on_rules(void *arg, bool ok, const slc_error *err)
{
    struct check *check = arg;
    slc_error why = {0};
    SLC_CHECK_MAGIC(check, CHECK_MAGIC);
    check->grpc->pending--;
    if (!ok) {
        finish(check, err);
        return;
    }
    if (check->grpc->stopping)
        slc_fail(&why, SLC_UNAVAILABLE, NULL, "the control plane is stopping");
    else if (choose_rule(check, &why) && check_claims(check, &why)) {
        ask_keys(check);
        return;
    }
    finish(check, &why);
}

void slc_account_check(slc_control_grpc *grpc, const char *token, slc_account_done done, void *arg)
{
    struct check *check = slc_calloc(1, sizeof *check);
    slc_error err = {0};
    check->magic = CHECK_MAGIC;
    check->grpc = grpc;
    check->done = done;
    check->arg = arg;
    check->rules = json_array();
    if (!slc_jwt_parse(token, &check->jwt, &err) || !read_account(check, &err)) {
        finish(check, &err);
        return;
    }
    if (slc_jwt_text(&check->jwt, "iss") == NULL) {
        slc_fail(&err, SLC_UNAUTHENTICATED, "iss", "the token does not name its issuer");
        finish(check, &err);
        return;
    }
    grpc->pending++;
    slc_catalog_read(grpc->catalog, grpc->loop, load_rules, on_rules, check);
}
