/* What a node is told first, and again when it changes: how to behave, and which authorities to trust. */
#include <stdlib.h>

#include "common/log.h"
#include "controlplane/grpc/stream_private.h"

/* What nodes are to trust now; `pin` and `bundle` (free it) are what it points into. */
static void fill_trust(slc_control_grpc *grpc, Sluice__Config__V1__TrustBundle *trust,
                       uint8_t pin[SLC_SHA256_BYTES], char **bundle)
{
    sluice__config__v1__trust_bundle__init(trust);
    *bundle = slc_ca_bundle(grpc->ca, pin);
    trust->bundle_pem = *bundle;
    trust->authority_sha256 = (ProtobufCBinaryData){SLC_SHA256_BYTES, pin};
    trust->renew_within_ms = (uint64_t)grpc->options.ca_rotation_spread_ms;
}

void slc_config_stream_welcome(slc_config_stream *stream, const slc_node_info *info)
{
    Sluice__Config__V1__Welcome welcome = SLUICE__CONFIG__V1__WELCOME__INIT;
    Sluice__Config__V1__TrustBundle trust;
    uint8_t pin[SLC_SHA256_BYTES];
    char *bundle;
    Sluice__Config__V1__ToNode message = SLUICE__CONFIG__V1__TO_NODE__INIT;
    welcome.node_id = stream->node_id;
    welcome.group = (char *)info->group_name;
    welcome.heartbeat_ms = (uint32_t)stream->grpc->options.heartbeat_ms;
    welcome.now_ms = slc_ca_now_ms(stream->grpc->ca);
    fill_trust(stream->grpc, &trust, pin, &bundle);
    welcome.trust = &trust;
    message.message_case = SLUICE__CONFIG__V1__TO_NODE__MESSAGE_WELCOME;
    message.welcome = &welcome;
    slc_rpc_bytes *bytes = slc_pack_bytes(&message.base);
    slc_config_stream_send(stream, bytes);
    slc_rpc_bytes_unref(bytes);
    free(bundle);
}

void slc_config_streams_trust(slc_control_grpc *grpc)
{
    Sluice__Config__V1__ToNode message = SLUICE__CONFIG__V1__TO_NODE__INIT;
    Sluice__Config__V1__TrustBundle trust;
    uint8_t pin[SLC_SHA256_BYTES];
    char *bundle;
    slc_config_stream *stream;
    fill_trust(grpc, &trust, pin, &bundle);
    message.message_case = SLUICE__CONFIG__V1__TO_NODE__MESSAGE_TRUST_BUNDLE;
    message.trust_bundle = &trust;
    slc_rpc_bytes *bytes = slc_pack_bytes(&message.base);
    TAILQ_FOREACH (stream, &grpc->streams, entry) {
        if (stream->call != NULL && !stream->cut)
            slc_config_stream_send(stream, bytes);
    }
    slc_rpc_bytes_unref(bytes);
    free(bundle);
    slc_log(SLC_LOG_INFO, "the trusted authorities of the node CA have changed");
}
