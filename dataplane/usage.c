/* Collecting what the workers have counted. Each hands its table over when its turn comes; the last sends all
 * of them to the main thread, which gives them to the config client. Nobody waits for anybody. */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/log.h"
#include "dataplane/gateway_private.h"
#include "dataplane/http/front.h"
#include "dataplane/observe/usage.h"
#include "dataplane/proxy/front.h"

#define TICK_MS 1000

struct collection {
    slc_message msg; /* to the main thread */
    struct slc_gateway *gateway;
    uint32_t hour;       /* when it began */
    atomic_uint waiting; /* workers */
    unsigned count;
    slc_usage_table tables[];
};

struct turn {
    slc_message msg;
    struct collection *collection;
};

/* On the worker's thread: what has not come to an end counts as far as it has got. */
static void take_table(slc_worker *worker, slc_usage_table *table)
{
    slc_http_front_count_usage(worker->http);
    *table = worker->usage;
    slc_usage_init(&worker->usage, table->max);
}

static void drop_collection(slc_message *msg)
{
    struct collection *collection = (struct collection *)msg;
    for (unsigned i = 0; i < collection->count; i++)
        slc_usage_release(&collection->tables[i]);
    free(collection);
}

/* On the main thread, where it is certain whether there still is a config client. */
static void hand_over(slc_message *msg, void *owner)
{
    struct collection *collection = (struct collection *)msg;
    struct slc_gateway *gateway = owner;
    gateway->collecting = false;
    if (gateway->client != NULL)
        slc_config_client_usage(gateway->client, collection->tables, collection->count, collection->hour);
    drop_collection(msg);
}

static void turn_over(struct turn *turn)
{
    struct collection *collection = turn->collection;
    free(turn);
    if (atomic_fetch_sub(&collection->waiting, 1) == 1)
        slc_mailbox_post(slc_loop_mailbox(collection->gateway->loop), &collection->msg);
}

static void take_turn(slc_message *msg, void *owner)
{
    struct turn *turn = (struct turn *)msg;
    slc_worker *worker = owner;
    SLC_CHECK_MAGIC(worker, SLC_WORKER_MAGIC);
    take_table(worker, &turn->collection->tables[worker->index]);
    turn_over(turn);
}

static void drop_turn(slc_message *msg)
{
    turn_over((struct turn *)msg);
}

static struct collection *new_collection(struct slc_gateway *gateway)
{
    struct collection *collection =
        slc_calloc(1, sizeof *collection + gateway->worker_count * sizeof(slc_usage_table));
    collection->msg.run = hand_over;
    collection->msg.drop = drop_collection;
    collection->gateway = gateway;
    collection->count = gateway->worker_count;
    slc_usage_set_hour(slc_wall_ms());
    collection->hour = slc_usage_hour();
    return collection;
}

static void collect(struct slc_gateway *gateway)
{
    if (gateway->collecting || gateway->worker_count == 0)
        return;
    struct collection *collection = new_collection(gateway);
    gateway->collecting = true;
    atomic_store(&collection->waiting, gateway->worker_count);
    for (unsigned i = 0; i < gateway->worker_count; i++) {
        struct turn *turn = slc_calloc(1, sizeof *turn);
        turn->msg.run = take_turn;
        turn->msg.drop = drop_turn;
        turn->collection = collection;
        slc_mailbox_post(slc_loop_mailbox(gateway->workers[i]->loop), &turn->msg);
    }
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct slc_gateway *gateway = arg;
    int64_t now_ms = slc_monotonic_ms();
    (void)fd, (void)what;
    SLC_CHECK_MAGIC(gateway, SLC_GATEWAY_MAGIC);
    slc_usage_set_hour(slc_wall_ms());
    if (now_ms < gateway->collect_at_ms)
        return;
    gateway->collect_at_ms = now_ms + slc_jitter_ms(gateway->settings->usage_interval_ms, 10);
    collect(gateway);
}

void slc_gateway_usage_start(struct slc_gateway *gateway)
{
    int64_t tick_ms =
        gateway->settings->usage_interval_ms < TICK_MS ? gateway->settings->usage_interval_ms : TICK_MS;
    const struct timeval tick = {.tv_sec = tick_ms / 1000, .tv_usec = tick_ms % 1000 * 1000};
    slc_usage_set_hour(slc_wall_ms());
    gateway->usage_tick = event_new(slc_loop_base(gateway->loop), -1, EV_PERSIST, on_tick, gateway);
    SLC_BUG_ON(gateway->usage_tick == NULL);
    event_add(gateway->usage_tick, &tick);
}

struct last {
    slc_worker *worker;
    slc_usage_table *table;
};

static void take_last(void *arg)
{
    const struct last *last = arg;
    take_table(last->worker, last->table);
}

void slc_gateway_usage_stop(struct slc_gateway *gateway)
{
    if (gateway->usage_tick == NULL)
        return;
    event_free(gateway->usage_tick);
    gateway->usage_tick = NULL;
    if (gateway->client == NULL)
        return;
    struct collection *collection = new_collection(gateway);
    for (unsigned i = 0; i < gateway->worker_count; i++) {
        struct last last = {gateway->workers[i], &collection->tables[i]};
        slc_loop_call_sync(gateway->workers[i]->loop, take_last, &last);
    }
    slc_config_client_usage(gateway->client, collection->tables, collection->count, collection->hour);
    drop_collection(&collection->msg);
    if (!slc_config_client_flush_usage(gateway->client, gateway->settings->usage_flush_ms))
        slc_log(SLC_LOG_WARN,
                "the control plane has not taken all that this gateway counted; the rest is lost");
}
