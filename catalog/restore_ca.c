/* The node CA of a restored catalog: a retired authority may be retired because its key was stolen, and nodes
 * may live on certificates of one that was made since. */
#include <stdio.h>

#include "catalog/restore_carry.h"
#include "catalog/store.h"
#include "common/alloc.h"

/* They return the ids of the authorities that they change; ?1 is the time. */
static const struct step {
    const char *what;   /* in the report */
    const char *action; /* in the audit trail */
    const char *sql;
} steps[] = {
    {"retired since the backup", "retire",
     "UPDATE main.node_ca SET state = 'retiring', retired_at = o.retired_at, retiring_at = o.retiring_at, "
     "sealed_key "
     "= x'' FROM old.node_ca AS o WHERE o.id = node_ca.id AND node_ca.retired_at IS NULL AND o.retired_at <= "
     "?1 "
     "RETURNING id"},
    /* Two are trusted at most, and those of the replaced catalog are what gateways know. */
    {"unknown to the replaced catalog", "retire",
     "UPDATE main.node_ca SET state = 'retiring', retired_at = ?1, retiring_at = coalesce(retiring_at, ?1), "
     "sealed_key = x'' WHERE retired_at IS NULL AND id NOT IN (SELECT id FROM old.node_ca) RETURNING id"},
    {"replaced since the backup", "rotate",
     "UPDATE main.node_ca SET state = 'retiring', retiring_at = coalesce(o.retiring_at, ?1) FROM old.node_ca "
     "AS o "
     "WHERE o.id = node_ca.id AND node_ca.state = 'active' AND o.state = 'retiring' RETURNING id"},
};

#define COPY                                                                                                   \
    "INSERT INTO main.node_ca (id, state, certificate_pem, sealed_key, created_at, expires_at, retired_at, "   \
    "retiring_at) SELECT id, state, certificate_pem, sealed_key, created_at, expires_at, retired_at, "         \
    "retiring_at FROM old.node_ca WHERE id = ?1"

static bool note(slc_txn *txn, json_t *list, const char *id, const char *what, const char *action,
                 slc_error *err)
{
    static const char sql[] =
        "SELECT CASE WHEN retired_at IS NOT NULL THEN 'retired' ELSE state END FROM main.node_ca WHERE id = ?1";
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "s", id);
    int row = stmt != NULL ? slc_txn_step(txn, stmt, err) : -1;
    if (row >= 0)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "id", id, "state",
                                              row == 1 ? slc_column_text(stmt, 0) : "lost", "what", what));
    slc_txn_finish(txn, stmt);
    return row >= 0 && slc_audit_note(txn, action, "node-ca", id, err);
}

static bool take_step(slc_txn *txn, const struct step *step, json_t *list, slc_error *err)
{
    char id[64];
    int row = 1;
    sqlite3_stmt *stmt = slc_txn_query(txn, err, step->sql, "i", slc_txn_now_ms(txn));
    json_t *ids = json_array(), *one;
    size_t i;
    while (stmt != NULL && (row = slc_txn_step(txn, stmt, err)) == 1)
        json_array_append_new(ids, json_string(slc_column_text(stmt, 0)));
    slc_txn_finish(txn, stmt);
    bool ok = stmt != NULL && row == 0;
    json_array_foreach (ids, i, one) {
        snprintf(id, sizeof(id), "%s", json_string_value(one));
        ok = ok && note(txn, list, id, step->what, step->action, err);
    }
    json_decref(ids);
    return ok;
}

/* ---- those that were made since ---- */

static bool opens(slc_txn *txn, const char *id, sqlite3_stmt *stmt)
{
    char context[80];
    size_t len;
    slc_error err;
    snprintf(context, sizeof(context), "node_ca/%s", id);
    uint8_t *key = slc_txn_unseal(txn, context, sqlite3_column_blob(stmt, 1),
                                  (size_t)sqlite3_column_bytes(stmt, 1), &len, &err);
    if (key != NULL)
        slc_free_secret(key, len);
    return key != NULL;
}

static bool copy_one(slc_txn *txn, const char *id, bool usable, json_t *list, slc_error *err)
{
    if (!usable)
        return note(txn, list, id, "made since the backup, but the master key does not open it: left out",
                    "drop", err);
    return slc_txn_exec(txn, err, COPY, "s", id) && note(txn, list, id, "made since the backup", "create", err);
}

static bool copy_new(slc_txn *txn, json_t *list, slc_error *err)
{
    json_t *found = json_object(), *usable;
    const char *id;
    int row = -1;
    sqlite3_stmt *stmt =
        slc_txn_prepare(txn,
                        "SELECT id, sealed_key, retired_at IS NOT NULL FROM old.node_ca WHERE id "
                        "NOT IN (SELECT id FROM main.node_ca) ORDER BY created_at",
                        err);
    while (stmt != NULL && (row = slc_txn_step(txn, stmt, err)) == 1) {
        id = slc_column_text(stmt, 0);
        bool retired = sqlite3_column_int(stmt, 2) != 0; /* has no key */
        json_object_set_new(found, id, json_boolean(retired || opens(txn, id, stmt)));
    }
    slc_txn_finish(txn, stmt);
    bool ok = row == 0;
    json_object_foreach (found, id, usable) {
        ok = ok && copy_one(txn, id, json_is_true(usable), list, err);
    }
    json_decref(found);
    return ok;
}

/* Who signed the certificate that a node has now decides whether it is still let in. */
static bool copy_certificates(slc_txn *txn, slc_error *err)
{
    static const char sql[] =
        "UPDATE main.gateway_nodes SET certificate_serial = o.certificate ->> 'serial', certificate_authority "
        "= "
        "o.certificate ->> 'authority', certificate_expires_at = o.certificate ->> 'expires_at', revision = "
        "?1, "
        "updated_at = ?2 FROM main.taken_away AS o WHERE o.kind = 'gateway-nodes' AND o.entity_id = "
        "gateway_nodes.id "
        "AND o.certificate ->> 'serial' <> coalesce(gateway_nodes.certificate_serial, '')";
    return slc_txn_exec(txn, err, sql, "ii", (int64_t)txn->revision, slc_txn_now_ms(txn));
}

/* Before rotation was possible there is nothing to carry over, and another installation's CA is none of ours.
 */
static bool is_related(slc_txn *txn, bool *related, slc_error *err)
{
    sqlite3_stmt *stmt = slc_txn_prepare(txn,
                                         "SELECT 1 FROM main.node_ca AS m JOIN old.node_ca AS o ON o.id = m.id "
                                         "WHERE EXISTS (SELECT 1 FROM old.schema_migrations WHERE number >= 4)",
                                         err);
    int row = stmt != NULL ? slc_txn_step(txn, stmt, err) : -1;
    slc_txn_finish(txn, stmt);
    *related = row == 1;
    return row >= 0;
}

bool slc_restore_node_ca(slc_txn *txn, json_t *report, slc_error *err)
{
    json_t *list = json_array();
    bool related;
    json_object_set_new(report, "node_ca", list);
    bool ok = is_related(txn, &related, err);
    if (!ok || !related)
        return ok;
    for (size_t i = 0; ok && i < sizeof(steps) / sizeof(steps[0]); i++)
        ok = take_step(txn, &steps[i], list, err);
    return (ok && copy_new(txn, list, err) && copy_certificates(txn, err)) ||
           slc_fail_context(err, "the node CA cannot be carried over from the replaced catalog");
}
