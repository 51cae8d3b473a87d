#include "catalog/versions.h"

#include <stdlib.h>
#include <string.h>

#include "catalog/history.h"
#include "catalog/kinds.h"
#include "catalog/rules.h"
#include "catalog/versions_private.h"

#define DEFAULT_KEPT   100
#define DEFAULT_AGE_MS (30 * 86400000LL)
#define DEFAULT_LIMIT  10000

/* ---- keeping ---- */

static bool insert(slc_txn *txn, const slc_compiled *compiled, const char *actor_json, const char *reason,
                   slc_error *err)
{
    static const char sql[] =
        "INSERT OR IGNORE INTO config_versions (\"group\", version, created_at, actor, reason, digest, "
        "manifest) "
        "SELECT g.id, ?2, ?3, coalesce(?4, a.actor), "
        "coalesce(?5, a.action || ' ' || a.kind || '/' || a.ref || "
        "coalesce(': ' || json_extract(a.changes, '$.rollback.reason'), '')), ?6, ?7 FROM gateway_groups AS g "
        "LEFT JOIN audit_events AS a ON a.seq = (SELECT max(seq) FROM audit_events WHERE revision <= ?2) "
        "WHERE g.id = ?1";
    char digest[2 * SLC_SHA256_BYTES + 1];
    size_t len;
    const uint8_t *manifest = slc_compiled_manifest(compiled, &len);
    slc_hex_encode(slc_compiled_digest(compiled), SLC_SHA256_BYTES, digest);
    return slc_txn_exec(txn, err, sql, "siisssb", slc_compiled_group_id(compiled),
                        (int64_t)slc_compiled_version(compiled), slc_txn_now_ms(txn), actor_json, reason,
                        digest, (const void *)manifest, len);
}

/* The kept versions before and after a revision; 0 when there is none. */
static bool neighbours(slc_txn *txn, int64_t version, int64_t *before, int64_t *after, bool *itself,
                       slc_error *err)
{
    static const char sql[] = "SELECT (SELECT max(version) FROM config_versions WHERE version < ?1), "
                              "(SELECT min(version) FROM config_versions WHERE version > ?1), "
                              "EXISTS (SELECT 1 FROM config_versions WHERE version = ?1)";
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "i", version);
    bool ok = stmt != NULL && slc_txn_step(txn, stmt, err) == 1;
    if (ok) {
        *before = sqlite3_column_int64(stmt, 0);
        *after = sqlite3_column_int64(stmt, 1);
        *itself = sqlite3_column_int(stmt, 2) != 0;
    }
    slc_txn_finish(txn, stmt);
    return ok;
}

/* What lies between two kept versions is seen by none. Later than the last one is left alone: a version that is
 * being compiled now may see it. */
static bool prune_around(slc_txn *txn, int64_t version, slc_error *err)
{
    int64_t before, after;
    bool itself;
    if (!neighbours(txn, version, &before, &after, &itself, err))
        return false;
    if (itself)
        return slc_history_prune(txn, (uint64_t)before, (uint64_t)version, err);
    return after == 0 || slc_history_prune(txn, (uint64_t)before, (uint64_t)after, err);
}

static bool forget(slc_txn *txn, const slc_compiled *compiled, const slc_version_limits *limits, slc_error *err)
{
    static const char sql[] =
        "DELETE FROM config_versions WHERE \"group\" = ?1 AND version < ?2 AND ("
        "(created_at < ?3 AND version <= (SELECT version FROM config_versions WHERE \"group\" = ?1 "
        "ORDER BY version DESC LIMIT 1 OFFSET ?4)) OR "
        "version <= (SELECT version FROM config_versions WHERE \"group\" = ?1 ORDER BY version DESC LIMIT 1 "
        "OFFSET ?5)) RETURNING version";
    int64_t kept = limits != NULL && limits->kept > 0 ? limits->kept : DEFAULT_KEPT;
    int64_t age_ms = limits != NULL && limits->age_ms > 0 ? limits->age_ms : DEFAULT_AGE_MS;
    int64_t limit = limits != NULL && limits->limit > 0 ? limits->limit : DEFAULT_LIMIT;
    sqlite3_stmt *stmt =
        slc_txn_query(txn, err, sql, "siiii", slc_compiled_group_id(compiled),
                      (int64_t)slc_compiled_version(compiled), slc_txn_now_ms(txn) - age_ms, kept, limit);
    json_t *gone = json_array();
    int rc = stmt == NULL ? -1 : 1;
    while (rc == 1 && (rc = slc_txn_step(txn, stmt, err)) == 1)
        json_array_append_new(gone, json_integer(sqlite3_column_int64(stmt, 0)));
    slc_txn_finish(txn, stmt);
    bool ok = rc == 0;
    for (size_t i = 0; ok && i < json_array_size(gone); i++)
        ok = prune_around(txn, json_integer_value(json_array_get(gone, i)), err);
    json_decref(gone);
    return ok;
}

bool slc_version_remember(slc_txn *txn, const slc_compiled *compiled, const char *actor_json,
                          const char *reason, const slc_version_limits *limits, slc_error *err)
{
    /* The newest manifest is what the next one is compared with; others are not needed. */
    static const char drop_manifest[] =
        "UPDATE config_versions SET manifest = NULL WHERE seq = (SELECT seq FROM config_versions "
        "WHERE \"group\" = ?1 AND version < ?2 ORDER BY version DESC LIMIT 1)";
    const char *group = slc_compiled_group_id(compiled);
    int64_t version = (int64_t)slc_compiled_version(compiled);
    if (!insert(txn, compiled, actor_json, reason, err))
        return false;
    if (slc_txn_changes(txn) == 0)
        return true;
    return slc_txn_exec(txn, err, drop_manifest, "si", group, version) && prune_around(txn, version, err) &&
           forget(txn, compiled, limits, err);
}

/* ---- looking back ---- */

json_t *slc_version_find(slc_txn *txn, const char *id, uint64_t *revision, enum slc_version_refusal *refusal,
                         slc_error *err)
{
    json_t *stored = slc_entity_load(txn, &slc_kind_config_version, id, err);
    if (stored == NULL)
        return NULL;
    slc_error failure = {0};
    *revision = (uint64_t)slc_get_int(stored, "version");
    uint64_t since = slc_history_since(txn, &failure);
    if (since != 0 && *revision >= since) {
        char key[SLC_KEY_CHARS];
        slc_key_of(txn, "gateway-groups", slc_get_text(stored, "group"), key);
        json_t *shown = json_pack("{s:O, s:s, s:I}", "id", json_object_get(stored, "id"), "group", key,
                                  "version", (json_int_t)*revision);
        json_decref(stored);
        return shown;
    }
    json_decref(stored);
    *refusal = SLC_VERSION_TOO_OLD;
    if (failure.code != SLC_OK)
        *err = failure;
    else
        slc_fail(
            err, SLC_CONFLICT, NULL,
            "version %llu is older than the history of this catalog, which begins at revision %llu: what it "
            "was compiled from is not known any more",
            (unsigned long long)*revision, (unsigned long long)since);
    return NULL;
}

static void add_changes(json_t *changes, const slc_kind *kind, json_t *refs)
{
    const char *ref;
    json_t *pair;
    json_object_foreach (refs, ref, pair) {
        const json_t *from = json_object_get(json_object_get(pair, "from"), "body");
        const json_t *to = json_object_get(json_object_get(pair, "to"), "body");
        const char *action = from == NULL ? "create" : to == NULL ? "delete" : "update";
        json_array_append_new(changes, json_pack("{s:s, s:s, s:s, s:o}", "action", action, "kind", kind->name,
                                                 "key", ref, "changes", slc_history_changes(kind, from, to)));
    }
}

json_t *slc_version_diff(slc_txn *txn, const char *from_id, const char *to_id,
                         enum slc_version_refusal *refusal, slc_error *err)
{
    enum slc_version_refusal own;
    uint64_t a, b = slc_catalog_revision(txn);
    refusal = refusal != NULL ? refusal : &own;
    *refusal = SLC_VERSION_OK;
    json_t *from = slc_version_find(txn, from_id, &a, refusal, err), *to = NULL, *between = NULL, *out = NULL;
    if (from == NULL)
        return NULL;
    if (strcmp(to_id, "current") == 0)
        to = json_pack("{s:s, s:I}", "id", "current", "version", (json_int_t)b);
    else
        to = slc_version_find(txn, to_id, &b, refusal, err);
    if (to != NULL && (between = slc_history_between(txn, a, b, err)) != NULL) {
        json_t *changes = json_array();
        for (const slc_kind *const *kind = slc_kinds(); *kind != NULL; kind++)
            add_changes(changes, *kind, json_object_get(between, (*kind)->name));
        out = json_pack("{s:O, s:O, s:o}", "from", from, "to", to, "changes", changes);
    }
    json_decref(between);
    json_decref(to);
    json_decref(from);
    return out;
}
