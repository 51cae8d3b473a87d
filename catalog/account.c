#include "catalog/account.h"

#include <stdio.h>
#include <string.h>

#include "catalog/access.h"
#include "catalog/entity.h"
#include "catalog/session.h"
#include "catalog/store.h"
#include "common/clock.h"

/* ---- accounts ---- */

static bool load(slc_txn *txn, const char *sql, const char *what, slc_account *account, slc_error *err)
{
    memset(account, 0, sizeof(*account));
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "s", what);
    int rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    if (rc == 1) {
        const char *hash = slc_column_text(stmt, 2);
        snprintf(account->user_id, sizeof(account->user_id), "%s", slc_column_text(stmt, 0));
        account->disabled = sqlite3_column_int(stmt, 1) != 0;
        snprintf(account->hash, sizeof(account->hash), "%s", hash != NULL ? hash : "");
    }
    slc_txn_finish(txn, stmt);
    return rc >= 0;
}

/* A name has no @. Whoever has the address in this very spelling comes first. */
bool slc_account_find(slc_txn *txn, const char *name, slc_account *account, slc_error *err)
{
    static const char by_name[] =
        "SELECT u.id, u.disabled, p.hash FROM users AS u LEFT JOIN user_passwords AS p ON "
        "p.user = u.id WHERE u.name = ?1";
    static const char by_email[] =
        "SELECT u.id, u.disabled, p.hash FROM users AS u LEFT JOIN user_passwords AS p ON p.user = u.id WHERE "
        "u.email IN (?1, lower(?1)) ORDER BY u.email = ?1 DESC LIMIT 1";
    return load(txn, strchr(name, '@') != NULL ? by_email : by_name, name, account, err);
}

bool slc_account_load(slc_txn *txn, const char *user_id, slc_account *account, slc_error *err)
{
    static const char sql[] =
        "SELECT u.id, u.disabled, p.hash FROM users AS u LEFT JOIN user_passwords AS p ON "
        "p.user = u.id WHERE u.id = ?1";
    return load(txn, sql, user_id, account, err);
}

static bool store_hash(slc_txn *txn, const char *user_id, const char *hash, slc_error *err)
{
    return slc_txn_exec(txn, err,
                        "INSERT OR REPLACE INTO user_passwords (user, hash, changed_at) VALUES (?1, ?2, ?3)",
                        "ssi", user_id, hash, slc_txn_now_ms(txn));
}

bool slc_account_set_password(slc_txn *txn, const char *user_id, const char *hash, const char *but_session_id,
                              slc_error *err)
{
    char key[SLC_KEY_CHARS];
    slc_key_of(txn, "users", user_id, key);
    return store_hash(txn, user_id, hash, err) && slc_session_end_all(txn, user_id, but_session_id, err) &&
           slc_audit(txn, "set-password", "users", user_id, key, NULL, err);
}

bool slc_account_rehash(slc_txn *txn, const char *user_id, const char *old_hash, const char *new_hash,
                        slc_error *err)
{
    return slc_txn_exec(txn, err, "UPDATE user_passwords SET hash = ?3 WHERE user = ?1 AND hash = ?2", "sss",
                        user_id, old_hash, new_hash);
}

/* ---- newcomers ---- */

static void set_optional(json_t *body, const char *field, const char *text)
{
    if (text != NULL && *text != '\0')
        json_object_set_new(body, field, json_string(text));
}

static bool make_user(slc_txn *txn, const slc_newcomer *newcomer, const char *team, const char *role,
                      char user_id[SLC_TOKEN_ID_CHARS + 1], slc_error *err)
{
    json_t *body = json_pack("{s:s}", "name", newcomer->name);
    set_optional(body, "email", newcomer->email);
    set_optional(body, "title", newcomer->title);
    if (team != NULL)
        json_object_set_new(body, "teams", json_pack("[s]", team));
    if (role != NULL)
        json_object_set_new(body, "roles", json_pack("[s]", role));
    json_t *user = slc_entity_create(txn, slc_kind_find("users"), body, err);
    json_decref(body);
    if (user == NULL)
        return false;
    snprintf(user_id, SLC_TOKEN_ID_CHARS + 1, "%s", slc_get_text(user, "id"));
    json_decref(user);
    return newcomer->hash == NULL || store_hash(txn, user_id, newcomer->hash, err);
}

bool slc_account_open(slc_txn *txn, const slc_newcomer *newcomer, const char *role,
                      char user_id[SLC_TOKEN_ID_CHARS + 1], slc_error *err)
{
    return make_user(txn, newcomer, NULL, role, user_id, err);
}

/* ---- invitations ---- */

struct invitation {
    char id[SLC_ID_CHARS + 1];
    char team[SLC_ID_CHARS + 1]; /* empty: none */
    char role[SLC_ID_CHARS + 1];
    char invited_by[SLC_ID_CHARS + 1]; /* empty: nobody in particular */
    char email[256];
    int64_t expires_at;
};

static void copy(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text != NULL ? text : "");
}

static bool find(slc_txn *txn, const char *token, struct invitation *invitation, slc_error *err)
{
    static const char sql[] =
        "SELECT secret_sha256, team, role, invited_by, email, expires_at FROM invitations WHERE id = ?1 AND "
        "expires_at > ?2";
    uint8_t sha256[SLC_SHA256_BYTES];
    int rc = 0;
    if (slc_token_parse(token, SLC_TOKEN_INVITE, invitation->id, sha256)) {
        sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "si", invitation->id, slc_txn_now_ms(txn));
        rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
        const void *stored = rc == 1 ? sqlite3_column_blob(stmt, 0) : NULL;
        if (rc == 1)
            rc = stored != NULL && slc_equal_secret(stored, sha256, SLC_SHA256_BYTES);
        if (rc == 1) {
            copy(invitation->team, sizeof(invitation->team), slc_column_text(stmt, 1));
            copy(invitation->role, sizeof(invitation->role), slc_column_text(stmt, 2));
            copy(invitation->invited_by, sizeof(invitation->invited_by), slc_column_text(stmt, 3));
            copy(invitation->email, sizeof(invitation->email), slc_column_text(stmt, 4));
            invitation->expires_at = sqlite3_column_int64(stmt, 5);
        }
        slc_txn_finish(txn, stmt);
    }
    if (rc == 0)
        return slc_fail(
            err, SLC_NOT_FOUND, NULL,
            "the invitation is not valid: it is unknown, was used already, or has ended; ask for another");
    return rc == 1;
}

json_t *slc_invitation_show(slc_txn *txn, const char *token, slc_error *err)
{
    struct invitation invitation;
    if (!find(txn, token, &invitation, err))
        return NULL;
    char team[SLC_KEY_CHARS] = "", role[SLC_KEY_CHARS], expires_at[SLC_RFC3339_CHARS];
    if (invitation.team[0] != '\0')
        slc_key_of(txn, "teams", invitation.team, team);
    slc_key_of(txn, "roles", invitation.role, role);
    slc_rfc3339_format(invitation.expires_at, expires_at);
    return json_pack("{s:s?, s:s?, s:s, s:s}", "email", invitation.email[0] != '\0' ? invitation.email : NULL,
                     "team", team[0] != '\0' ? team : NULL, "role", role, "expires_at", expires_at);
}

/* Who made it bounds what it gives, as they are now. Who is disabled gives nothing. */
static bool load_inviter(slc_txn *txn, const struct invitation *invitation, slc_identity *inviter,
                         slc_error *err)
{
    slc_account account;
    memset(inviter, 0, sizeof(*inviter));
    if (invitation->invited_by[0] == '\0')
        return true;
    if (!slc_account_load(txn, invitation->invited_by, &account, err))
        return false;
    if (account.user_id[0] == '\0' || account.disabled)
        return slc_fail(err, SLC_NOT_FOUND, NULL, "who sent the invitation is no longer here: ask for another");
    snprintf(inviter->user_id, sizeof(inviter->user_id), "%s", invitation->invited_by);
    inviter->scopes = json_pack("[s]", "*");
    return slc_identity_load_rights(txn, inviter, err);
}

static bool make_invited(slc_txn *txn, const struct invitation *invitation, const slc_newcomer *newcomer,
                         const slc_identity *inviter, char user_id[SLC_TOKEN_ID_CHARS + 1], slc_error *err)
{
    slc_newcomer who = *newcomer;
    const slc_identity *bound = txn->actor.identity;
    if (invitation->email[0] != '\0')
        who.email = invitation->email;
    txn->actor.identity = inviter->user_id[0] != '\0' ? inviter : NULL;
    const char *team = invitation->team[0] != '\0' ? invitation->team : NULL;
    bool ok =
        slc_access_owner(txn, team, NULL, err) && make_user(txn, &who, team, invitation->role, user_id, err);
    txn->actor.identity = bound;
    if (!ok && err->code == SLC_DENIED) {
        slc_txn_clear_problems(txn);
        slc_fail(err, SLC_NOT_FOUND, NULL,
                 "who sent the invitation may no longer give what it promises: ask for another");
    }
    return ok;
}

bool slc_invitation_accept(slc_txn *txn, const char *token, const slc_newcomer *newcomer,
                           char user_id[SLC_TOKEN_ID_CHARS + 1], slc_error *err)
{
    struct invitation invitation;
    slc_identity inviter;
    if (!find(txn, token, &invitation, err))
        return false;
    bool ok = load_inviter(txn, &invitation, &inviter, err) &&
              make_invited(txn, &invitation, newcomer, &inviter, user_id, err) &&
              slc_txn_exec(txn, err, "DELETE FROM invitations WHERE id = ?1", "s", invitation.id) &&
              slc_audit(txn, "accept", "invitations", invitation.id, invitation.id, NULL, err);
    slc_identity_release(&inviter);
    return ok;
}

/* ---- rules ---- */

static bool check_invitation(slc_txn *txn, slc_change *change, slc_error *err)
{
    const char *team = slc_get_text(change->next, "team"), *role = slc_get_text(change->next, "role");
    json_object_set_new(change->next, "expires_at",
                        json_integer(slc_txn_now_ms(txn) + slc_get_int(change->args, "expires_in")));
    bool ok = slc_access_give_role(txn, role, "/role", err);
    return slc_access_owner(txn, team, "/team", err) && ok;
}

static bool remove_invitation(slc_txn *txn, slc_change *change, slc_error *err)
{
    return slc_access_owner(txn, slc_get_text(change->before, "team"), NULL, err);
}

static bool make_invitation(slc_txn *txn, slc_change *change, slc_error *err)
{
    slc_token token;
    const slc_identity *inviter = txn->actor.identity;
    if (change->before != NULL)
        return true;
    slc_token_make(&token, SLC_TOKEN_INVITE, change->id);
    json_object_set_new(change->once, "token", json_string(token.text));
    bool ok = slc_txn_exec(txn, err, "UPDATE invitations SET secret_sha256 = ?2, invited_by = ?3 WHERE id = ?1",
                           "sbs", change->id, (const void *)token.sha256, sizeof(token.sha256),
                           inviter != NULL && inviter->user_id[0] != '\0' ? inviter->user_id : NULL);
    slc_token_release(&token);
    return ok;
}

const struct slc_kind_rules slc_rules_invitation = {
    .check = check_invitation, .written = make_invitation, .removing = remove_invitation};
