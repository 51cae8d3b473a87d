/* Sample snapshots. */
#include "maker.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "dataplane/config/snapshot_private.h"

#define KIND(name) SLUICE__SNAPSHOT__V1__CHUNK_KIND__CHUNK_KIND_##name

static const uint8_t verifier[32] = {1};

/* ---- the sample ---- */

static void fill_clusters(struct maker *maker)
{
    for (unsigned i = 0; i < 2; i++) {
        sluice__snapshot__v1__backend__init(&maker->backend[i]);
        sluice__snapshot__v1__virtual_cluster__init(&maker->vcluster[i]);
        sluice__snapshot__v1__listener__init(&maker->listener[i]);
    }
    maker->servers[0] = "127.0.0.1:9092";
    for (unsigned i = 0; i < 2; i++) {
        maker->backend[i].id = i == 0 ? "backend-1" : "backend-2";
        maker->backend[i].name = i == 0 ? "local" : "other";
        maker->backend[i].bootstrap_servers = maker->servers;
        maker->backend[i].n_bootstrap_servers = 1;
        maker->vcluster[i].id = i == 0 ? "vcluster-1" : "vcluster-2";
        maker->vcluster[i].name = i == 0 ? "local" : "other";
        maker->vcluster[i].backend_id = maker->backend[0].id;
        maker->listener[i].id = i == 0 ? "listener-1" : "listener-2";
        maker->listener[i].name = i == 0 ? "edge" : "inner";
        maker->listener[i].protocol = "http";
        maker->listener[i].address = i == 0 ? "127.0.0.1:8000" : "127.0.0.1:8001";
    }
}

static void fill_api(struct maker *maker, Sluice__Snapshot__V1__EventApi *api)
{
    sluice__snapshot__v1__event_api__init(api);
    api->id = "api-1";
    api->name = "orders";
    api->major = 1;
    api->lifecycle = "published";
    api->operations = maker->operations;
    api->n_operations = 2;
    api->exposures = maker->exposures;
    api->n_exposures = 2;
    api->virtual_cluster_id = maker->vcluster[0].id;
    api->topic = "orders";
    api->listener_id = maker->listener[0].id;
    api->cursor_keys = maker->cursor_keys;
    api->n_cursor_keys = 1;
    api->max_event_bytes = 1 << 20;
}

static void fill_products(struct maker *maker)
{
    maker->operations[0] = SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_PUBLISH;
    maker->operations[1] = SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_READ;
    maker->exposures[0] = "rest";
    maker->exposures[1] = "sse";
    sluice__snapshot__v1__cursor_key__init(&maker->cursor_key);
    maker->cursor_key.id = 1;
    maker->cursor_key.key = (ProtobufCBinaryData){32, (uint8_t *)verifier};
    maker->cursor_keys[0] = &maker->cursor_key;
    fill_api(maker, &maker->api[0]);
    fill_api(maker, &maker->api[1]);
    maker->api[1].id = "api-2";
    maker->api[1].major = 2;
    maker->api_ids[0] = maker->api[0].id;
    maker->api_ids[1] = maker->api[1].id;
    sluice__snapshot__v1__secret__init(&maker->passphrase);
    maker->passphrase.source_case = SLUICE__SNAPSHOT__V1__SECRET__SOURCE_FILE;
    maker->passphrase.file = "/nowhere"; /* looked at when a key is asked for */
    for (unsigned i = 0; i < 2; i++) {
        sluice__snapshot__v1__plan__init(&maker->plan[i]);
        maker->plan[i].id = i == 0 ? "plan-1" : "plan-2";
        maker->plan[i].product = "orders";
        maker->plan[i].name = i == 0 ? "free" : "paid";
        maker->plan[i].event_api_ids = maker->api_ids;
        maker->plan[i].n_event_api_ids = 1;
        maker->plan[i].operations = maker->operations;
        maker->plan[i].n_operations = 2;
        sluice__snapshot__v1__policy__init(&maker->policy[i]);
        maker->policy[i].id = i == 0 ? "policy-1" : "policy-2";
        maker->policy[i].name = i == 0 ? "browsers" : "others";
        maker->policy[i].type = "cors";
        maker->policy[i].config_json = "{\"origins\":[\"https://example.test\"]}";
        maker->policy[i].scope = SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_EVENT_API;
        maker->policy[i].scope_id = maker->api[0].id;
        sluice__snapshot__v1__key_ring__init(&maker->key_ring[i]);
        maker->key_ring[i].id = i == 0 ? "ring-1" : "ring-2";
        maker->key_ring[i].name = i == 0 ? "local" : "other";
        maker->key_ring[i].provider = "local";
        maker->key_ring[i].path = "/var/lib/keys.json";
        maker->key_ring[i].key = "orders";
        maker->key_ring[i].passphrase = &maker->passphrase;
        sluice__snapshot__v1__issuer__init(&maker->issuer[i]);
        maker->issuer[i].id = i == 0 ? "issuer-1" : "issuer-2";
        maker->issuer[i].name = i == 0 ? "login" : "other";
        maker->issuer[i].url = i == 0 ? "https://login.test" : "https://other.test";
        maker->issuer[i].algorithms = maker->algorithms;
        maker->issuer[i].n_algorithms = 1;
        maker->issuer[i].credential_claims = maker->credential_claims;
        maker->issuer[i].n_credential_claims = 1;
        maker->issuer[i].principal_claim = "sub";
        maker->issuer[i].groups_claim = "groups";
        maker->issuer[i].scopes_claim = "scope";
    }
    maker->algorithms[0] = "ES256";
    maker->credential_claims[0] = "sub";
}

void maker_add_application(struct maker *maker, unsigned n)
{
    size_t at = maker->applications++;
    Sluice__Snapshot__V1__Application *application = &maker->application[at];
    Sluice__Snapshot__V1__Credential *credential = &maker->credential[maker->credentials++];
    char(*ids)[40] = maker->ids[at];

    SLC_BUG_ON(at >= MAKER_MAX);
    snprintf(ids[0], sizeof ids[0], "app-%u", n);
    snprintf(ids[1], sizeof ids[1], "cred-%u", n);
    snprintf(ids[2], sizeof ids[2], "secret:cred-%u", n);
    sluice__snapshot__v1__subscription__init(&maker->subscription[at]);
    maker->subscription[at].id = ids[0];
    maker->subscription[at].plan_id = maker->plan[0].id;
    maker->subscription_list[at] = &maker->subscription[at];
    sluice__snapshot__v1__application__init(application);
    application->id = ids[0];
    application->name = ids[0];
    application->team = "platform";
    application->subscriptions = &maker->subscription_list[at];
    application->n_subscriptions = 1;
    sluice__snapshot__v1__credential__init(credential);
    credential->id = ids[1];
    credential->lookup = ids[2];
    credential->application_id = ids[0];
    credential->secret_sha256 = (ProtobufCBinaryData){32, (uint8_t *)verifier};
}

struct maker *maker_new(void)
{
    struct maker *maker = slc_calloc(1, sizeof *maker);

    sluice__snapshot__v1__group__init(&maker->group);
    maker->group.id = "group-1";
    maker->group.name = "dev";
    maker->group.environment = "dev";
    fill_clusters(maker);
    fill_products(maker);
    maker->backends = maker->vclusters = maker->listeners = maker->apis = maker->plans = maker->policies = 1;
    maker->version = 1;
    maker_add_application(maker, 1);
    return maker;
}

static void unseal(struct maker *maker)
{
    for (size_t i = 0; i < maker->chunk_count; i++)
        free(maker->chunks[i].content);
    for (size_t i = 0; i < maker->manifest.n_chunks; i++) {
        free(maker->refs[i]->sha256.data);
        free(maker->refs[i]);
    }
    maker->chunk_count = maker->manifest.n_chunks = 0;
}

void maker_free(struct maker *maker)
{
    unseal(maker);
    free(maker);
}

/* ---- sealing ---- */

/* Packs a chunk and fills a new reference to it. */
static Sluice__Snapshot__V1__ChunkRef *add(struct maker *maker, const ProtobufCMessage *msg,
                                           Sluice__Snapshot__V1__ChunkKind kind, unsigned bucket)
{
    struct maker_chunk *chunk = &maker->chunks[maker->chunk_count++];
    Sluice__Snapshot__V1__ChunkRef *ref = slc_calloc(1, sizeof *ref);

    SLC_BUG_ON(maker->chunk_count > sizeof maker->chunks / sizeof *maker->chunks);
    chunk->len = protobuf_c_message_get_packed_size(msg);
    chunk->content = slc_malloc(chunk->len + 1);
    protobuf_c_message_pack(msg, chunk->content);
    slc_sha256(chunk->content, chunk->len, chunk->sha256);
    sluice__snapshot__v1__chunk_ref__init(ref);
    ref->kind = kind;
    ref->bucket = bucket;
    ref->sha256 = (ProtobufCBinaryData){32, slc_memdup(chunk->sha256, 32)};
    ref->size_bytes = (uint32_t)chunk->len;
    return ref;
}

static void add_section(struct maker *maker, section_msg *section, unsigned number, size_t count)
{
    if (count > 0)
        maker->refs[maker->manifest.n_chunks++] = add(maker, &section->base, KIND(CONFIGURATION), number);
}

static void seal_sections(struct maker *maker)
{
    section_msg section;
    void *list[2];

#define SECTION(number, member, array, count)                                                                  \
    do {                                                                                                       \
        sluice__snapshot__v1__configuration__init(&section);                                                   \
        list[0] = &maker->array[0];                                                                            \
        list[1] = &maker->array[1];                                                                            \
        section.member = (void *)list;                                                                         \
        section.n_##member = maker->count;                                                                     \
        add_section(maker, &section, number, maker->count);                                                    \
    } while (0)
    sluice__snapshot__v1__configuration__init(&section);
    section.group = &maker->group;
    add_section(maker, &section, 1, 1);
    SECTION(2, backends, backend, backends);
    SECTION(3, virtual_clusters, vcluster, vclusters);
    SECTION(4, listeners, listener, listeners);
    SECTION(5, event_apis, api, apis);
    SECTION(6, plans, plan, plans);
    SECTION(7, policies, policy, policies);
    SECTION(8, issuers, issuer, issuers);
    SECTION(9, key_rings, key_ring, key_rings);
#undef SECTION
}

struct member {
    const char *key;
    void *msg;
    uint8_t hash[32];
};

static int compare_members(const void *a, const void *b)
{
    return strcmp(((const struct member *)a)->key, ((const struct member *)b)->key);
}

static Sluice__Snapshot__V1__ChunkRef *add_leaf(struct maker *maker, Sluice__Snapshot__V1__ChunkKind kind,
                                                void **messages, size_t count, unsigned bucket)
{
    Sluice__Snapshot__V1__CredentialBucket credentials = SLUICE__SNAPSHOT__V1__CREDENTIAL_BUCKET__INIT;
    Sluice__Snapshot__V1__ApplicationBucket applications = SLUICE__SNAPSHOT__V1__APPLICATION_BUCKET__INIT;

    credentials.credentials = (Sluice__Snapshot__V1__Credential **)messages;
    applications.applications = (Sluice__Snapshot__V1__Application **)messages;
    credentials.n_credentials = applications.n_applications = count;
    return add(maker, kind == KIND(CREDENTIALS) ? &credentials.base : &applications.base, kind, bucket);
}

static Sluice__Snapshot__V1__ChunkRef *add_index(struct maker *maker, Sluice__Snapshot__V1__ChunkKind kind,
                                                 const struct member *members, size_t count, unsigned bucket)
{
    Sluice__Snapshot__V1__Index index = SLUICE__SNAPSHOT__V1__INDEX__INIT;
    Sluice__Snapshot__V1__ChunkRef *parts[16], *ref;
    void *messages[MAKER_MAX];

    index.parts = parts;
    for (unsigned part = 0; part < 16; part++) {
        size_t found = 0;

        for (size_t i = 0; i < count; i++)
            if (members[i].hash[1] >> 4 == part)
                messages[found++] = members[i].msg;
        if (found > 0)
            parts[index.n_parts++] = add_leaf(maker, kind, messages, found, part);
    }
    ref = add(maker, &index.base, KIND(INDEX), bucket);
    ref->parts_kind = kind;
    for (size_t i = 0; i < index.n_parts; i++) {
        free(parts[i]->sha256.data);
        free(parts[i]);
    }
    return ref;
}

static void seal_buckets(struct maker *maker, Sluice__Snapshot__V1__ChunkKind kind, struct member *members,
                         size_t count)
{
    struct member own[MAKER_MAX];
    void *messages[MAKER_MAX];

    qsort(members, count, sizeof *members, compare_members);
    for (size_t i = 0; i < count; i++)
        slc_sha256(members[i].key, strlen(members[i].key), members[i].hash);
    for (unsigned bucket = 0; bucket < 256; bucket++) {
        size_t found = 0;

        for (size_t i = 0; i < count; i++) {
            if (members[i].hash[0] != bucket)
                continue;
            messages[found] = members[i].msg;
            own[found++] = members[i];
        }
        if (found > 0)
            maker->refs[maker->manifest.n_chunks++] = maker->split
                                                          ? add_index(maker, kind, own, found, bucket)
                                                          : add_leaf(maker, kind, messages, found, bucket);
    }
}

void maker_seal(struct maker *maker)
{
    struct member members[MAKER_MAX];

    unseal(maker);
    sluice__snapshot__v1__manifest__init(&maker->manifest);
    maker->manifest.version = maker->version;
    maker->manifest.group = maker->group.id;
    maker->manifest.chunks = maker->refs;
    seal_sections(maker);
    for (size_t i = 0; i < maker->credentials; i++)
        members[i] = (struct member){.key = maker->credential[i].lookup, .msg = &maker->credential[i]};
    seal_buckets(maker, KIND(CREDENTIALS), members, maker->credentials);
    for (size_t i = 0; i < maker->applications; i++)
        members[i] = (struct member){.key = maker->application[i].id, .msg = &maker->application[i]};
    seal_buckets(maker, KIND(APPLICATIONS), members, maker->applications);
}

/* ---- building ---- */

struct maker_chunk *maker_find(struct maker *maker, const uint8_t *sha256)
{
    for (size_t i = 0; i < maker->chunk_count; i++)
        if (memcmp(maker->chunks[i].sha256, sha256, 32) == 0)
            return &maker->chunks[i];
    return NULL;
}

static bool has(void *arg, const uint8_t sha256[SLC_SHA256_BYTES])
{
    return maker_find(arg, sha256) != NULL;
}

static uint8_t *get(void *arg, const uint8_t sha256[SLC_SHA256_BYTES], size_t *len)
{
    const struct maker_chunk *chunk = maker_find(arg, sha256);

    if (chunk == NULL)
        return NULL;
    *len = chunk->len;
    return slc_memdup(chunk->content, chunk->len);
}

slc_chunk_source maker_source(struct maker *maker)
{
    return (slc_chunk_source){has, get, maker};
}

slc_snapshot *maker_build(struct maker *maker, slc_snapshot *previous)
{
    slc_chunk_source source = maker_source(maker);
    slc_snapshot *snapshot;
    slc_error err;

    maker_seal(maker);
    snapshot = slc_snapshot_build(&maker->manifest, &source, previous, &err);
    if (snapshot == NULL)
        fprintf(stderr, "%s: %s\n", err.field, err.message);
    SLC_BUG_ON(snapshot == NULL); /* not an assertion of check's: fuzzers use this too */
    return snapshot;
}

void maker_fails(struct maker *maker, slc_snapshot *previous, const char *entity)
{
    slc_chunk_source source = maker_source(maker);
    slc_snapshot *snapshot;
    slc_error err;

    maker_seal(maker);
    snapshot = slc_snapshot_build(&maker->manifest, &source, previous, &err);
    ck_assert_msg(snapshot == NULL, "expected an error about %s", entity);
    ck_assert_str_eq(err.field, entity);
    ck_assert_uint_gt(strlen(err.message), 0);
}
