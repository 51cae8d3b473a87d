/* Gateway nodes: who they are (catalog.db), and what they report (usage.db). */
#ifndef SLC_CATALOG_NODES_H
#define SLC_CATALOG_NODES_H

#include "catalog/catalog.h"

/* ---- inside slc_catalog_write ---- */
/* A new random id for a node that is about to be registered (its certificate has it). `id` holds 17. */
void slc_node_new_id(char *id);

typedef struct slc_node_certificate {
    const char *serial;    /* hexadecimal */
    const char *authority; /* of the node CA: who signed it */
    int64_t expires_at_ms;
} slc_node_certificate;

/* Writes the row of a node that has enrolled. `name` may be NULL. `pod_uid`: what Kubernetes calls its pod,
 * which makes the node an ephemeral one and is the label "pod-uid"; NULL: it has no pod. */
bool slc_node_register(slc_txn *txn, const char *id, const char *group_id, const char *name,
                       const char *pod_uid, const slc_node_certificate *certificate,
                       slc_error *err) SLC_CHECKED;
/* After a renewal. SLC_DENIED when the node was revoked meanwhile, SLC_NOT_FOUND when it is gone. */
bool slc_node_renewed(slc_txn *txn, const char *id, const slc_node_certificate *certificate,
                      slc_error *err) SLC_CHECKED;
/* Deletes ephemeral nodes that were not heard of for `gone_after_ms`; `ids` (an array) gets theirs. What they
 * reported is still to be forgotten: slc_usage_node_forget. */
bool slc_nodes_forget(slc_txn *txn, int64_t gone_after_ms, json_t *ids, slc_error *err) SLC_CHECKED;

/* ---- inside any transaction of the catalog ---- */
typedef struct slc_node_info {
    char group_id[17];
    char group_name[64];
    bool ephemeral;
    bool revoked;
    bool outdated; /* its certificate is of an authority that was retired: it must enrol again */
} slc_node_info;

/* SLC_DENIED when a node of this pod was revoked, also when that node was deleted since. */
bool slc_pod_may_enrol(slc_txn *txn, const char *pod_uid, slc_error *err) SLC_CHECKED;
/* SLC_NOT_FOUND when there is no such node. */
bool slc_node_find(slc_txn *txn, const char *id, slc_node_info *info, slc_error *err) SLC_CHECKED;
/* How many nodes there are in each state that GET /v1/gateway-nodes shows. */
enum slc_node_state { SLC_NODE_CONNECTED, SLC_NODE_LOST, SLC_NODE_REVOKED, SLC_NODE_NEVER, SLC_NODE_STATES };
extern const char *const slc_node_state_names[SLC_NODE_STATES];
bool slc_nodes_count(slc_txn *txn, int64_t counts[SLC_NODE_STATES], slc_error *err) SLC_CHECKED;
/* Ids of revoked nodes: new array. */
json_t *slc_nodes_revoked(slc_txn *txn, slc_error *err) SLC_CHECKED;

/* ---- inside slc_catalog_usage ---- */
typedef struct slc_node_report {
    const char *node_id;
    const char *build;   /* NULL: keep what is known */
    const char *boot_id; /* likewise */
    bool connected;
    bool draining;
    int64_t connections;
    int64_t applied_version; /* -1: keep what is known */
    const char *problem;     /* what is wrong though it serves; NULL or "": nothing */
} slc_node_report;

/* The node was heard of just now (or, with connected false, its stream has ended). A version at or above the
 * one that it last refused clears the refusal. */
bool slc_usage_node_seen(slc_txn *txn, const slc_node_report *report, slc_error *err) SLC_CHECKED;
bool slc_usage_node_nack(slc_txn *txn, const char *node_id, int64_t version, const char *entity,
                         const char *message, slc_error *err) SLC_CHECKED;
/* After a start: no stream is open yet. */
bool slc_usage_all_disconnected(slc_txn *txn, slc_error *err) SLC_CHECKED;
bool slc_usage_node_forget(slc_txn *txn, const char *node_id, slc_error *err) SLC_CHECKED;

#endif
