/* Makes manifests and chunks for tests: a small sample that tests bend before they seal it. Independent of the
 * catalog's compiler on purpose, so that both sides are held to the protocol and not to each other. */
#ifndef SLC_TEST_CONFIG_MAKER_H
#define SLC_TEST_CONFIG_MAKER_H

#include "dataplane/config/build.h"

#define MAKER_MAX 1024

typedef Sluice__Snapshot__V1__Configuration section_msg;

struct maker_chunk {
    uint8_t sha256[32];
    uint8_t *content;
    size_t len;
};

struct maker {
    /* The sample: one of each, wired together. Change them, or the counts. */
    Sluice__Snapshot__V1__Group group;
    Sluice__Snapshot__V1__Backend backend[2];
    Sluice__Snapshot__V1__VirtualCluster vcluster[2];
    Sluice__Snapshot__V1__Listener listener[2];
    Sluice__Snapshot__V1__EventApi api[2];
    Sluice__Snapshot__V1__Plan plan[2];
    Sluice__Snapshot__V1__Policy policy[2];
    Sluice__Snapshot__V1__Issuer issuer[2];
    Sluice__Snapshot__V1__KeyRing key_ring[2];
    Sluice__Snapshot__V1__Secret passphrase;
    size_t backends, vclusters, listeners, apis, plans, policies, issuers, key_rings; /* the last two: none in
                                                                               the sample */
    Sluice__Snapshot__V1__Application application[MAKER_MAX];
    Sluice__Snapshot__V1__Credential credential[MAKER_MAX];
    size_t applications, credentials;
    uint64_t version;
    bool split; /* identity buckets become indexes */

    /* Sealed */
    Sluice__Snapshot__V1__Manifest manifest;
    Sluice__Snapshot__V1__ChunkRef *refs[1024];
    struct maker_chunk chunks[8192];
    size_t chunk_count;

    /* private: what the sample's messages point to */
    char ids[MAKER_MAX][4][40];
    Sluice__Snapshot__V1__Subscription subscription[MAKER_MAX];
    Sluice__Snapshot__V1__Subscription *subscription_list[MAKER_MAX];
    Sluice__Snapshot__V1__CursorKey cursor_key;
    Sluice__Snapshot__V1__CursorKey *cursor_keys[1];
    Sluice__Snapshot__V1__Operation operations[2];
    char *servers[1], *exposures[2], *api_ids[2], *algorithms[1], *credential_claims[1];
};

struct maker *maker_new(void);
void maker_free(struct maker *maker);
/* Adds application "app-<n>" with a subscription to the sample's plan and credential "secret:cred-<n>". */
void maker_add_application(struct maker *maker, unsigned n);
/* Makes the chunks and the manifest from what the messages say now; may be repeated. */
void maker_seal(struct maker *maker);
/* Where the sealed chunks are. */
slc_chunk_source maker_source(struct maker *maker);
struct maker_chunk *maker_find(struct maker *maker, const uint8_t *sha256);
/* Seals and builds; must succeed. */
slc_snapshot *maker_build(struct maker *maker, slc_snapshot *previous);
/* Seals and builds; must fail naming the entity. */
void maker_fails(struct maker *maker, slc_snapshot *previous, const char *entity);

#endif
