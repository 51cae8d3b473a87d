/* Rules: grants. */
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "catalog/access.h"
#include "catalog/entity.h"
#include "catalog/grants.h"
#include "catalog/store.h"

/* ---- what they allow ---- */

/* The operations that a team's grants allow on a topic: new, may have them twice. `without`: the id of a grant
 * that is not counted, or "". */
static json_t *allowed(slc_txn *txn, const slc_exposure *exposure, const char *without, slc_error *err)
{
    static const char sql[] =
        "SELECT topic, operations FROM grants WHERE team = ?1 AND virtual_cluster = ?2 AND "
        "id <> ?3";
    sqlite3_stmt *stmt =
        slc_txn_query(txn, err, sql, "sss", exposure->team, exposure->virtual_cluster, without);
    if (stmt == NULL)
        return NULL;
    json_t *all = json_array();
    int rc;
    while ((rc = slc_txn_step(txn, stmt, err)) == 1) {
        if (fnmatch(slc_column_text(stmt, 0), exposure->topic, 0) != 0)
            continue;
        json_t *operations = slc_column_json(stmt, 1);
        json_array_extend(all, operations);
        json_decref(operations);
    }
    slc_txn_finish(txn, stmt);
    if (rc == 0)
        return all;
    json_decref(all);
    return NULL;
}

int slc_grants_cover(slc_txn *txn, const slc_exposure *exposure, slc_error *err)
{
    json_t *all = allowed(txn, exposure, "", err);
    int rc = all == NULL ? -1 : slc_has_all(all, exposure->operations);
    json_decref(all);
    return rc;
}

/* ---- a change of an event API ---- */

static bool check_exposure(slc_txn *txn, const slc_exposure *exposure, const char *deployment,
                           const char *pointer, slc_error *err)
{
    int rc = slc_grants_cover(txn, exposure, err);
    if (rc == 0)
        slc_txn_refuse(
            txn, SLC_DENIED, pointer, err,
            "deployment %s exposes the topic %s, and the event API's team would have no grant for it with "
            "all of the API's operations",
            deployment, exposure->topic);
    return rc == 1;
}

bool slc_grants_check_api(slc_txn *txn, const slc_change *change, slc_error *err)
{
    static const char sql[] = "SELECT virtual_cluster, topic, key FROM deployments WHERE event_api = ?1";
    const json_t *next = change->next, *before = change->before;
    if (before == NULL || slc_access_bound(txn) == NULL)
        return true;
    bool moved = strcmp(slc_get_text(before, "team"), slc_get_text(next, "team")) != 0;
    if (!moved && slc_has_all(json_object_get(before, "operations"), json_object_get(next, "operations")))
        return true;
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "s", change->id);
    if (stmt == NULL)
        return false;
    bool ok = true;
    int rc;
    while ((rc = slc_txn_step(txn, stmt, err)) == 1) {
        slc_exposure exposure = {.team = slc_get_text(next, "team"),
                                 .virtual_cluster = slc_column_text(stmt, 0),
                                 .topic = slc_column_text(stmt, 1),
                                 .operations = json_object_get(next, "operations")};
        ok = check_exposure(txn, &exposure, slc_column_text(stmt, 2), moved ? "/team" : "/operations", err) &&
             ok;
    }
    slc_txn_finish(txn, stmt);
    return rc == 0 && ok;
}

/* ---- what rests on a grant ---- */

/* 1: what is exposed is allowed, and would not be if the grant allowed only `left` (NULL: nothing). */
static int rests_on(slc_txn *txn, const json_t *grant, const json_t *left, const slc_exposure *exposure,
                    slc_error *err)
{
    if (fnmatch(slc_get_text(grant, "topic"), exposure->topic, 0) != 0)
        return 0;
    json_t *others = allowed(txn, exposure, slc_get_text(grant, "id"), err);
    if (others == NULL)
        return -1;
    json_t *now = json_copy(others);
    json_array_extend(now, json_object_get(grant, "operations"));
    if (left != NULL)
        json_array_extend(others, (json_t *)left);
    int rc = slc_has_all(now, exposure->operations) && !slc_has_all(others, exposure->operations);
    json_decref(now);
    json_decref(others);
    return rc;
}

/* Appends the deployments that would no longer be allowed. An administrator's rollback brings back what was,
 * also what they had deployed beyond the grants. */
static bool collect(slc_txn *txn, const json_t *grant, const json_t *left, json_t *list, slc_error *err)
{
    static const char sql[] =
        "SELECT d.topic, a.operations, d.id, d.key FROM deployments AS d JOIN event_apis AS a ON "
        "a.id = d.event_api WHERE a.team = ?1 AND d.virtual_cluster = ?2";
    if (txn->restoring && slc_access_bound(txn) == NULL)
        return true;
    slc_exposure exposure = {.team = slc_get_text(grant, "team"),
                             .virtual_cluster = slc_get_text(grant, "virtual_cluster")};
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "ss", exposure.team, exposure.virtual_cluster);
    if (stmt == NULL)
        return false;
    int rc = 1, rests = 0;
    while (rests >= 0 && (rc = slc_txn_step(txn, stmt, err)) == 1) {
        json_t *operations = slc_column_json(stmt, 1);
        exposure.topic = slc_column_text(stmt, 0);
        exposure.operations = operations;
        rests = rests_on(txn, grant, left, &exposure, err);
        if (rests == 1 && json_array_size(list) < SLC_REFERRERS_MAX)
            json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "kind", "deployments", "id",
                                                  slc_column_text(stmt, 2), "key", slc_column_text(stmt, 3),
                                                  "field", "topic"));
        json_decref(operations);
    }
    slc_txn_finish(txn, stmt);
    return rc == 0;
}

static bool check_grant(slc_txn *txn, slc_change *change, slc_error *err)
{
    const json_t *left = json_object_get(change->next, "operations");
    if (change->before == NULL || slc_has_all(left, json_object_get(change->before, "operations")))
        return true;
    json_t *resting = json_array();
    bool ok = collect(txn, change->before, left, resting, err);
    size_t index;
    json_t *deployment;
    json_array_foreach (resting, index, deployment) {
        ok = slc_txn_refuse(
            txn, SLC_CONFLICT, "/operations", err,
            "deployment %s exposes its topic with an operation that no other grant allows: change or "
            "delete it first",
            slc_get_text(deployment, "key"));
    }
    json_decref(resting);
    return ok;
}

static bool grant_dependents(slc_txn *txn, const json_t *stored, json_t *list, slc_error *err)
{
    return collect(txn, stored, NULL, list, err);
}

const struct slc_kind_rules slc_rules_grant = {.check = check_grant, .dependents = grant_dependents};
