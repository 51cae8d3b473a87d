/* Applications with their live subscriptions, and the credentials that lead to them: one ordered pass over each
 * table, straight into 256 buckets. */
#include <stdlib.h>
#include <string.h>

#include "catalog/compile_private.h"

struct buckets {
    slc_items buckets[SLC_COMPILE_BUCKETS];
};

static void add(struct buckets *buckets, ProtobufCMessage *message, const char *key)
{
    uint8_t hash[SLC_SHA256_BYTES];
    slc_sha256(key, strlen(key), hash);
    slc_items_add(&buckets->buckets[hash[0]], message, key);
}

static void emit(slc_compile *compile, Sluice__Snapshot__V1__ChunkKind kind, struct buckets *buckets)
{
    for (unsigned i = 0; i < SLC_COMPILE_BUCKETS; i++) {
        slc_compile_emit(compile, kind, i, &buckets->buckets[i]);
        slc_items_release(&buckets->buckets[i]);
    }
}

/* ---- applications ---- */

#define MAX_SUBSCRIPTIONS 1024

/* The subscriptions of the application that the pass is at. */
struct gathering {
    Sluice__Snapshot__V1__Application *application;
    Sluice__Snapshot__V1__Subscription *subscriptions[MAX_SUBSCRIPTIONS];
    size_t count;
};

static void finish_application(slc_compile *compile, struct gathering *gathering, struct buckets *buckets)
{
    Sluice__Snapshot__V1__Application *application = gathering->application;
    if (application == NULL)
        return;
    application->n_subscriptions = gathering->count;
    application->subscriptions = slc_compile_alloc(compile, (gathering->count + 1) * sizeof(void *));
    memcpy(application->subscriptions, gathering->subscriptions, gathering->count * sizeof(void *));
    add(buckets, &application->base, application->id);
    gathering->application = NULL;
    gathering->count = 0;
}

static void begin_application(slc_compile *compile, struct gathering *gathering, sqlite3_stmt *stmt)
{
    Sluice__Snapshot__V1__Application *application = slc_compile_alloc(compile, sizeof *application);
    sluice__snapshot__v1__application__init(application);
    application->id = slc_compile_text(compile, slc_column_text(stmt, 0));
    application->name = slc_compile_text(compile, slc_column_text(stmt, 1));
    application->team = slc_compile_text(compile, slc_column_text(stmt, 2));
    gathering->application = application;
}

static bool add_subscription(slc_compile *compile, struct gathering *gathering, sqlite3_stmt *stmt,
                             slc_error *err)
{
    if (gathering->count == MAX_SUBSCRIPTIONS)
        return slc_fail(err, SLC_LIMIT, NULL,
                        "application %s has more than %d live subscriptions in one environment",
                        gathering->application->name, MAX_SUBSCRIPTIONS);
    Sluice__Snapshot__V1__Subscription *subscription = slc_compile_alloc(compile, sizeof *subscription);
    sluice__snapshot__v1__subscription__init(subscription);
    subscription->id = slc_compile_text(compile, slc_column_text(stmt, 3));
    subscription->plan_id = slc_compile_text(compile, slc_column_text(stmt, 4));
    subscription->expires_at_ms = sqlite3_column_int64(stmt, 5);
    slc_compile_note_expiry(compile, subscription->expires_at_ms);
    gathering->subscriptions[gathering->count++] = subscription;
    return true;
}

static bool compile_applications(slc_compile *compile, slc_error *err)
{
    struct buckets buckets = {0};
    struct gathering gathering = {0};
    bool ok = true;
    int row = 0;
    sqlite3_stmt *stmt = slc_txn_query(
        compile->txn, err,
        "SELECT a.id, a.name, t.name, s.id, s.plan, s.expires_at FROM subscriptions s "
        "JOIN applications a ON a.id = s.application JOIN teams t ON t.id = a.team "
        "WHERE s.environment = ? AND s.state = 'approved' AND (s.expires_at IS NULL OR s.expires_at > ?) "
        "ORDER BY a.id, s.id",
        "si", compile->environment, compile->now_ms);
    if (stmt == NULL)
        return false;
    while (ok && (row = slc_txn_step(compile->txn, stmt, err)) == 1) {
        if (!slc_set_has(compile->plans, slc_column_text(stmt, 4)))
            continue;
        if (gathering.application != NULL && strcmp(gathering.application->id, slc_column_text(stmt, 0)) != 0)
            finish_application(compile, &gathering, &buckets);
        if (gathering.application == NULL)
            begin_application(compile, &gathering, stmt);
        ok = add_subscription(compile, &gathering, stmt, err);
    }
    finish_application(compile, &gathering, &buckets);
    slc_txn_finish(compile->txn, stmt);
    emit(compile, SLUICE__SNAPSHOT__V1__CHUNK_KIND__CHUNK_KIND_APPLICATIONS, &buckets);
    return ok && row == 0;
}

/* ---- credentials ---- */

static ProtobufCBinaryData column_bytes(slc_compile *compile, sqlite3_stmt *stmt, int column)
{
    return slc_compile_bytes(compile, sqlite3_column_blob(stmt, column),
                             (size_t)sqlite3_column_bytes(stmt, column));
}

static void add_credential(slc_compile *compile, sqlite3_stmt *stmt, struct buckets *buckets)
{
    Sluice__Snapshot__V1__Credential *credential = slc_compile_alloc(compile, sizeof *credential);
    sluice__snapshot__v1__credential__init(credential);
    credential->id = slc_compile_text(compile, slc_column_text(stmt, 0));
    credential->application_id = slc_compile_text(compile, slc_column_text(stmt, 1));
    credential->lookup = slc_compile_text(compile, slc_column_text(stmt, 2));
    credential->expires_at_ms = sqlite3_column_int64(stmt, 3);
    credential->secret_sha256 = column_bytes(compile, stmt, 4);
    credential->scram_sha256 = column_bytes(compile, stmt, 5);
    credential->scram_sha512 = column_bytes(compile, stmt, 6);
    slc_compile_note_expiry(compile, credential->expires_at_ms);
    add(buckets, &credential->base, credential->lookup);
}

static bool compile_credentials(slc_compile *compile, slc_error *err)
{
    struct buckets buckets = {0};
    int row = 0;
    sqlite3_stmt *stmt =
        slc_txn_query(compile->txn, err,
                      "SELECT id, application, lookup, expires_at, secret_sha256, scram_sha256, scram_sha512 "
                      "FROM credentials WHERE disabled = 0 AND revoked_at IS NULL AND "
                      "(expires_at IS NULL OR expires_at > ?) ORDER BY id",
                      "i", compile->now_ms);
    if (stmt == NULL)
        return false;
    while ((row = slc_txn_step(compile->txn, stmt, err)) == 1)
        add_credential(compile, stmt, &buckets);
    slc_txn_finish(compile->txn, stmt);
    emit(compile, SLUICE__SNAPSHOT__V1__CHUNK_KIND__CHUNK_KIND_CREDENTIALS, &buckets);
    return row == 0;
}

/* Every live credential is known to every group, so that an application without a subscription here is told so
 * (403) instead of being taken for a stranger (401). */
bool slc_compile_identities(slc_compile *compile, slc_error *err)
{
    return compile_applications(compile, err) && compile_credentials(compile, err);
}
