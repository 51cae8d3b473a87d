/* The inside of a snapshot, shared by the files that build it. Private to dataplane/config. */
#ifndef SLC_DATAPLANE_CONFIG_SNAPSHOT_PRIVATE_H
#define SLC_DATAPLANE_CONFIG_SNAPSHOT_PRIVATE_H

#include "dataplane/config/build.h"
#include "dataplane/config/snapshot.h"
#include "dataplane/config/strmap.h"
#include "dataplane/config/tree.h"
#include "dataplane/policy/policy.h"

#define SLC_SNAPSHOT_MAGIC 0x736e6170u
#define SLC_SECTIONS       11 /* 1..10 of enum Section; 0 is unused */
#define SLC_BUCKETS        256

typedef Sluice__Snapshot__V1__Manifest pb_manifest;
typedef Sluice__Snapshot__V1__ChunkRef pb_ref;
typedef Sluice__Snapshot__V1__Configuration pb_configuration;
typedef Sluice__Snapshot__V1__Group pb_group;
typedef Sluice__Snapshot__V1__Backend pb_backend;
typedef Sluice__Snapshot__V1__VirtualCluster pb_vcluster;
typedef Sluice__Snapshot__V1__Listener pb_listener;
typedef Sluice__Snapshot__V1__EventApi pb_event_api;
typedef Sluice__Snapshot__V1__Plan pb_plan;
typedef Sluice__Snapshot__V1__Policy pb_policy;
typedef Sluice__Snapshot__V1__Issuer pb_issuer;
typedef Sluice__Snapshot__V1__KeyRing pb_key_ring;
typedef Sluice__Snapshot__V1__SchemaRegistry pb_registry;
typedef Sluice__Snapshot__V1__Secret pb_secret;
typedef Sluice__Snapshot__V1__Credential pb_credential;
typedef Sluice__Snapshot__V1__CredentialBucket pb_credential_bucket;
typedef Sluice__Snapshot__V1__Application pb_application;
typedef Sluice__Snapshot__V1__ApplicationBucket pb_application_bucket;

/* Entities of one kind. */
typedef struct slc_entities {
    void **items;
    size_t count;
    slc_strmap by_id;
} slc_entities;

struct slc_snapshot {
    unsigned magic;
    unsigned refs;
    pb_manifest *manifest;
    slc_tree *sections[SLC_SECTIONS];
    slc_tree *credentials[SLC_BUCKETS];
    slc_tree *applications[SLC_BUCKETS];
    /* Of the trees: together here, so that no tree has to be looked at. */
    slc_tree_places credential_places[SLC_BUCKETS], application_places[SLC_BUCKETS];

    const pb_group *group;                                                    /* in sections */
    slc_entities backends, vclusters, listeners, event_apis, plans, policies; /* policies: messages */
    slc_entities issuers, key_rings, registries;
    slc_entities narrow, native;       /* chains.c: of plans and applications, of virtual clusters */
    const pb_policy **sorted_policies; /* wide ones first; NULL: not yet */
    size_t wide_count;
    slc_strmap apis_by_url; /* "<listener id>/<name>.v<major>", and without the listener */
    char **url_keys;        /* memory of its keys */
    size_t url_key_count;
};

/* An event API knows which policies its chain was compiled from, to be reused when they are the same. */
typedef struct slc_event_api_full {
    slc_event_api api;
    slc_tree *leaf;
    uint8_t policies[SLC_SHA256_BYTES];
} slc_event_api_full;

#define SLC_URL_KEY_MAX 160
/* Length of the key, or 0 when it cannot exist. `listener_id` NULL: on any. */
size_t slc_url_key(char out[SLC_URL_KEY_MAX], const char *listener_id, const char *name, size_t name_len,
                   uint32_t major);

/* entities.c: fills the lists of `snapshot` from its sections. */
bool slc_entities_build(slc_snapshot *snapshot, const slc_snapshot *previous, slc_error *err) SLC_CHECKED;
/* SHA-256 over the message's own bytes and, after them, the digest of what it refers to (NULL: nothing). */
void slc_message_digest(const void *msg, const uint8_t *more, uint8_t out[SLC_SHA256_BYTES]);

/* chains.c: the policies of an API, wide to narrow, and the digest of them all. New array. */
const pb_policy **slc_policies_of(slc_snapshot *snapshot, const pb_event_api *api, size_t *count,
                                  uint8_t digest[SLC_SHA256_BYTES]);
/* Does it hang on a plan or an application? */
bool slc_policy_is_narrow(const pb_policy *policy);
struct slc_kept_chain;
void slc_kept_chain_unref(struct slc_kept_chain *kept);
/* Fills `narrow` and `native`. */
bool slc_chains_build(slc_snapshot *snapshot, const slc_snapshot *previous, slc_error *err) SLC_CHECKED;

/* identity_check.c: the buckets of `snapshot` that `previous` does not share. */
bool slc_identities_check(const slc_snapshot *snapshot, const slc_snapshot *previous,
                          slc_error *err) SLC_CHECKED;

/* validate.c: what one entity says, without what it refers to. `field` is the entity. */
bool slc_backend_check(const pb_backend *msg, slc_error *err) SLC_CHECKED;
bool slc_vcluster_check(const pb_vcluster *msg, slc_error *err) SLC_CHECKED;
/* `before` is what it was, NULL: it is new. Its certificate and key are checked when they are others than
 * before: files that are read again are dataplane/certificates.h's, and a pair that does not fit must keep
 * nothing else out. */
bool slc_listener_check(const pb_listener *msg, const pb_listener *before, slc_error *err) SLC_CHECKED;
bool slc_event_api_check(const pb_event_api *msg, slc_error *err) SLC_CHECKED;
bool slc_policy_check(const pb_policy *msg, slc_error *err) SLC_CHECKED;
bool slc_issuer_check(const pb_issuer *msg, slc_error *err) SLC_CHECKED;
bool slc_key_ring_check(const pb_key_ring *msg, slc_error *err) SLC_CHECKED;

/* key_rings.c */
slc_key_ring_entity *slc_key_ring_build(const pb_key_ring *msg, const uint8_t digest[SLC_SHA256_BYTES],
                                        slc_tree *leaf);
/* Does every policy that encrypts find its key ring, and there or in itself a key? */
bool slc_key_rings_check(const slc_snapshot *snapshot, slc_error *err) SLC_CHECKED;

/* registries.c */
bool slc_registry_check(const pb_registry *msg, slc_error *err) SLC_CHECKED;
slc_registry_entity *slc_registry_build(const pb_registry *msg, const uint8_t digest[SLC_SHA256_BYTES],
                                        slc_tree *leaf);
/* Fills `schema` or `schema_error`. One that is of no use is no reason to refuse a configuration: it was taken
 * once. */
void slc_registries_compile_schema(slc_event_api *api);
/* Does every policy and event API find the schema registry that it names? */
bool slc_registries_check(const slc_snapshot *snapshot, slc_error *err) SLC_CHECKED;
/* This thread's checks are not a gateway's: files and variables that secrets refer to are not looked at. */
void slc_validate_elsewhere(bool is_elsewhere);
bool slc_features_check(char *const *required, size_t count, const char *field, slc_error *err) SLC_CHECKED;

/* For entities.c's own lists. */
void slc_entities_release(slc_entities *entities, void (*unref)(void *item));
void slc_plan_unref(slc_plan *plan);

#endif
