/* Entities of a snapshot: one for each message of the sections, with what it refers to resolved. An entity of
 * the previous snapshot is taken over when its digest, which covers what it refers to, is the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/settings.h"
#include "dataplane/config/snapshot_private.h"
#include "dataplane/virtual/names.h"

/* What the builders of single entities need. */
struct context {
    slc_snapshot *snapshot;
    const slc_snapshot *previous;
    slc_tree *leaf; /* that holds the message */
    slc_error *err;
};

/* A section, as a table row: where its messages are, and what becomes of one. */
struct kind {
    const char *name;
    Sluice__Snapshot__V1__Section section;
    size_t list_offset;  /* of the repeated field in Configuration */
    size_t count_offset; /* of its count */
    size_t entities_offset;
    size_t id_offset; /* of the id in the message: the same in all, by protobuf-c's layout of field 1 */
    void *(*build)(struct context *context, const void *msg);
};

static slc_entities *entities_of(const slc_snapshot *snapshot, size_t offset)
{
    return (slc_entities *)((char *)snapshot + offset);
}

static void *find(const slc_entities *entities, const char *id)
{
    return slc_strmap_find(&entities->by_id, id, strlen(id));
}

static void *dangling(struct context *context, const char *field, const char *what, const char *id)
{
    slc_fail(context->err, SLC_INVALID, field, "refers to the %s \"%.60s\", which is not there", what, id);
    return NULL;
}

void slc_message_digest(const void *msg, const uint8_t *more, uint8_t out[SLC_SHA256_BYTES])
{
    size_t len = protobuf_c_message_get_packed_size(msg);
    uint8_t *packed = slc_malloc(len + SLC_SHA256_BYTES); /* may hold secrets */

    protobuf_c_message_pack(msg, packed);
    if (more != NULL)
        memcpy(packed + len, more, SLC_SHA256_BYTES);
    slc_sha256(packed, len + (more != NULL ? SLC_SHA256_BYTES : 0), out);
    slc_free_secret(packed, len);
}

static bool same_digest(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, SLC_SHA256_BYTES) == 0;
}

bool slc_listener_same_tls(const pb_listener *a, const pb_listener *b)
{
    const pb_listener *both[] = {a, b};
    uint8_t digests[2][SLC_SHA256_BYTES];
    for (size_t i = 0; i < 2; i++) {
        pb_listener tls = SLUICE__SNAPSHOT__V1__LISTENER__INIT;
        tls.protocol = both[i]->protocol; /* ALPN follows from it */
        tls.tls = both[i]->tls;
        tls.certificate_pem = both[i]->certificate_pem;
        tls.certificate_file = both[i]->certificate_file;
        tls.key = both[i]->key;
        tls.client_ca_pem = both[i]->client_ca_pem;
        tls.client_auth = both[i]->client_auth;
        tls.min_tls_version = both[i]->min_tls_version;
        slc_message_digest(&tls, NULL, digests[i]);
    }
    return same_digest(digests[0], digests[1]);
}

/* ---- one of each ---- */

static void *build_backend(struct context *context, const void *message)
{
    const pb_backend *msg = message;
    slc_backend *old = context->previous != NULL ? find(&context->previous->backends, msg->id) : NULL;
    uint8_t digest[SLC_SHA256_BYTES];
    slc_backend *backend;

    /* One that is as before was checked. Its secrets may be files that are away just now, which must keep
     * nothing else out: they are read again when brokers are connected to. */
    slc_message_digest(msg, NULL, digest);
    if (old != NULL && same_digest(old->digest, digest))
        return slc_backend_ref(old);
    if (!slc_backend_check(msg, context->err))
        return NULL;
    backend = slc_calloc(1, sizeof(*backend));
    backend->refs = 1;
    backend->msg = msg;
    memcpy(backend->digest, digest, sizeof(digest));
    backend->owner_private = slc_tree_ref(context->leaf);
    return backend;
}

static void *build_vcluster(struct context *context, const void *message)
{
    const pb_vcluster *msg = message;
    slc_vcluster *old = context->previous != NULL ? find(&context->previous->vclusters, msg->id) : NULL;
    slc_backend *backend = find(&context->snapshot->backends, msg->backend_id);
    uint8_t digest[SLC_SHA256_BYTES];
    slc_vcluster *vcluster;
    char field[160];

    snprintf(field, sizeof(field), "virtual-cluster/%s", msg->name);
    if (!slc_vcluster_check(msg, context->err))
        return NULL;
    if (backend == NULL)
        return dangling(context, field, "backend", msg->backend_id);
    slc_message_digest(msg, backend->digest, digest);
    if (old != NULL && same_digest(old->digest, digest))
        return slc_vcluster_ref(old);
    vcluster = slc_calloc(1, sizeof(*vcluster));
    vcluster->refs = 1;
    vcluster->msg = msg;
    memcpy(vcluster->digest, digest, sizeof(digest));
    vcluster->backend = slc_backend_ref(backend);
    vcluster->names = slc_names_new(msg);
    vcluster->owner_private = slc_tree_ref(context->leaf);
    return vcluster;
}

static void *build_listener(struct context *context, const void *message)
{
    const pb_listener *msg = message;
    slc_listener *old = context->previous != NULL ? find(&context->previous->listeners, msg->id) : NULL;
    slc_vcluster *vcluster = NULL;
    uint8_t digest[SLC_SHA256_BYTES];
    slc_listener *listener;
    char field[160];

    snprintf(field, sizeof(field), "listener/%s", msg->name);
    if (!slc_listener_check(msg, old != NULL ? old->msg : NULL, context->err))
        return NULL;
    bool by_name = strcmp(msg->kafka_routing, "sni") == 0; /* then it may be for every virtual cluster */
    if (msg->virtual_cluster_id[0] != '\0' || (strcmp(msg->protocol, "kafka") == 0 && !by_name)) {
        vcluster = find(&context->snapshot->vclusters, msg->virtual_cluster_id);
        if (vcluster == NULL)
            return dangling(context, field, "virtual cluster", msg->virtual_cluster_id);
    }
    slc_message_digest(msg, vcluster != NULL ? vcluster->digest : NULL, digest);
    if (old != NULL && same_digest(old->digest, digest))
        return slc_listener_ref(old);
    listener = slc_calloc(1, sizeof(*listener));
    listener->refs = 1;
    listener->msg = msg;
    memcpy(listener->digest, digest, sizeof(digest));
    listener->vcluster = vcluster != NULL ? slc_vcluster_ref(vcluster) : NULL;
    listener->owner_private = slc_tree_ref(context->leaf);
    return listener;
}

static void *build_plan(struct context *context, const void *message)
{
    const pb_plan *msg = message;
    slc_plan *old = context->previous != NULL ? find(&context->previous->plans, msg->id) : NULL;
    slc_plan *plan;
    char field[160];

    snprintf(field, sizeof(field), "plan/%s.%s", msg->product, msg->name);
    if (msg->id[0] == '\0') {
        slc_fail(context->err, SLC_INVALID, field, "has no id");
        return NULL;
    }
    for (size_t i = 0; i < msg->n_event_api_ids; i++)
        if (find(&context->snapshot->event_apis, msg->event_api_ids[i]) == NULL)
            return dangling(context, field, "event API", msg->event_api_ids[i]);
    if (old != NULL && old->msg == msg) { /* its part of the section is shared */
        __atomic_add_fetch(&old->refs, 1, __ATOMIC_RELAXED);
        return old;
    }
    plan = slc_calloc(1, sizeof(*plan));
    plan->refs = 1;
    plan->msg = msg;
    plan->owner_private = slc_tree_ref(context->leaf);
    return plan;
}

static void *build_issuer(struct context *context, const void *message)
{
    const pb_issuer *msg = message;
    slc_issuer *old = context->previous != NULL ? find(&context->previous->issuers, msg->id) : NULL;
    uint8_t digest[SLC_SHA256_BYTES];
    slc_issuer *issuer;

    if (!slc_issuer_check(msg, context->err))
        return NULL;
    slc_message_digest(msg, NULL, digest);
    if (old != NULL && same_digest(old->digest, digest))
        return slc_issuer_ref(old);
    issuer = slc_calloc(1, sizeof(*issuer));
    issuer->refs = 1;
    issuer->msg = msg;
    memcpy(issuer->digest, digest, sizeof(digest));
    issuer->owner_private = slc_tree_ref(context->leaf);
    return issuer;
}

static void *build_key_ring(struct context *context, const void *message)
{
    const pb_key_ring *msg = message;
    slc_key_ring_entity *old = context->previous != NULL ? find(&context->previous->key_rings, msg->id) : NULL;
    uint8_t digest[SLC_SHA256_BYTES];

    if (!slc_key_ring_check(msg, context->err))
        return NULL;
    slc_message_digest(msg, NULL, digest);
    if (old != NULL && same_digest(old->digest, digest))
        return slc_key_ring_entity_ref(old);
    return slc_key_ring_build(msg, digest, context->leaf);
}

static void *build_registry(struct context *context, const void *message)
{
    const pb_registry *msg = message;
    slc_registry_entity *old = context->previous != NULL ? find(&context->previous->registries, msg->id) : NULL;
    uint8_t digest[SLC_SHA256_BYTES];

    if (!slc_registry_check(msg, context->err))
        return NULL;
    slc_message_digest(msg, NULL, digest);
    /* One whose secrets could not be had is tried again. */
    if (old != NULL && old->unusable[0] == '\0' && same_digest(old->digest, digest))
        return slc_registry_entity_ref(old);
    return slc_registry_build(msg, digest, context->leaf);
}

static bool scope_exists(const slc_snapshot *snapshot, const pb_policy *msg)
{
    switch (msg->scope) {
    case SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_GROUP:
        return strcmp(msg->scope_id, snapshot->group->id) == 0;
    case SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_LISTENER:
        return find(&snapshot->listeners, msg->scope_id) != NULL;
    case SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_VIRTUAL_CLUSTER:
        return find(&snapshot->vclusters, msg->scope_id) != NULL;
    case SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_EVENT_API:
        return find(&snapshot->event_apis, msg->scope_id) != NULL;
    case SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_PLAN:
        return find(&snapshot->plans, msg->scope_id) != NULL;
    case SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_APPLICATION:
        return true; /* one without a subscription here is not sent; its policies are, and concern nobody */
    default:
        return false;
    }
}

/* A policy's entity is its message: chains are what becomes of it. */
static void *build_policy(struct context *context, const void *message)
{
    const pb_policy *msg = message;

    return slc_policy_check(msg, context->err) ? (void *)msg : NULL;
}

static bool check_scopes(const slc_snapshot *snapshot, slc_error *err)
{
    char field[160];

    for (size_t i = 0; i < snapshot->policies.count; i++) {
        const pb_policy *msg = snapshot->policies.items[i];

        snprintf(field, sizeof(field), "policy/%s", msg->name);
        if (!scope_exists(snapshot, msg))
            return slc_fail(err, SLC_INVALID, field, "its scope (kind %d, \"%.60s\") is not there",
                            (int)msg->scope, msg->scope_id);
    }
    return true;
}

/* ---- event APIs ---- */

/* The topic's name on the backend, or NULL: clients of the virtual cluster cannot say it. New. */
static char *backend_topic(const slc_vcluster *vcluster, const char *topic)
{
    slc_name name;
    if (vcluster->names == NULL)
        return slc_strdup(topic);
    slc_names_map(vcluster->names, SLC_NAME_TOPIC, (const uint8_t *)topic, strlen(topic), &name);
    if (!name.visible)
        return NULL;
    return slc_asprintf("%.*s%.*s", (int)name.head.len, (const char *)name.head.data, (int)name.body.len,
                        (const char *)name.body.data);
}

/* Compiles the chain and puts the entity together. */
static slc_event_api *new_event_api(struct context *context, const pb_event_api *msg, slc_vcluster *vcluster,
                                    const uint8_t *digest, const char *field)
{
    slc_event_api_full *full = slc_calloc(1, sizeof(*full));
    slc_event_api *api = &full->api;
    const pb_policy **policies;
    slc_error cause;
    size_t count;

    api->refs = 1;
    api->msg = msg;
    api->owner_private = full;
    memcpy(api->digest, digest, SLC_SHA256_BYTES);
    api->vcluster = slc_vcluster_ref(vcluster);
    api->backend_topic = backend_topic(vcluster, msg->topic);
    full->leaf = slc_tree_ref(context->leaf);
    slc_registries_compile_schema(api);
    if (api->backend_topic == NULL) {
        slc_fail(context->err, SLC_INVALID, field,
                 "its topic is outside of the namespace of virtual cluster %s", vcluster->msg->name);
        slc_event_api_unref(api);
        return NULL;
    }
    policies = slc_policies_of(context->snapshot, msg, &count, full->policies);
    slc_error_clear(&cause);
    api->chain = slc_chain_compile(policies, count, &cause);
    free(policies);
    if (api->chain == NULL) {
        slc_fail(context->err, SLC_INVALID, strncmp(cause.field, "policy/", 7) == 0 ? cause.field : field,
                 "its policies do not compile: %s", cause.message);
        slc_event_api_unref(api);
        return NULL;
    }
    return api;
}

static bool same_policies(slc_snapshot *snapshot, const pb_event_api *msg, const slc_event_api *old)
{
    const slc_event_api_full *full = old->owner_private;
    uint8_t digest[SLC_SHA256_BYTES];
    size_t count;

    free(slc_policies_of(snapshot, msg, &count, digest));
    return same_digest(full->policies, digest);
}

static void *build_event_api(struct context *context, const void *message)
{
    const pb_event_api *msg = message;
    slc_event_api *old = context->previous != NULL ? find(&context->previous->event_apis, msg->id) : NULL;
    slc_vcluster *vcluster = find(&context->snapshot->vclusters, msg->virtual_cluster_id);
    slc_listener *listener = find(&context->snapshot->listeners, msg->listener_id);
    uint8_t digest[SLC_SHA256_BYTES];
    char field[160];

    snprintf(field, sizeof(field), "event-api/%.80s.v%u", msg->name, msg->major);
    if (!slc_event_api_check(msg, context->err))
        return NULL;
    if (vcluster == NULL)
        return dangling(context, field, "virtual cluster", msg->virtual_cluster_id);
    if (listener == NULL)
        return dangling(context, field, "listener", msg->listener_id);
    slc_message_digest(msg, vcluster->digest, digest);
    if (old != NULL && same_digest(old->digest, digest) && same_policies(context->snapshot, msg, old))
        return slc_event_api_ref(old);
    return new_event_api(context, msg, vcluster, digest, field);
}

/* ---- all of a kind ---- */

#define CONFIGURATION(member) offsetof(pb_configuration, member), offsetof(pb_configuration, n_##member)
#define ENTITIES(member)      offsetof(slc_snapshot, member)

/* In order of reference: policies before the APIs whose chains they make. */
static const struct kind kinds[] = {
    {"backend", SLUICE__SNAPSHOT__V1__SECTION__SECTION_BACKENDS, CONFIGURATION(backends), ENTITIES(backends),
     offsetof(pb_backend, id), build_backend},
    {"virtual-cluster", SLUICE__SNAPSHOT__V1__SECTION__SECTION_VIRTUAL_CLUSTERS,
     CONFIGURATION(virtual_clusters), ENTITIES(vclusters), offsetof(pb_vcluster, id), build_vcluster},
    {"listener", SLUICE__SNAPSHOT__V1__SECTION__SECTION_LISTENERS, CONFIGURATION(listeners),
     ENTITIES(listeners), offsetof(pb_listener, id), build_listener},
    {"policy", SLUICE__SNAPSHOT__V1__SECTION__SECTION_POLICIES, CONFIGURATION(policies), ENTITIES(policies),
     offsetof(pb_policy, id), build_policy},
    {"event-api", SLUICE__SNAPSHOT__V1__SECTION__SECTION_EVENT_APIS, CONFIGURATION(event_apis),
     ENTITIES(event_apis), offsetof(pb_event_api, id), build_event_api},
    {"plan", SLUICE__SNAPSHOT__V1__SECTION__SECTION_PLANS, CONFIGURATION(plans), ENTITIES(plans),
     offsetof(pb_plan, id), build_plan},
    {"issuer", SLUICE__SNAPSHOT__V1__SECTION__SECTION_ISSUERS, CONFIGURATION(issuers), ENTITIES(issuers),
     offsetof(pb_issuer, id), build_issuer},
    {"key-ring", SLUICE__SNAPSHOT__V1__SECTION__SECTION_KEY_RINGS, CONFIGURATION(key_rings),
     ENTITIES(key_rings), offsetof(pb_key_ring, id), build_key_ring},
    {"schema-registry", SLUICE__SNAPSHOT__V1__SECTION__SECTION_SCHEMA_REGISTRIES,
     CONFIGURATION(schema_registries), ENTITIES(registries), offsetof(pb_registry, id), build_registry},
};

struct section_walk {
    struct context *context;
    const struct kind *kind;
    size_t capacity;
};

/* The lists of all other sections must be empty: they would be skipped silently. */
static bool only_own_list(const pb_configuration *msg, const struct kind *own, slc_error *err)
{
    bool stray = msg->group != NULL;

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (&kinds[i] != own)
            stray = stray || *(const size_t *)((const char *)msg + kinds[i].count_offset) > 0;
    return !stray ||
           slc_fail(err, SLC_INVALID, NULL, "the section of kind %s holds something else too", own->name);
}

static bool build_leaf(void *arg, slc_tree *leaf)
{
    struct section_walk *walk = arg;
    const struct kind *kind = walk->kind;
    const char *msg = (const char *)leaf->msg;
    slc_entities *entities = entities_of(walk->context->snapshot, kind->entities_offset);
    size_t count = *(const size_t *)(msg + kind->count_offset);
    void *const *list = *(void *const *const *)(msg + kind->list_offset);

    if (!only_own_list((const pb_configuration *)leaf->msg, kind, walk->context->err))
        return false;
    walk->context->leaf = leaf;
    for (size_t i = 0; i < count; i++) {
        const char *id = *(const char *const *)((const char *)list[i] + kind->id_offset);
        char field[160];
        void *entity = kind->build(walk->context, list[i]);

        if (entity == NULL)
            return false;
        if (entities->count == walk->capacity) {
            walk->capacity = walk->capacity > 0 ? 2 * walk->capacity : 16;
            entities->items = slc_realloc(entities->items, walk->capacity * sizeof(*entities->items));
        }
        entities->items[entities->count++] = entity;
        snprintf(field, sizeof(field), "%s/%.100s", kind->name, id);
        if (!slc_strmap_add(&entities->by_id, id, strlen(id), entity))
            return slc_fail(walk->context->err, SLC_INVALID, field, "is there twice");
    }
    return true;
}

static bool build_group(slc_snapshot *snapshot, slc_error *err)
{
    const slc_tree *section = snapshot->sections[SLUICE__SNAPSHOT__V1__SECTION__SECTION_GROUP];

    if (section == NULL || section->msg == NULL || ((const pb_configuration *)section->msg)->group == NULL)
        return slc_fail(err, SLC_INVALID, NULL, "the snapshot lacks its group");
    snapshot->group = ((const pb_configuration *)section->msg)->group;
    if (strcmp(snapshot->group->id, snapshot->manifest->group) != 0)
        return slc_fail(err, SLC_INVALID, NULL,
                        "the manifest is of group \"%.60s\" and its content of \"%.60s\"",
                        snapshot->manifest->group, snapshot->group->id);
    return true;
}

/* Two listeners on one address could never both be bound. */
static bool check_addresses(const slc_snapshot *snapshot, slc_error *err)
{
    slc_strmap addresses = {0};
    bool ok = true;

    for (size_t i = 0; ok && i < snapshot->listeners.count; i++) {
        const pb_listener *msg = ((const slc_listener *)snapshot->listeners.items[i])->msg;
        char field[160], host[256];
        uint16_t port = 0;

        snprintf(field, sizeof(field), "listener/%s", msg->name);
        if (!slc_address_split(msg->address, host, sizeof(host), &port, NULL))
            ok = slc_fail(err, SLC_INVALID, field, "its address is not HOST:PORT");
        else if (port != 0 && !slc_strmap_add(&addresses, msg->address, strlen(msg->address), (void *)msg))
            ok =
                slc_fail(err, SLC_INVALID, field, "its address %.100s is another listener's too", msg->address);
    }
    slc_strmap_release(&addresses);
    return ok;
}

static bool add_url(slc_snapshot *snapshot, const char *listener_id, slc_event_api *api)
{
    char key[SLC_URL_KEY_MAX];
    size_t len = slc_url_key(key, listener_id, api->msg->name, strlen(api->msg->name), api->msg->major);

    snapshot->url_keys[snapshot->url_key_count] = slc_strndup(key, len);
    return slc_strmap_add(&snapshot->apis_by_url, snapshot->url_keys[snapshot->url_key_count++], len, api);
}

static bool index_urls(slc_snapshot *snapshot, slc_error *err)
{
    snapshot->url_keys = slc_calloc(2 * snapshot->event_apis.count + 1, sizeof(*snapshot->url_keys));
    slc_strmap_init(&snapshot->apis_by_url, 2 * snapshot->event_apis.count);
    for (size_t i = 0; i < snapshot->event_apis.count; i++) {
        slc_event_api *api = snapshot->event_apis.items[i];
        char field[160];

        snprintf(field, sizeof(field), "event-api/%s.v%u", api->msg->name, api->msg->major);
        if (!add_url(snapshot, NULL, api) || !add_url(snapshot, api->msg->listener_id, api))
            return slc_fail(err, SLC_INVALID, field, "is there twice");
    }
    return true;
}

bool slc_entities_build(slc_snapshot *snapshot, const slc_snapshot *previous, slc_error *err)
{
    struct context context = {.snapshot = snapshot, .previous = previous, .err = err};

    if (!build_group(snapshot, err))
        return false;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct section_walk walk = {&context, &kinds[i], 0};

        if (!slc_tree_each(snapshot->sections[kinds[i].section], build_leaf, &walk))
            return false;
    }
    return check_scopes(snapshot, err) && slc_key_rings_check(snapshot, err) &&
           slc_registries_check(snapshot, err) && slc_chains_build(snapshot, previous, err) &&
           check_addresses(snapshot, err) && index_urls(snapshot, err);
}
