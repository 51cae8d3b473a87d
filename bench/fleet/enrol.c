/* Real enrolment: a key, a request and an answer for each node. The CA's pin is looked up once for all. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "dataplane/config/keys.h"
#include "fleet.h"

#define ENROL_METHOD  "/sluice.enrolment.v1.Enrolment/Enrol"
#define RECEIVE_BYTES (256 * 1024)
#define CALL_MS       15000
#define PIN_MS        5000
#define AT_A_TIME     8

struct enrolment {
    struct fleet *fleet;
    struct node *node;
    slc_rpc_channel *channel;
    char *key_pem;
};

static void start_more(struct fleet *fleet);

static void on_message(slc_rpc_call *call, void *ctx, const uint8_t *data, size_t len)
{
    struct enrolment *enrolment = ctx;
    slc_error err = {0};
    Sluice__Enrolment__V1__EnrolResponse *answer =
        sluice__enrolment__v1__enrol_response__unpack(NULL, len, data);
    (void)call;
    if (answer == NULL)
        fleet_die("enrolment", "the answer does not decode");
    enrolment->node->identity = slc_identity_from_answer(answer->identity, enrolment->key_pem,
                                                         enrolment->fleet->join.endpoint, NULL, &err);
    if (enrolment->node->identity == NULL)
        fleet_die("enrolment", err.message);
    sluice__enrolment__v1__enrol_response__free_unpacked(answer, NULL);
}

static void on_sent(slc_rpc_call *call, void *ctx)
{
    (void)ctx;
    slc_rpc_call_finish(call, SLC_RPC_OK, NULL);
}

static void on_end(slc_rpc_call *call, void *ctx, enum slc_rpc_status status, const char *message)
{
    struct enrolment *enrolment = ctx;
    struct fleet *fleet = enrolment->fleet;
    (void)call;
    if (status != SLC_RPC_OK || enrolment->node->identity == NULL)
        fleet_die("enrolment", message);
    slc_rpc_channel_free(enrolment->channel);
    free(enrolment->key_pem);
    free(enrolment);
    fleet->enrolled++;
    start_more(fleet);
    fleet->changed(fleet);
}

static const slc_rpc_call_ops ops = {.on_message = on_message, .on_sent = on_sent, .on_end = on_end};

static void start_one(struct fleet *fleet)
{
    Sluice__Enrolment__V1__EnrolRequest request = SLUICE__ENROLMENT__V1__ENROL_REQUEST__INIT;
    slc_rpc_channel_options options = {.target = fleet->join.endpoint,
                                       .server_name = SLC_CONTROL_SERVER_NAME,
                                       .ca_pem = fleet->ca_pem,
                                       .receive_bytes = RECEIVE_BYTES};
    struct enrolment *enrolment = slc_calloc(1, sizeof *enrolment);
    slc_error err;
    enrolment->fleet = fleet;
    enrolment->node = &fleet->nodes[fleet->enrolling++];
    enrolment->key_pem = slc_key_generate();
    request.token = fleet->join.token;
    request.build = "bench";
    request.csr_der.data = slc_key_request(enrolment->key_pem, &request.csr_der.len, &err);
    enrolment->channel = slc_rpc_channel_new(fleet->rpc, &options, &err);
    if (request.csr_der.data == NULL || enrolment->channel == NULL)
        fleet_die("enrolment", err.message);
    size_t len = sluice__enrolment__v1__enrol_request__get_packed_size(&request);
    uint8_t *packed = slc_malloc(len + 1);
    sluice__enrolment__v1__enrol_request__pack(&request, packed);
    slc_rpc_bytes *bytes = slc_rpc_bytes_new(packed, len);
    slc_rpc_call *call = slc_rpc_channel_call(enrolment->channel, ENROL_METHOD, CALL_MS, &ops, enrolment);
    slc_rpc_call_read(call);
    slc_rpc_call_send(call, bytes);
    slc_rpc_bytes_unref(bytes);
    free(packed);
    free(request.csr_der.data);
}

static void start_more(struct fleet *fleet)
{
    while (fleet->enrolling < fleet->count && fleet->enrolling - fleet->enrolled < AT_A_TIME)
        start_one(fleet);
}

void fleet_enrol(struct fleet *fleet)
{
    slc_error err;
    fleet->ca_pem = slc_pin_fetch_ca(&fleet->join, SLC_CONTROL_SERVER_NAME, PIN_MS, &err);
    if (fleet->ca_pem == NULL)
        fleet_die("the control plane's certificate", err.message);
    start_more(fleet);
}
