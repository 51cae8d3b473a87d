#include "catalog/token.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "catalog/entity.h"
#include "catalog/store.h"
#include "common/alloc.h"
#include "common/assert.h"

#define TOUCH_AFTER_MS 60000 /* uses are noted so often at most */

/* ---- text ---- */

void slc_token_make(slc_token *token, const char *prefix, const char *id)
{
    char secret[SLC_TOKEN_SECRET_CHARS + 1];
    slc_random_id(secret, SLC_TOKEN_SECRET_CHARS);
    int len = snprintf(token->text, sizeof(token->text), "%s_%s_%s", prefix, id, secret);
    SLC_BUG_ON(len != SLC_TOKEN_CHARS);
    token->secret = token->text + SLC_TOKEN_CHARS - SLC_TOKEN_SECRET_CHARS;
    slc_sha256(secret, SLC_TOKEN_SECRET_CHARS, token->sha256);
    OPENSSL_cleanse(secret, sizeof(secret));
}

void slc_token_release(slc_token *token)
{
    OPENSSL_cleanse(token, sizeof(*token));
}

bool slc_token_parse(const char *text, const char *prefix, char id[SLC_TOKEN_ID_CHARS + 1],
                     uint8_t sha256[SLC_SHA256_BYTES])
{
    size_t prefix_len = strlen(prefix);
    if (strlen(text) != SLC_TOKEN_CHARS || strncmp(text, prefix, prefix_len) != 0 || text[prefix_len] != '_' ||
        text[prefix_len + 1 + SLC_TOKEN_ID_CHARS] != '_')
        return false;
    memcpy(id, text + prefix_len + 1, SLC_TOKEN_ID_CHARS);
    id[SLC_TOKEN_ID_CHARS] = '\0';
    slc_sha256(text + prefix_len + 1 + SLC_TOKEN_ID_CHARS + 1, SLC_TOKEN_SECRET_CHARS, sha256);
    return true;
}

/* ---- API tokens ---- */

static void copy_text(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text != NULL ? text : "");
}

static json_t *union_of(slc_txn *txn, const char *sql, const char *user_id, slc_error *err)
{
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "s", user_id);
    if (stmt == NULL)
        return NULL;
    json_t *all = json_array();
    int rc;
    while ((rc = slc_txn_step(txn, stmt, err)) == 1) {
        json_t *some = slc_column_json(stmt, 0);
        if (json_is_array(some))
            json_array_extend(all, some);
        json_decref(some);
    }
    slc_txn_finish(txn, stmt);
    if (rc < 0) {
        json_decref(all);
        return NULL;
    }
    return all;
}

bool slc_identity_load_rights(slc_txn *txn, slc_identity *identity, slc_error *err)
{
    if (identity->user_id[0] == '\0')
        return true;
    identity->rights =
        union_of(txn,
                 "SELECT r.permissions FROM users_roles AS l JOIN roles AS r ON r.id = l.target_id "
                 "WHERE l.owner_id = ?1",
                 identity->user_id, err);
    identity->teams = union_of(txn, "SELECT json_array(target_id) FROM users_teams WHERE owner_id = ?1",
                               identity->user_id, err);
    identity->owned = union_of(txn, "SELECT json_array(target_id) FROM users_owned_teams WHERE owner_id = ?1",
                               identity->user_id, err);
    return identity->rights != NULL && identity->teams != NULL && identity->owned != NULL;
}

/* 1: the row's secret is the given one and it may be used. */
static int match_token(slc_txn *txn, const char *id, const uint8_t *sha256, slc_identity *identity,
                       slc_error *err)
{
    static const char sql[] =
        "SELECT t.secret_sha256, t.expires_at, t.name, t.owner, u.name, u.disabled, t.scopes, t.last_used_at "
        "FROM api_tokens AS t LEFT JOIN users AS u ON u.id = t.owner WHERE t.id = ?1";
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "s", id);
    if (stmt == NULL)
        return -1;
    int rc = slc_txn_step(txn, stmt, err);
    if (rc == 1) {
        const void *stored = sqlite3_column_blob(stmt, 0);
        bool same = stored != NULL && slc_equal_secret(stored, sha256, SLC_SHA256_BYTES);
        identity->expires_at_ms = sqlite3_column_int64(stmt, 1);
        bool expired = identity->expires_at_ms != 0 && identity->expires_at_ms <= slc_txn_now_ms(txn);
        copy_text(identity->token_id, sizeof(identity->token_id), id);
        copy_text(identity->token_name, sizeof(identity->token_name), slc_column_text(stmt, 2));
        copy_text(identity->user_id, sizeof(identity->user_id), slc_column_text(stmt, 3));
        copy_text(identity->user_name, sizeof(identity->user_name), slc_column_text(stmt, 4));
        identity->scopes = slc_column_json(stmt, 6);
        identity->stale = slc_txn_now_ms(txn) - sqlite3_column_int64(stmt, 7) >= TOUCH_AFTER_MS;
        bool orphan = identity->user_id[0] != '\0' && identity->user_name[0] == '\0';
        rc = same && !expired && !orphan && sqlite3_column_int(stmt, 5) == 0;
    }
    slc_txn_finish(txn, stmt);
    return rc;
}

bool slc_catalog_token_check(slc_txn *txn, const char *token, slc_identity *identity, slc_error *err)
{
    memset(identity, 0, sizeof(*identity));
    char id[SLC_TOKEN_ID_CHARS + 1];
    uint8_t sha256[SLC_SHA256_BYTES];
    int rc = 0;
    if (slc_token_parse(token, SLC_TOKEN_API, id, sha256))
        rc = match_token(txn, id, sha256, identity, err);
    if (rc == 0)
        return slc_fail(err, SLC_UNAUTHENTICATED, NULL, "the token is not valid");
    return rc == 1 && slc_identity_load_rights(txn, identity, err);
}

bool slc_catalog_token_touch(slc_txn *txn, const char *token_id, slc_error *err)
{
    return slc_txn_exec(txn, err, "UPDATE api_tokens SET last_used_at = ?2 WHERE id = ?1", "si", token_id,
                        slc_txn_now_ms(txn));
}

void slc_identity_release(slc_identity *identity)
{
    json_decref(identity->scopes);
    json_decref(identity->rights);
    json_decref(identity->teams);
    json_decref(identity->owned);
    memset(identity, 0, sizeof(*identity));
}

bool slc_identity_may(const slc_identity *identity, const char *permission)
{
    if (!slc_permission_granted(identity->scopes, permission))
        return false;
    return identity->user_id[0] == '\0' || slc_permission_granted(identity->rights, permission);
}

/* ---- bootstrap ---- */

bool slc_catalog_admin_token(slc_txn *txn, const char *name, char **token, slc_error *err)
{
    *token = NULL;
    json_t *body = json_pack("{s:s, s:[s]}", "name", name, "scopes", "*");
    json_t *made = slc_entity_create(txn, slc_kind_find("api-tokens"), body, err);
    json_decref(body);
    if (made == NULL)
        return false;
    *token = slc_strdup(slc_get_text(made, "token"));
    json_decref(made);
    return true;
}

bool slc_catalog_bootstrap(slc_txn *txn, char **token, slc_error *err)
{
    *token = NULL;
    sqlite3_stmt *stmt = slc_txn_prepare(txn, "SELECT 1 FROM api_tokens LIMIT 1", err);
    int rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    slc_txn_finish(txn, stmt);
    return rc == 0 ? slc_catalog_admin_token(txn, "bootstrap", token, err) : rc == 1;
}

/* ---- enrolment tokens ---- */

static int consume(slc_txn *txn, const char *id, const uint8_t *sha256, char group_id[SLC_TOKEN_ID_CHARS + 1],
                   slc_error *err)
{
    uint64_t revision;
    sqlite3_stmt *stmt =
        slc_txn_query(txn, err, "SELECT secret_sha256 FROM enrolment_tokens WHERE id = ?1", "s", id);
    int rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    if (rc == 1) {
        const void *stored = sqlite3_column_blob(stmt, 0);
        rc = stored != NULL && slc_equal_secret(stored, sha256, SLC_SHA256_BYTES);
    }
    slc_txn_finish(txn, stmt);
    if (rc != 1 || !slc_txn_bump(txn, &revision, err))
        return rc == 1 ? -1 : rc;
    stmt =
        slc_txn_query(txn, err,
                      "UPDATE enrolment_tokens SET uses_left = uses_left - 1, revision = ?3, updated_at = ?2 "
                      "WHERE id = ?1 AND uses_left > 0 AND expires_at > ?2 RETURNING \"group\"",
                      "sii", id, slc_txn_now_ms(txn), (int64_t)revision);
    rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    if (rc == 1)
        copy_text(group_id, SLC_TOKEN_ID_CHARS + 1, slc_column_text(stmt, 0));
    slc_txn_finish(txn, stmt);
    return rc;
}

bool slc_catalog_enrolment_consume(slc_txn *txn, const char *token, char group_id[SLC_TOKEN_ID_CHARS + 1],
                                   slc_error *err)
{
    char id[SLC_TOKEN_ID_CHARS + 1];
    uint8_t sha256[SLC_SHA256_BYTES];
    int rc =
        slc_token_parse(token, SLC_TOKEN_ENROLMENT, id, sha256) ? consume(txn, id, sha256, group_id, err) : 0;
    if (rc == 0)
        return slc_fail(err, SLC_UNAUTHENTICATED, NULL,
                        "the enrolment token is not valid: it is unknown, expired or used up");
    return rc == 1 && slc_audit(txn, "use", "enrolment-tokens", id, id, NULL, err);
}
