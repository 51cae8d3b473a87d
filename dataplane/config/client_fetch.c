/* From a pushed manifest to a snapshot: which chunks are missing, asking for them, checking what comes,
 * building. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/log.h"
#include "dataplane/config/client_private.h"

#define MAX_DIGESTS_PER_REQUEST 1024
#define MAX_FETCHED_BYTES       (512u * 1024 * 1024)
/* A damaged cache costs a round for each damaged chunk; more than this is not damage. */
#define MAX_ROUNDS 100000

/* ---- pushes ---- */

static void free_push(slc_push *push)
{
    if (push == NULL)
        return;
    if (push->manifest != NULL)
        sluice__snapshot__v1__manifest__free_unpacked(push->manifest, NULL);
    free(push->nonce);
    free(push);
}

/* A copy of the wire message that outlives its callback; NULL with an error when it is not good. */
static slc_push *copy_push(const Sluice__Config__V1__ManifestPush *message, slc_error *err)
{
    Sluice__Snapshot__V1__Manifest *manifest = NULL;
    uint8_t *packed;
    slc_push *push;
    size_t len;

    if (message->manifest == NULL) {
        slc_fail(err, SLC_INVALID, NULL, "the push holds no manifest");
        return NULL;
    }
    len = sluice__snapshot__v1__manifest__get_packed_size(message->manifest);
    packed = slc_malloc(len + 1);
    sluice__snapshot__v1__manifest__pack(message->manifest, packed);
    manifest = slc_manifest_decode(packed, len, err);
    free(packed);
    if (manifest == NULL)
        return NULL;
    push = slc_calloc(1, sizeof(*push));
    push->nonce = slc_strdup(message->nonce);
    push->manifest = manifest;
    return push;
}

/* ---- the chunks that came ---- */

static slc_fetched *find(const slc_config_client *client, const uint8_t *sha256)
{
    return slc_strmap_find(&client->fetched_index, (const char *)sha256, SLC_SHA256_BYTES);
}

static slc_fetched *add_fetched(slc_config_client *client, const uint8_t *sha256)
{
    slc_fetched *fetched = slc_calloc(1, sizeof(*fetched));

    memcpy(fetched->sha256, sha256, SLC_SHA256_BYTES);
    if (client->fetched_count == client->fetched_capacity) {
        client->fetched_capacity = client->fetched_capacity > 0 ? 2 * client->fetched_capacity : 64;
        client->fetched = slc_realloc(client->fetched, client->fetched_capacity * sizeof(*client->fetched));
    }
    client->fetched[client->fetched_count++] = fetched;
    (void)slc_strmap_add(&client->fetched_index, (const char *)fetched->sha256, SLC_SHA256_BYTES, fetched);
    return fetched;
}

void slc_client_drop_chunks(slc_config_client *client)
{
    slc_strmap_release(&client->fetched_index);
    for (size_t i = 0; i < client->fetched_count; i++) {
        slc_free_secret(client->fetched[i]->content, client->fetched[i]->len);
        free(client->fetched[i]);
    }
    free(client->fetched);
    client->fetched = NULL;
    client->fetched_count = client->fetched_capacity = 0;
    client->fetched_bytes = 0;
}

static bool source_has(void *arg, const uint8_t sha256[SLC_SHA256_BYTES])
{
    const slc_config_client *client = arg;
    const slc_fetched *fetched = find(client, sha256);

    return (fetched != NULL && fetched->content != NULL) || slc_cache_has(client->cache, sha256);
}

static uint8_t *source_get(void *arg, const uint8_t sha256[SLC_SHA256_BYTES], size_t *len)
{
    slc_config_client *client = arg;
    const slc_fetched *fetched = find(client, sha256);

    if (fetched == NULL || fetched->content == NULL)
        return slc_cache_get(client->cache, sha256, len);
    *len = fetched->len;
    return slc_memdup(fetched->content, fetched->len);
}

slc_chunk_source slc_client_source(slc_config_client *client)
{
    return (slc_chunk_source){source_has, source_get, client};
}

/* ---- asking ---- */

struct request {
    slc_config_client *client;
    ProtobufCBinaryData digests[MAX_DIGESTS_PER_REQUEST];
    size_t count;
    bool more; /* did not fit: the next round asks for it */
};

static void add_missing(void *arg, const uint8_t *sha256)
{
    struct request *request = arg;
    slc_fetched *fetched = find(request->client, sha256);

    if (fetched != NULL && fetched->asked)
        return;
    if (request->count == MAX_DIGESTS_PER_REQUEST) {
        request->more = true;
        return;
    }
    if (fetched == NULL)
        fetched = add_fetched(request->client, sha256);
    fetched->asked = true;
    request->digests[request->count++] = (ProtobufCBinaryData){SLC_SHA256_BYTES, fetched->sha256};
}

static void ask(slc_config_client *client, struct request *request)
{
    Sluice__Config__V1__FromNode message = SLUICE__CONFIG__V1__FROM_NODE__INIT;
    Sluice__Config__V1__ChunkRequest body = SLUICE__CONFIG__V1__CHUNK_REQUEST__INIT;

    body.nonce = client->push->nonce;
    body.n_sha256 = request->count;
    body.sha256 = request->digests;
    message.message_case = SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_CHUNK_REQUEST;
    message.chunk_request = &body;
    client->outstanding += request->count;
    client->progress_ms = slc_monotonic_ms();
    slc_client_send(client, &message);
}

/* Fills the request. A damaged cached index is forgotten by the cache as it is read, so the question is put
 * again. */
static bool find_missing(struct request *request, const slc_push *push, slc_error *err)
{
    slc_chunk_source source = slc_client_source(request->client);

    for (unsigned round = 0; round < MAX_ROUNDS; round++) {
        if (slc_snapshot_missing(push->manifest, &source, request->client->current, add_missing, request, err))
            return true;
        if (err->code != SLC_NOT_FOUND)
            return false;
    }
    return false;
}

/* ---- the next step ---- */

/* The push is over; what may become possible later is kept. */
static void refuse_push(slc_config_client *client, slc_push *push, const slc_error *why)
{
    slc_client_refusal(client, push->nonce, push->manifest, why);
    if (why->code != SLC_UNAVAILABLE) {
        slc_client_drop_chunks(client);
        return;
    }
    client->refused_fetched = true;
    slc_client_retry_later(client, NULL, push->manifest, why);
    push->manifest = NULL;
}

/* Builds what has all its chunks. False: a chunk of the cache turned out to be damaged, and must be fetched. */
static bool build(slc_config_client *client)
{
    slc_chunk_source source = slc_client_source(client);
    slc_push *push = client->push;
    slc_snapshot *snapshot;
    slc_error err;
    int64_t begun_us = slc_monotonic_us();

    snapshot = slc_snapshot_build(push->manifest, &source, client->current, &err);
    if (snapshot == NULL && err.code == SLC_NOT_FOUND && err.field[0] == '\0')
        return false;
    client->push = NULL;
    if (snapshot != NULL && !slc_client_check_group(client, snapshot, &err)) {
        slc_snapshot_unref(snapshot);
        snapshot = NULL;
    }
    if (snapshot == NULL) {
        refuse_push(client, push, &err);
    } else {
        char *nonce = push->nonce;

        push->nonce = NULL;
        slc_log(SLC_LOG_INFO, "configuration built", LI("version", (int64_t)push->manifest->version),
                LI("took_us", slc_monotonic_us() - begun_us));
        slc_client_apply(client, snapshot, nonce);
    }
    free_push(push);
    return true;
}

static void advance(slc_config_client *client)
{
    struct request request = {.client = client};
    slc_error err;

    do {
        if (!find_missing(&request, client->push, &err)) {
            slc_push *push = client->push;

            client->push = NULL;
            refuse_push(client, push, &err);
            free_push(push);
            return;
        }
        if (request.count > 0) {
            ask(client, &request);
            return;
        }
    } while (!build(client));
}

/* Is it what runs already? Then all there is to do is to say so. */
static bool is_current(const slc_config_client *client, const slc_push *push)
{
    uint8_t mine[SLC_SHA256_BYTES], theirs[SLC_SHA256_BYTES];

    if (client->current == NULL)
        return false;
    slc_manifest_digest(slc_snapshot_manifest(client->current), mine);
    slc_manifest_digest(push->manifest, theirs);
    return memcmp(mine, theirs, sizeof(mine)) == 0;
}

static void begin(slc_config_client *client, slc_push *push)
{
    slc_snapshot *refused = slc_client_retry_take(client, push->manifest);

    if (refused != NULL) { /* by another stream, or by none: now somebody wants an answer */
        char *nonce = push->nonce;

        push->nonce = NULL;
        free_push(push);
        slc_client_apply(client, refused, nonce);
        return;
    }
    if (is_current(client, push)) {
        slc_client_ack(client, push->nonce, push->manifest->version);
        free_push(push);
        return;
    }
    /* The control plane decides what is current, and may have come out of a backup; people should know. */
    if (client->current != NULL && push->manifest->version < slc_snapshot_version(client->current))
        slc_log(SLC_LOG_WARN, "the control plane goes back to an older version: was it restored from a backup?",
                LI("version", (int64_t)push->manifest->version),
                LI("running", (int64_t)slc_snapshot_version(client->current)));
    client->push = push;
    advance(client);
}

void slc_client_next_push(slc_config_client *client)
{
    slc_push *push = client->deferred;

    client->deferred = NULL;
    if (push != NULL)
        begin(client, push);
}

void slc_client_pushed(slc_config_client *client, const Sluice__Config__V1__ManifestPush *message)
{
    slc_error err;
    slc_push *push = copy_push(message, &err);

    if (push == NULL) {
        slc_log_error(SLC_LOG_ERROR, "a manifest was refused: the configuration before it stays", &err);
        slc_series_add(client->m_nacks, 1);
        slc_client_nack(client, message->nonce, message->manifest != NULL ? message->manifest->version : 0,
                        &err);
        return;
    }
    slc_log(SLC_LOG_DEBUG, "manifest received", LI("version", (int64_t)push->manifest->version));
    if (client->pending != NULL) {
        free_push(client->deferred);
        client->deferred = push;
        return;
    }
    free_push(client->push);
    client->push = NULL;
    begin(client, push);
}

bool slc_client_chunk(slc_config_client *client, const Sluice__Config__V1__Chunk *chunk)
{
    slc_fetched *fetched = chunk->sha256.len == SLC_SHA256_BYTES ? find(client, chunk->sha256.data) : NULL;
    uint8_t digest[SLC_SHA256_BYTES];

    if (fetched == NULL || !fetched->asked || fetched->content != NULL || client->outstanding == 0)
        return false;
    if (chunk->content.len > SLC_CHUNK_MAX_BYTES ||
        client->fetched_bytes + chunk->content.len > MAX_FETCHED_BYTES)
        return false;
    slc_sha256(chunk->content.data, chunk->content.len, digest);
    if (memcmp(digest, fetched->sha256, sizeof(digest)) != 0)
        return false;
    fetched->content = slc_malloc(chunk->content.len + 1);
    if (chunk->content.len > 0)
        memcpy(fetched->content, chunk->content.data, chunk->content.len);
    fetched->len = chunk->content.len;
    client->fetched_bytes += chunk->content.len;
    client->progress_ms = slc_monotonic_ms();
    slc_series_add(client->m_chunk_bytes, (int64_t)chunk->content.len);
    if (--client->outstanding == 0 && client->push != NULL)
        advance(client);
    return true;
}

void slc_client_forget_fetch(slc_config_client *client)
{
    free_push(client->push);
    free_push(client->deferred);
    client->push = client->deferred = NULL;
    free(client->pending_nonce); /* the next stream has nonces of its own */
    client->pending_nonce = NULL;
    client->outstanding = 0;
    for (size_t i = 0; i < client->fetched_count; i++)
        client->fetched[i]->asked = false; /* what has come stays: the next stream need not send it again */
}
