/* The configuration that a gateway runs on: immutable, indexed, shared.
 *
 * Built and validated on the config thread from a manifest and its chunks, then handed to every worker, which
 * swaps its own pointer and drops the old one: no lock on the hot path. Parts that did not change are shared
 * between versions by reference count: sections, and each of the 256 + 256 identity buckets, so that applying
 * one changed bucket costs one bucket. Entities are refcounted too, because connections pin entities and not
 * snapshots.
 */
#ifndef SLC_DATAPLANE_CONFIG_SNAPSHOT_H
#define SLC_DATAPLANE_CONFIG_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "sluice/snapshot.pb-c.h"

typedef struct slc_snapshot slc_snapshot;

/* Atomic; any thread. */
slc_snapshot *slc_snapshot_ref(slc_snapshot *snapshot);
void slc_snapshot_unref(slc_snapshot *snapshot);

uint64_t slc_snapshot_version(const slc_snapshot *snapshot);
const Sluice__Snapshot__V1__Group *slc_snapshot_group(const slc_snapshot *snapshot);

/* An entity as the gateway uses it: the message, what it refers to (resolved at build time, each a counted
 * reference), and a digest of its own serialised message, so that "did it change?" is one comparison. Immutable
 * after the build. */
typedef struct slc_backend {
    unsigned refs;
    const Sluice__Snapshot__V1__Backend *msg;
    uint8_t digest[32];
    /* private: owner of msg's memory */
    void *owner_private;
} slc_backend;

typedef struct slc_vcluster {
    unsigned refs;
    const Sluice__Snapshot__V1__VirtualCluster *msg;
    uint8_t digest[32]; /* includes the backend's */
    slc_backend *backend;
    struct slc_names *names; /* virtual/names.h; NULL: the backend's names are the clients' */
    void *owner_private;
} slc_vcluster;

typedef struct slc_listener {
    unsigned refs;
    const Sluice__Snapshot__V1__Listener *msg;
    uint8_t digest[32];
    slc_vcluster *vcluster; /* kafka listeners; NULL for http */
    void *owner_private;
} slc_listener;

struct slc_chain; /* compiled policies: policy/policy.h */

typedef struct slc_event_api {
    unsigned refs;
    const Sluice__Snapshot__V1__EventApi *msg;
    uint8_t digest[32]; /* includes the virtual cluster's and the backend's; not the policies' */
    slc_vcluster *vcluster;
    char *backend_topic;       /* the topic's name on the backend (namespace applied) */
    struct slc_schema *schema; /* its own; NULL: has none here, or `schema_error` says what is wrong with it */
    char schema_error[200];
    struct slc_chain *chain; /* group, listener, virtual cluster and event API policies, in order */
    void *owner_private;
} slc_event_api;

typedef struct slc_plan {
    unsigned refs;
    const Sluice__Snapshot__V1__Plan *msg;
    void *owner_private;
} slc_plan;

/* Who signs tokens. */
typedef struct slc_issuer {
    unsigned refs;
    const Sluice__Snapshot__V1__Issuer *msg;
    uint8_t digest[32];
    void *owner_private;
} slc_issuer;

struct slc_registry; /* schema/registry.h */
struct slc_schema;   /* schema/schema.h */

/* Where schemas are looked up. */
typedef struct slc_registry_entity {
    unsigned refs;
    const Sluice__Snapshot__V1__SchemaRegistry *msg;
    uint8_t digest[32];
    struct slc_registry *registry; /* own reference; NULL: `unusable`, or nothing is looked up here, as in the
                                      control plane */
    char unusable[200];            /* why; "": it is not */
    void *owner_private;
} slc_registry_entity;

void slc_registry_entity_unref(slc_registry_entity *entity);
slc_registry_entity *slc_registry_entity_ref(slc_registry_entity *entity);

struct slc_key_ring; /* crypt/keys.h */

/* Where keys that encrypt records come from. */
typedef struct slc_key_ring_entity {
    unsigned refs;
    const Sluice__Snapshot__V1__KeyRing *msg;
    uint8_t digest[32];
    struct slc_key_ring *ring; /* own reference; NULL where nothing is encrypted, as in the control plane */
    void *owner_private;
} slc_key_ring_entity;

void slc_key_ring_entity_unref(slc_key_ring_entity *entity);
slc_key_ring_entity *slc_key_ring_entity_ref(slc_key_ring_entity *entity);
void slc_issuer_unref(slc_issuer *issuer);
slc_issuer *slc_issuer_ref(slc_issuer *issuer);
void slc_backend_unref(slc_backend *backend);
slc_backend *slc_backend_ref(slc_backend *backend);
void slc_vcluster_unref(slc_vcluster *vcluster);
slc_vcluster *slc_vcluster_ref(slc_vcluster *vcluster);
void slc_listener_unref(slc_listener *listener);
slc_listener *slc_listener_ref(slc_listener *listener);
void slc_event_api_unref(slc_event_api *api);
slc_event_api *slc_event_api_ref(slc_event_api *api);

/* "rest", "sse", "kafka" */
bool slc_event_api_exposes(const slc_event_api *api, const char *exposure);
bool slc_event_api_offers(const slc_event_api *api, Sluice__Snapshot__V1__Operation operation);
/* Does it let clients in so: "plain", "scram", "oauthbearer", "mtls", "anonymous", "passthrough"? */
bool slc_vcluster_takes(const slc_vcluster *vcluster, const char *way);
/* Does it ask clients for a certificate? */
bool slc_listener_asks_certificate(const slc_listener *listener);
/* Do both say the same of TLS? What files hold by now is not looked at. */
bool slc_listener_same_tls(const Sluice__Snapshot__V1__Listener *a, const Sluice__Snapshot__V1__Listener *b);

/* Lists: borrowed, live as long as the snapshot. */
slc_backend *const *slc_snapshot_backends(const slc_snapshot *snapshot, size_t *count);
slc_listener *const *slc_snapshot_listeners(const slc_snapshot *snapshot, size_t *count);
slc_event_api *const *slc_snapshot_event_apis(const slc_snapshot *snapshot, size_t *count);
slc_vcluster *const *slc_snapshot_vclusters(const slc_snapshot *snapshot, size_t *count);
slc_issuer *const *slc_snapshot_issuers(const slc_snapshot *snapshot, size_t *count);

slc_key_ring_entity *const *slc_snapshot_key_rings(const slc_snapshot *snapshot, size_t *count);
/* By name; NULL when there is none. */
const slc_key_ring_entity *slc_snapshot_key_ring(const slc_snapshot *snapshot, const char *name);

/* By name; NULL when there is none. */
const slc_registry_entity *slc_snapshot_registry(const slc_snapshot *snapshot, const char *name);

/* By URL: O(1). `listener` restricts to APIs deployed on it (by id). Borrowed; NULL when there is none. */
slc_event_api *slc_snapshot_find_api(const slc_snapshot *snapshot, const char *listener_id, const char *name,
                                     size_t name_len, uint32_t major);
slc_event_api *slc_snapshot_event_api_by_id(const slc_snapshot *snapshot, const char *id);
slc_listener *slc_snapshot_listener_by_id(const slc_snapshot *snapshot, const char *id);
const slc_issuer *slc_snapshot_issuer(const slc_snapshot *snapshot, const char *id);
const slc_plan *slc_snapshot_plan(const slc_snapshot *snapshot, const char *id);

/* The policies of a plan or an application, by its id, compiled; NULL: there are none. Borrowed. */
const struct slc_chain *slc_snapshot_narrow(const slc_snapshot *snapshot, const char *id);
/* What holds for native clients of a virtual cluster: the policies of the group, of every listener, of the
 * virtual cluster and of event APIs. Borrowed; NULL when there is no such virtual cluster. */
struct slc_chain *slc_snapshot_native(const slc_snapshot *snapshot, const char *vcluster_id);

/* Identity: borrowed messages, live as long as the snapshot. `lookup` is as snapshot.proto says
 * ("secret:<credential id>"). O(1) whatever the number of applications. */
const Sluice__Snapshot__V1__Credential *slc_snapshot_credential(const slc_snapshot *snapshot,
                                                                const char *lookup, size_t lookup_len);
const Sluice__Snapshot__V1__Application *slc_snapshot_application(const slc_snapshot *snapshot, const char *id);
/* Every credential, in no order, until `fn` says no. Takes time with their number. */
void slc_snapshot_each_credential(const slc_snapshot *snapshot,
                                  bool (*fn)(void *arg, const Sluice__Snapshot__V1__Credential *credential),
                                  void *arg);

#endif
