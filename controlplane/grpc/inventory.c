/* Whose turn it is to take inventory, and what was found. Of each group the connected gateway with the lowest
 * id takes it, so that no backend is asked by all of them. */
#include <stdlib.h>
#include <string.h>

#include "catalog/inventory.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/utf8.h"
#include "controlplane/grpc/stream_private.h"

#define TOPICS_MAX 500
#define GROUPS_MAX 100
#define LAGS_MAX   50
#define NAME_CHARS 300
#define WAITING_MAX                                                                                            \
    100 /* parts that wait to be stored, of all nodes; more are dropped, and come with the next run */

struct found {
    slc_control_grpc *grpc;
    char node_id[SLC_NODE_ID_CHARS];
    Sluice__Config__V1__Inventory *message; /* own */
};

/* ---- whose turn ---- */

static void tell(slc_config_stream *stream, bool take)
{
    const slc_inventory_options *options = &stream->grpc->options.inventory;
    Sluice__Config__V1__ToNode message = SLUICE__CONFIG__V1__TO_NODE__INIT;
    Sluice__Config__V1__InventoryTurn turn = SLUICE__CONFIG__V1__INVENTORY_TURN__INIT;
    turn.take = take;
    turn.interval_ms = (uint32_t)options->interval_ms;
    turn.delay_ms = (uint32_t)options->delay_ms;
    turn.timeout_ms = (uint32_t)options->timeout_ms;
    turn.groups = (uint32_t)options->groups;
    message.message_case = SLUICE__CONFIG__V1__TO_NODE__MESSAGE_INVENTORY_TURN;
    message.inventory_turn = &turn;
    stream->takes_inventory = take;
    slc_rpc_bytes *bytes = slc_pack_bytes(&message.base);
    slc_config_stream_send(stream, bytes);
    slc_rpc_bytes_unref(bytes);
}

static bool may_take(const slc_config_stream *stream, const slc_group *group)
{
    return stream->group == group && stream->call != NULL && !stream->cut && !stream->draining &&
           stream->said_hello;
}

void slc_inventory_choose(slc_control_grpc *grpc, const slc_group *group)
{
    slc_config_stream *stream, *chosen = NULL, *next;
    if (grpc->options.inventory.interval_ms == 0)
        return;
    TAILQ_FOREACH (stream, &grpc->streams, entry) {
        if (may_take(stream, group) && (chosen == NULL || strcmp(stream->node_id, chosen->node_id) < 0))
            chosen = stream;
    }
    for (stream = TAILQ_FIRST(&grpc->streams); stream != NULL; stream = next) {
        next = TAILQ_NEXT(stream, entry);
        if (may_take(stream, group) && stream->takes_inventory != (stream == chosen))
            tell(stream, stream == chosen);
    }
}

/* ---- what was found ---- */

static bool store_groups(slc_txn *txn, const Sluice__Config__V1__Inventory *message, slc_error *err)
{
    bool ok = true;
    for (size_t i = 0; ok && i < message->n_groups; i++) {
        const Sluice__Config__V1__InventoryGroup *group = message->groups[i];
        json_t *topics = json_array();
        for (size_t k = 0; k < group->n_topics; k++)
            json_array_append_new(topics, json_pack("{s:s, s:I}", "topic", group->topics[k]->topic, "lag",
                                                    (json_int_t)group->topics[k]->lag));
        const slc_found_group found = {.id = group->id,
                                       .state = group->state,
                                       .members = group->members,
                                       .lag = group->lag,
                                       .topics = topics};
        ok = slc_inventory_group(txn, message->backend_id, message->run, &found, err);
        json_decref(topics);
    }
    return ok;
}

static bool store(slc_txn *txn, void *arg, slc_error *err)
{
    const struct found *found = arg;
    const Sluice__Config__V1__Inventory *message = found->message;
    if (message->error[0] != '\0')
        return slc_inventory_failed(txn, message->backend_id, found->node_id, message->error, err);
    for (size_t i = 0; i < message->n_topics; i++) {
        const Sluice__Config__V1__InventoryTopic *topic = message->topics[i];
        const slc_found_topic one = {.name = topic->name,
                                     .partitions = topic->partitions,
                                     .replication = topic->replication,
                                     .configured = topic->configured,
                                     .retention_ms = topic->retention_ms,
                                     .cleanup_policy = topic->cleanup_policy};
        if (!slc_inventory_topic(txn, message->backend_id, message->run, &one, err))
            return false;
    }
    return store_groups(txn, message, err) &&
           (!message->last || slc_inventory_end(txn, message->backend_id, found->node_id, message->run,
                                                message->groups_error, message->group_total, err));
}

static void on_stored(void *arg, bool ok, const slc_error *err)
{
    struct found *found = arg;
    if (!ok)
        slc_log_error(SLC_LOG_WARN, "what a gateway found on a backend was not stored", err);
    found->grpc->pending--;
    found->grpc->inventory_waiting--;
    sluice__config__v1__inventory__free_unpacked(found->message, NULL);
    free(found);
}

/* A node may say anything. */
static bool clean(char *text, size_t max)
{
    slc_utf8_clean(text);
    return strlen(text) <= max;
}

static bool is_sound(Sluice__Config__V1__Inventory *message)
{
    bool ok = message->n_topics <= TOPICS_MAX && message->n_groups <= GROUPS_MAX && clean(message->run, 64) &&
              clean(message->backend_id, 24) && clean(message->error, 1000) &&
              clean(message->groups_error, 1000);
    for (size_t i = 0; ok && i < message->n_topics; i++)
        ok = clean(message->topics[i]->name, NAME_CHARS) && clean(message->topics[i]->cleanup_policy, 64);
    for (size_t i = 0; ok && i < message->n_groups; i++) {
        Sluice__Config__V1__InventoryGroup *group = message->groups[i];
        ok = clean(group->id, 2 * NAME_CHARS) && clean(group->state, 64) && group->n_topics <= LAGS_MAX;
        for (size_t k = 0; ok && k < group->n_topics; k++)
            ok = clean(group->topics[k]->topic, NAME_CHARS);
    }
    return ok;
}

void slc_inventory_said(slc_config_stream *stream, Sluice__Config__V1__FromNode *message)
{
    slc_control_grpc *grpc = stream->grpc;
    if (!is_sound(message->inventory)) {
        slc_config_stream_cut(stream, SLC_CUT_PROTOCOL, SLC_RPC_INVALID_ARGUMENT,
                              "an inventory that is not sound");
        return;
    }
    /* Of two at once each would remove what the other has found. */
    if (!stream->takes_inventory || grpc->inventory_waiting >= WAITING_MAX)
        return;
    struct found *found = slc_calloc(1, sizeof *found);
    found->grpc = grpc;
    memcpy(found->node_id, stream->node_id, sizeof found->node_id);
    found->message = message->inventory;
    message->inventory = NULL;
    message->message_case = SLUICE__CONFIG__V1__FROM_NODE__MESSAGE__NOT_SET;
    grpc->pending++;
    grpc->inventory_waiting++;
    slc_catalog_usage(grpc->catalog, grpc->loop, store, on_stored, found);
}
