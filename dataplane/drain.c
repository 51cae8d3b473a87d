/* Ending well: not ready any more, nothing new accepted, what is open finished, then stop. */
#include <event2/event.h>

#include "common/clock.h"
#include "common/log.h"
#include "dataplane/gateway_private.h"

unsigned slc_gateway_connections(struct slc_gateway *gateway)
{
    unsigned connections = 0;
    for (unsigned i = 0; i < gateway->worker_count; i++) {
        slc_worker_load load = {0};
        slc_worker_measure(gateway->workers[i], &load);
        connections += load.connections;
    }
    return connections;
}

static bool all_idle(struct slc_gateway *gateway)
{
    for (unsigned i = 0; i < gateway->worker_count; i++) {
        slc_worker_load load = {0};
        slc_worker_measure(gateway->workers[i], &load);
        if (!load.idle || load.connections > 0)
            return false;
    }
    return true;
}

static void on_drain_timer(evutil_socket_t fd, short what, void *arg)
{
    struct slc_gateway *gateway = arg;
    (void)fd, (void)what;
    bool late = slc_monotonic_ms() >= gateway->drain_until_ms;
    if (!late && !all_idle(gateway))
        return;
    if (late)
        slc_log(SLC_LOG_WARN, "drain deadline passed; closing what is open",
                LI("connections", slc_gateway_connections(gateway)));
    event_del(gateway->drain_timer);
    slc_loop_stop(gateway->loop);
}

void slc_gateway_begin_drain(struct slc_gateway *gateway)
{
    struct timeval interval = {.tv_usec = 20000};
    atomic_store(&gateway->draining, true);
    gateway->drain_until_ms = slc_monotonic_ms() + gateway->settings->limits.drain_ms;
    /* Whose stream one worker ends comes again at once, and must not be let in by another that is about to end
     * it as well. */
    for (unsigned i = 0; i < gateway->worker_count; i++)
        slc_worker_stop_accepting(gateway->workers[i]);
    for (unsigned i = 0; i < gateway->worker_count; i++)
        slc_worker_drain(gateway->workers[i]);
    gateway->drain_timer = event_new(slc_loop_base(gateway->loop), -1, EV_PERSIST, on_drain_timer, gateway);
    event_add(gateway->drain_timer, &interval);
}

static void asked(void *arg)
{
    struct slc_gateway *gateway = arg;
    if (atomic_load(&gateway->draining))
        return;
    slc_log(SLC_LOG_INFO, "stopping: the control plane asks to drain");
    slc_gateway_begin_drain(gateway);
}

void slc_gateway_asked_to_drain(void *arg)
{
    struct slc_gateway *gateway = arg;
    slc_loop_call(gateway->loop, asked, gateway);
}
