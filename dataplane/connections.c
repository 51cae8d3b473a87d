/* Each worker lists its own newest connections when its turn comes; the last sends all of it to the main
 * thread, which merges. Nobody waits for anybody. */
#include "dataplane/connections.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "dataplane/gateway_private.h"
#include "dataplane/http/front.h"
#include "dataplane/proxy/front.h"

struct gather {
    slc_message msg; /* to the main thread */
    struct slc_gateway *gateway;
    char id[SLC_CONFIG_QUESTION_CHARS + 1];
    size_t limit;
    atomic_uint waiting; /* workers */
    unsigned part_count;
    slc_connection_list parts[]; /* of each worker two: HTTP, and native Kafka */
};

struct turn {
    slc_message msg;
    struct gather *gather;
};

void slc_connection_list_release(slc_connection_list *list)
{
    free(list->items);
    *list = (slc_connection_list){0};
}

static void free_gather(struct gather *gather)
{
    for (unsigned i = 0; i < gather->part_count; i++)
        slc_connection_list_release(&gather->parts[i]);
    free(gather);
}

static void drop_gather(slc_message *msg)
{
    free_gather((struct gather *)msg);
}

static int newest_first(const void *a, const void *b)
{
    const slc_open_connection *left = a, *right = b;
    return (left->opened_ms < right->opened_ms) - (left->opened_ms > right->opened_ms);
}

/* On the main thread, where it is certain whether there still is a config client. */
static void merge(slc_message *msg, void *owner)
{
    struct gather *gather = (struct gather *)msg;
    struct slc_gateway *gateway = owner;
    slc_connection_list all = {0};
    size_t capacity = 0;
    for (unsigned i = 0; i < gather->part_count; i++)
        capacity += gather->parts[i].count;
    all.items = slc_calloc(capacity + 1, sizeof *all.items);
    for (unsigned i = 0; i < gather->part_count; i++) {
        const slc_connection_list *part = &gather->parts[i];
        if (part->count > 0)
            memcpy(all.items + all.count, part->items, part->count * sizeof *part->items);
        all.count += part->count;
        all.total += part->total;
    }
    qsort(all.items, all.count, sizeof *all.items, newest_first);
    if (all.count > gather->limit)
        all.count = gather->limit;
    if (gateway->client != NULL)
        slc_config_client_listed(gateway->client, gather->id, &all);
    else
        slc_connection_list_release(&all);
    free_gather(gather);
}

static void turn_over(struct turn *turn)
{
    struct gather *gather = turn->gather;
    free(turn);
    if (atomic_fetch_sub(&gather->waiting, 1) == 1)
        slc_mailbox_post(slc_loop_mailbox(gather->gateway->loop), &gather->msg);
}

static void take_turn(slc_message *msg, void *owner)
{
    struct turn *turn = (struct turn *)msg;
    slc_worker *worker = owner;
    SLC_CHECK_MAGIC(worker, SLC_WORKER_MAGIC);
    slc_connection_list *parts = &turn->gather->parts[(size_t)2 * worker->index];
    slc_http_front_list(worker->http, turn->gather->limit, &parts[0]);
    slc_proxy_front_list(worker->kafka, turn->gather->limit, &parts[1]);
    turn_over(turn);
}

/* A worker that has stopped lists nothing. */
static void drop_turn(slc_message *msg)
{
    turn_over((struct turn *)msg);
}

void slc_gateway_connections_list(void *arg, const char *id, size_t limit)
{
    struct slc_gateway *gateway = arg;
    SLC_CHECK_MAGIC(gateway, SLC_GATEWAY_MAGIC);
    unsigned part_count = 2 * gateway->worker_count;
    struct gather *gather = slc_calloc(1, sizeof *gather + part_count * sizeof(slc_connection_list));
    gather->msg.run = merge;
    gather->msg.drop = drop_gather;
    gather->gateway = gateway;
    gather->limit = limit;
    gather->part_count = part_count;
    snprintf(gather->id, sizeof gather->id, "%s", id);
    atomic_store(&gather->waiting, gateway->worker_count);
    for (unsigned i = 0; i < gateway->worker_count; i++) {
        struct turn *turn = slc_calloc(1, sizeof *turn);
        turn->msg.run = take_turn;
        turn->msg.drop = drop_turn;
        turn->gather = gather;
        slc_mailbox_post(slc_loop_mailbox(gateway->workers[i]->loop), &turn->msg);
    }
}
