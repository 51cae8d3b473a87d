/* A new snapshot from the config thread to every worker.
 *
 * Everything that can fail happens here first: sockets are bound (one for each worker) and certificates loaded.
 * Then each worker gets one message, opens what is new, swaps, and the last one reports. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/httpd.h"
#include "common/log.h"
#include "dataplane/certificates.h"
#include "dataplane/config/secret.h"
#include "dataplane/gateway_private.h"
#include "dataplane/http/front.h"
#include "dataplane/identity/issuers.h"
#include "dataplane/inventory.h"
#include "dataplane/observe/metrics.h"
#include "dataplane/proxy/front.h"

/* A listener of the new snapshot: kept on its socket, or to be opened. */
struct planned {
    slc_listener *listener; /* own reference */
    slc_tls *tls;           /* what its connections will use */
    slc_tls *fresh;         /* kept socket whose certificate changed: to be adopted by tls */
    int *fds;               /* for each worker, one for each port; NULL when the sockets are kept */
    size_t ports;
};

/* Shared by the workers; the last frees it. */
struct slc_apply_plan {
    atomic_uint waiting;
    /* That a worker was at it, by the clock and of CPU time: for so long its connections waited. */
    atomic_int_least64_t longest_us, longest_cpu_us;
    struct slc_gateway *gateway;
    slc_snapshot *snapshot;
    size_t count;
    struct planned *listeners;
};

struct swap_message {
    slc_message message;
    struct slc_apply_plan *plan;
};

static bool plan_listener(struct slc_gateway *gateway, struct planned *planned, slc_listener *listener,
                          slc_error *err);
static void run_swap(slc_message *message, void *owner);

static void release_planned(struct planned *planned, unsigned worker_count)
{
    for (size_t i = 0; planned->fds != NULL && i < worker_count * planned->ports; i++)
        if (planned->fds[i] >= 0)
            close(planned->fds[i]);
    free(planned->fds);
    slc_tls_unref(planned->tls);
    slc_tls_unref(planned->fresh);
    slc_listener_unref(planned->listener);
}

static void free_plan(struct slc_apply_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        release_planned(&plan->listeners[i], plan->gateway->worker_count);
    free(plan->listeners);
    slc_snapshot_unref(plan->snapshot);
    free(plan);
}

/* From here on nothing can fail. */
static void commit(struct slc_gateway *gateway, struct slc_apply_plan *plan)
{
    struct slc_open_listener *open = slc_calloc(plan->count + 1, sizeof *open);
    for (size_t i = 0; i < plan->count; i++) {
        struct planned *planned = &plan->listeners[i];
        if (planned->fresh != NULL)
            slc_tls_adopt(planned->tls, planned->fresh);
        open[i].listener = slc_listener_ref(planned->listener);
        open[i].tls = planned->tls != NULL ? slc_tls_ref(planned->tls) : NULL;
    }
    for (size_t i = 0; i < gateway->open_count; i++)
        if (gateway->open[i].tls != NULL)
            slc_metrics_listener_certificate(gateway->open[i].listener->msg->name, 0);
    for (size_t i = 0; i < plan->count; i++)
        if (open[i].tls != NULL)
            slc_metrics_listener_certificate(open[i].listener->msg->name, slc_tls_expiry_ms(open[i].tls));
    slc_gateway_release_listeners(gateway);
    gateway->pending_plan = plan;
    gateway->open = open;
    gateway->open_count = plan->count;
    slc_issuers_apply(gateway->issuers, plan->snapshot);
    atomic_store(&plan->waiting, gateway->worker_count);
    for (unsigned i = 0; i < gateway->worker_count; i++) {
        struct swap_message *swap = slc_calloc(1, sizeof *swap);
        swap->message.run = run_swap;
        swap->plan = plan;
        slc_mailbox_post(slc_loop_mailbox(gateway->workers[i]->loop), &swap->message);
    }
}

bool slc_gateway_apply(void *arg, slc_snapshot *snapshot, slc_error *err)
{
    struct slc_gateway *gateway = arg;
    size_t count = 0;
    SLC_CHECK_MAGIC(gateway, SLC_GATEWAY_MAGIC);
    slc_listener *const *listeners = slc_snapshot_listeners(snapshot, &count);
    struct slc_apply_plan *plan = slc_calloc(1, sizeof *plan);
    plan->gateway = gateway;
    plan->snapshot = slc_snapshot_ref(snapshot);
    plan->listeners = slc_calloc(count + 1, sizeof *plan->listeners);
    for (size_t i = 0; i < count; i++) {
        plan->count = i + 1;
        if (!plan_listener(gateway, &plan->listeners[i], listeners[i], err)) {
            free_plan(plan);
            return false;
        }
    }
    if (gateway->inventory != NULL)
        slc_inventory_apply(gateway->inventory, snapshot);
    commit(gateway, plan);
    return true;
}

static bool fail_listener(slc_error *err, const slc_listener *listener)
{
    snprintf(err->field, sizeof err->field, "listener/%s", listener->msg->name);
    return false;
}

static bool is_http(const slc_listener *listener)
{
    return strcmp(listener->msg->protocol, "http") == 0;
}

slc_tls *slc_gateway_load_tls(const slc_listener *listener, slc_error *err)
{
    const Sluice__Snapshot__V1__Listener *msg = listener->msg;
    size_t len = 0;
    char *key = slc_secret_resolve(msg->key, &len, err);
    if (key == NULL)
        return NULL;
    bool by_file = msg->certificate_file[0] != '\0';
    slc_tls_options options = {.cert_pem = by_file ? NULL : msg->certificate_pem,
                               .cert_file = by_file ? msg->certificate_file : NULL,
                               .key_pem = key,
                               .client_ca_pem = msg->client_ca_pem[0] != '\0' ? msg->client_ca_pem : NULL,
                               .client_cert_required = strcmp(msg->client_auth, "require") == 0,
                               .min_version = msg->min_tls_version[0] != '\0' ? msg->min_tls_version : "1.2",
                               .alpn = is_http(listener) ? "http/1.1" : NULL};
    slc_tls *tls = slc_tls_server_new(&options, err);
    slc_free_secret(key, len);
    return tls;
}

static bool bind_all(struct planned *planned, unsigned worker_count, slc_error *err)
{
    bool ok = true;
    slc_proxy_port *ports = slc_proxy_ports(planned->listener, &planned->ports);
    planned->fds = slc_calloc(worker_count * planned->ports, sizeof *planned->fds);
    memset(planned->fds, 0xff, worker_count * planned->ports * sizeof *planned->fds);
    for (size_t i = 0; ok && i < worker_count * planned->ports; i++) {
        planned->fds[i] = slc_listen(ports[i % planned->ports].address, true, err);
        ok = planned->fds[i] >= 0;
    }
    free(ports);
    return ok;
}

static struct slc_open_listener *find_open(struct slc_gateway *gateway, const slc_listener *listener)
{
    for (size_t i = 0; i < gateway->open_count; i++)
        if (slc_listener_same_socket(gateway->open[i].listener, listener))
            return &gateway->open[i];
    return NULL;
}

static bool plan_listener(struct slc_gateway *gateway, struct planned *planned, slc_listener *listener,
                          slc_error *err)
{
    struct slc_open_listener *open = find_open(gateway, listener);
    bool changed = open == NULL || !slc_listener_same_tls(open->listener->msg, listener->msg);
    slc_tls *tls = NULL;
    planned->listener = slc_listener_ref(listener);
    if (listener->msg->tls && changed && (tls = slc_gateway_load_tls(listener, err)) == NULL)
        return fail_listener(err, listener);
    if (open != NULL) {
        planned->tls = open->tls != NULL ? slc_tls_ref(open->tls) : NULL;
        planned->fresh = tls;
        return true;
    }
    planned->tls = tls;
    return bind_all(planned, gateway->worker_count, err) || fail_listener(err, listener);
}

void slc_gateway_release_listeners(struct slc_gateway *gateway)
{
    for (size_t i = 0; i < gateway->open_count; i++) {
        slc_listener_unref(gateway->open[i].listener);
        slc_tls_unref(gateway->open[i].tls);
    }
    free(gateway->open);
    gateway->open = NULL;
    gateway->open_count = 0;
}

void slc_gateway_drop_plan(struct slc_gateway *gateway)
{
    if (gateway->pending_plan != NULL)
        free_plan(gateway->pending_plan);
    gateway->pending_plan = NULL;
}

static void watch_certificates(const struct slc_apply_plan *plan)
{
    struct slc_gateway *gateway = plan->gateway;
    slc_certificates_begin(gateway->certificates);
    for (size_t i = 0; i < plan->count; i++)
        if (plan->listeners[i].tls != NULL)
            slc_certificates_follow(gateway->certificates, plan->listeners[i].listener, plan->listeners[i].tls);
    slc_certificates_end(gateway->certificates);
}

/* Main thread: the client exists by now, which it may not when the first snapshot is swapped. */
static void report_applied(void *arg)
{
    struct slc_apply_plan *plan = arg;
    struct slc_gateway *gateway = plan->gateway;
    uint64_t version = slc_snapshot_version(plan->snapshot);
    atomic_store(&gateway->applied, true);
    gateway->pending_plan = NULL;
    watch_certificates(plan);
    slc_log(SLC_LOG_INFO, "configuration applied", LI("version", (int64_t)version),
            LI("longest_swap_us", atomic_load(&plan->longest_us)),
            LI("longest_swap_cpu_us", atomic_load(&plan->longest_cpu_us)));
    if (gateway->client != NULL)
        slc_config_client_applied(gateway->client, version);
    free_plan(plan);
}

static void note_longest(atomic_int_least64_t *longest_us, int64_t took_us)
{
    int64_t longest = atomic_load(longest_us);
    while (took_us > longest && !atomic_compare_exchange_weak(longest_us, &longest, took_us))
        ;
}

static int64_t thread_cpu_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * (int64_t)1000000 + now.tv_nsec / 1000;
}

static void open_listeners(const struct slc_apply_plan *plan, slc_worker *worker)
{
    for (size_t i = 0; i < plan->count; i++) {
        struct planned *planned = &plan->listeners[i];
        if (planned->fds == NULL)
            continue;
        int *fds = planned->fds + worker->index * planned->ports;
        if (is_http(planned->listener))
            slc_http_front_open(worker->http, planned->listener, fds[0], planned->tls);
        else
            slc_proxy_front_open(worker->kafka, planned->listener, fds, planned->tls);
        memset(fds, 0xff, planned->ports * sizeof *fds);
    }
}

static void run_swap(slc_message *message, void *owner)
{
    struct swap_message *swap = (struct swap_message *)message;
    struct slc_apply_plan *plan = swap->plan;
    slc_worker *worker = owner;
    SLC_CHECK_MAGIC(worker, SLC_WORKER_MAGIC);
    int64_t begun_us = slc_monotonic_us(), begun_cpu_us = thread_cpu_us();
    open_listeners(plan, worker);
    slc_worker_swap(worker, plan->snapshot);
    free(swap);
    note_longest(&plan->longest_us, slc_monotonic_us() - begun_us);
    note_longest(&plan->longest_cpu_us, thread_cpu_us() - begun_cpu_us);
    if (atomic_fetch_sub(&plan->waiting, 1) == 1)
        slc_loop_call(plan->gateway->loop, report_applied, plan);
}
