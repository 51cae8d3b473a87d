/* What has changed since an earlier result, by the audit trail (docs/decisions/0005-incremental-compile.md). */
#include <string.h>

#include "catalog/compile_private.h"
#include "catalog/store.h"

#define MAX_ROWS 65536 /* of the audit trail */
#define MAX_IDS  4096  /* over it most buckets are touched, and one pass over the tables is cheaper */

/* ---- where we stand ---- */

static bool read_seq(slc_txn *txn, int64_t *seq, slc_error *err)
{
    sqlite3_stmt *stmt =
        slc_txn_prepare(txn, "SELECT seq FROM sqlite_sequence WHERE name = 'audit_events'", err);
    int row = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    *seq = row == 1 ? sqlite3_column_int64(stmt, 0) : 0;
    slc_txn_finish(txn, stmt);
    return row >= 0;
}

/* What a write transaction sees may be rolled back. */
bool slc_as_of_read(slc_txn *txn, slc_as_of *as_of, slc_error *err)
{
    as_of->known = txn->lane != SLC_LANE_WRITE;
    as_of->now_ms = slc_txn_now_ms(txn);
    as_of->revision = slc_catalog_revision(txn);
    return read_seq(txn, &as_of->seq, err);
}

/* ---- what changed ---- */

static void note(slc_delta *delta, const char *kind, const char *id)
{
    const struct {
        const char *kind;
        json_t *set;
    } sets[] = {
        {"applications", delta->applications},
        {"credentials", delta->credentials},
        {"subscriptions", delta->subscriptions},
        {"teams", delta->teams},
    };
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (strcmp(kind, sets[i].kind) == 0)
            slc_set_add(sets[i].set, id);
}

static bool is_small(const slc_delta *delta)
{
    return json_object_size(delta->applications) + json_object_size(delta->credentials) +
               json_object_size(delta->subscriptions) <=
           MAX_IDS;
}

static bool is_base(const slc_compile *compile, const slc_as_of *since)
{
    const slc_as_of *now = &compile->as_of;
    return since->known && now->known && now->now_ms >= since->now_ms && now->seq >= since->seq &&
           now->seq - since->seq <= MAX_ROWS;
}

/* Rows that were pruned leave a hole in the numbers; a change that was not audited leaves one in the revisions.
 */
bool slc_delta_read(const slc_compile *compile, const slc_as_of *since, slc_delta *delta, slc_error *err)
{
    int64_t rows = 0, revisions = 0, last = 0;
    int row;
    if (!is_base(compile, since))
        return true;
    delta->applications = json_object();
    delta->credentials = json_object();
    delta->subscriptions = json_object();
    delta->teams = json_object();
    sqlite3_stmt *stmt = slc_txn_query(
        compile->txn, err, "SELECT kind, entity_id, revision FROM audit_events WHERE seq > ?1 ORDER BY seq",
        "i", since->seq);
    if (stmt == NULL)
        return false;
    while ((row = slc_txn_step(compile->txn, stmt, err)) == 1) {
        int64_t revision = sqlite3_column_int64(stmt, 2); /* 0: nothing changed */
        rows++;
        revisions += revision != 0 && revision != last;
        last = revision != 0 ? revision : last;
        note(delta, slc_column_text(stmt, 0), slc_column_text(stmt, 1));
    }
    slc_txn_finish(compile->txn, stmt);
    delta->usable = rows == compile->as_of.seq - since->seq &&
                    revisions == (int64_t)(compile->as_of.revision - since->revision) && is_small(delta);
    return row == 0;
}

void slc_delta_release(slc_delta *delta)
{
    json_decref(delta->applications);
    json_decref(delta->credentials);
    json_decref(delta->subscriptions);
    json_decref(delta->teams);
    memset(delta, 0, sizeof *delta);
}

/* ---- which applications that concerns ---- */

/* Adds the ids that a query finds; `*count` tells how many. */
static bool add_found(const slc_compile *compile, const char *sql, const char *id, slc_delta *delta,
                      size_t *count, slc_error *err)
{
    int row = 0;
    *count = 0;
    sqlite3_stmt *stmt = slc_txn_query(compile->txn, err, sql, "s", id);
    if (stmt == NULL)
        return false;
    while (*count <= MAX_IDS && (row = slc_txn_step(compile->txn, stmt, err)) == 1) {
        slc_set_add(delta->applications, slc_column_text(stmt, 0));
        ++*count;
    }
    slc_txn_finish(compile->txn, stmt);
    return row >= 0;
}

/* Those of `ids` whose row is gone stay in it: only the base knows whose they were. */
static bool follow_subscriptions(const slc_compile *compile, slc_delta *delta, slc_error *err)
{
    json_t *gone = json_object(), *ignored;
    const char *id;
    bool ok = true;
    json_object_foreach (delta->subscriptions, id, ignored) {
        size_t count;
        ok = ok &&
             add_found(compile, "SELECT application FROM subscriptions WHERE id = ?1", id, delta, &count, err);
        if (ok && count == 0)
            slc_set_add(gone, id);
    }
    json_decref(delta->subscriptions);
    delta->subscriptions = gone;
    return ok;
}

static bool follow_teams(const slc_compile *compile, slc_delta *delta, slc_error *err)
{
    json_t *ignored;
    const char *id;
    size_t count;
    json_object_foreach (delta->teams, id, ignored) {
        if (!add_found(compile, "SELECT id FROM applications WHERE team = ?1", id, delta, &count, err))
            return false;
    }
    return true;
}

/* Subscribers of the plans that one set has and the other has not. */
static bool follow_plans(const slc_compile *compile, const json_t *has, const json_t *lacks, slc_delta *delta,
                         slc_error *err)
{
    json_t *ignored;
    const char *id;
    size_t count;
    json_object_foreach ((json_t *)has, id, ignored) {
        if (!slc_set_has(lacks, id) && is_small(delta) &&
            !add_found(compile, "SELECT DISTINCT application FROM subscriptions WHERE plan = ?1", id, delta,
                       &count, err))
            return false;
    }
    return true;
}

bool slc_delta_follow(const slc_compile *compile, const json_t *before, slc_delta *delta, slc_error *err)
{
    if (!delta->usable)
        return true;
    bool ok = follow_subscriptions(compile, delta, err) && follow_teams(compile, delta, err) &&
              follow_plans(compile, before, compile->plans, delta, err) &&
              follow_plans(compile, compile->plans, before, delta, err);
    delta->usable = is_small(delta);
    return ok;
}
