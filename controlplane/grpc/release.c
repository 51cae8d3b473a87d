/* Releases: a compiled version as bytes on the wire. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/crypto.h"
#include "controlplane/grpc/grpc_private.h"

slc_rpc_bytes *slc_pack_bytes(const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *data = slc_malloc(len + 1);
    protobuf_c_message_pack(message, data);
    slc_rpc_bytes *bytes = slc_rpc_bytes_new(data, len);
    free(data);
    return bytes;
}

static slc_rpc_bytes *pack_push(const slc_release *release)
{
    size_t len = 0;
    const uint8_t *packed = slc_compiled_manifest(release->compiled, &len);
    Sluice__Config__V1__ManifestPush push = SLUICE__CONFIG__V1__MANIFEST_PUSH__INIT;
    Sluice__Config__V1__ToNode message = SLUICE__CONFIG__V1__TO_NODE__INIT;
    push.nonce = (char *)release->nonce;
    push.manifest = sluice__snapshot__v1__manifest__unpack(NULL, len, packed);
    SLC_BUG_ON(push.manifest == NULL);
    message.message_case = SLUICE__CONFIG__V1__TO_NODE__MESSAGE_MANIFEST;
    message.manifest = &push;
    slc_rpc_bytes *bytes = slc_pack_bytes(&message.base);
    sluice__snapshot__v1__manifest__free_unpacked(push.manifest, NULL);
    return bytes;
}

slc_release *slc_release_new(slc_compiled *compiled)
{
    uint8_t random[16];
    slc_release *release = slc_calloc(1, sizeof *release);
    slc_random(random, sizeof random);
    slc_hex_encode(random, sizeof random, release->nonce);
    release->refs = 1;
    release->compiled = compiled;
    release->push = pack_push(release);
    release->chunks = slc_calloc(slc_compiled_chunk_count(compiled) + 1, sizeof(slc_rpc_bytes *));
    return release;
}

slc_release *slc_release_ref(slc_release *release)
{
    release->refs++;
    return release;
}

void slc_release_unref(slc_release *release)
{
    if (release == NULL || --release->refs > 0)
        return;
    for (size_t i = 0; i < slc_compiled_chunk_count(release->compiled); i++)
        if (release->chunks[i] != NULL)
            slc_rpc_bytes_unref(release->chunks[i]);
    free(release->chunks);
    slc_rpc_bytes_unref(release->push);
    slc_compiled_unref(release->compiled);
    free(release);
}

static void let_go(void *compiled)
{
    slc_compiled_unref(compiled);
}

/* The content is the last field, so the message is a head and the chunk as the catalog holds it: a thousand
 * cold nodes cost no second copy of the configuration. */
slc_rpc_bytes *slc_release_chunk(slc_release *release, size_t index)
{
    const uint8_t *sha256 = NULL;
    Sluice__Config__V1__Chunk chunk = SLUICE__CONFIG__V1__CHUNK__INIT;
    Sluice__Config__V1__ToNode message = SLUICE__CONFIG__V1__TO_NODE__INIT;
    if (release->chunks[index] != NULL)
        return release->chunks[index];
    const uint8_t *content = slc_compiled_chunk(release->compiled, index, &chunk.content.len, &sha256);
    chunk.content.data = (uint8_t *)content;
    chunk.sha256.data = (uint8_t *)sha256;
    chunk.sha256.len = SLC_SHA256_BYTES;
    message.message_case = SLUICE__CONFIG__V1__TO_NODE__MESSAGE_CHUNK;
    message.chunk = &chunk;
    size_t len = protobuf_c_message_get_packed_size(&message.base), head_len = len - chunk.content.len;
    uint8_t *packed = slc_malloc(len + 1);
    protobuf_c_message_pack(&message.base, packed);
    SLC_BUG_ON(memcmp(packed + head_len, content, chunk.content.len) != 0);
    release->chunks[index] = slc_rpc_bytes_wrap(packed, head_len, content, chunk.content.len, let_go,
                                                slc_compiled_ref(release->compiled));
    slc_free_secret(packed, len);
    return release->chunks[index];
}
