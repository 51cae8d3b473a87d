/* Encoders of Kafka's primitive types and frames. */
#include "dataplane/kafka/encode.h"

#include <string.h>

#include "common/assert.h"
#include "dataplane/kafka/table.h"
#include "dataplane/kafka/wire.h"

static void add_int(slc_buf *out, uint64_t value, size_t size)
{
    uint8_t bytes[8];
    slc_kafka_put(bytes, value, size);
    (void)slc_buf_add(out, bytes, size);
}

void slc_kafka_add_int8(slc_buf *out, int8_t value)
{
    add_int(out, (uint64_t)value, 1);
}

void slc_kafka_add_int16(slc_buf *out, int16_t value)
{
    add_int(out, (uint64_t)value, 2);
}

void slc_kafka_add_int32(slc_buf *out, int32_t value)
{
    add_int(out, (uint64_t)value, 4);
}

void slc_kafka_add_int64(slc_buf *out, int64_t value)
{
    add_int(out, (uint64_t)value, 8);
}

void slc_kafka_add_uvarint(slc_buf *out, uint32_t value)
{
    uint8_t bytes[SLC_KAFKA_MAX_UVARINT];
    (void)slc_buf_add(out, bytes, slc_kafka_put_uvarint(bytes, value));
}

static void add_prefix(slc_buf *out, bool compact, bool null, size_t len, size_t fixed)
{
    if (compact)
        slc_kafka_add_uvarint(out, null ? 0 : (uint32_t)len + 1);
    else
        add_int(out, null ? UINT64_MAX : len, fixed);
}

void slc_kafka_add_string(slc_buf *out, bool compact, const char *data, size_t len)
{
    SLC_BUG_ON(len > SLC_KAFKA_MAX_STRING);
    add_prefix(out, compact, data == NULL, len, 2);
    if (data != NULL && len > 0)
        (void)slc_buf_add(out, data, len);
}

void slc_kafka_add_bytes(slc_buf *out, bool compact, const uint8_t *data, size_t len)
{
    SLC_BUG_ON(len >= INT32_MAX);
    add_prefix(out, compact, data == NULL, len, 4);
    if (data != NULL && len > 0)
        (void)slc_buf_add(out, data, len);
}

void slc_kafka_add_count(slc_buf *out, bool compact, int32_t count)
{
    add_prefix(out, compact, count < 0, (size_t)(count < 0 ? 0 : count), 4);
}

void slc_kafka_add_no_tags(slc_buf *out)
{
    slc_kafka_add_uvarint(out, 0);
}

size_t slc_kafka_request_begin(slc_buf *out, int key, int version, int32_t correlation_id,
                               const char *client_id)
{
    const slc_kafka_message *message = slc_kafka_message_find(key, version, SLC_KAFKA_REQUEST, NULL);
    SLC_BUG_ON(message == NULL);
    size_t begin = out->len;
    slc_kafka_add_int32(out, 0);
    slc_kafka_add_int16(out, (int16_t)key);
    slc_kafka_add_int16(out, (int16_t)version);
    slc_kafka_add_int32(out, correlation_id);
    slc_kafka_add_string(out, false, client_id, client_id != NULL ? strlen(client_id) : 0);
    if (slc_kafka_header_version(message, version) >= 2)
        slc_kafka_add_no_tags(out);
    return begin;
}

size_t slc_kafka_response_begin(slc_buf *out, int key, int version, int32_t correlation_id)
{
    const slc_kafka_message *message = slc_kafka_message_find(key, version, SLC_KAFKA_RESPONSE, NULL);
    SLC_BUG_ON(message == NULL);
    size_t begin = out->len;
    slc_kafka_add_int32(out, 0);
    slc_kafka_add_int32(out, correlation_id);
    if (slc_kafka_header_version(message, version) >= 1)
        slc_kafka_add_no_tags(out);
    return begin;
}

bool slc_kafka_frame_end(slc_buf *out, size_t begin, slc_error *err)
{
    if (out->overflow || out->len - begin - 4 > INT32_MAX) {
        if (out->len > begin)
            out->len = begin;
        return slc_fail(err, SLC_LIMIT, NULL, "A Kafka frame does not fit into %zu bytes.", out->max);
    }
    slc_kafka_put(out->data + begin, out->len - begin - 4, 4);
    return true;
}
