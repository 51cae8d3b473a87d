/* Telling a node to end well. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "controlplane/grpc/stream_private.h"

#define ORDER_MAGIC 0x51cd7a14u

/* Its memory goes with the message to the loop of who asked. */
struct order {
    unsigned magic;
    slc_control_grpc *grpc;
    char node_id[SLC_NODE_ID_CHARS];
    slc_loop *loop;
    slc_drain_done done;
    void *arg;
    slc_error err;
};

slc_config_stream *slc_config_stream_find(slc_control_grpc *grpc, const char *node_id)
{
    slc_config_stream *stream;
    TAILQ_FOREACH (stream, &grpc->streams, entry) {
        if (strcmp(stream->node_id, node_id) == 0 && stream->call != NULL && !stream->cut && stream->said_hello)
            return stream;
    }
    return NULL;
}

static void hand_over(void *arg)
{
    struct order *order = arg;
    SLC_CHECK_MAGIC(order, ORDER_MAGIC);
    order->done(order->arg, order->err.code != SLC_OK ? &order->err : NULL);
    order->magic = 0;
    free(order);
}

static void carry_out(void *arg)
{
    struct order *order = arg;
    Sluice__Config__V1__ToNode message = SLUICE__CONFIG__V1__TO_NODE__INIT;
    Sluice__Config__V1__Drain drain = SLUICE__CONFIG__V1__DRAIN__INIT;
    SLC_CHECK_MAGIC(order, ORDER_MAGIC);
    slc_config_stream *stream =
        order->grpc->stopping ? NULL : slc_config_stream_find(order->grpc, order->node_id);
    if (stream == NULL) {
        slc_fail(&order->err, SLC_CONFLICT, NULL, "the node is not connected");
    } else {
        message.message_case = SLUICE__CONFIG__V1__TO_NODE__MESSAGE_DRAIN;
        message.drain = &drain;
        slc_rpc_bytes *bytes = slc_pack_bytes(&message.base);
        slc_config_stream_send(stream, bytes);
        slc_rpc_bytes_unref(bytes);
    }
    slc_loop_call(order->loop, hand_over, order);
}

void slc_control_grpc_drain(slc_control_grpc *grpc, const char *node_id, slc_loop *loop, slc_drain_done done,
                            void *arg)
{
    struct order *order = slc_calloc(1, sizeof *order);
    order->magic = ORDER_MAGIC;
    order->grpc = grpc;
    order->loop = loop;
    order->done = done;
    order->arg = arg;
    snprintf(order->node_id, sizeof order->node_id, "%s", node_id);
    slc_loop_call(grpc->loop, carry_out, order);
}
