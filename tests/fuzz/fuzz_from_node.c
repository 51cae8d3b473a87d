/* What a node may send on its configuration stream, as the control plane handles it: a real catalog and a real
 * compiled release behind the code of the stream, gRPC in front of it left out. The input is messages, each
 * after its length in two bytes. Whatever comes, the stream is cut or goes on, and nothing is left of it
 * afterwards. */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/log.h"
#include "controlplane/grpc/stream_private.h"
#include "fake_rpc.h"
#include "fuzz_catalog.h"
#include "proto/bounded.h"

#define MESSAGES_MAX 24
#define NODE         "abcdefghijklmnop"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static slc_control_grpc *grpc;
static slc_group *group;

/* In the samples' group. */
static bool register_node(slc_txn *txn, void *arg, slc_error *err)
{
    slc_node_certificate certificate = {.serial = "01", .authority = "ca-1", .expires_at_ms = 4102444800000};
    json_t *dev = slc_entity_get(txn, slc_kind_find("gateway-groups"), "dev", err);
    (void)arg;
    bool ok = dev != NULL && slc_node_register(txn, NODE, json_string_value(json_object_get(dev, "id")), "fuzz",
                                               NULL, &certificate, err);
    json_decref(dev);
    return ok;
}

/* The control plane's loop runs on a thread of its own: what follows is run there. */
struct turn {
    slc_rpc_call *call;
    const uint8_t *data;
    size_t len;
    bool done;
};

static void look_for_release(void *arg)
{
    struct turn *turn = arg;
    group = TAILQ_FIRST(&grpc->groups);
    turn->done = group != NULL && group->release != NULL;
    if (turn->done)
        strcpy(group->release->nonce, "n"); /* that an input can know */
}

/* Before the catalog closes. */
static void stop(void)
{
    slc_control_grpc_stop(grpc);
}

static void start(void)
{
    slc_control_grpc_options options = {.config_address = "127.0.0.1:0", .enrolment_address = "127.0.0.1:0"};
    slc_error err;
    slc_actor actor = {.kind = "node", .id = "fuzz", .name = "fuzz"};
    struct turn turn = {0};
    slc_log_init("fuzz", SLC_LOG_ERROR, true);
    slc_control_grpc_register_metrics();
    SLC_BUG_ON(!slc_catalog_write_sync(fuzz_catalog(), &actor, register_node, NULL, &err));
    options.debounce_ms = 1;
    options.stream_burst = 1000000000;
    grpc = slc_control_grpc_new(fuzz_catalog(), &options, &err);
    SLC_BUG_ON(grpc == NULL);
    atexit(stop);
    while (!turn.done)
        slc_loop_call_sync(grpc->loop, look_for_release, &turn);
}

/* What no input can guess is put in for it. */
static void fill_in(Sluice__Config__V1__FromNode *message)
{
    size_t chunks = slc_compiled_chunk_count(group->release->compiled), len;
    const uint8_t *sha256 = NULL;
    uint64_t version = slc_compiled_version(group->release->compiled);
    if (message->message_case == SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_ACK && message->ack->version == 1)
        message->ack->version = version;
    if (message->message_case == SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_NACK && message->nack->version == 1)
        message->nack->version = version;
    if (message->message_case == SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_CHUNK_REQUEST) {
        for (size_t i = 0; i < message->chunk_request->n_sha256; i++) {
            ProtobufCBinaryData *digest = &message->chunk_request->sha256[i];
            if (digest->len != SLC_SHA256_BYTES || chunks == 0 || digest->data[0] != 0xfe)
                continue;
            slc_compiled_chunk(group->release->compiled, digest->data[1] % chunks, &len, &sha256);
            memcpy(digest->data, sha256, SLC_SHA256_BYTES);
        }
    }
    if (message->message_case == SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_RETRIED &&
        message->retried->version == 1 && message->retried->manifest_sha256.len == SLC_SHA256_BYTES) {
        message->retried->version = version;
        memcpy(message->retried->manifest_sha256.data, slc_compiled_digest(group->release->compiled),
               SLC_SHA256_BYTES);
    }
}

static void deliver(void *arg)
{
    struct turn *turn = arg;
    Sluice__Config__V1__FromNode *message = (Sluice__Config__V1__FromNode *)slc_unpack_bounded(
        &sluice__config__v1__from_node__descriptor, turn->data, turn->len);
    if (message == NULL) {
        fake_call_deliver(turn->call, turn->data, turn->len);
        return;
    }
    fill_in(message);
    size_t len = protobuf_c_message_get_packed_size(&message->base);
    uint8_t *packed = slc_malloc(len + 1);
    protobuf_c_message_pack(&message->base, packed);
    fake_call_deliver(turn->call, packed, len);
    free(packed);
    sluice__config__v1__from_node__free_unpacked(message, NULL);
}

static void open_stream(void *arg)
{
    struct turn *turn = arg;
    turn->call = fake_call_new("spiffe://sluice/group/dev/node/" NODE);
    slc_config_stream_on_call(turn->call, grpc);
}

static void is_admitted(void *arg)
{
    struct turn *turn = arg;
    turn->done = !TAILQ_EMPTY(&grpc->streams);
}

static void end_stream(void *arg)
{
    struct turn *turn = arg;
    fake_call_end(turn->call);
    SLC_BUG_ON(!TAILQ_EMPTY(&grpc->streams));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct turn turn = {0};
    if (grpc == NULL)
        start();
    slc_loop_call_sync(grpc->loop, open_stream, &turn);
    while (!turn.done)
        slc_loop_call_sync(grpc->loop, is_admitted, &turn);
    for (unsigned i = 0; i < MESSAGES_MAX && size >= 2; i++) {
        size_t len = (size_t)data[0] << 8 | data[1];
        data += 2, size -= 2;
        turn.len = len < size ? len : size;
        turn.data = data;
        slc_loop_call_sync(grpc->loop, deliver, &turn);
        data += turn.len, size -= turn.len;
    }
    slc_loop_call_sync(grpc->loop, end_stream, &turn);
    return 0;
}
