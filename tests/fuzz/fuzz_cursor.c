/* No text that we did not write is a cursor; and what follows a right MAC is read within its bounds. The first
 * byte chooses: text as it comes, or bytes that get a right MAC first. */
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "common/crypto.h"
#include "dataplane/mediation/cursor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t key_bytes[32];
static Sluice__Snapshot__V1__CursorKey key = SLUICE__SNAPSHOT__V1__CURSOR_KEY__INIT;
static Sluice__Snapshot__V1__CursorKey *keys[] = {&key};
static Sluice__Snapshot__V1__Backend backend_msg = SLUICE__SNAPSHOT__V1__BACKEND__INIT;
static Sluice__Snapshot__V1__EventApi msg = SLUICE__SNAPSHOT__V1__EVENT_API__INIT;
static slc_backend backend = {.msg = &backend_msg};
static slc_vcluster vcluster = {.backend = &backend};
static slc_event_api api = {.msg = &msg, .vcluster = &vcluster, .backend_topic = (char *)"topic"};

static void decode(const slc_cursor_codec *codec, const char *text, size_t len, bool ours)
{
    slc_cursor cursor;
    slc_error err;
    char again[SLC_CURSOR_MAX_CHARS + 1];
    if (!slc_cursor_decode(codec, text, len, &cursor, &err))
        return;
    SLC_BUG_ON(!ours);
    slc_cursor_encode(codec, cursor.has_topic_id ? cursor.topic_id : NULL, cursor.positions, cursor.partitions,
                      again);
    slc_cursor_release(&cursor);
}

/* version, key id, flags and binding are right; the rest is the input. */
static void decode_signed(const slc_cursor_codec *codec, const uint8_t *data, size_t size)
{
    uint8_t bytes[2048] = {1, 1}, mac[SLC_SHA256_BYTES];
    char text[4096];
    if (size < 1 || size > 1900)
        return;
    bytes[2] = data[0];
    memcpy(bytes + 3, codec->binding, sizeof codec->binding);
    memcpy(bytes + 11, data + 1, size - 1);
    slc_hmac_sha256(key_bytes, sizeof key_bytes, bytes, 10 + size, mac);
    memcpy(bytes + 10 + size, mac, 16);
    decode(codec, text, slc_base64url_encode(bytes, 26 + size, text), true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slc_error err;
    slc_cursor_codec codec;
    key.id = 1;
    key.key = (ProtobufCBinaryData){sizeof key_bytes, key_bytes};
    backend_msg.id = (char *)"backend";
    msg.id = (char *)"api";
    msg.name = (char *)"api";
    msg.cursor_keys = keys;
    msg.n_cursor_keys = 1;
    SLC_BUG_ON(!slc_cursor_codec_init(&codec, &api, &err));
    if (size > 0 && data[0] % 2 == 0)
        decode_signed(&codec, data + 1, size - 1);
    else
        decode(&codec, (const char *)data, size, false);
    return 0;
}
