/* Which policies hold where, compiled: for each event API, for each plan and application that has any, and for
 * the native clients of each virtual cluster. A chain of the previous snapshot is taken over when its policies
 * are the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "dataplane/config/snapshot_private.h"

/* A chain and the digest of what it was compiled from. */
struct slc_kept_chain {
    unsigned refs;
    slc_chain *chain;
    uint8_t digest[SLC_SHA256_BYTES];
};

static int compare_policies(const void *a, const void *b)
{
    const pb_policy *left = *(const pb_policy *const *)a, *right = *(const pb_policy *const *)b;

    if (left->scope != right->scope)
        return left->scope < right->scope ? -1 : 1;
    int narrow = slc_policy_is_narrow(left) ? strcmp(left->scope_id, right->scope_id) : 0;
    if (narrow != 0)
        return narrow;
    if (left->order != right->order)
        return left->order < right->order ? -1 : 1;
    return strcmp(left->name, right->name);
}

bool slc_policy_is_narrow(const pb_policy *policy)
{
    return policy->scope == SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_PLAN ||
           policy->scope == SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_APPLICATION;
}

/* The wide policies and the narrow ones, each sorted: what concerns one plan or application lies together. */
static void sort(slc_snapshot *snapshot)
{
    size_t count = snapshot->policies.count, wide = 0, narrow = 0;
    const pb_policy **all = slc_calloc(count + 1, sizeof(*all));

    for (size_t i = 0; i < count; i++)
        wide += !slc_policy_is_narrow(snapshot->policies.items[i]);
    snapshot->wide_count = wide;
    for (size_t i = 0, at = 0; i < count; i++) {
        const pb_policy *policy = snapshot->policies.items[i];

        if (slc_policy_is_narrow(policy))
            all[wide + narrow++] = policy;
        else
            all[at++] = policy;
    }
    qsort(all, wide, sizeof(*all), compare_policies);
    qsort(all + wide, narrow, sizeof(*all), compare_policies);
    snapshot->sorted_policies = all;
}

static bool applies(const pb_policy *policy, const pb_event_api *api)
{
    switch (policy->scope) {
    case SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_LISTENER:
        return strcmp(policy->scope_id, api->listener_id) == 0;
    case SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_VIRTUAL_CLUSTER:
        return strcmp(policy->scope_id, api->virtual_cluster_id) == 0;
    case SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_EVENT_API:
        return strcmp(policy->scope_id, api->id) == 0;
    default:
        return true;
    }
}

static void digest_all(const pb_policy *const *policies, size_t count, uint8_t digest[SLC_SHA256_BYTES])
{
    memset(digest, 0, SLC_SHA256_BYTES);
    for (size_t i = 0; i < count; i++)
        slc_message_digest(policies[i], digest, digest);
}

const pb_policy **slc_policies_of(slc_snapshot *snapshot, const pb_event_api *api, size_t *count,
                                  uint8_t digest[SLC_SHA256_BYTES])
{
    const pb_policy **found;

    if (snapshot->sorted_policies == NULL)
        sort(snapshot);
    found = slc_calloc(snapshot->wide_count + 1, sizeof(*found));
    *count = 0;
    for (size_t i = 0; i < snapshot->wide_count; i++)
        if (applies(snapshot->sorted_policies[i], api))
            found[(*count)++] = snapshot->sorted_policies[i];
    digest_all(found, *count, digest);
    return found;
}

/* ---- chains that are kept ---- */

void slc_kept_chain_unref(struct slc_kept_chain *kept)
{
    if (kept == NULL || __atomic_sub_fetch(&kept->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    slc_chain_free(kept->chain);
    free(kept);
}

static struct slc_kept_chain *keep(const pb_policy *const *policies, size_t count, bool narrow,
                                   struct slc_kept_chain *old, slc_error *err)
{
    uint8_t digest[SLC_SHA256_BYTES];
    slc_error cause = {0};

    digest_all(policies, count, digest);
    if (old != NULL && memcmp(old->digest, digest, sizeof(digest)) == 0) {
        __atomic_add_fetch(&old->refs, 1, __ATOMIC_RELAXED);
        return old;
    }
    slc_chain *chain =
        narrow ? slc_chain_compile_narrow(policies, count, &cause) : slc_chain_compile(policies, count, &cause);
    if (chain == NULL) {
        slc_fail(err, SLC_INVALID, cause.field, "it does not compile: %s", cause.message);
        return NULL;
    }
    struct slc_kept_chain *kept = slc_calloc(1, sizeof(*kept));
    kept->refs = 1;
    kept->chain = chain;
    memcpy(kept->digest, digest, sizeof(digest));
    return kept;
}

static bool add(slc_entities *entities, const char *id, struct slc_kept_chain *kept)
{
    if (kept == NULL)
        return false;
    if ((entities->count & (entities->count - 1)) == 0) /* the places are a power of two */
        entities->items = slc_realloc(entities->items, (entities->count > 0 ? 2 * entities->count : 1) *
                                                           sizeof(*entities->items));
    entities->items[entities->count++] = kept;
    (void)slc_strmap_add(&entities->by_id, id, strlen(id), kept);
    return true;
}

static struct slc_kept_chain *find(const slc_entities *entities, const char *id)
{
    return slc_strmap_find(&entities->by_id, id, strlen(id));
}

static bool build_narrow(slc_snapshot *snapshot, const slc_snapshot *previous, slc_error *err)
{
    const pb_policy **policies = snapshot->sorted_policies + snapshot->wide_count;
    size_t count = snapshot->policies.count - snapshot->wide_count, next;

    for (size_t i = 0; i < count; i = next) {
        const char *id = policies[i]->scope_id;

        for (next = i + 1; next < count && strcmp(policies[next]->scope_id, id) == 0; next++)
            ;
        if (!add(
                &snapshot->narrow, id,
                keep(policies + i, next - i, true, previous != NULL ? find(&previous->narrow, id) : NULL, err)))
            return false;
    }
    return true;
}

static bool build_native(slc_snapshot *snapshot, const slc_snapshot *previous, slc_error *err)
{
    const pb_policy **policies = slc_calloc(snapshot->wide_count + 1, sizeof(*policies));
    bool ok = true;

    for (size_t i = 0; ok && i < snapshot->vclusters.count; i++) {
        const char *id = ((const slc_vcluster *)snapshot->vclusters.items[i])->msg->id;
        size_t count = 0;

        for (size_t j = 0; j < snapshot->wide_count; j++) {
            const pb_policy *policy = snapshot->sorted_policies[j];

            if (policy->scope != SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_VIRTUAL_CLUSTER ||
                strcmp(policy->scope_id, id) == 0)
                policies[count++] = policy;
        }
        ok = add(&snapshot->native, id,
                 keep(policies, count, false, previous != NULL ? find(&previous->native, id) : NULL, err));
    }
    free(policies);
    return ok;
}

bool slc_chains_build(slc_snapshot *snapshot, const slc_snapshot *previous, slc_error *err)
{
    if (snapshot->sorted_policies == NULL)
        sort(snapshot);
    return build_narrow(snapshot, previous, err) && build_native(snapshot, previous, err);
}

const slc_chain *slc_snapshot_narrow(const slc_snapshot *snapshot, const char *id)
{
    const struct slc_kept_chain *kept = find(&snapshot->narrow, id);

    return kept != NULL ? kept->chain : NULL;
}

slc_chain *slc_snapshot_native(const slc_snapshot *snapshot, const char *vcluster_id)
{
    const struct slc_kept_chain *kept = find(&snapshot->native, vcluster_id);

    return kept != NULL ? kept->chain : NULL;
}
