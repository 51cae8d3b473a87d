#include "dataplane/mediation/cursor.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/crypto.h"

#define VERSION       1
#define MAC_BYTES     16
#define KEY_BYTES     32
#define MAX_BYTES     (SLC_CURSOR_MAX_CHARS / 4 * 3)
#define FLAG_TOPIC_ID 1u
#define FLAG_EPOCHS   2u

bool slc_cursor_codec_init(slc_cursor_codec *codec, const slc_event_api *api, slc_error *err)
{
    uint8_t digest[SLC_SHA256_BYTES];
    const Sluice__Snapshot__V1__EventApi *msg = api->msg;
    if (msg->n_cursor_keys == 0)
        return slc_fail(err, SLC_INVALID, "/cursor_keys", "the event API %s has no cursor key", msg->name);
    for (size_t i = 0; i < msg->n_cursor_keys; i++) {
        if (msg->cursor_keys[i]->key.len != KEY_BYTES)
            return slc_fail(err, SLC_INVALID, "/cursor_keys", "a cursor key of %s is not %d bytes long",
                            msg->name, KEY_BYTES);
    }
    slc_buf bound;
    slc_buf_init(&bound, 4096);
    slc_buf_add(&bound, msg->id, strlen(msg->id) + 1);
    slc_buf_add(&bound, api->vcluster->backend->msg->id, strlen(api->vcluster->backend->msg->id) + 1);
    slc_buf_adds(&bound, api->backend_topic);
    slc_sha256(bound.data, bound.len, digest);
    slc_buf_release(&bound);
    codec->api = api;
    memcpy(codec->binding, digest, sizeof codec->binding);
    return true;
}

/* Writing
 * ------------------------------------------------------------------------------------------------------- */

typedef struct writer {
    uint8_t bytes[MAX_BYTES];
    size_t len;
    bool overflow;
} writer;

static void put(writer *w, const void *data, size_t len)
{
    if (len > sizeof w->bytes - MAC_BYTES - w->len) {
        w->overflow = true;
        return;
    }
    memcpy(w->bytes + w->len, data, len);
    w->len += len;
}

static void put_varint(writer *w, uint64_t value)
{
    uint8_t bytes[10];
    size_t len = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[len++] = (uint8_t)(value | 0x80);
    bytes[len++] = (uint8_t)value;
    put(w, bytes, len);
}

static bool is_known(const uint8_t *topic_id)
{
    static const uint8_t zero[16];
    return topic_id != NULL && memcmp(topic_id, zero, sizeof zero) != 0;
}

static void add_mac(const Sluice__Snapshot__V1__CursorKey *key, const uint8_t *bytes, size_t len, uint8_t *mac)
{
    uint8_t full[SLC_SHA256_BYTES];
    slc_hmac_sha256(key->key.data, key->key.len, bytes, len, full);
    memcpy(mac, full, MAC_BYTES);
}

size_t slc_cursor_encode(const slc_cursor_codec *codec, const uint8_t *topic_id, const slc_position *positions,
                         int32_t partitions, char *out)
{
    writer w;
    const Sluice__Snapshot__V1__CursorKey *key = codec->api->msg->cursor_keys[0];
    bool epochs = false;
    for (int32_t i = 0; i < partitions; i++)
        epochs = epochs || positions[i].epoch >= 0;
    uint8_t flags = (uint8_t)((is_known(topic_id) ? FLAG_TOPIC_ID : 0) | (epochs ? FLAG_EPOCHS : 0));
    w.len = 0;
    w.overflow = false;
    put_varint(&w, VERSION);
    put_varint(&w, key->id);
    put(&w, &flags, 1);
    put(&w, codec->binding, sizeof codec->binding);
    if (flags & FLAG_TOPIC_ID)
        put(&w, topic_id, 16);
    put_varint(&w, (uint64_t)partitions);
    for (int32_t i = 0; i < partitions; i++)
        put_varint(&w, (uint64_t)positions[i].next);
    for (int32_t i = 0; i < partitions && epochs; i++)
        put_varint(&w, (uint64_t)(positions[i].epoch + 1));
    if (w.overflow)
        return 0;
    add_mac(key, w.bytes, w.len, w.bytes + w.len);
    return slc_base64url_encode(w.bytes, w.len + MAC_BYTES, out);
}

/* Reading
 * ------------------------------------------------------------------------------------------------------- */

typedef struct reader {
    const uint8_t *at, *end;
    bool failed;
} reader;

static uint64_t get_varint(reader *r)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 63 && r->at < r->end; shift += 7) {
        uint8_t byte = *r->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    r->failed = true;
    return 0;
}

static const uint8_t *get(reader *r, size_t len)
{
    if ((size_t)(r->end - r->at) < len) {
        r->failed = true;
        return NULL;
    }
    r->at += len;
    return r->at - len;
}

static const Sluice__Snapshot__V1__CursorKey *find_key(const slc_cursor_codec *codec, uint64_t id)
{
    for (size_t i = 0; i < codec->api->msg->n_cursor_keys; i++) {
        if (codec->api->msg->cursor_keys[i]->id == id)
            return codec->api->msg->cursor_keys[i];
    }
    return NULL;
}

/* Everything after the binding. */
static bool read_positions(reader *r, uint8_t flags, slc_cursor *cursor)
{
    const uint8_t *topic_id = flags & FLAG_TOPIC_ID ? get(r, 16) : NULL;
    uint64_t partitions = get_varint(r);
    if (r->failed || partitions > MAX_BYTES) /* each takes a byte at least */
        return false;
    cursor->has_topic_id = topic_id != NULL;
    if (topic_id != NULL)
        memcpy(cursor->topic_id, topic_id, 16);
    cursor->partitions = (int32_t)partitions;
    cursor->positions = slc_calloc(partitions + 1, sizeof *cursor->positions);
    for (uint64_t i = 0; i < partitions; i++)
        cursor->positions[i] = (slc_position){(int64_t)get_varint(r), -1};
    for (uint64_t i = 0; i < partitions && flags & FLAG_EPOCHS; i++)
        cursor->positions[i].epoch = (int32_t)get_varint(r) - 1;
    return !r->failed && r->at == r->end;
}

static bool decode(const slc_cursor_codec *codec, const uint8_t *bytes, size_t len, slc_cursor *cursor)
{
    uint8_t mac[MAC_BYTES];
    if (len < MAC_BYTES)
        return false;
    reader r = {bytes, bytes + len - MAC_BYTES, false};
    if (get_varint(&r) != VERSION)
        return false;
    const Sluice__Snapshot__V1__CursorKey *key = find_key(codec, get_varint(&r));
    const uint8_t *flags = get(&r, 1);
    const uint8_t *binding = get(&r, sizeof codec->binding);
    if (r.failed || key == NULL)
        return false;
    add_mac(key, bytes, len - MAC_BYTES, mac);
    if (!slc_equal_secret(mac, bytes + len - MAC_BYTES, MAC_BYTES))
        return false;
    return memcmp(binding, codec->binding, sizeof codec->binding) == 0 && read_positions(&r, *flags, cursor);
}

bool slc_cursor_decode(const slc_cursor_codec *codec, const char *text, size_t len, slc_cursor *cursor,
                       slc_error *err)
{
    uint8_t bytes[MAX_BYTES];
    *cursor = (slc_cursor){0};
    long size = len <= SLC_CURSOR_MAX_CHARS ? slc_base64url_decode(text, len, bytes, sizeof bytes) : -1;
    if (size >= 0 && decode(codec, bytes, (size_t)size, cursor))
        return true;
    slc_cursor_release(cursor);
    return slc_fail(err, SLC_INVALID, "cursor", "The cursor is not one of this event API.");
}

void slc_cursor_release(slc_cursor *cursor)
{
    free(cursor->positions);
    cursor->positions = NULL;
}
