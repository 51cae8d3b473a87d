/* Deliveries of notifications: what is due, what became of it, what people see of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/entity.h"
#include "catalog/notify_private.h"
#include "catalog/store.h"
#include "common/alloc.h"
#include "common/clock.h"
#include "common/crypto.h"

#define SCAN_MAX 500 /* that are due, to find some that may be sent */

void slc_delivery_release(slc_delivery *delivery)
{
    free(delivery->url);
    free(delivery->body);
    for (size_t i = 0; i < SLC_WEBHOOK_SECRETS; i++)
        if (delivery->secrets[i].bytes != NULL)
            slc_free_secret(delivery->secrets[i].bytes, delivery->secrets[i].len + 1);
    memset(delivery, 0, sizeof *delivery);
}

/* ---- what is due ---- */

static bool read_secrets(slc_txn *txn, slc_delivery *delivery, slc_error *err)
{
    static const char sql[] =
        "SELECT 'webhook_secrets/' || webhook || '/' || number, sealed_secret FROM "
        "webhook_secrets WHERE webhook = ?1 AND (ends_at IS NULL OR ends_at > ?2) ORDER BY "
        "number DESC LIMIT ?3";
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "sii", delivery->webhook_id, slc_txn_now_ms(txn),
                                       (int64_t)SLC_WEBHOOK_SECRETS);
    int rc = stmt == NULL ? -1 : 1;
    for (size_t i = 0; rc == 1 && i < SLC_WEBHOOK_SECRETS; i++) {
        rc = slc_txn_step(txn, stmt, err);
        if (rc != 1)
            break;
        delivery->secrets[i].bytes =
            slc_txn_unseal(txn, slc_column_text(stmt, 0), sqlite3_column_blob(stmt, 1),
                           (size_t)sqlite3_column_bytes(stmt, 1), &delivery->secrets[i].len, err);
        if (delivery->secrets[i].bytes == NULL)
            rc = -1;
    }
    slc_txn_finish(txn, stmt);
    return rc >= 0;
}

static int count_of(const json_t *webhooks, const char *id)
{
    int count = 0;
    size_t i;
    json_t *item;
    json_array_foreach ((json_t *)webhooks, i, item)
        count += strcmp(json_string_value(item), id) == 0;
    return count;
}

static void take(slc_delivery *delivery, sqlite3_stmt *stmt)
{
    memset(delivery, 0, sizeof *delivery);
    snprintf(delivery->id, sizeof delivery->id, "%s", slc_column_text(stmt, 0));
    snprintf(delivery->webhook_id, sizeof delivery->webhook_id, "%s", slc_column_text(stmt, 1));
    delivery->url = slc_strdup(slc_column_text(stmt, 2));
    delivery->body = slc_strdup(slc_column_text(stmt, 3));
    delivery->attempts = sqlite3_column_int64(stmt, 4);
    delivery->created_ms = sqlite3_column_int64(stmt, 5);
}

int slc_deliveries_due(slc_txn *txn, const json_t *busy, const json_t *busy_webhooks, int each,
                       slc_delivery *out, int max, slc_error *err)
{
    static const char sql[] = "SELECT d.id, d.webhook, w.url, d.body, d.attempts, d.created_at FROM "
                              "webhook_deliveries AS d JOIN webhooks AS "
                              "w ON w.id = d.webhook WHERE d.state = 'pending' AND d.next_at <= ?1 AND "
                              "(w.enabled = 1 OR d.event = 'ping') "
                              "ORDER BY d.next_at LIMIT ?2";
    json_t *webhooks = json_copy((json_t *)busy_webhooks);
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "ii", slc_txn_now_ms(txn), (int64_t)SCAN_MAX);
    int rc = stmt == NULL ? -1 : 1, count = 0;
    while (rc == 1 && count < max && (rc = slc_txn_step(txn, stmt, err)) == 1) {
        if (slc_has_text(busy, slc_column_text(stmt, 0)) ||
            count_of(webhooks, slc_column_text(stmt, 1)) >= each)
            continue;
        take(&out[count++], stmt);
        json_array_append_new(webhooks, json_string(slc_column_text(stmt, 1)));
    }
    slc_txn_finish(txn, stmt);
    json_decref(webhooks);
    bool ok = rc >= 0;
    for (int i = 0; i < count; i++)
        ok = ok && read_secrets(txn, &out[i], err);
    if (ok)
        return count;
    for (int i = 0; i < count; i++)
        slc_delivery_release(&out[i]);
    return -1;
}

/* ---- what became of it ---- */

static bool disable(slc_txn *txn, const char *webhook_id, const char *reason, slc_error *err)
{
    const slc_kind *kind = slc_kind_find("webhooks");
    json_t *before = slc_entity_load(txn, kind, webhook_id, err);
    if (before == NULL)
        return err->code == SLC_NOT_FOUND;
    json_t *next = json_deep_copy(before);
    json_object_set_new(next, "enabled", json_false());
    json_object_set_new(next, "disabled_reason", json_string(reason));
    bool ok = slc_entity_save(txn, kind, "disable", before, next, NULL, err);
    json_decref(next);
    json_decref(before);
    return ok;
}

static int64_t failing_since(slc_txn *txn, const char *webhook_id, slc_error *err)
{
    sqlite3_stmt *stmt = slc_txn_query(
        txn, err, "SELECT failing_since FROM webhooks WHERE id = ?1 AND enabled = 1", "s", webhook_id);
    int rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    int64_t since = rc == 1 ? sqlite3_column_int64(stmt, 0) : 0;
    slc_txn_finish(txn, stmt);
    return rc < 0 ? -1 : since;
}

static bool note_failure(slc_txn *txn, const slc_delivery_result *result, slc_error *err)
{
    char reason[200];
    if (!slc_txn_exec(txn, err, "UPDATE webhooks SET failing_since = coalesce(failing_since, ?2) WHERE id = ?1",
                      "si", result->webhook_id, slc_txn_now_ms(txn)))
        return false;
    if (result->gone)
        return disable(txn, result->webhook_id, "the receiver answered 410: it wants no more notifications",
                       err);
    int64_t since = failing_since(txn, result->webhook_id, err);
    if (since <= 0 || slc_txn_now_ms(txn) - since < result->disable_after_ms)
        return since >= 0;
    snprintf(reason, sizeof reason, "no attempt has worked for %lld hours; the last: %.100s",
             (long long)((slc_txn_now_ms(txn) - since) / 3600000), result->error);
    return disable(txn, result->webhook_id, reason, err);
}

bool slc_delivery_done(slc_txn *txn, const slc_delivery_result *result, slc_error *err)
{
    static const char sql[] = "UPDATE webhook_deliveries SET attempts = attempts + 1, attempted_at = ?2, "
                              "status = nullif(?3, 0), error = ?4, "
                              "state = ?5, next_at = ?6 WHERE id = ?1 AND state = 'pending'";
    const char *state = result->good                               ? "delivered"
                        : result->retry_at_ms == 0 || result->gone ? "dead"
                                                                   : "pending";
    if (!slc_txn_exec(txn, err, sql, "siissi", result->id, slc_txn_now_ms(txn), (int64_t)result->status,
                      result->error, state, result->retry_at_ms))
        return false;
    if (!result->good)
        return note_failure(txn, result, err);
    return slc_txn_exec(txn, err,
                        "UPDATE webhooks SET failing_since = NULL WHERE id = ?1 AND failing_since NOT NULL",
                        "s", result->webhook_id);
}

bool slc_deliveries_prune(slc_txn *txn, int64_t before_ms, slc_error *err)
{
    return slc_txn_exec(txn, err,
                        "DELETE FROM webhook_deliveries WHERE seq IN (SELECT seq FROM webhook_deliveries WHERE "
                        "created_at < ?1 AND state <> 'pending' LIMIT 1000)",
                        "i", before_ms);
}

/* ---- what people see ---- */

static void add_time(json_t *item, const char *name, sqlite3_stmt *stmt, int column)
{
    char text[SLC_RFC3339_CHARS];
    if (sqlite3_column_type(stmt, column) == SQLITE_NULL)
        return;
    slc_rfc3339_format(sqlite3_column_int64(stmt, column), text);
    json_object_set_new(item, name, json_string(text));
}

static json_t *show(sqlite3_stmt *stmt)
{
    json_t *item = json_pack("{s:s, s:s, s:s, s:I, s:o}", "id", slc_column_text(stmt, 1), "event",
                             slc_column_text(stmt, 2), "state", slc_column_text(stmt, 3), "attempts",
                             (json_int_t)sqlite3_column_int64(stmt, 4), "body", slc_column_json(stmt, 9));
    add_time(item, "created_at", stmt, 5);
    add_time(item, "attempted_at", stmt, 6);
    if (strcmp(slc_column_text(stmt, 3), "pending") == 0)
        add_time(item, "next_at", stmt, 10);
    if (sqlite3_column_type(stmt, 7) != SQLITE_NULL)
        json_object_set_new(item, "status", json_integer(sqlite3_column_int64(stmt, 7)));
    if (slc_column_text(stmt, 8) != NULL)
        json_object_set_new(item, "error", json_string(slc_column_text(stmt, 8)));
    return item;
}

json_t *slc_deliveries_list(slc_txn *txn, const char *webhook_id, const char *state, int limit,
                            const char *cursor, slc_error *err)
{
    static const char sql[] =
        "SELECT seq, id, event, state, attempts, created_at, attempted_at, status, error, body, next_at FROM "
        "webhook_deliveries WHERE webhook = ?1 AND (?2 IS NULL OR state = ?2) AND seq < ?3 ORDER BY seq DESC "
        "LIMIT ?4";
    char *end = NULL, text[24] = "";
    long long before = cursor != NULL ? strtoll(cursor, &end, 10) : INT64_MAX;
    limit = limit > 0 ? limit : 100;
    if (cursor != NULL && (end == cursor || *end != '\0' || before < 1)) {
        slc_fail(err, SLC_INVALID, "cursor", "the cursor is not one that a list of deliveries gave out");
        return NULL;
    }
    sqlite3_stmt *stmt =
        slc_txn_query(txn, err, sql, "ssii", webhook_id, state, (int64_t)before, (int64_t)limit + 1);
    json_t *items = json_array(), *next = NULL;
    int rc = stmt == NULL ? -1 : 1;
    while (rc == 1 && (rc = slc_txn_step(txn, stmt, err)) == 1) {
        if (json_array_size(items) == (size_t)limit) {
            next = json_string(text);
            rc = 0;
            break;
        }
        snprintf(text, sizeof text, "%lld", (long long)sqlite3_column_int64(stmt, 0));
        json_array_append_new(items, show(stmt));
    }
    slc_txn_finish(txn, stmt);
    json_t *out = json_pack("{s:o, s:o}", "items", items, "next", next != NULL ? next : json_null());
    if (rc == 0)
        return out;
    json_decref(out);
    return NULL;
}
