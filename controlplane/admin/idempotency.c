/* Answers kept by Idempotency-Key. They may hold a secret that is shown once, so they are sealed. */
#include "controlplane/admin/idempotency.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/read.h"
#include "common/alloc.h"
#include "common/crypto.h"
#include "common/json.h"
#include "controlplane/admin/admin.h"

#define KEEP_MS (24 * 3600 * 1000LL)
/* From here on answers count towards the bound: it is the condition of the index idempotency_keys_large. */
#define LARGE_BYTES "65536"

static void context_of(const slc_call *call, char *out, size_t size)
{
    snprintf(out, size, "idempotency_keys/%s/%s", call->identity.token_id, call->idempotency_key);
}

/* What the key stands for: method, path, query (a dry run is not the real thing) and body. */
static void request_digest(const slc_call *call, uint8_t out[SLC_SHA256_BYTES])
{
    char *text =
        slc_asprintf("%s\n%s\n%s\n%s\n%s\n", call->route->method,
                     call->target.kind != NULL ? call->target.kind->name : call->route->pattern,
                     call->target.key, call->target.action, call->query_text != NULL ? call->query_text : "");
    size_t head = strlen(text);
    uint8_t *all = slc_malloc(head + call->body_len + 1);
    memcpy(all, text, head);
    if (call->body_text != NULL)
        memcpy(all + head, call->body_text, call->body_len);
    slc_sha256(all, head + (call->body_text != NULL ? call->body_len : 0), out);
    slc_free_secret(all, head + call->body_len + 1);
    free(text);
}

static bool restore(slc_txn *txn, slc_call *call, sqlite3_stmt *stmt, slc_error *err)
{
    char context[320];
    size_t len = 0;
    context_of(call, context, sizeof context);
    uint8_t *text = slc_txn_unseal(txn, context, sqlite3_column_blob(stmt, 2),
                                   (size_t)sqlite3_column_bytes(stmt, 2), &len, err);
    if (text == NULL)
        return false;
    json_t *kept = slc_json_parse((const char *)text, len, len, err);
    slc_free_secret(text, len);
    if (kept == NULL)
        return false;
    json_t *answer = json_object_get(kept, "answer");
    call->status = sqlite3_column_int(stmt, 1);
    call->answer = json_is_null(answer) ? NULL : json_incref(answer);
    call->etag = json_integer_value(json_object_get(kept, "etag"));
    snprintf(call->location, sizeof call->location, "%s", json_string_value(json_object_get(kept, "location")));
    json_decref(kept);
    return true;
}

bool slc_call_replay(slc_txn *txn, slc_call *call, bool *replayed, slc_error *err)
{
    uint8_t digest[SLC_SHA256_BYTES];
    bool ok = false;
    *replayed = false;
    if (call->idempotency_key[0] == '\0')
        return true;
    if (!slc_txn_exec(txn, err, "DELETE FROM idempotency_keys WHERE created_at < ?", "i",
                      slc_txn_now_ms(txn) - KEEP_MS))
        return false;
    sqlite3_stmt *stmt = slc_txn_query(
        txn, err,
        "SELECT request_sha256, status, sealed_response FROM idempotency_keys WHERE actor = ? AND key = ?",
        "ss", call->identity.token_id, call->idempotency_key);
    if (stmt == NULL)
        return false;
    int row = slc_txn_step(txn, stmt, err);
    request_digest(call, digest);
    if (row == 1 && memcmp(sqlite3_column_blob(stmt, 0), digest, sizeof digest) != 0)
        slc_call_fail(call, 422, err, SLC_CONFLICT, NULL,
                      "this Idempotency-Key was used for another request; use a new one");
    else if (row == 1)
        ok = *replayed = restore(txn, call, stmt, err);
    else
        ok = row == 0;
    slc_txn_finish(txn, stmt);
    return ok;
}

/* Those of documents are large. Over the bound of all of them the oldest are forgotten. */
static bool make_room(slc_txn *txn, const slc_call *call, size_t sealed_len, slc_error *err)
{
    static const char sql[] =
        "DELETE FROM idempotency_keys WHERE ?2 > " LARGE_BYTES " AND (actor, key) IN (SELECT actor, key FROM "
        "(SELECT actor, key, sum(length(sealed_response)) OVER (ORDER BY created_at DESC, actor, key) AS total "
        "FROM "
        "idempotency_keys WHERE length(sealed_response) > " LARGE_BYTES ") WHERE total > ?1)";
    int64_t limit = slc_admin_kept_bytes(call->admin), len = (int64_t)sealed_len;
    if (len > limit)
        return slc_fail(err, SLC_TOO_LARGE, NULL,
                        "the answer has %lld bytes, too many to be kept for its Idempotency-Key "
                        "(admin-limits.kept-answers is %lld): nothing was changed; ask without the key",
                        (long long)len, (long long)limit);
    return slc_txn_exec(txn, err, sql, "ii", limit - len, len);
}

bool slc_call_remember(slc_txn *txn, slc_call *call, slc_error *err)
{
    uint8_t digest[SLC_SHA256_BYTES];
    char context[320];
    size_t len = 0, sealed_len = 0;
    if (call->idempotency_key[0] == '\0')
        return true;
    json_t *kept = json_pack("{s:O?, s:I, s:s}", "answer", call->answer, "etag", (json_int_t)call->etag,
                             "location", call->location);
    if (!json_object_get(kept, "answer"))
        json_object_set_new(kept, "answer", json_null());
    char *text = slc_json_print(kept, &len);
    json_decref(kept);
    context_of(call, context, sizeof context);
    request_digest(call, digest);
    uint8_t *sealed = slc_txn_seal(txn, context, text, len, &sealed_len);
    slc_free_secret(text, len);
    int64_t status = call->status != 0 ? call->status : call->route->success;
    bool ok = make_room(txn, call, sealed_len, err) &&
              slc_txn_exec(txn, err,
                           "INSERT INTO idempotency_keys (actor, key, request_sha256, status, sealed_response, "
                           "created_at) VALUES (?, ?, ?, ?, ?, ?)",
                           "ssbibi", call->identity.token_id, call->idempotency_key, (const void *)digest,
                           sizeof digest, status, (const void *)sealed, sealed_len, slc_txn_now_ms(txn));
    free(sealed);
    return ok;
}
