#include "catalog/nodes.h"

#include <stdio.h>
#include <string.h>

#include "catalog/entity.h"
#include "catalog/notify_private.h"
#include "catalog/store.h"
#include "catalog/token.h"
#include "common/clock.h"
#include "common/crypto.h"

#define POD_LABEL "pod-uid"
/* Names in catalog_meta: what they say must outlive the node. */
#define REVOKED_POD "revoked-pod/"

static const slc_kind *node_kind(void)
{
    return slc_kind_find("gateway-nodes");
}

/* ---- who they are ---- */

void slc_node_new_id(char *id)
{
    slc_random_id(id, SLC_ID_CHARS);
}

/* Nodes are entities that no body creates: the stored form is made here. */
bool slc_node_register(slc_txn *txn, const char *id, const char *group_id, const char *name,
                       const char *pod_uid, const slc_node_certificate *certificate, slc_error *err)
{
    uint64_t revision;
    if (!slc_txn_bump(txn, &revision, err))
        return false;
    json_t *node =
        json_pack("{s:s, s:I, s:s, s:I, s:I, s:s, s:b, s:s, s:s, s:I}", "id", id, "revision",
                  (json_int_t)revision, "manager", "node", "created_at", (json_int_t)txn->now_ms, "updated_at",
                  (json_int_t)txn->now_ms, "group", group_id, "ephemeral", (int)(pod_uid != NULL),
                  "certificate_serial", certificate->serial, "certificate_authority", certificate->authority,
                  "certificate_expires_at", (json_int_t)certificate->expires_at_ms);
    if (name != NULL && *name != '\0')
        json_object_set_new(node, "name", json_string(name));
    if (pod_uid != NULL)
        json_object_set_new(node, "labels", json_pack("{s:s}", POD_LABEL, pod_uid));
    json_t *changes = NULL;
    bool ok = slc_row_insert(txn, node_kind(), id, node, err) &&
              (changes = slc_changes(txn, node_kind(), NULL, node, err)) != NULL &&
              slc_audit(txn, "enrol", "gateway-nodes", id, id, changes, err) &&
              slc_notify_enrolled(txn, node, err);
    json_decref(changes);
    json_decref(node);
    return ok;
}

bool slc_pod_may_enrol(slc_txn *txn, const char *pod_uid, slc_error *err)
{
    static const char sql[] = "SELECT 1 FROM catalog_meta WHERE name = '" REVOKED_POD "' || ?1";
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "s", pod_uid);
    int rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    slc_txn_finish(txn, stmt);
    return rc == 0 ||
           (rc == 1 && slc_fail(err, SLC_DENIED, NULL,
                                "the node of this pod was revoked: only another pod may enrol, such as "
                                "the one that Kubernetes makes when this one is deleted"));
}

bool slc_node_renewed(slc_txn *txn, const char *id, const slc_node_certificate *certificate, slc_error *err)
{
    json_t *before = slc_entity_load(txn, node_kind(), id, err);
    if (before == NULL)
        return false;
    bool ok = json_object_get(before, "revoked_at") == NULL ||
              slc_fail(err, SLC_DENIED, NULL, "node %s was revoked", id);
    json_t *next = json_deep_copy(before);
    json_object_set_new(next, "certificate_serial", json_string(certificate->serial));
    json_object_set_new(next, "certificate_authority", json_string(certificate->authority));
    json_object_set_new(next, "certificate_expires_at", json_integer(certificate->expires_at_ms));
    ok = ok && slc_entity_save(txn, node_kind(), "renew", before, next, NULL, err);
    json_decref(next);
    json_decref(before);
    return ok;
}

static int next_gone(slc_txn *txn, int64_t before_ms, char id[SLC_ID_CHARS + 1], slc_error *err)
{
    static const char sql[] =
        "SELECT n.id FROM gateway_nodes AS n LEFT JOIN usage.node_status AS s ON s.node_id = n.id "
        "WHERE n.ephemeral = 1 AND n.revoked_at IS NULL AND coalesce(s.connected, 0) = 0 AND "
        "max(n.updated_at, coalesce(s.last_seen, 0)) < ?1 LIMIT 1";
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "i", before_ms);
    int rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    if (rc == 1)
        snprintf(id, SLC_ID_CHARS + 1, "%s", slc_column_text(stmt, 0));
    slc_txn_finish(txn, stmt);
    return rc;
}

bool slc_nodes_forget(slc_txn *txn, int64_t gone_after_ms, json_t *ids, slc_error *err)
{
    char id[SLC_ID_CHARS + 1];
    int rc;
    while ((rc = next_gone(txn, txn->now_ms - gone_after_ms, id, err)) == 1) {
        if (!slc_entity_delete(txn, node_kind(), id, -1, NULL, err))
            return false;
        json_array_append_new(ids, json_string(id));
    }
    return rc == 0;
}

bool slc_node_find(slc_txn *txn, const char *id, slc_node_info *info, slc_error *err)
{
    static const char sql[] =
        "SELECT n.\"group\", g.name, n.ephemeral, n.revoked_at IS NOT NULL, EXISTS (SELECT 1 FROM node_ca AS c "
        "WHERE c.id = n.certificate_authority AND c.retired_at IS NOT NULL) FROM gateway_nodes AS n "
        "JOIN gateway_groups AS g ON g.id = n.\"group\" WHERE n.id = ?1";
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "s", id);
    int rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    if (rc == 1) {
        snprintf(info->group_id, sizeof(info->group_id), "%s", slc_column_text(stmt, 0));
        snprintf(info->group_name, sizeof(info->group_name), "%s", slc_column_text(stmt, 1));
        info->ephemeral = sqlite3_column_int(stmt, 2) != 0;
        info->revoked = sqlite3_column_int(stmt, 3) != 0;
        info->outdated = sqlite3_column_int(stmt, 4) != 0;
    } else if (rc == 0) {
        slc_fail(err, SLC_NOT_FOUND, NULL, "there is no gateway node %.32s", id);
    }
    slc_txn_finish(txn, stmt);
    return rc == 1;
}

json_t *slc_nodes_revoked(slc_txn *txn, slc_error *err)
{
    sqlite3_stmt *stmt = slc_txn_prepare(txn, "SELECT id FROM gateway_nodes WHERE revoked_at IS NOT NULL", err);
    if (stmt == NULL)
        return NULL;
    json_t *out = json_array();
    int rc;
    while ((rc = slc_txn_step(txn, stmt, err)) == 1)
        json_array_append_new(out, json_string(slc_column_text(stmt, 0)));
    slc_txn_finish(txn, stmt);
    if (rc < 0) {
        json_decref(out);
        return NULL;
    }
    return out;
}

/* ---- what they report ---- */

bool slc_usage_node_seen(slc_txn *txn, const slc_node_report *report, slc_error *err)
{
    static const char sql[] =
        "INSERT INTO node_status (node_id, build, boot_id, last_seen, connected, draining, connections, "
        "applied_version, problem) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, max(?8, 0), nullif(?9, '')) "
        "ON CONFLICT (node_id) DO UPDATE SET build = coalesce(excluded.build, build), "
        "boot_id = coalesce(excluded.boot_id, boot_id), last_seen = excluded.last_seen, "
        "connected = excluded.connected, draining = excluded.draining, connections = excluded.connections, "
        "applied_version = iif(?8 < 0, applied_version, ?8), problem = excluded.problem, "
        "nack_version = iif(?8 >= nack_version, NULL, nack_version)";
    return slc_txn_exec(txn, err, sql, "sssiiiiis", report->node_id, report->build, report->boot_id,
                        slc_txn_now_ms(txn), (int64_t)report->connected, (int64_t)report->draining,
                        report->connections, report->applied_version, report->problem);
}

bool slc_usage_node_nack(slc_txn *txn, const char *node_id, int64_t version, const char *entity,
                         const char *message, slc_error *err)
{
    static const char sql[] =
        "INSERT INTO node_status (node_id, last_seen, connected, draining, connections, applied_version, "
        "nack_version, nack_entity, nack_message, nack_at) VALUES (?1, ?2, 1, 0, 0, 0, ?3, ?4, ?5, ?2) "
        "ON CONFLICT (node_id) DO UPDATE SET last_seen = excluded.last_seen, nack_version = "
        "excluded.nack_version, "
        "nack_entity = excluded.nack_entity, nack_message = excluded.nack_message, nack_at = excluded.nack_at";
    return slc_txn_exec(txn, err, sql, "siiss", node_id, slc_txn_now_ms(txn), version, entity, message);
}

bool slc_usage_all_disconnected(slc_txn *txn, slc_error *err)
{
    return slc_txn_exec(txn, err, "UPDATE node_status SET connected = 0", "");
}

bool slc_usage_node_forget(slc_txn *txn, const char *node_id, slc_error *err)
{
    return slc_txn_exec(txn, err, "DELETE FROM node_status WHERE node_id = ?1", "s", node_id);
}

/* ---- rules ---- */

static void set_time(json_t *out, const char *name, int64_t ms)
{
    char text[SLC_RFC3339_CHARS];
    slc_rfc3339_format(ms, text);
    json_object_set_new(out, name, json_string(text));
}

static void show_nack(sqlite3_stmt *stmt, json_t *out)
{
    if (sqlite3_column_type(stmt, 6) == SQLITE_NULL)
        return;
    json_t *nack = json_pack("{s:I}", "version", (json_int_t)sqlite3_column_int64(stmt, 6));
    if (slc_column_text(stmt, 7) != NULL)
        json_object_set_new(nack, "entity", json_string(slc_column_text(stmt, 7)));
    if (slc_column_text(stmt, 8) != NULL)
        json_object_set_new(nack, "message", json_string(slc_column_text(stmt, 8)));
    set_time(nack, "at", sqlite3_column_int64(stmt, 9));
    json_object_set_new(out, "last_nack", nack);
}

static void show_status(slc_txn *txn, sqlite3_stmt *stmt, bool known, bool revoked, json_t *out)
{
    const char *state = "never";
    if (known) {
        int64_t last_seen = sqlite3_column_int64(stmt, 1);
        bool recent = txn->now_ms - last_seen < txn->catalog->node_lost_after_ms;
        state = sqlite3_column_int(stmt, 2) != 0 && recent ? "connected" : "lost";
        if (slc_column_text(stmt, 0) != NULL)
            json_object_set_new(out, "version", json_string(slc_column_text(stmt, 0)));
        set_time(out, "last_seen", last_seen);
        json_object_set_new(out, "draining", json_boolean(sqlite3_column_int(stmt, 3) != 0));
        json_object_set_new(out, "connections", json_integer(sqlite3_column_int64(stmt, 4)));
        show_nack(stmt, out);
        if (slc_column_text(stmt, 10) != NULL)
            json_object_set_new(out, "problem", json_string(slc_column_text(stmt, 10)));
    }
    json_object_set_new(out, "applied_version", json_integer(known ? sqlite3_column_int64(stmt, 5) : 0));
    json_object_set_new(out, "state", json_string(revoked ? "revoked" : state));
}

const char *const slc_node_state_names[SLC_NODE_STATES] = {"connected", "lost", "revoked", "never"};

bool slc_nodes_count(slc_txn *txn, int64_t counts[SLC_NODE_STATES], slc_error *err)
{
    static const char sql[] =
        "SELECT CASE WHEN n.revoked_at IS NOT NULL THEN 2 WHEN s.node_id IS NULL THEN 3 "
        "WHEN s.connected <> 0 AND ?1 - s.last_seen < ?2 THEN 0 ELSE 1 END AS state, count(*) "
        "FROM gateway_nodes n LEFT JOIN usage.node_status s ON s.node_id = n.id GROUP BY state";
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "ii", txn->now_ms, txn->catalog->node_lost_after_ms);
    int rc = stmt == NULL ? -1 : 1;
    memset(counts, 0, SLC_NODE_STATES * sizeof *counts);
    while (rc == 1 && (rc = slc_txn_step(txn, stmt, err)) == 1)
        counts[sqlite3_column_int(stmt, 0)] = sqlite3_column_int64(stmt, 1);
    slc_txn_finish(txn, stmt);
    return rc == 0;
}

static bool show_node(slc_txn *txn, const json_t *stored, json_t *out, slc_error *err)
{
    static const char sql[] =
        "SELECT build, last_seen, connected, draining, connections, applied_version, nack_version, "
        "nack_entity, nack_message, nack_at, problem FROM usage.node_status WHERE node_id = ?1";
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "s", slc_get_text(stored, "id"));
    int rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    if (rc >= 0)
        show_status(txn, stmt, rc == 1, json_object_get(stored, "revoked_at") != NULL, out);
    slc_txn_finish(txn, stmt);
    return rc >= 0;
}

static int next_of_pod(slc_txn *txn, const char *pod_uid, const char *but_id, char id[SLC_ID_CHARS + 1],
                       slc_error *err)
{
    static const char sql[] =
        "SELECT id FROM gateway_nodes WHERE revoked_at IS NULL AND ephemeral = 1 AND id <> ?2 AND "
        "json_extract(labels, '$.\"" POD_LABEL "\"') = ?1 LIMIT 1";
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "ss", pod_uid, but_id);
    int rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    if (rc == 1)
        snprintf(id, SLC_ID_CHARS + 1, "%s", slc_column_text(stmt, 0));
    slc_txn_finish(txn, stmt);
    return rc;
}

/* A pod's token is good for more than one node: none of them is left to it. */
static bool revoke_others_of_pod(slc_txn *txn, const char *pod_uid, const char *but_id, slc_error *err)
{
    char id[SLC_ID_CHARS + 1];
    int rc;
    while ((rc = next_of_pod(txn, pod_uid, but_id, id, err)) == 1) {
        json_t *before = slc_entity_load(txn, node_kind(), id, err);
        if (before == NULL)
            return false;
        json_t *next = json_deep_copy(before);
        json_object_set_new(next, "revoked_at", json_integer(slc_txn_now_ms(txn)));
        bool ok = slc_entity_save(txn, node_kind(), "revoke", before, next, NULL, err);
        json_decref(next);
        json_decref(before);
        if (!ok)
            return false;
    }
    return rc == 0;
}

static bool revoke_node(slc_txn *txn, slc_change *change, const slc_action *action, const json_t *body,
                        slc_error *err)
{
    static const char sql[] =
        "INSERT OR IGNORE INTO catalog_meta (name, int_value) VALUES ('" REVOKED_POD "' || ?1, ?2)";
    const char *pod_uid = slc_get_text(json_object_get(change->before, "labels"), POD_LABEL);
    (void)action; /* revoke is the only one */
    (void)body;
    if (json_object_get(change->before, "revoked_at") == NULL)
        json_object_set_new(change->next, "revoked_at", json_integer(slc_txn_now_ms(txn)));
    return pod_uid == NULL || (slc_txn_exec(txn, err, sql, "si", pod_uid, slc_txn_now_ms(txn)) &&
                               revoke_others_of_pod(txn, pod_uid, change->id, err));
}

const struct slc_kind_rules slc_rules_gateway_node = {.act = revoke_node, .show = show_node};

static bool check_enrolment(slc_txn *txn, slc_change *change, slc_error *err)
{
    (void)err;
    json_object_set(change->next, "uses_left", json_object_get(change->args, "uses"));
    json_object_set_new(change->next, "expires_at",
                        json_integer(slc_txn_now_ms(txn) + slc_get_int(change->args, "expires_in")));
    return true;
}

static bool make_enrolment_token(slc_txn *txn, slc_change *change, slc_error *err)
{
    if (change->before != NULL)
        return true;
    slc_token token;
    slc_token_make(&token, SLC_TOKEN_ENROLMENT, change->id);
    json_object_set_new(change->once, "token", json_string(token.text));
    bool ok = slc_txn_exec(txn, err, "UPDATE enrolment_tokens SET secret_sha256 = ?2 WHERE id = ?1", "sb",
                           change->id, token.sha256, sizeof(token.sha256));
    slc_token_release(&token);
    return ok;
}

const struct slc_kind_rules slc_rules_enrolment_token = {.check = check_enrolment,
                                                         .written = make_enrolment_token};
