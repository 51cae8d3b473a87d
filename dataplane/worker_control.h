/* What the gateway does with its workers. */
#ifndef SLC_DATAPLANE_WORKER_CONTROL_H
#define SLC_DATAPLANE_WORKER_CONTROL_H

#include "common/error.h"
#include "dataplane/http/access_log.h"
#include "dataplane/mediation/mediation.h"
#include "dataplane/worker.h"

#define SLC_WORKER_MAGIC 0x51c3049bu

/* Main thread. */
slc_worker *slc_worker_start(struct slc_gateway *gateway, unsigned index, slc_mediation *mediation,
                             slc_access_file *access_file, slc_error *err) SLC_CHECKED;
/* Ends what is still open; blocks until the thread has ended; frees. NULL is fine. */
void slc_worker_stop(slc_worker *worker);

/* Any thread but the worker's. Nobody gets in by this worker any more; blocks until it is so. */
void slc_worker_stop_accepting(slc_worker *worker);
/* Any thread but the worker's. */
void slc_worker_drain(slc_worker *worker);

typedef struct slc_worker_load {
    slc_worker *worker;
    unsigned connections;
    unsigned pending; /* publishes and streams */
    bool idle;
} slc_worker_load;
void slc_worker_measure(slc_worker *worker, slc_worker_load *load);

/* The worker's thread: runs on this snapshot from now on. */
void slc_worker_swap(slc_worker *worker, slc_snapshot *snapshot);

#endif
