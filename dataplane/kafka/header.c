/* Headers, read by the walker like everything else. */
#include "dataplane/kafka/header.h"

#include "dataplane/kafka/wire.h"

#define FIXED_BYTES 8 /* key, version and correlation id, which every version has */

static enum slc_kafka_step read_header(const slc_kafka_message *header, int version, const uint8_t *data,
                                       size_t len, size_t size, slc_kafka_request_header *out, slc_error *err)
{
    slc_kafka_walk walk;
    slc_kafka_walk_options options = {.wants = SLC_KAFKA_WANT(SLC_KAFKA_ROLE_CLIENT_ID) |
                                               SLC_KAFKA_WANT(SLC_KAFKA_ROLE_CORRELATION_ID),
                                      .trailing_ok = true};
    if (!slc_kafka_walk_init(&walk, header, version, size, &options, err))
        return SLC_KAFKA_FAILED;
    slc_kafka_walk_feed(&walk, data, len);
    slc_kafka_event ev;
    enum slc_kafka_step step;
    while ((step = slc_kafka_walk_next(&walk, &ev, err)) == SLC_KAFKA_EVENT) {
        if (ev.field->role == SLC_KAFKA_ROLE_CLIENT_ID) {
            out->client_id = ev.data;
            out->client_id_len = ev.len;
        } else {
            out->correlation_id = (int32_t)ev.number;
        }
    }
    out->size = slc_kafka_walk_offset(&walk);
    return step;
}

enum slc_kafka_step slc_kafka_request_header_read(const uint8_t *data, size_t len, size_t size,
                                                  slc_kafka_request_header *header, slc_error *err)
{
    *header = (slc_kafka_request_header){.key = -1};
    if (size < FIXED_BYTES) {
        slc_fail(err, SLC_INVALID, "RequestHeader", "A frame of %zu bytes is too short for a request header.",
                 size);
        return SLC_KAFKA_FAILED;
    }
    if (len < FIXED_BYTES)
        return SLC_KAFKA_MORE;
    header->key = (int16_t)slc_kafka_get16(data);
    header->version = (int16_t)slc_kafka_get16(data + 2);
    header->correlation_id = (int32_t)slc_kafka_get32(data + 4);
    header->message = slc_kafka_message_find(header->key, header->version, SLC_KAFKA_REQUEST, err);
    if (header->message == NULL)
        return SLC_KAFKA_FAILED;
    int version = slc_kafka_header_version(header->message, header->version);
    return read_header(slc_kafka_request_header_message, version, data, len, size, header, err);
}

enum slc_kafka_step slc_kafka_response_header_read(const slc_kafka_message *message, int version,
                                                   const uint8_t *data, size_t len, size_t size,
                                                   int32_t *correlation_id, size_t *header_size, slc_error *err)
{
    slc_kafka_request_header header = {0};
    enum slc_kafka_step step =
        read_header(slc_kafka_response_header_message, slc_kafka_header_version(message, version), data, len,
                    size, &header, err);
    *correlation_id = header.correlation_id;
    *header_size = header.size;
    return step;
}
