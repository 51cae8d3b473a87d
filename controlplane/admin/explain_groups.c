#include "controlplane/admin/explain_groups.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/compile.h"
#include "common/alloc.h"
#include "common/assert.h"
#include "dataplane/explain/explain.h"

struct group {
    char *id; /* NULL: the place is free */
    slc_compiled *compiled;
    slc_explainer *explainer;
    uint64_t asked; /* the later, the higher */
};

struct slc_explain_groups {
    pthread_mutex_t mutex;
    uint64_t asked;
    unsigned count;
    struct group groups[];
};

slc_explain_groups *slc_explain_groups_new(unsigned kept)
{
    unsigned count = kept > 0 ? kept : 1;
    slc_explain_groups *groups = slc_calloc(1, sizeof *groups + count * sizeof groups->groups[0]);
    SLC_BUG_ON(pthread_mutex_init(&groups->mutex, NULL) != 0);
    groups->count = count;
    return groups;
}

static void clear(struct group *group)
{
    slc_explainer_free(group->explainer);
    slc_compiled_unref(group->compiled);
    free(group->id);
    *group = (struct group){0};
}

void slc_explain_groups_free(slc_explain_groups *groups)
{
    if (groups == NULL)
        return;
    for (unsigned i = 0; i < groups->count; i++)
        clear(&groups->groups[i]);
    pthread_mutex_destroy(&groups->mutex);
    free(groups);
}

/* Its place, or that of the one that nobody has asked about for longest. */
static struct group *place_of(slc_explain_groups *groups, const char *id)
{
    struct group *oldest = &groups->groups[0];
    for (unsigned i = 0; i < groups->count; i++) {
        struct group *group = &groups->groups[i];
        if (group->id != NULL && strcmp(group->id, id) == 0)
            return group;
        if (group->asked < oldest->asked)
            oldest = group;
    }
    clear(oldest);
    oldest->id = slc_strdup(id);
    return oldest;
}

static const uint8_t *get_chunk(void *arg, const uint8_t sha256[SLC_SHA256_BYTES], size_t *len)
{
    const slc_compiled *compiled = arg;
    const uint8_t *address;
    long index = slc_compiled_chunk_find(compiled, sha256);
    return index >= 0 ? slc_compiled_chunk(compiled, (size_t)index, len, &address) : NULL;
}

static bool refresh(struct group *group, slc_txn *txn, slc_error *err)
{
    slc_compiled *compiled = slc_compile_group(txn, group->id, group->compiled, NULL, err);
    size_t len;
    if (compiled == NULL)
        return false;
    bool same = compiled == group->compiled && group->explainer != NULL;
    slc_compiled_unref(group->compiled);
    group->compiled = compiled;
    if (same)
        return true;
    const slc_explain_chunks chunks = {get_chunk, compiled};
    const uint8_t *manifest = slc_compiled_manifest(compiled, &len);
    slc_explainer *explainer = slc_explainer_new(manifest, len, &chunks, group->explainer, err);
    slc_explainer_free(group->explainer);
    group->explainer = explainer;
    return explainer != NULL ||
           slc_fail_context(err, "gateways would refuse the group's configuration, because of %s", err->field);
}

json_t *slc_explain_groups_ask(slc_explain_groups *groups, slc_txn *txn, const json_t *question, slc_error *err)
{
    const char *id = json_string_value(json_object_get(question, "gateway_group"));
    pthread_mutex_lock(&groups->mutex);
    struct group *group = place_of(groups, id);
    group->asked = ++groups->asked;
    bool ok = refresh(group, txn, err);
    json_t *answer = ok ? slc_explain(group->explainer, question, err) : NULL;
    if (!ok)
        clear(group);
    pthread_mutex_unlock(&groups->mutex);
    return answer;
}
