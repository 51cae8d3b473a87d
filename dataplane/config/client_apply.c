/* Handing snapshots to the gateway: from the cache at the start, from the stream later; ACK, NACK and the disk
 * after. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/log.h"
#include "dataplane/config/client_private.h"

static const char *entity_of(const slc_error *err)
{
    return err->field[0] != '\0' ? err->field : "(whole)";
}

void slc_client_refusal(slc_config_client *client, const char *nonce,
                        const Sluice__Snapshot__V1__Manifest *manifest, const slc_error *why)
{
    bool known = client->retrying && strcmp(client->refused_why.field, why->field) == 0 &&
                 strcmp(client->refused_why.message, why->message) == 0;

    slc_log(known ? SLC_LOG_DEBUG : SLC_LOG_ERROR, "configuration refused: the one before stays",
            LI("version", (int64_t)manifest->version), LS("entity", entity_of(why)),
            LS("reason", why->message));
    slc_series_add(client->m_nacks, 1);
    if (nonce != NULL)
        slc_client_nack(client, nonce, manifest->version, why);
    else if (client->retrying && !known)
        slc_client_retried(client, manifest, why);
}

/* Writes what was applied to disk. A full disk costs the cold start, never the service. */
static void store(slc_config_client *client, const slc_snapshot *snapshot)
{
    const Sluice__Snapshot__V1__Manifest *manifest = slc_snapshot_manifest(snapshot);
    size_t manifest_len = sluice__snapshot__v1__manifest__get_packed_size(manifest), live_count, count = 0;
    uint8_t *packed = slc_malloc(manifest_len + 1);
    uint8_t *live = slc_snapshot_digests(snapshot, &live_count);
    slc_cache_chunk *chunks = slc_calloc(client->fetched_count + 1, sizeof(*chunks));
    slc_error err;

    sluice__snapshot__v1__manifest__pack(manifest, packed);
    for (size_t i = 0; i < client->fetched_count; i++) {
        const slc_fetched *fetched = client->fetched[i];

        if (fetched->content == NULL)
            continue;
        memcpy(chunks[count].sha256, fetched->sha256, SLC_SHA256_BYTES);
        chunks[count].content = fetched->content;
        chunks[count++].len = fetched->len;
    }
    if (!slc_cache_store(client->cache, packed, manifest_len, chunks, count, live, live_count, &err)) {
        slc_series_add(client->m_cache_failures, 1);
        slc_log_error(SLC_LOG_WARN, "the applied configuration could not be kept on disk", &err);
    }
    free(chunks);
    free(live);
    free(packed);
}

void slc_client_swapped(slc_config_client *client, uint64_t version)
{
    char *nonce = client->pending_nonce;

    if (client->pending == NULL || slc_snapshot_version(client->pending) != version)
        return;
    slc_snapshot_unref(client->current);
    client->current = client->pending;
    client->pending = NULL;
    client->pending_nonce = NULL;
    atomic_store(&client->applied_version, version);
    slc_series_set(client->m_applied, (int64_t)version);
    if (nonce != NULL)
        slc_client_ack(client, nonce, version);
    else if (client->retrying)
        slc_client_retried(client, slc_snapshot_manifest(client->current), NULL);
    client->retrying = false;
    if (client->pending_fetched) {
        store(client, client->current);
        slc_client_drop_chunks(client);
    }
    free(nonce);
    slc_client_next_push(client);
}

void slc_client_apply(slc_config_client *client, slc_snapshot *snapshot, char *nonce)
{
    slc_error err;

    client->pending = snapshot;
    client->pending_nonce = nonce;
    client->pending_fetched = nonce != NULL || (client->retrying && client->refused_fetched);
    slc_error_clear(&err);
    if (client->gateway.apply(client->gateway.arg, snapshot, &err))
        return;
    client->pending = NULL;
    nonce = client->pending_nonce;
    client->pending_nonce = NULL;
    client->refused_fetched = client->pending_fetched; /* its chunks stay until it is settled */
    slc_client_refusal(client, nonce, slc_snapshot_manifest(snapshot), &err);
    slc_client_retry_later(client, snapshot, NULL, &err);
    free(nonce);
    slc_client_next_push(client);
}

bool slc_client_check_group(const slc_config_client *client, const slc_snapshot *snapshot, slc_error *err)
{
    const Sluice__Snapshot__V1__Group *group = slc_snapshot_group(snapshot);
    const char *mine = client->identity->group;

    if (strcmp(group->name, mine) == 0 || strcmp(group->id, mine) == 0)
        return true;
    return slc_fail(err, SLC_INVALID, NULL,
                    "the configuration is of the group \"%.60s\", this node of \"%.60s\"", group->name, mine);
}

/* ---- cold start ---- */

static slc_snapshot *build_cached(slc_config_client *client, slc_error *err)
{
    slc_chunk_source source = slc_client_source(client);
    Sluice__Snapshot__V1__Manifest *manifest = NULL;
    slc_snapshot *snapshot = NULL;
    size_t len;
    uint8_t *packed = slc_cache_manifest(client->cache, &len, err);

    if (packed == NULL)
        return NULL;
    manifest = slc_manifest_decode(packed, len, err);
    free(packed);
    if (manifest == NULL)
        return NULL;
    snapshot = slc_snapshot_build(manifest, &source, NULL, err);
    if (snapshot != NULL && !slc_client_check_group(client, snapshot, err)) {
        slc_snapshot_unref(snapshot);
        snapshot = NULL;
    }
    if (snapshot == NULL && err->code == SLC_UNAVAILABLE)
        slc_client_retry_later(client, NULL, manifest, err);
    else
        sluice__snapshot__v1__manifest__free_unpacked(manifest, NULL);
    return snapshot;
}

void slc_client_load_cache(slc_config_client *client)
{
    slc_error err;
    slc_snapshot *snapshot = build_cached(client, &err);

    if (snapshot == NULL) {
        if (err.code != SLC_NOT_FOUND || err.field[0] != '\0')
            slc_log_error(SLC_LOG_WARN, "the cached configuration cannot be used and is left out", &err);
        return;
    }
    client->contact_ms = slc_cache_contact_ms(client->cache);
    slc_series_set(client->m_contact, client->contact_ms / 1000);
    slc_log(SLC_LOG_INFO, "starting from the last known good configuration",
            LI("version", (int64_t)slc_snapshot_version(snapshot)),
            LI("age_ms", slc_wall_ms() - client->contact_ms));
    slc_client_apply(client, snapshot, NULL);
}
