/* Reference counts and lookups of a finished snapshot. */
#include "dataplane/config/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "dataplane/config/snapshot_private.h"
#include "dataplane/crypt/keys.h"
#include "dataplane/schema/registry.h"
#include "dataplane/virtual/names.h"

/* ---- reference counts ---- */

static void acquire(unsigned *refs)
{
    __atomic_add_fetch(refs, 1, __ATOMIC_RELAXED);
}

static bool release(unsigned *refs)
{
    unsigned left = __atomic_sub_fetch(refs, 1, __ATOMIC_ACQ_REL);

    SLC_BUG_ON(left == UINT32_MAX);
    return left == 0;
}

slc_backend *slc_backend_ref(slc_backend *backend)
{
    acquire(&backend->refs);
    return backend;
}

void slc_backend_unref(slc_backend *backend)
{
    if (backend == NULL || !release(&backend->refs))
        return;
    slc_tree_unref(backend->owner_private);
    free(backend);
}

slc_vcluster *slc_vcluster_ref(slc_vcluster *vcluster)
{
    acquire(&vcluster->refs);
    return vcluster;
}

void slc_vcluster_unref(slc_vcluster *vcluster)
{
    if (vcluster == NULL || !release(&vcluster->refs))
        return;
    slc_backend_unref(vcluster->backend);
    slc_names_free(vcluster->names);
    slc_tree_unref(vcluster->owner_private);
    free(vcluster);
}

slc_listener *slc_listener_ref(slc_listener *listener)
{
    acquire(&listener->refs);
    return listener;
}

void slc_listener_unref(slc_listener *listener)
{
    if (listener == NULL || !release(&listener->refs))
        return;
    slc_vcluster_unref(listener->vcluster);
    slc_tree_unref(listener->owner_private);
    free(listener);
}

slc_registry_entity *slc_registry_entity_ref(slc_registry_entity *entity)
{
    acquire(&entity->refs);
    return entity;
}

void slc_registry_entity_unref(slc_registry_entity *entity)
{
    if (entity == NULL || !release(&entity->refs))
        return;
    slc_registry_unref(entity->registry);
    slc_tree_unref(entity->owner_private);
    free(entity);
}

slc_key_ring_entity *slc_key_ring_entity_ref(slc_key_ring_entity *entity)
{
    acquire(&entity->refs);
    return entity;
}

void slc_key_ring_entity_unref(slc_key_ring_entity *entity)
{
    if (entity == NULL || !release(&entity->refs))
        return;
    slc_key_ring_unref(entity->ring);
    slc_tree_unref(entity->owner_private);
    free(entity);
}

slc_issuer *slc_issuer_ref(slc_issuer *issuer)
{
    acquire(&issuer->refs);
    return issuer;
}

void slc_issuer_unref(slc_issuer *issuer)
{
    if (issuer == NULL || !release(&issuer->refs))
        return;
    slc_tree_unref(issuer->owner_private);
    free(issuer);
}

slc_event_api *slc_event_api_ref(slc_event_api *api)
{
    acquire(&api->refs);
    return api;
}

void slc_event_api_unref(slc_event_api *api)
{
    slc_event_api_full *full;

    if (api == NULL || !release(&api->refs))
        return;
    full = api->owner_private;
    slc_vcluster_unref(api->vcluster);
    if (api->chain != NULL)
        slc_chain_free(api->chain);
    free(api->backend_topic);
    slc_schema_unref(api->schema);
    slc_tree_unref(full->leaf);
    free(full);
}

bool slc_event_api_exposes(const slc_event_api *api, const char *exposure)
{
    for (size_t i = 0; i < api->msg->n_exposures; i++)
        if (strcmp(api->msg->exposures[i], exposure) == 0)
            return true;
    return false;
}

bool slc_event_api_offers(const slc_event_api *api, Sluice__Snapshot__V1__Operation operation)
{
    for (size_t i = 0; i < api->msg->n_operations; i++)
        if (api->msg->operations[i] == operation)
            return true;
    return false;
}

bool slc_vcluster_takes(const slc_vcluster *vcluster, const char *way)
{
    for (size_t i = 0; i < vcluster->msg->n_client_authentication; i++)
        if (strcmp(vcluster->msg->client_authentication[i], way) == 0)
            return true;
    return false;
}

bool slc_listener_asks_certificate(const slc_listener *listener)
{
    const pb_listener *msg = listener->msg;

    return msg->tls && (strcmp(msg->client_auth, "request") == 0 || strcmp(msg->client_auth, "require") == 0);
}

void slc_plan_unref(slc_plan *plan)
{
    if (plan == NULL || !release(&plan->refs))
        return;
    slc_tree_unref(plan->owner_private);
    free(plan);
}

void slc_entities_release(slc_entities *entities, void (*unref)(void *item))
{
    for (size_t i = 0; unref != NULL && i < entities->count; i++)
        unref(entities->items[i]);
    free(entities->items);
    slc_strmap_release(&entities->by_id);
    memset(entities, 0, sizeof(*entities));
}

slc_snapshot *slc_snapshot_ref(slc_snapshot *snapshot)
{
    SLC_CHECK_MAGIC(snapshot, SLC_SNAPSHOT_MAGIC);
    acquire(&snapshot->refs);
    return snapshot;
}

static void unref_backend(void *item)
{
    slc_backend_unref(item);
}

static void unref_vcluster(void *item)
{
    slc_vcluster_unref(item);
}

static void unref_listener(void *item)
{
    slc_listener_unref(item);
}

static void unref_event_api(void *item)
{
    slc_event_api_unref(item);
}

static void unref_key_ring(void *item)
{
    slc_key_ring_entity_unref(item);
}

static void unref_registry(void *item)
{
    slc_registry_entity_unref(item);
}

static void unref_issuer(void *item)
{
    slc_issuer_unref(item);
}

static void unref_plan(void *item)
{
    slc_plan_unref(item);
}

static void unref_chain(void *item)
{
    slc_kept_chain_unref(item);
}

static void free_snapshot(slc_snapshot *snapshot)
{
    slc_strmap_release(&snapshot->apis_by_url);
    for (size_t i = 0; i < snapshot->url_key_count; i++)
        free(snapshot->url_keys[i]);
    free(snapshot->url_keys);
    free(snapshot->sorted_policies);
    slc_entities_release(&snapshot->narrow, unref_chain);
    slc_entities_release(&snapshot->native, unref_chain);
    slc_entities_release(&snapshot->event_apis, unref_event_api);
    slc_entities_release(&snapshot->listeners, unref_listener);
    slc_entities_release(&snapshot->vclusters, unref_vcluster);
    slc_entities_release(&snapshot->backends, unref_backend);
    slc_entities_release(&snapshot->plans, unref_plan);
    slc_entities_release(&snapshot->policies, NULL);
    slc_entities_release(&snapshot->issuers, unref_issuer);
    slc_entities_release(&snapshot->key_rings, unref_key_ring);
    slc_entities_release(&snapshot->registries, unref_registry);
    for (unsigned i = 0; i < SLC_SECTIONS; i++)
        slc_tree_unref(snapshot->sections[i]);
    for (unsigned i = 0; i < SLC_BUCKETS; i++) {
        slc_tree_unref(snapshot->credentials[i]);
        slc_tree_unref(snapshot->applications[i]);
    }
    if (snapshot->manifest != NULL)
        sluice__snapshot__v1__manifest__free_unpacked(snapshot->manifest, NULL);
    snapshot->magic = 0;
    free(snapshot);
}

void slc_snapshot_unref(slc_snapshot *snapshot)
{
    if (snapshot == NULL)
        return;
    SLC_CHECK_MAGIC(snapshot, SLC_SNAPSHOT_MAGIC);
    if (release(&snapshot->refs))
        free_snapshot(snapshot);
}

/* ---- lists and lookups ---- */

uint64_t slc_snapshot_version(const slc_snapshot *snapshot)
{
    return snapshot->manifest->version;
}

const pb_group *slc_snapshot_group(const slc_snapshot *snapshot)
{
    return snapshot->group;
}

slc_backend *const *slc_snapshot_backends(const slc_snapshot *snapshot, size_t *count)
{
    *count = snapshot->backends.count;
    return (slc_backend *const *)snapshot->backends.items;
}

slc_listener *const *slc_snapshot_listeners(const slc_snapshot *snapshot, size_t *count)
{
    *count = snapshot->listeners.count;
    return (slc_listener *const *)snapshot->listeners.items;
}

slc_event_api *const *slc_snapshot_event_apis(const slc_snapshot *snapshot, size_t *count)
{
    *count = snapshot->event_apis.count;
    return (slc_event_api *const *)snapshot->event_apis.items;
}

slc_vcluster *const *slc_snapshot_vclusters(const slc_snapshot *snapshot, size_t *count)
{
    *count = snapshot->vclusters.count;
    return (slc_vcluster *const *)snapshot->vclusters.items;
}

slc_key_ring_entity *const *slc_snapshot_key_rings(const slc_snapshot *snapshot, size_t *count)
{
    *count = snapshot->key_rings.count;
    return (slc_key_ring_entity *const *)snapshot->key_rings.items;
}

const slc_key_ring_entity *slc_snapshot_key_ring(const slc_snapshot *snapshot, const char *name)
{
    for (size_t i = 0; i < snapshot->key_rings.count; i++) {
        const slc_key_ring_entity *entity = snapshot->key_rings.items[i];
        if (strcmp(entity->msg->name, name) == 0)
            return entity;
    }
    return NULL;
}

const slc_registry_entity *slc_snapshot_registry(const slc_snapshot *snapshot, const char *name)
{
    for (size_t i = 0; i < snapshot->registries.count; i++) {
        const slc_registry_entity *entity = snapshot->registries.items[i];
        if (strcmp(entity->msg->name, name) == 0)
            return entity;
    }
    return NULL;
}

slc_issuer *const *slc_snapshot_issuers(const slc_snapshot *snapshot, size_t *count)
{
    *count = snapshot->issuers.count;
    return (slc_issuer *const *)snapshot->issuers.items;
}

size_t slc_url_key(char out[SLC_URL_KEY_MAX], const char *listener_id, const char *name, size_t name_len,
                   uint32_t major)
{
    const char *listener = listener_id != NULL ? listener_id : "";
    int len;

    if (name_len > 63 || strlen(listener) > 64)
        return 0;
    len = snprintf(out, SLC_URL_KEY_MAX, "%s/%.*s.v%u", listener, (int)name_len, name, major);
    return len > 0 && len < SLC_URL_KEY_MAX ? (size_t)len : 0;
}

slc_event_api *slc_snapshot_find_api(const slc_snapshot *snapshot, const char *listener_id, const char *name,
                                     size_t name_len, uint32_t major)
{
    char key[SLC_URL_KEY_MAX];
    size_t len = slc_url_key(key, listener_id, name, name_len, major);

    return len > 0 ? slc_strmap_find(&snapshot->apis_by_url, key, len) : NULL;
}

static void *by_id(const slc_entities *entities, const char *id)
{
    return slc_strmap_find(&entities->by_id, id, strlen(id));
}

slc_event_api *slc_snapshot_event_api_by_id(const slc_snapshot *snapshot, const char *id)
{
    return by_id(&snapshot->event_apis, id);
}

slc_listener *slc_snapshot_listener_by_id(const slc_snapshot *snapshot, const char *id)
{
    return by_id(&snapshot->listeners, id);
}

const slc_issuer *slc_snapshot_issuer(const slc_snapshot *snapshot, const char *id)
{
    return by_id(&snapshot->issuers, id);
}

const slc_plan *slc_snapshot_plan(const slc_snapshot *snapshot, const char *id)
{
    return by_id(&snapshot->plans, id);
}

/* ---- identity ---- */

static const void *find_identity(const slc_tree_places places[SLC_BUCKETS], const char *key, size_t len)
{
    uint8_t hash[SLC_SHA256_BYTES];

    slc_sha256(key, len, hash);
    return slc_tree_find(&places[hash[0]], hash, key, len);
}

const pb_credential *slc_snapshot_credential(const slc_snapshot *snapshot, const char *lookup,
                                             size_t lookup_len)
{
    return find_identity(snapshot->credential_places, lookup, lookup_len);
}

const pb_application *slc_snapshot_application(const slc_snapshot *snapshot, const char *id)
{
    return find_identity(snapshot->application_places, id, strlen(id));
}

struct visit {
    bool (*fn)(void *arg, const pb_credential *credential);
    void *arg;
};

static bool visit_leaf(void *arg, slc_tree *leaf)
{
    const struct visit *visit = arg;
    const pb_credential_bucket *bucket = (const pb_credential_bucket *)leaf->msg;

    for (size_t i = 0; i < bucket->n_credentials; i++)
        if (!visit->fn(visit->arg, bucket->credentials[i]))
            return false;
    return true;
}

void slc_snapshot_each_credential(const slc_snapshot *snapshot,
                                  bool (*fn)(void *arg, const pb_credential *credential), void *arg)
{
    struct visit visit = {fn, arg};

    for (unsigned i = 0; i < SLC_BUCKETS; i++)
        if (snapshot->credentials[i] != NULL && !slc_tree_each(snapshot->credentials[i], visit_leaf, &visit))
            return;
}
