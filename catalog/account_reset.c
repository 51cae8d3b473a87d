/* A new password for somebody who cannot come in, by a link that an administrator makes. */
#include <stdio.h>
#include <string.h>

#include "catalog/access.h"
#include "catalog/account.h"
#include "catalog/entity.h"
#include "catalog/session.h"
#include "catalog/store.h"
#include "common/clock.h"

#define EXPIRES_IN_MS 86400000

/* ---- making one ---- */

typedef bool (*give_fn)(slc_txn *txn, const char *id, const char *pointer, slc_error *err);

static bool may_give(slc_txn *txn, const json_t *user, const char *field, give_fn give, slc_error *err)
{
    bool ok = true;
    size_t index;
    json_t *id;
    json_array_foreach (json_object_get(user, field), index, id)
        ok = give(txn, json_string_value(id), NULL, err) && ok;
    return ok;
}

/* Whoever has the link has all that the user has. */
static bool check_giver(slc_txn *txn, const json_t *user, slc_error *err)
{
    if (json_is_true(json_object_get(user, "disabled")))
        return slc_fail(err, SLC_CONFLICT, NULL, "the user is disabled: enable them first");
    bool ok = may_give(txn, user, "roles", slc_access_give_role, err);
    ok = may_give(txn, user, "owned_teams", slc_access_owner, err) && ok;
    return may_give(txn, user, "teams", slc_access_team, err) && ok;
}

/* The password that somebody else may know opens nothing from now on. The row stays, so that a backup from
 * before does not bring the password back. */
static bool close_account(slc_txn *txn, const char *user_id, slc_error *err)
{
    return slc_txn_exec(txn, err,
                        "INSERT OR REPLACE INTO user_passwords (user, hash, changed_at) VALUES (?1, '', ?2)",
                        "si", user_id, slc_txn_now_ms(txn)) &&
           slc_session_end_all(txn, user_id, NULL, err);
}

static bool store(slc_txn *txn, const char *user_id, const slc_token *token, const char *id,
                  int64_t expires_in_ms, slc_error *err)
{
    return slc_txn_exec(
        txn, err,
        "INSERT OR REPLACE INTO password_resets (user, id, secret_sha256, expires_at) VALUES (?1, "
        "?2, ?3, ?4)",
        "ssbi", user_id, id, (const void *)token->sha256, sizeof(token->sha256),
        slc_txn_now_ms(txn) + expires_in_ms);
}

bool slc_account_act(slc_txn *txn, slc_change *change, const slc_action *action, const json_t *body,
                     slc_error *err)
{
    char id[SLC_ID_CHARS + 1], key[SLC_KEY_CHARS];
    int64_t expires_in_ms = EXPIRES_IN_MS;
    slc_token token;
    const char *given = slc_get_text(body, "expires_in");
    if (given != NULL && !slc_duration_parse(given, &expires_in_ms))
        return slc_fail(err, SLC_INVALID, "/expires_in", "is no duration");
    if (!check_giver(txn, change->before, err))
        return false;
    slc_random_id(id, SLC_ID_CHARS);
    slc_token_make(&token, SLC_TOKEN_RESET, id);
    json_object_set_new(change->once, "token", json_string(token.text));
    slc_key_of(txn, "users", change->id, key);
    bool ok = store(txn, change->id, &token, id, expires_in_ms, err) && close_account(txn, change->id, err) &&
              slc_audit(txn, action->name, "users", change->id, key, NULL, err);
    slc_token_release(&token);
    return ok;
}

/* ---- using it ---- */

static bool find(slc_txn *txn, const char *token, char user_id[SLC_TOKEN_ID_CHARS + 1], int64_t *expires_at,
                 slc_error *err)
{
    static const char sql[] =
        "SELECT r.secret_sha256, r.user, r.expires_at FROM password_resets AS r JOIN users AS u "
        "ON u.id = r.user WHERE r.id = ?1 AND r.expires_at > ?2 AND u.disabled = 0";
    char id[SLC_ID_CHARS + 1];
    uint8_t sha256[SLC_SHA256_BYTES];
    int rc = 0;
    if (slc_token_parse(token, SLC_TOKEN_RESET, id, sha256)) {
        sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "si", id, slc_txn_now_ms(txn));
        rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
        if (rc == 1 && slc_equal_secret(sqlite3_column_blob(stmt, 0), sha256, SLC_SHA256_BYTES)) {
            snprintf(user_id, SLC_TOKEN_ID_CHARS + 1, "%s", slc_column_text(stmt, 1));
            *expires_at = sqlite3_column_int64(stmt, 2);
        } else if (rc == 1) {
            rc = 0;
        }
        slc_txn_finish(txn, stmt);
    }
    if (rc == 0)
        return slc_fail(
            err, SLC_NOT_FOUND, NULL,
            "the link is not valid: it is unknown, was used already, or has ended; ask an administrator "
            "for another");
    return rc == 1;
}

json_t *slc_reset_show(slc_txn *txn, const char *token, slc_error *err)
{
    char user_id[SLC_TOKEN_ID_CHARS + 1], name[SLC_KEY_CHARS], text[SLC_RFC3339_CHARS];
    int64_t expires_at;
    if (!find(txn, token, user_id, &expires_at, err))
        return NULL;
    slc_key_of(txn, "users", user_id, name);
    slc_rfc3339_format(expires_at, text);
    return json_pack("{s:s, s:s}", "name", name, "expires_at", text);
}

bool slc_reset_use(slc_txn *txn, const char *token, const char *hash, char user_id[SLC_TOKEN_ID_CHARS + 1],
                   slc_error *err)
{
    int64_t expires_at;
    return find(txn, token, user_id, &expires_at, err) &&
           slc_txn_exec(txn, err, "DELETE FROM password_resets WHERE user = ?1", "s", user_id) &&
           slc_account_set_password(txn, user_id, hash, NULL, err);
}
