/* Rules: webhooks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/entity.h"
#include "catalog/notify_private.h"
#include "catalog/store.h"
#include "common/alloc.h"
#include "common/clock.h"
#include "common/crypto.h"

#define SECRET_BYTES  32
#define OVERLAP_MS    86400000LL /* the secret before signs for so long */
#define SECRET_PREFIX "whsec_"

/* A new secret, which is shown in `once`; the ones before it end. */
static bool make_secret(slc_txn *txn, const char *id, json_t *once, slc_error *err)
{
    uint8_t secret[SECRET_BYTES];
    char text[sizeof SECRET_PREFIX + 4 * ((SECRET_BYTES + 2) / 3)] = SECRET_PREFIX, context[80];
    int64_t number = 0;
    sqlite3_stmt *stmt = slc_txn_query(
        txn, err, "SELECT coalesce(max(number), 0) + 1 FROM webhook_secrets WHERE webhook = ?1", "s", id);
    int rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    number = rc == 1 ? sqlite3_column_int64(stmt, 0) : 0;
    slc_txn_finish(txn, stmt);
    if (rc != 1)
        return false;
    slc_random(secret, sizeof secret);
    slc_base64_encode(secret, sizeof secret, text + strlen(SECRET_PREFIX));
    snprintf(context, sizeof context, "webhook_secrets/%s/%lld", id, (long long)number);
    size_t len;
    uint8_t *sealed = slc_txn_seal(txn, context, secret, sizeof secret, &len);
    bool ok = slc_txn_exec(txn, err,
                           "DELETE FROM webhook_secrets WHERE webhook = ?1 AND (ends_at <= ?2 OR number < ?3)",
                           "sii", id, slc_txn_now_ms(txn), number - 1) &&
              slc_txn_exec(txn, err, "UPDATE webhook_secrets SET ends_at = ?2 WHERE webhook = ?1", "si", id,
                           slc_txn_now_ms(txn) + OVERLAP_MS) &&
              slc_txn_exec(txn, err,
                           "INSERT INTO webhook_secrets (webhook, number, sealed_secret) VALUES (?1, ?2, ?3)",
                           "sib", id, number, sealed, len);
    json_object_set_new(once, "secret", json_string(text));
    free(sealed);
    explicit_bzero(secret, sizeof secret);
    explicit_bzero(text, sizeof text);
    return ok;
}

static bool is_enabled_again(const slc_change *change)
{
    return change->before != NULL && !json_is_true(json_object_get(change->before, "enabled")) &&
           json_is_true(json_object_get(change->next, "enabled"));
}

static bool check(slc_txn *txn, slc_change *change, slc_error *err)
{
    (void)err;
    if (change->before == NULL)
        json_object_set_new(change->next, "secret_changed_at", json_integer(slc_txn_now_ms(txn)));
    if (is_enabled_again(change))
        json_object_del(change->next, "disabled_reason");
    return true;
}

/* Enabled again, it begins anew. */
static bool written(slc_txn *txn, slc_change *change, slc_error *err)
{
    if (change->before == NULL)
        return make_secret(txn, change->id, change->once, err);
    return !is_enabled_again(change) ||
           slc_txn_exec(txn, err, "UPDATE webhooks SET failing_since = NULL WHERE id = ?1", "s", change->id);
}

static bool redeliver(slc_txn *txn, const slc_change *change, const json_t *body, slc_error *err)
{
    const char *id = json_string_value(json_object_get(body, "delivery"));
    return slc_txn_exec(
               txn, err,
               "UPDATE webhook_deliveries SET state = 'pending', attempts = 0, next_at = ?3 WHERE id = ?1 AND "
               "webhook = ?2",
               "ssi", id, change->id, slc_txn_now_ms(txn)) &&
           (slc_txn_changes(txn) > 0 ||
            slc_fail(err, SLC_NOT_FOUND, NULL, "there is no delivery %.60s of this webhook", id));
}

static bool ping(slc_txn *txn, const slc_change *change, slc_error *err)
{
    json_t *data = json_pack("{s:s}", "webhook", slc_get_text(change->before, "name"));
    bool ok = slc_notify_enqueue(txn, change->id, "ping", data, err);
    json_decref(data);
    return ok;
}

static bool act(slc_txn *txn, slc_change *change, const slc_action *action, const json_t *body, slc_error *err)
{
    if (strcmp(action->name, "redeliver") == 0)
        return redeliver(txn, change, body, err);
    if (strcmp(action->name, "ping") == 0)
        return ping(txn, change, err);
    int64_t now_ms = slc_txn_now_ms(txn), before_ms = slc_get_int(change->before, "secret_changed_at");
    json_object_set_new(change->next, "secret_changed_at",
                        json_integer(now_ms > before_ms ? now_ms : before_ms + 1));
    return make_secret(txn, change->id, change->once, err);
}

static bool show(slc_txn *txn, const json_t *stored, json_t *out, slc_error *err)
{
    char text[SLC_RFC3339_CHARS];
    sqlite3_stmt *stmt = slc_txn_query(txn, err, "SELECT failing_since FROM webhooks WHERE id = ?1", "s",
                                       slc_get_text(stored, "id"));
    int rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    if (rc == 1 && sqlite3_column_type(stmt, 0) != SQLITE_NULL) {
        slc_rfc3339_format(sqlite3_column_int64(stmt, 0), text);
        json_object_set_new(out, "failing_since", json_string(text));
    }
    slc_txn_finish(txn, stmt);
    return rc >= 0;
}

const struct slc_kind_rules slc_rules_webhook = {.check = check, .written = written, .act = act, .show = show};
