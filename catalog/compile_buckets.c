/* Buckets from those of an earlier result: what changed is read again, the rest of the bucket is what its
 * chunks say, and the bucket is packed and split as any other. */
#include <stdio.h>
#include <string.h>

#include "catalog/compile_private.h"
#include "common/assert.h"
#include "proto/lookup.h"

typedef Sluice__Snapshot__V1__Application pb_application;
typedef Sluice__Snapshot__V1__Credential pb_credential;

/* The buckets of one kind. */
struct rework {
    slc_compile *compile;
    Sluice__Snapshot__V1__ChunkKind kind;
    slc_root *const *before;
    bool dirty[SLC_COMPILE_BUCKETS]; /* to be made anew */
    slc_items buckets[SLC_COMPILE_BUCKETS];
};

static unsigned bucket_of(const char *key)
{
    uint8_t hash[SLC_SHA256_BYTES];
    slc_sha256(key, strlen(key), hash);
    return hash[0];
}

static bool is_over(const slc_compile *compile, int64_t expires_ms)
{
    return expires_ms != 0 && expires_ms <= compile->now_ms;
}

static void mark_expired(struct rework *rework)
{
    for (unsigned i = 0; i < SLC_COMPILE_BUCKETS; i++)
        if (rework->before[i] != NULL && is_over(rework->compile, rework->before[i]->expires_ms))
            rework->dirty[i] = true;
}

static bool mentions(const slc_root *root, const char *id)
{
    size_t len = strlen(id);
    for (size_t i = 0; root != NULL && i < root->count; i++)
        if (root->chunks[i]->leaf && memmem(root->chunks[i]->data, root->chunks[i]->len, id, len) != NULL)
            return true;
    return false;
}

/* For what has no row that says where it was. Buckets that are dirty already are looked through anyway. */
static void mark_where_mentioned(struct rework *rework, const char *id)
{
    for (unsigned i = 0; i < SLC_COMPILE_BUCKETS; i++)
        if (!rework->dirty[i] && mentions(rework->before[i], id))
            rework->dirty[i] = true;
}

/* Calls take() for every leaf of the dirty buckets. */
static void each_dirty_leaf(struct rework *rework, const ProtobufCMessageDescriptor *descriptor,
                            void (*take)(struct rework *rework, unsigned bucket, ProtobufCMessage *leaf,
                                         const slc_delta *delta),
                            const slc_delta *delta)
{
    for (unsigned i = 0; i < SLC_COMPILE_BUCKETS; i++) {
        const slc_root *root = rework->dirty[i] ? rework->before[i] : NULL;
        for (size_t n = 0; root != NULL && n < root->count; n++) {
            const slc_chunk *chunk = root->chunks[n];
            if (!chunk->leaf)
                continue;
            ProtobufCMessage *leaf = slc_compile_unpack(rework->compile, descriptor, chunk->data, chunk->len);
            SLC_BUG_ON(leaf == NULL); /* we packed it */
            take(rework, i, leaf, delta);
        }
    }
}

static void finish(struct rework *rework, slc_root **roots)
{
    for (unsigned i = 0; i < SLC_COMPILE_BUCKETS; i++) {
        if (rework->dirty[i]) {
            slc_root *root = slc_compile_root(rework->compile, rework->kind, 0, &rework->buckets[i]);
            roots[i] = slc_root_share(root, rework->before[i]);
        } else {
            SLC_BUG_ON(rework->buckets[i].count > 0);
            roots[i] = slc_root_ref(rework->before[i]);
        }
        slc_items_release(&rework->buckets[i]);
    }
}

/* ---- applications ---- */

static bool lost_subscription(const pb_application *application, const slc_delta *delta)
{
    for (size_t i = 0; i < application->n_subscriptions; i++)
        if (slc_set_has(delta->subscriptions, application->subscriptions[i]->id))
            return true;
    return false;
}

static void drop_expired(const slc_compile *compile, pb_application *application, slc_items *bucket)
{
    size_t kept = 0;
    for (size_t i = 0; i < application->n_subscriptions; i++)
        if (!is_over(compile, application->subscriptions[i]->expires_at_ms))
            application->subscriptions[kept++] = application->subscriptions[i];
    application->n_subscriptions = kept;
    for (size_t i = 0; i < kept; i++)
        slc_items_note_expiry(bucket, application->subscriptions[i]->expires_at_ms);
}

static void take_applications(struct rework *rework, unsigned bucket, ProtobufCMessage *message,
                              const slc_delta *delta)
{
    Sluice__Snapshot__V1__ApplicationBucket *leaf = (Sluice__Snapshot__V1__ApplicationBucket *)message;
    for (size_t i = 0; i < leaf->n_applications; i++) {
        pb_application *application = leaf->applications[i];
        if (slc_set_has(delta->applications, application->id))
            continue;
        if (lost_subscription(application, delta)) {
            slc_set_add(delta->applications, application->id);
            continue;
        }
        drop_expired(rework->compile, application, &rework->buckets[bucket]);
        if (application->n_subscriptions > 0)
            slc_items_add(&rework->buckets[bucket], &application->base, application->id);
    }
}

bool slc_compile_changed_applications(slc_compile *compile, const slc_compiled *base, const slc_delta *delta,
                                      slc_error *err)
{
    struct rework rework = {
        .compile = compile, .kind = SLC_CHUNKS_APPLICATIONS, .before = base->roots.applications};
    json_t *ignored;
    const char *id;
    bool ok = true;
    mark_expired(&rework);
    json_object_foreach (delta->applications, id, ignored) {
        rework.dirty[bucket_of(id)] = true;
    }
    json_object_foreach (delta->subscriptions, id, ignored) {
        mark_where_mentioned(&rework, id);
    }
    each_dirty_leaf(&rework, &sluice__snapshot__v1__application_bucket__descriptor, take_applications, delta);
    json_object_foreach (delta->applications, id, ignored) {
        ok = ok && slc_compile_application(compile, id, rework.buckets, err);
    }
    finish(&rework, compile->roots.applications);
    return ok;
}

/* ---- credentials ---- */

static void take_credentials(struct rework *rework, unsigned bucket, ProtobufCMessage *message,
                             const slc_delta *delta)
{
    Sluice__Snapshot__V1__CredentialBucket *leaf = (Sluice__Snapshot__V1__CredentialBucket *)message;
    for (size_t i = 0; i < leaf->n_credentials; i++) {
        pb_credential *credential = leaf->credentials[i];
        if (slc_set_has(delta->credentials, credential->id) ||
            is_over(rework->compile, credential->expires_at_ms))
            continue;
        slc_items_add(&rework->buckets[bucket], &credential->base, credential->lookup);
        slc_items_note_expiry(&rework->buckets[bucket], credential->expires_at_ms);
    }
}

/* What a credential is found by never changes, so its row, if there is one, says where it was and is. */
static bool mark_credential(struct rework *rework, const char *id, slc_error *err)
{
    slc_txn *txn = rework->compile->txn;
    sqlite3_stmt *stmt = slc_txn_query(txn, err, "SELECT lookup FROM credentials WHERE id = ?1", "s", id);
    int row = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    char lookup[SLC_LOOKUP_MAX + 1];
    if (row == 1) {
        slc_lookup_key(slc_column_text(stmt, 0), lookup);
        rework->dirty[bucket_of(lookup)] = true;
    }
    slc_txn_finish(txn, stmt);
    if (row != 0)
        return row == 1;
    snprintf(lookup, sizeof lookup, "secret:%s", id);
    unsigned bucket = bucket_of(lookup);
    if (mentions(rework->before[bucket], id))
        rework->dirty[bucket] = true;
    else
        mark_where_mentioned(rework, id);
    return true;
}

bool slc_compile_changed_credentials(slc_compile *compile, const slc_compiled *base, const slc_delta *delta,
                                     slc_error *err)
{
    struct rework rework = {
        .compile = compile, .kind = SLC_CHUNKS_CREDENTIALS, .before = base->roots.credentials};
    json_t *ignored;
    const char *id;
    bool ok = true;
    mark_expired(&rework);
    json_object_foreach (delta->credentials, id, ignored) {
        ok = ok && mark_credential(&rework, id, err);
    }
    each_dirty_leaf(&rework, &sluice__snapshot__v1__credential_bucket__descriptor, take_credentials, delta);
    json_object_foreach (delta->credentials, id, ignored) {
        ok = ok && slc_compile_credential(compile, id, rework.buckets, err);
    }
    finish(&rework, compile->roots.credentials);
    return ok;
}
