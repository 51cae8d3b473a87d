/* Rotation: a new authority, the overlap, and the end of the old one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "controlplane/ca/ca_private.h"
#include "controlplane/ca/x509.h"

struct old_authority {
    char id[SLC_CA_ID_CHARS + 1];
    int64_t retiring_at_ms, expires_at_ms;
    int64_t nodes; /* that could still use or renew a certificate of it */
};

/* 1: there is one that is retiring; 0: none; -1: error. */
static int find_retiring(const slc_ca *ca, slc_txn *txn, struct old_authority *old, slc_error *err)
{
    static const char sql[] =
        "SELECT id, coalesce(retiring_at, 0), expires_at, (SELECT count(*) FROM gateway_nodes AS n "
        "WHERE n.certificate_authority = c.id AND n.revoked_at IS NULL AND n.certificate_expires_at > ?1) "
        "FROM node_ca AS c WHERE state = 'retiring' AND retired_at IS NULL";
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "i", ca->clock() - ca->renewal_window_ms);
    int row = stmt != NULL ? slc_txn_step(txn, stmt, err) : -1;
    if (row == 1) {
        snprintf(old->id, sizeof old->id, "%s", slc_column_text(stmt, 0));
        old->retiring_at_ms = sqlite3_column_int64(stmt, 1);
        old->expires_at_ms = sqlite3_column_int64(stmt, 2);
        old->nodes = sqlite3_column_int64(stmt, 3);
    }
    slc_txn_finish(txn, stmt);
    return row;
}

bool slc_ca_rotate(slc_ca *ca, slc_txn *txn, slc_error *err)
{
    struct old_authority old;
    char id[SLC_CA_ID_CHARS + 1];
    uint64_t revision;
    int row = find_retiring(ca, txn, &old, err);
    if (row < 0)
        return false;
    if (row == 1)
        return slc_fail(
            err, SLC_CONFLICT, NULL,
            "authority %s is still retiring and %lld nodes hold certificates of it: wait, or retire "
            "it first",
            old.id, (long long)old.nodes);
    return slc_txn_bump(txn, &revision, err) &&
           slc_txn_exec(txn, err,
                        "UPDATE node_ca SET state = 'retiring', retiring_at = ?1 WHERE state = 'active'", "i",
                        slc_txn_now_ms(txn)) &&
           slc_authority_make(txn, ca, id, err) && slc_audit_note(txn, "rotate", "node-ca", id, err);
}

static bool retire(slc_txn *txn, const char *id, slc_error *err)
{
    uint64_t revision;
    return slc_txn_bump(txn, &revision, err) &&
           slc_txn_exec(txn, err, "UPDATE node_ca SET retired_at = ?1, sealed_key = x'' WHERE id = ?2", "is",
                        slc_txn_now_ms(txn), id) &&
           slc_audit_note(txn, "retire", "node-ca", id, err);
}

bool slc_ca_retire(slc_ca *ca, slc_txn *txn, bool force, slc_error *err)
{
    struct old_authority old;
    int row = find_retiring(ca, txn, &old, err);
    if (row < 0)
        return false;
    if (row == 0)
        return slc_fail(err, SLC_CONFLICT, NULL, "no authority is retiring: rotate first");
    if (old.nodes > 0 && !force)
        return slc_fail(
            err, SLC_CONFLICT, NULL,
            "%lld nodes hold certificates of authority %s that they can still use or renew: wait "
            "until they have renewed, revoke those that are gone, or retire with force, which makes "
            "them enrol again",
            (long long)old.nodes, old.id);
    return retire(txn, old.id, err);
}

bool slc_ca_retire_if_unused(slc_ca *ca, slc_txn *txn, int64_t after_ms, bool *retired, slc_error *err)
{
    struct old_authority old;
    *retired = false;
    int row = find_retiring(ca, txn, &old, err);
    if (row <= 0)
        return row == 0;
    bool expired = old.expires_at_ms <= ca->clock();
    bool unused = old.nodes == 0 && slc_txn_now_ms(txn) - old.retiring_at_ms >= after_ms;
    if (!expired && !unused)
        return true;
    *retired = retire(txn, old.id, err);
    return *retired;
}

/* ---- showing ---- */

static void set_time(json_t *out, const char *name, sqlite3_stmt *stmt, int column)
{
    char text[SLC_RFC3339_CHARS];
    if (sqlite3_column_type(stmt, column) == SQLITE_NULL)
        return;
    slc_rfc3339_format(sqlite3_column_int64(stmt, column), text);
    json_object_set_new(out, name, json_string(text));
}

static json_t *show(sqlite3_stmt *stmt, slc_error *err)
{
    uint8_t pin[SLC_SHA256_BYTES];
    char hex[2 * SLC_SHA256_BYTES + 1];
    bool retired = sqlite3_column_type(stmt, 6) != SQLITE_NULL;
    X509 *certificate = slc_x509_read_cert(slc_column_text(stmt, 2), err);
    if (certificate == NULL)
        return NULL;
    slc_x509_pin(certificate, pin);
    X509_free(certificate);
    slc_hex_encode(pin, sizeof pin, hex);
    json_t *out = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "id", slc_column_text(stmt, 0), "state",
                            retired ? "retired" : slc_column_text(stmt, 1), "sha256", hex, "nodes",
                            (json_int_t)sqlite3_column_int64(stmt, 7), "nodes_with_valid_certificate",
                            (json_int_t)sqlite3_column_int64(stmt, 8), "open_join_strings",
                            (json_int_t)sqlite3_column_int64(stmt, 9));
    set_time(out, "created_at", stmt, 3);
    set_time(out, "expires_at", stmt, 4);
    set_time(out, "retiring_at", stmt, 5);
    set_time(out, "retired_at", stmt, 6);
    return out;
}

json_t *slc_ca_describe(slc_ca *ca, slc_txn *txn, slc_error *err)
{
    /* A join string pins who was active when its token was made. */
    static const char sql[] =
        "SELECT id, state, certificate_pem, created_at, expires_at, retiring_at, retired_at, "
        "(SELECT count(*) FROM gateway_nodes AS n WHERE n.certificate_authority = c.id AND n.revoked_at IS "
        "NULL "
        "AND n.certificate_expires_at > ?1), "
        "(SELECT count(*) FROM gateway_nodes AS n WHERE n.certificate_authority = c.id AND n.revoked_at IS "
        "NULL "
        "AND n.certificate_expires_at > ?2), "
        "(SELECT count(*) FROM enrolment_tokens AS t WHERE t.uses_left > 0 AND t.expires_at > ?3 AND "
        "t.created_at >= c.created_at AND t.created_at < coalesce(c.retiring_at, t.created_at + 1)) "
        "FROM node_ca AS c ORDER BY created_at, id";
    int64_t now_ms = ca->clock();
    json_t *all = json_array();
    int row = -1;
    sqlite3_stmt *stmt =
        slc_txn_query(txn, err, sql, "iii", now_ms - ca->renewal_window_ms, now_ms, slc_txn_now_ms(txn));
    while (stmt != NULL && (row = slc_txn_step(txn, stmt, err)) == 1) {
        json_t *one = show(stmt, err);
        if (one == NULL) {
            row = -1;
            break;
        }
        json_array_append_new(all, one);
    }
    slc_txn_finish(txn, stmt);
    if (row != 0) {
        json_decref(all);
        return NULL;
    }
    return json_pack("{s:o}", "authorities", all);
}
