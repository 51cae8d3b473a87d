/* A configuration that the gateway refused for what only it can see, such as an address that is in use or a key
 * file that is not there yet, is tried again by the node itself: whoever frees the port expects it to be taken.
 * The control plane has its NACK and does not offer that version again; it hears when a retry has worked, or
 * fails for another reason. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/log.h"
#include "dataplane/config/client_private.h"

void slc_client_retry_later(slc_config_client *client, slc_snapshot *snapshot, const slc_error *why)
{
    bool again = client->retrying;
    client->retry_ms = again ? 2 * client->retry_ms : client->retry_apply_min_ms;
    if (client->retry_ms > client->retry_apply_max_ms)
        client->retry_ms = client->retry_apply_max_ms;
    client->refused = snapshot;
    client->refused_why = *why;
    client->retrying = false;
    slc_log(again ? SLC_LOG_DEBUG : SLC_LOG_INFO, "the refused configuration will be tried again",
            LI("version", (int64_t)slc_snapshot_version(snapshot)), LI("retry_ms", client->retry_ms));
    slc_client_arm(client->retry_timer, slc_jitter_ms(client->retry_ms, 20));
}

void slc_client_retry(slc_config_client *client)
{
    slc_snapshot *snapshot = client->refused;
    if (snapshot == NULL)
        return;
    if (client->pending != NULL) { /* comes to an end by itself */
        slc_client_arm(client->retry_timer, client->retry_apply_min_ms);
        return;
    }
    client->refused = NULL;
    client->retrying = true;
    slc_client_apply(client, snapshot, NULL);
}

void slc_client_retry_forget(slc_config_client *client)
{
    event_del(client->retry_timer);
    if (client->refused == NULL)
        return;
    slc_snapshot_unref(client->refused);
    client->refused = NULL;
    slc_client_drop_chunks(client);
}

slc_snapshot *slc_client_retry_take(slc_config_client *client, const Sluice__Snapshot__V1__Manifest *manifest)
{
    uint8_t mine[SLC_SHA256_BYTES], theirs[SLC_SHA256_BYTES];
    slc_snapshot *snapshot = client->refused;
    if (snapshot == NULL)
        return NULL;
    slc_manifest_digest(slc_snapshot_manifest(snapshot), mine);
    slc_manifest_digest(manifest, theirs);
    if (memcmp(mine, theirs, sizeof mine) != 0) {
        slc_client_retry_forget(client);
        return NULL;
    }
    event_del(client->retry_timer);
    client->refused = NULL;
    return snapshot;
}

void slc_client_retried(slc_config_client *client, const slc_snapshot *snapshot, const slc_error *why)
{
    Sluice__Config__V1__FromNode message = SLUICE__CONFIG__V1__FROM_NODE__INIT;
    Sluice__Config__V1__Retried body = SLUICE__CONFIG__V1__RETRIED__INIT;
    uint8_t digest[SLC_SHA256_BYTES];
    slc_manifest_digest(slc_snapshot_manifest(snapshot), digest);
    body.version = slc_snapshot_version(snapshot);
    body.manifest_sha256 = (ProtobufCBinaryData){sizeof digest, digest};
    body.applied = why == NULL;
    if (why != NULL) {
        body.entity = (char *)why->field;
        body.message = (char *)why->message;
    }
    message.message_case = SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_RETRIED;
    message.retried = &body;
    slc_client_send(client, &message);
}
