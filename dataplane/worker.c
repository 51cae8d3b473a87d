/* Workers: start, swap, drain, stop. */
#include "dataplane/worker.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "dataplane/gateway_private.h"
#include "dataplane/http/front.h"
#include "dataplane/identity/tokens.h"
#include "dataplane/mediation/mediation.h"
#include "dataplane/observe/audit.h"
#include "dataplane/policy/shared_limits.h"
#include "dataplane/proxy/front.h"
#include "dataplane/worker_control.h"

struct start_arg {
    slc_worker *worker;
    slc_mediation *mediation;
    slc_access_file *access_file;
    slc_error *err;
    bool ok;
};

static void start_here(void *arg)
{
    struct start_arg *start = arg;
    slc_worker *worker = start->worker;
    const slc_shared_options *shared = slc_gateway_shared_limits(worker->gateway);
    start->ok = shared == NULL ||
                (worker->shared = slc_shared_new(slc_loop_base(worker->loop), shared, start->err)) != NULL;
    if (!start->ok)
        return;
    worker->tokens = slc_tokens_new(worker->gateway->issuers, worker->loop);
    worker->http = slc_http_front_new(worker, start->access_file);
    worker->mediation = slc_mediation_attach(start->mediation, worker);
    worker->kafka = slc_proxy_front_new(worker);
    worker->tracer = worker->gateway->tracer;
    worker->audit = slc_audit_log_new(worker->gateway->audit, worker);
}

slc_worker *slc_worker_start(struct slc_gateway *gateway, unsigned index, slc_mediation *mediation,
                             slc_access_file *access_file, slc_error *err)
{
    char name[16];
    slc_worker *worker = slc_calloc(1, sizeof *worker);
    slc_usage_init(&worker->usage, (size_t)gateway->settings->usage_series);
    struct start_arg start = {worker, mediation, access_file, err, false};
    worker->magic = SLC_WORKER_MAGIC;
    worker->index = index;
    worker->gateway = gateway;
    worker->limits = gateway->limits;
    worker->headcount = gateway->headcount;
    worker->failures = gateway->failures;
    snprintf(name, sizeof name, "worker-%u", index);
    worker->loop = slc_loop_new(name, worker);
    if (!slc_loop_start(worker->loop, err)) {
        slc_loop_free(worker->loop);
        free(worker);
        return NULL;
    }
    slc_loop_call_sync(worker->loop, start_here, &start);
    if (start.ok)
        return worker;
    slc_loop_stop(worker->loop);
    slc_loop_join(worker->loop);
    slc_loop_free(worker->loop);
    free(worker);
    return NULL;
}

/* Streams that outlived the drain end here, as if their clients had gone. */
static void stop_here(void *arg)
{
    slc_worker *worker = arg;
    slc_mediation_drain(worker->mediation);
    slc_proxy_front_free(worker->kafka);
    slc_http_front_close(worker->http);
    slc_mediation_detach(worker->mediation);
    worker->mediation = NULL;
    slc_http_front_free(worker->http);
    slc_audit_log_free(worker->audit);
    worker->audit = NULL;
    slc_tokens_free(worker->tokens);
    worker->tokens = NULL;
    slc_shared_free(worker->shared);
    worker->shared = NULL;
    slc_snapshot_unref(worker->snapshot);
    worker->snapshot = NULL;
    slc_usage_release(&worker->usage);
}

void slc_worker_stop(slc_worker *worker)
{
    if (worker == NULL)
        return;
    slc_loop_call_sync(worker->loop, stop_here, worker);
    slc_loop_stop(worker->loop);
    slc_loop_join(worker->loop);
    slc_loop_free(worker->loop);
    worker->magic = 0;
    free(worker);
}

static void stop_accepting_here(void *arg)
{
    slc_worker *worker = arg;
    slc_http_front_stop_accepting(worker->http);
    slc_proxy_front_stop_accepting(worker->kafka);
}

void slc_worker_stop_accepting(slc_worker *worker)
{
    slc_loop_call_sync(worker->loop, stop_accepting_here, worker);
}

static void drain_here(void *arg)
{
    slc_worker *worker = arg;
    slc_http_front_drain(worker->http);
    slc_mediation_drain(worker->mediation);
    slc_proxy_front_drain(worker->kafka);
}

void slc_worker_drain(slc_worker *worker)
{
    slc_loop_call(worker->loop, drain_here, worker);
}

static void load_here(void *arg)
{
    slc_worker_load *load = arg;
    slc_worker *worker = load->worker;
    load->connections = slc_http_front_connections(worker->http) + slc_proxy_front_connections(worker->kafka);
    load->pending = slc_mediation_pending(worker->mediation);
    load->idle = slc_http_front_idle(worker->http) && slc_proxy_front_idle(worker->kafka) && load->pending == 0;
}

void slc_worker_measure(slc_worker *worker, slc_worker_load *load)
{
    load->worker = worker;
    slc_loop_call_sync(worker->loop, load_here, load);
}

void slc_worker_swap(slc_worker *worker, slc_snapshot *snapshot)
{
    SLC_BUG_ON(!slc_loop_is_current(worker->loop));
    slc_snapshot *old = worker->snapshot;
    worker->snapshot = slc_snapshot_ref(snapshot);
    slc_http_front_apply(worker->http, snapshot);
    slc_mediation_apply(worker->mediation);
    slc_proxy_front_apply(worker->kafka, snapshot);
    slc_snapshot_unref(old);
}
