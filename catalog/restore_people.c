/* What lets people in and is no entity: sessions, invitations, passwords, and whom providers know as whom. */
#include "catalog/restore_carry.h"
#include "catalog/store.h"

/* 1 or 0: the replaced catalog has the table or not; -1: error. */
static int has_table(slc_txn *txn, const char *name, slc_error *err)
{
    sqlite3_stmt *stmt = slc_txn_query(txn, err, "SELECT 1 FROM old.sqlite_schema WHERE name = ?1", "s", name);
    int rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    slc_txn_finish(txn, stmt);
    return rc;
}

/* A changed password may have been changed because somebody knew it. */
static const char newer_passwords[] = "UPDATE main.user_passwords SET hash = o.hash, changed_at = o.changed_at "
                                      "FROM old.user_passwords AS o WHERE o.user "
                                      "= user_passwords.user AND o.changed_at > user_passwords.changed_at";
/* Of users whom the replaced catalog knows. */
static const char cut_owned[] =
    "DELETE FROM main.users_owned_teams WHERE owner_id IN (SELECT id FROM old.users) AND NOT EXISTS (SELECT 1 "
    "FROM "
    "old.users_owned_teams AS o WHERE o.owner_id = users_owned_teams.owner_id AND o.target_id = "
    "users_owned_teams.target_id)";
static const char cut_identities[] =
    "DELETE FROM main.user_identities WHERE user IN (SELECT id FROM old.users) AND NOT EXISTS (SELECT 1 FROM "
    "old.user_identities AS o WHERE o.provider = user_identities.provider AND o.subject = "
    "user_identities.subject AND "
    "o.user = user_identities.user)";
/* Memberships may have been cut before (restore_carry.c). */
static const char settle_owned[] = "DELETE FROM main.users_owned_teams WHERE NOT EXISTS (SELECT 1 FROM "
                                   "main.users_teams AS t WHERE t.owner_id = "
                                   "users_owned_teams.owner_id AND t.target_id = users_owned_teams.target_id)";

static bool cut(slc_txn *txn, const char *table, const char *sql, const char *name, json_t *report,
                slc_error *err)
{
    int there = has_table(txn, table, err);
    if (there == 1 && !slc_txn_exec(txn, err, sql, ""))
        return false;
    json_object_set_new(report, name, json_integer(there == 1 ? slc_txn_changes(txn) : 0));
    return there >= 0;
}

static bool end_all(slc_txn *txn, const char *sql, const char *name, json_t *report, slc_error *err)
{
    if (!slc_txn_exec(txn, err, sql, ""))
        return false;
    json_object_set_new(report, name, json_integer(slc_txn_changes(txn)));
    return true;
}

bool slc_restore_people(slc_txn *txn, bool carry, json_t *report, slc_error *err)
{
    json_t *people = json_object();
    bool ok = end_all(txn, "DELETE FROM main.sessions", "sessions_ended", people, err) &&
              end_all(txn, "DELETE FROM main.invitations", "invitations_voided", people, err) &&
              end_all(txn, "DELETE FROM main.password_resets", "password_resets_voided", people, err);
    if (ok && carry)
        ok = cut(txn, "user_passwords", newer_passwords, "passwords_kept", people, err) &&
             cut(txn, "users_owned_teams", cut_owned, "owned_teams_cut", people, err) &&
             cut(txn, "user_identities", cut_identities, "identities_cut", people, err);
    ok = ok && slc_txn_exec(txn, err, settle_owned, "");
    json_object_set_new(report, "people", people);
    return ok;
}
