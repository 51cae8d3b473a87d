/* Catch-up: readers that are behind the ring go through a consumer of their own, a scan, with a small window
 * that is a ring like any other. Readers of one event API on one worker that are near each other share one. The
 * number of scans of the process is bounded: who comes later waits for a place, in a queue that is bounded too.
 */
#ifndef SLC_DATAPLANE_MEDIATION_CATCHUP_H
#define SLC_DATAPLANE_MEDIATION_CATCHUP_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "common/loop.h"
#include "common/metrics.h"
#include "dataplane/broker/broker.h"
#include "dataplane/mediation/ring.h"

struct slc_api;
struct slc_reader;

enum slc_scan_state {
    SLC_SCAN_QUEUED, /* waits for a place */
    SLC_SCAN_RUNNING,
    SLC_SCAN_STOPPING, /* has no readers; the consumer ends */
};

typedef struct slc_scan {
    unsigned magic;
    struct slc_api *api;
    enum slc_scan_state state;
    slc_ring ring;
    slc_consumer *consumer;
    bool paused;
    atomic_size_t under_way_bytes; /* handed over by the consumer and not taken here */
    bool broken;                   /* a partition is out of range: nothing comes behind the window's end */
    bool gives_way;                /* its readers are being sent on, and nobody may come (back) */
    int32_t broken_partition;
    int64_t broken_from, earliest, latest;
    bool failing;
    slc_error err;
    TAILQ_HEAD(, slc_reader) readers;
    unsigned reader_count;
    int64_t granted_ms, used_ms, full_since_ms;
    slc_message grant;
    TAILQ_HEAD(slc_scan_tail, slc_reader) tail; /* those that wait at the window's end */
    TAILQ_ENTRY(slc_scan) entry;                /* api->scans */
    TAILQ_ENTRY(slc_scan) waiting;              /* the pool's queue */
    bool in_queue;                              /* the pool's lock */
} slc_scan;

/* Places, of the whole process. */
typedef struct slc_catchup_pool {
    pthread_mutex_t lock;
    unsigned places, taken, queue_limit;
    atomic_uint queued;
    slc_series *scans, *waiting, *fetched_bytes;
    TAILQ_HEAD(, slc_scan) queue;
} slc_catchup_pool;

void slc_catchup_pool_init(slc_catchup_pool *pool, unsigned places, unsigned queue_limit);
void slc_catchup_pool_release(slc_catchup_pool *pool);
/* Would a new scan be taken? Only a hint: other workers ask as well. */
bool slc_catchup_has_room(slc_catchup_pool *pool);

/* A scan that a reader at `own` may use: one that exists and is near, or a new one; NULL when too many wait for
 * a place. `own` has as many partitions as the API's ring. Worker's thread, as all that follow. */
slc_scan *slc_scan_for(struct slc_api *api, const slc_position *own);
/* A reader comes and goes. */
void slc_scan_enter(slc_scan *scan, struct slc_reader *reader);
void slc_scan_leave(slc_scan *scan, struct slc_reader *reader);
/* Some reader went on: make room, fetch more. */
void slc_scan_consumed(slc_scan *scan);
/* Time passes: parked scans end, and long ones give way. */
void slc_scans_tick(struct slc_api *api, int64_t now_ms);
/* Sends all readers on another way: the topic has other partitions now. */
void slc_scans_give_way(struct slc_api *api);
/* Ends all of an API's scans; its readers must have left. */
void slc_scans_stop(struct slc_api *api);

#endif
