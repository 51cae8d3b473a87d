/* Applications with their live subscriptions, and the credentials that lead to them: one ordered pass over each
 * table, or a few rows of it, straight into 256 buckets. */
#include <stdlib.h>
#include <string.h>

#include "catalog/compile_private.h"
#include "catalog/rules.h"
#include "common/log.h"
#include "proto/lookup.h"

static void add(slc_items *buckets, ProtobufCMessage *message, const char *key, int64_t expires_ms)
{
    uint8_t hash[SLC_SHA256_BYTES];
    slc_sha256(key, strlen(key), hash);
    slc_items_add_hashed(&buckets[hash[0]], message, key, hash);
    slc_items_note_expiry(&buckets[hash[0]], expires_ms);
}

static void emit(slc_compile *compile, Sluice__Snapshot__V1__ChunkKind kind, slc_items *buckets,
                 slc_root **roots, slc_root *const *earlier)
{
    for (unsigned i = 0; i < SLC_COMPILE_BUCKETS; i++) {
        slc_root *root = slc_compile_root(compile, kind, 0, &buckets[i]);
        roots[i] = slc_root_share(root, earlier != NULL ? earlier[i] : NULL);
        slc_items_release(&buckets[i]);
    }
}

/* ---- applications ---- */

/* The subscriptions of the application that the pass is at. */
struct gathering {
    Sluice__Snapshot__V1__Application *application;
    Sluice__Snapshot__V1__Subscription *subscriptions[SLC_LIVE_SUBSCRIPTIONS_MAX];
    size_t count, left_out;
    int64_t expires_ms;
};

static void finish_application(slc_compile *compile, struct gathering *gathering, slc_items *buckets)
{
    Sluice__Snapshot__V1__Application *application = gathering->application;
    if (application == NULL)
        return;
    if (gathering->left_out > 0)
        slc_log(SLC_LOG_WARN,
                "an application has more live subscriptions in an environment than gateways are sent: end some",
                LS("application", application->name), LS("environment", compile->environment),
                LI("limit", SLC_LIVE_SUBSCRIPTIONS_MAX), LI("left_out", (int64_t)gathering->left_out));
    application->n_subscriptions = gathering->count;
    application->subscriptions = slc_compile_alloc(compile, (gathering->count + 1) * sizeof(void *));
    memcpy(application->subscriptions, gathering->subscriptions, gathering->count * sizeof(void *));
    add(buckets, &application->base, application->id, gathering->expires_ms);
    gathering->application = NULL;
    gathering->count = gathering->left_out = 0;
    gathering->expires_ms = 0;
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

/* A catalog from before there was a limit may hold more: one application's excess is no reason to send nobody
 * anything. */
static void add_subscription(slc_compile *compile, struct gathering *gathering, sqlite3_stmt *stmt)
{
    if (gathering->count == SLC_LIVE_SUBSCRIPTIONS_MAX) {
        gathering->left_out++;
        return;
    }
    Sluice__Snapshot__V1__Subscription *subscription = slc_compile_alloc(compile, sizeof *subscription);
    sluice__snapshot__v1__subscription__init(subscription);
    subscription->id = slc_compile_text(compile, slc_column_text(stmt, 3));
    subscription->plan_id = slc_compile_text(compile, slc_column_text(stmt, 4));
    subscription->expires_at_ms = sqlite3_column_int64(stmt, 5);
    gathering->expires_ms = slc_earlier_ms(gathering->expires_ms, subscription->expires_at_ms);
    gathering->subscriptions[gathering->count++] = subscription;
}

/* Takes the statement's rows, which are in order of applications, and gives it back. */
static bool gather(slc_compile *compile, sqlite3_stmt *stmt, slc_items *buckets, slc_error *err)
{
    struct gathering gathering = {0};
    int row = 0;
    if (stmt == NULL)
        return false;
    while ((row = slc_txn_step(compile->txn, stmt, err)) == 1) {
        compile->rows++;
        if (!slc_set_has(compile->plans, slc_column_text(stmt, 4)))
            continue;
        if (gathering.application != NULL && strcmp(gathering.application->id, slc_column_text(stmt, 0)) != 0)
            finish_application(compile, &gathering, buckets);
        if (gathering.application == NULL)
            begin_application(compile, &gathering, stmt);
        add_subscription(compile, &gathering, stmt);
    }
    finish_application(compile, &gathering, buckets);
    slc_txn_finish(compile->txn, stmt);
    return row == 0;
}

#define SUBSCRIBERS                                                                                            \
    "SELECT a.id, a.name, t.name, s.id, s.plan, s.expires_at FROM subscriptions s "                            \
    "JOIN applications a ON a.id = s.application JOIN teams t ON t.id = a.team "                               \
    "WHERE (s.expires_at IS NULL OR s.expires_at > ?1) AND "

static bool read_applications(slc_compile *compile, slc_error *err)
{
    slc_items buckets[SLC_COMPILE_BUCKETS] = {0};
    sqlite3_stmt *stmt = slc_txn_query(
        compile->txn, err, SUBSCRIBERS "s.environment = ?2 AND s.state = 'approved' ORDER BY a.id, s.id", "is",
        compile->now_ms, compile->environment);
    bool ok = gather(compile, stmt, buckets, err);
    emit(compile, SLC_CHUNKS_APPLICATIONS, buckets, compile->roots.applications,
         compile->previous != NULL ? compile->previous->roots.applications : NULL);
    return ok;
}

/* The signs keep SQLite from the index of all subscriptions of the environment. */
bool slc_compile_application(slc_compile *compile, const char *id, slc_items *buckets, slc_error *err)
{
    sqlite3_stmt *stmt = slc_txn_query(
        compile->txn, err,
        SUBSCRIBERS "+s.environment = ?2 AND +s.state = 'approved' AND s.application = ?3 ORDER BY s.id", "iss",
        compile->now_ms, compile->environment, id);
    return gather(compile, stmt, buckets, err);
}

/* ---- credentials ---- */

static ProtobufCBinaryData column_bytes(slc_compile *compile, sqlite3_stmt *stmt, int column)
{
    return slc_compile_bytes(compile, sqlite3_column_blob(stmt, column),
                             (size_t)sqlite3_column_bytes(stmt, column));
}

static void add_credential(slc_compile *compile, sqlite3_stmt *stmt, slc_items *buckets)
{
    Sluice__Snapshot__V1__Credential *credential = slc_compile_alloc(compile, sizeof *credential);
    sluice__snapshot__v1__credential__init(credential);
    credential->id = slc_compile_text(compile, slc_column_text(stmt, 0));
    credential->application_id = slc_compile_text(compile, slc_column_text(stmt, 1));
    char lookup[SLC_LOOKUP_MAX + 1];
    slc_lookup_key(slc_column_text(stmt, 2), lookup);
    credential->lookup = slc_compile_text(compile, lookup);
    credential->expires_at_ms = sqlite3_column_int64(stmt, 3);
    credential->secret_sha256 = column_bytes(compile, stmt, 4);
    credential->scram_sha256 = column_bytes(compile, stmt, 5);
    credential->scram_sha512 = column_bytes(compile, stmt, 6);
    add(buckets, &credential->base, credential->lookup, credential->expires_at_ms);
}

static bool add_credentials(slc_compile *compile, sqlite3_stmt *stmt, slc_items *buckets, slc_error *err)
{
    int row = 0;
    if (stmt == NULL)
        return false;
    while ((row = slc_txn_step(compile->txn, stmt, err)) == 1) {
        compile->rows++;
        add_credential(compile, stmt, buckets);
    }
    slc_txn_finish(compile->txn, stmt);
    return row == 0;
}

#define CREDENTIALS                                                                                            \
    "SELECT id, application, lookup, expires_at, secret_sha256, scram_sha256, scram_sha512 FROM credentials "  \
    "WHERE disabled = 0 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?1)"

static bool read_credentials(slc_compile *compile, slc_error *err)
{
    slc_items buckets[SLC_COMPILE_BUCKETS] = {0};
    bool ok = add_credentials(compile, slc_txn_query(compile->txn, err, CREDENTIALS, "i", compile->now_ms),
                              buckets, err);
    emit(compile, SLC_CHUNKS_CREDENTIALS, buckets, compile->roots.credentials,
         compile->previous != NULL ? compile->previous->roots.credentials : NULL);
    return ok;
}

bool slc_compile_credential(slc_compile *compile, const char *id, slc_items *buckets, slc_error *err)
{
    return add_credentials(
        compile, slc_txn_query(compile->txn, err, CREDENTIALS " AND id = ?2", "is", compile->now_ms, id),
        buckets, err);
}

/* ---- both ---- */

/* The newest of the group's own last result and another group's, if it may serve. */
static slc_compiled *newest(slc_compiled *own, slc_compiled *other)
{
    if (own == NULL || other == NULL)
        return own != NULL ? own : other;
    return other->as_of.known && other->as_of.seq > own->as_of.seq ? other : own;
}

static bool same_environment(const slc_compile *compile, const slc_compiled *base)
{
    return base != NULL && strcmp(base->environment, compile->environment) == 0;
}

static bool compile_applications(slc_compile *compile, slc_error *err)
{
    slc_compiled *own = same_environment(compile, compile->previous) ? compile->previous : NULL;
    bool alike =
        same_environment(compile, compile->sibling) && json_equal(compile->sibling->plans, compile->plans) != 0;
    slc_compiled *base = newest(own, alike ? compile->sibling : NULL);
    slc_delta delta = {0};
    bool ok = base == NULL || (slc_delta_read(compile, &base->as_of, &delta, err) &&
                               slc_delta_follow(compile, base->plans, &delta, err));
    if (ok)
        ok = delta.usable ? slc_compile_changed_applications(compile, base, &delta, err)
                          : read_applications(compile, err);
    slc_delta_release(&delta);
    return ok;
}

static bool compile_credentials(slc_compile *compile, slc_error *err)
{
    slc_compiled *base = newest(compile->previous, compile->sibling);
    slc_delta delta = {0};
    bool ok = base == NULL || slc_delta_read(compile, &base->as_of, &delta, err);
    if (ok)
        ok = delta.usable ? slc_compile_changed_credentials(compile, base, &delta, err)
                          : read_credentials(compile, err);
    slc_delta_release(&delta);
    return ok;
}

/* Every live credential is known to every group, so that an application without a subscription here is told so
 * (403) instead of being taken for a stranger (401). */
bool slc_compile_identities(slc_compile *compile, slc_error *err)
{
    return compile_applications(compile, err) && compile_credentials(compile, err);
}
