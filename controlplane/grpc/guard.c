/* What a single peer may cost: how often it may open a stream or fail to enrol, and how often its faults are
 * logged. A node is known by its certificate, so whoever misbehaves has itself to blame, and others do not
 * notice. Who wants to enrol is known by its address alone. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"
#include "controlplane/grpc/stream_private.h"

#define BUCKETS      256
#define PEERS_MAX    20000 /* remembered; the one that was quiet for longest goes first */
#define LOG_EVERY_MS 10000

struct known_peer {
    char id[SLC_PEER_CHARS];
    double credit; /* what it may do now */
    int64_t at_ms;
    int64_t logged_ms; /* 0: never */
    int64_t unlogged;
    TAILQ_ENTRY(known_peer) bucket;
    TAILQ_ENTRY(known_peer) age;
};

TAILQ_HEAD(known_peers, known_peer);

struct slc_guard {
    struct known_peers buckets[BUCKETS];
    struct known_peers by_age; /* the quietest first */
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

static struct known_peers *bucket_of(struct slc_guard *guard, const char *id)
{
    unsigned hash = 5381;
    for (; *id != '\0'; id++)
        hash = hash * 33 + (unsigned char)*id;
    return &guard->buckets[hash % BUCKETS];
}

static void forget(struct slc_guard *guard, struct known_peer *peer)
{
    TAILQ_REMOVE(bucket_of(guard, peer->id), peer, bucket);
    TAILQ_REMOVE(&guard->by_age, peer, age);
    guard->count--;
    free(peer);
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

static struct known_peer *find_or_add(slc_control_grpc *grpc, const char *id, int64_t burst)
{
    struct slc_guard *guard = grpc->guard;
    struct known_peers *bucket = bucket_of(guard, id);
    struct known_peer *peer;
    TAILQ_FOREACH (peer, bucket, bucket) {
        if (strcmp(peer->id, id) == 0) {
            TAILQ_REMOVE(&guard->by_age, peer, age);
            TAILQ_INSERT_TAIL(&guard->by_age, peer, age);
            return peer;
        }
    }
    if (guard->count == PEERS_MAX)
        forget(guard, TAILQ_FIRST(&guard->by_age));
    peer = slc_calloc(1, sizeof *peer);
    snprintf(peer->id, sizeof peer->id, "%s", id);
    peer->credit = (double)burst;
    peer->at_ms = slc_monotonic_ms();
    TAILQ_INSERT_HEAD(bucket, peer, bucket);
    TAILQ_INSERT_TAIL(&guard->by_age, peer, age);
    guard->count++;
    return peer;
}

bool slc_guard_may(slc_control_grpc *grpc, const char *id, int64_t burst, bool charge)
{
    struct known_peer *peer = find_or_add(grpc, id, burst);
    int64_t now_ms = slc_monotonic_ms();
    peer->credit += (double)(now_ms - peer->at_ms) / 1000.0;
    peer->at_ms = now_ms;
    if (peer->credit > (double)burst)
        peer->credit = (double)burst;
    if (peer->credit < 1.0)
        return false;
    if (charge)
        peer->credit -= 1.0;
    return true;
}

bool slc_guard_log(slc_control_grpc *grpc, const char *id, int64_t *unlogged)
{
    struct known_peer *peer = find_or_add(grpc, id, 1);
    int64_t now_ms = slc_monotonic_ms();
    if (peer->logged_ms != 0 && now_ms - peer->logged_ms < LOG_EVERY_MS) {
        peer->unlogged++;
        return false;
    }
    *unlogged = peer->unlogged;
    peer->logged_ms = now_ms;
    peer->unlogged = 0;
    return true;
}

void slc_guard_note_cut(slc_control_grpc *grpc, const char *node_id, const char *peer, enum slc_cut cause,
                        const char *why)
{
    int64_t unlogged = 0;
    slc_series_add(grpc->guard->cuts[cause], 1);
    if (slc_guard_log(grpc, node_id, &unlogged))
        slc_log(SLC_LOG_WARN, "configuration stream cut", LS("node", node_id), LS("cause", cause_names[cause]),
                LS("reason", why), LS("peer", peer), LI("not_logged_before", unlogged));
}
