/* What a single node may cost: how often it may open a stream, and how often its faults are logged. A node is
 * known by its certificate, so whoever misbehaves has itself to blame, and others do not notice. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"
#include "controlplane/grpc/stream_private.h"

#define BUCKETS      256
#define NODES_MAX    20000 /* remembered; the one that was quiet for longest goes first */
#define LOG_EVERY_MS 10000

struct known_node {
    char id[SLC_NODE_ID_CHARS];
    double streams; /* that it may open now */
    int64_t at_ms;
    int64_t logged_ms; /* 0: never */
    uint64_t unlogged;
    TAILQ_ENTRY(known_node) bucket;
    TAILQ_ENTRY(known_node) age;
};

TAILQ_HEAD(known_nodes, known_node);

struct slc_guard {
    struct known_nodes buckets[BUCKETS];
    struct known_nodes by_age; /* the quietest first */
    size_t count;
    slc_series *cuts[SLC_CUT_REASONS];
};

static const char *const cause_names[SLC_CUT_REASONS] = {
    [SLC_CUT_IDENTITY] = "identity", [SLC_CUT_REVOKED] = "revoked",     [SLC_CUT_REPLACED] = "replaced",
    [SLC_CUT_SILENT] = "silent",     [SLC_CUT_NO_ANSWER] = "no-answer", [SLC_CUT_PROTOCOL] = "protocol",
    [SLC_CUT_FLOOD] = "flood",       [SLC_CUT_BACKLOG] = "backlog",     [SLC_CUT_UNAVAILABLE] = "unavailable",
};

void slc_guard_init(slc_control_grpc *grpc)
{
    struct slc_guard *guard = slc_calloc(1, sizeof *guard);
    for (size_t i = 0; i < BUCKETS; i++)
        TAILQ_INIT(&guard->buckets[i]);
    TAILQ_INIT(&guard->by_age);
    for (size_t i = 0; i < SLC_CUT_REASONS; i++) {
        const char *labels[] = {cause_names[i]};
        guard->cuts[i] = slc_metrics_series("sluice_control_streams_cut_total", labels);
    }
    grpc->guard = guard;
}

static struct known_nodes *bucket_of(struct slc_guard *guard, const char *id)
{
    unsigned hash = 5381;
    for (; *id != '\0'; id++)
        hash = hash * 33 + (unsigned char)*id;
    return &guard->buckets[hash % BUCKETS];
}

static void forget(struct slc_guard *guard, struct known_node *node)
{
    TAILQ_REMOVE(bucket_of(guard, node->id), node, bucket);
    TAILQ_REMOVE(&guard->by_age, node, age);
    guard->count--;
    free(node);
}

void slc_guard_release(slc_control_grpc *grpc)
{
    struct slc_guard *guard = grpc->guard;
    if (guard == NULL)
        return;
    while (!TAILQ_EMPTY(&guard->by_age))
        forget(guard, TAILQ_FIRST(&guard->by_age));
    free(guard);
    grpc->guard = NULL;
}

static struct known_node *find_or_add(slc_control_grpc *grpc, const char *id)
{
    struct slc_guard *guard = grpc->guard;
    struct known_nodes *bucket = bucket_of(guard, id);
    struct known_node *node;
    TAILQ_FOREACH (node, bucket, bucket) {
        if (strcmp(node->id, id) == 0) {
            TAILQ_REMOVE(&guard->by_age, node, age);
            TAILQ_INSERT_TAIL(&guard->by_age, node, age);
            return node;
        }
    }
    if (guard->count == NODES_MAX)
        forget(guard, TAILQ_FIRST(&guard->by_age));
    node = slc_calloc(1, sizeof *node);
    snprintf(node->id, sizeof node->id, "%s", id);
    node->streams = (double)grpc->options.stream_burst;
    node->at_ms = slc_monotonic_ms();
    TAILQ_INSERT_HEAD(bucket, node, bucket);
    TAILQ_INSERT_TAIL(&guard->by_age, node, age);
    guard->count++;
    return node;
}

/* Each second gives one stream back. */
bool slc_guard_admit(slc_control_grpc *grpc, const char *node_id)
{
    struct known_node *node = find_or_add(grpc, node_id);
    int64_t now_ms = slc_monotonic_ms();
    double most = (double)grpc->options.stream_burst;
    node->streams += (double)(now_ms - node->at_ms) / 1000.0;
    node->at_ms = now_ms;
    if (node->streams > most)
        node->streams = most;
    if (node->streams < 1.0)
        return false;
    node->streams -= 1.0;
    return true;
}

void slc_guard_note_cut(slc_control_grpc *grpc, const char *node_id, const char *peer, enum slc_cut cause,
                        const char *why)
{
    struct known_node *node = find_or_add(grpc, node_id);
    int64_t now_ms = slc_monotonic_ms();
    slc_series_add(grpc->guard->cuts[cause], 1);
    if (node->logged_ms != 0 && now_ms - node->logged_ms < LOG_EVERY_MS) {
        node->unlogged++;
        return;
    }
    slc_log(SLC_LOG_WARN, "configuration stream cut", LS("node", node_id), LS("cause", cause_names[cause]),
            LS("reason", why), LS("peer", peer), LI("not_logged_before", (int64_t)node->unlogged));
    node->logged_ms = now_ms;
    node->unlogged = 0;
}
