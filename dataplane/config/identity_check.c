/* Checks of the credential and application buckets that are new in a snapshot: their cost is that of what
 * changed. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/config/snapshot_private.h"

struct check {
    const slc_snapshot *snapshot;
    const slc_snapshot *previous;
    bool plans_changed;
    unsigned bucket;
    slc_error *err;
};

/* Is `leaf` where `hash` leads in a tree that stands in `bucket`? */
static bool in_place(const slc_tree *tree, const slc_tree *leaf, unsigned bucket, const char *key)
{
    uint8_t hash[SLC_SHA256_BYTES];

    slc_sha256(key, strlen(key), hash);
    return hash[0] == bucket && slc_tree_leaf(tree, hash, 2) == leaf;
}

static bool bad(slc_error *err, const char *kind, const char *id, const char *what)
{
    char field[160];

    snprintf(field, sizeof(field), "%s/%.100s", kind, id);
    return slc_fail(err, SLC_INVALID, field, "%s", what);
}

static bool length_is(ProtobufCBinaryData data, size_t len)
{
    return data.len == 0 || data.len == len;
}

static bool check_credential(const struct check *check, const slc_tree *leaf, const pb_credential *credential,
                             const pb_credential *before)
{
    if (credential->id[0] == '\0' || credential->lookup[0] == '\0')
        return bad(check->err, "credential", credential->id, "has no id or no lookup key");
    if (before != NULL && strcmp(before->lookup, credential->lookup) >= 0)
        return bad(check->err, "credential", credential->id, "is repeated or out of order in its bucket");
    if (!in_place(check->snapshot->credentials[check->bucket], leaf, check->bucket, credential->lookup))
        return bad(check->err, "credential", credential->id, "is in a bucket where nobody would look for it");
    if (!length_is(credential->secret_sha256, 32) || !length_is(credential->scram_sha256, 84) ||
        !length_is(credential->scram_sha512, 148))
        return bad(check->err, "credential", credential->id, "has a verifier of a wrong length");
    /* An application without subscriptions here is not sent; its credentials are known all the same. */
    if (credential->application_id[0] == '\0')
        return bad(check->err, "credential", credential->id, "belongs to no application");
    return true;
}

static bool check_application(const struct check *check, const slc_tree *leaf,
                              const pb_application *application, const pb_application *before)
{
    if (application->id[0] == '\0' || application->name[0] == '\0')
        return bad(check->err, "application", application->id, "has no id or no name");
    if (before != NULL && strcmp(before->id, application->id) >= 0)
        return bad(check->err, "application", application->name, "is repeated or out of order in its bucket");
    if (!in_place(check->snapshot->applications[check->bucket], leaf, check->bucket, application->id))
        return bad(check->err, "application", application->name,
                   "is in a bucket where nobody would look for it");
    for (size_t i = 0; i < application->n_subscriptions; i++)
        if (slc_snapshot_plan(check->snapshot, application->subscriptions[i]->plan_id) == NULL)
            return bad(check->err, "application", application->name, "subscribes to a plan that is not there");
    return true;
}

/* Does the previous snapshot share the leaf? Then an item of it leads to the same leaf there. */
static bool shared(const slc_tree *previous, const slc_tree *leaf, const char *key)
{
    uint8_t hash[SLC_SHA256_BYTES];

    if (previous == NULL)
        return false;
    slc_sha256(key, strlen(key), hash);
    return slc_tree_leaf(previous, hash, 2) == leaf;
}

static bool check_credentials(void *arg, slc_tree *leaf)
{
    const struct check *check = arg;
    const pb_credential_bucket *bucket = (const pb_credential_bucket *)leaf->msg;
    const slc_tree *previous = check->previous != NULL ? check->previous->credentials[check->bucket] : NULL;

    if (bucket->n_credentials > 0 && shared(previous, leaf, bucket->credentials[0]->lookup))
        return true;
    for (size_t i = 0; i < bucket->n_credentials; i++)
        if (!check_credential(check, leaf, bucket->credentials[i], i > 0 ? bucket->credentials[i - 1] : NULL))
            return false;
    return true;
}

static bool check_applications(void *arg, slc_tree *leaf)
{
    const struct check *check = arg;
    const pb_application_bucket *bucket = (const pb_application_bucket *)leaf->msg;
    const slc_tree *previous = check->previous != NULL ? check->previous->applications[check->bucket] : NULL;

    if (!check->plans_changed && bucket->n_applications > 0 &&
        shared(previous, leaf, bucket->applications[0]->id))
        return true;
    for (size_t i = 0; i < bucket->n_applications; i++)
        if (!check_application(check, leaf, bucket->applications[i],
                               i > 0 ? bucket->applications[i - 1] : NULL))
            return false;
    return true;
}

bool slc_identities_check(const slc_snapshot *snapshot, const slc_snapshot *previous, slc_error *err)
{
    const unsigned plans = SLUICE__SNAPSHOT__V1__SECTION__SECTION_PLANS;
    struct check check = {.snapshot = snapshot, .previous = previous, .err = err};

    check.plans_changed = previous == NULL || previous->sections[plans] != snapshot->sections[plans];
    for (unsigned i = 0; i < SLC_BUCKETS; i++) {
        slc_tree *old_credentials = previous != NULL ? previous->credentials[i] : NULL;
        slc_tree *old_applications = previous != NULL ? previous->applications[i] : NULL;

        check.bucket = i;
        if ((check.plans_changed || snapshot->applications[i] != old_applications) &&
            !slc_tree_each(snapshot->applications[i], check_applications, &check))
            return false;
        if (snapshot->credentials[i] != old_credentials &&
            !slc_tree_each(snapshot->credentials[i], check_credentials, &check))
            return false;
    }
    return true;
}
