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

static const Sluice__Snapshot__V1__Manifest *refused(const slc_config_client *client)
{
    return client->refused != NULL ? slc_snapshot_manifest(client->refused) : client->refused_manifest;
}

/* The chunks that came for it stay: they may serve what comes instead. */
static void forget(slc_config_client *client)
{
    event_del(client->retry_timer);
    slc_snapshot_unref(client->refused);
    client->refused = NULL;
    if (client->refused_manifest != NULL)
        sluice__snapshot__v1__manifest__free_unpacked(client->refused_manifest, NULL);
    client->refused_manifest = NULL;
}

void slc_client_retry_release(slc_config_client *client)
{
    if (client->retry_timer != NULL)
        forget(client);
}

void slc_client_retry_later(slc_config_client *client, slc_snapshot *snapshot,
                            Sluice__Snapshot__V1__Manifest *manifest, const slc_error *why)
{
    bool again = client->retrying;
    client->retry_ms = again ? 2 * client->retry_ms : client->retry_apply_min_ms;
    if (client->retry_ms > client->retry_apply_max_ms)
        client->retry_ms = client->retry_apply_max_ms;
    client->refused = snapshot;
    client->refused_manifest = manifest;
    client->refused_why = *why;
    client->retrying = false;
    slc_log(again ? SLC_LOG_DEBUG : SLC_LOG_INFO, "the refused configuration will be tried again",
            LI("version", (int64_t)refused(client)->version), LI("retry_ms", client->retry_ms));
    slc_client_arm(client->retry_timer, slc_jitter_ms(client->retry_ms, 20));
}

/* Tries to build what could not be built. NULL: not yet, or never. */
static slc_snapshot *build_again(slc_config_client *client)
{
    slc_chunk_source source = slc_client_source(client);
    Sluice__Snapshot__V1__Manifest *manifest = client->refused_manifest;
    slc_error err;
    slc_snapshot *snapshot = slc_snapshot_build(manifest, &source, client->current, &err);

    if (snapshot != NULL && !slc_client_check_group(client, snapshot, &err)) {
        slc_snapshot_unref(snapshot);
        snapshot = NULL;
    }
    if (snapshot == NULL && err.code == SLC_UNAVAILABLE) {
        slc_client_refusal(client, NULL, manifest, &err);
        slc_client_retry_later(client, NULL, manifest, &err);
        return NULL;
    }
    if (snapshot == NULL && err.code == SLC_NOT_FOUND && err.field[0] == '\0') /* damage on disk: ask anew */
        slc_client_disconnect(client, "a chunk of the configuration is no longer in the cache");
    else if (snapshot == NULL)
        slc_client_refusal(client, NULL, manifest, &err);
    client->retrying = snapshot != NULL;
    client->refused_manifest = NULL;
    sluice__snapshot__v1__manifest__free_unpacked(manifest, NULL);
    return snapshot;
}

void slc_client_retry(slc_config_client *client)
{
    slc_snapshot *snapshot = client->refused;
    if (refused(client) == NULL)
        return;
    if (client->pending != NULL || client->push != NULL) { /* comes to an end by itself */
        slc_client_arm(client->retry_timer, client->retry_apply_min_ms);
        return;
    }
    client->retrying = true;
    client->refused = NULL;
    if (snapshot == NULL)
        snapshot = build_again(client);
    if (snapshot != NULL)
        slc_client_apply(client, snapshot, NULL);
}

slc_snapshot *slc_client_retry_take(slc_config_client *client, const Sluice__Snapshot__V1__Manifest *pushed)
{
    uint8_t mine[SLC_SHA256_BYTES], theirs[SLC_SHA256_BYTES];
    slc_snapshot *snapshot = NULL;

    if (refused(client) == NULL)
        return NULL;
    slc_manifest_digest(refused(client), mine);
    slc_manifest_digest(pushed, theirs);
    if (memcmp(mine, theirs, sizeof mine) != 0) {
        slc_client_drop_chunks(client); /* or refused ones would pile up */
    } else {
        snapshot = client->refused;
        client->refused = NULL;
    }
    forget(client);
    return snapshot;
}

void slc_client_retried(slc_config_client *client, const Sluice__Snapshot__V1__Manifest *manifest,
                        const slc_error *why)
{
    Sluice__Config__V1__FromNode message = SLUICE__CONFIG__V1__FROM_NODE__INIT;
    Sluice__Config__V1__Retried body = SLUICE__CONFIG__V1__RETRIED__INIT;
    uint8_t digest[SLC_SHA256_BYTES];

    slc_manifest_digest(manifest, digest);
    body.version = manifest->version;
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
