#include "dataplane/records/batch.h"

#include <inttypes.h>

#include "common/assert.h"
#include "dataplane/kafka/wire.h"
#include "dataplane/records/batch_layout.h"
#include "dataplane/records/crc32c.h"
#include "dataplane/records/varint.h"

#define MAGIC_2 2

/* --- batches --- */

static void read_header(const uint8_t *bytes, size_t len, slc_batch *batch)
{
    *batch = (slc_batch){
        .bytes = bytes,
        .len = len,
        .base_offset = (int64_t)slc_kafka_get64(bytes + AT_BASE_OFFSET),
        .leader_epoch = (int32_t)slc_kafka_get32(bytes + AT_LEADER_EPOCH),
        .crc = slc_kafka_get32(bytes + AT_CRC),
        .attributes = slc_kafka_get16(bytes + AT_ATTRIBUTES),
        .last_offset_delta = (int32_t)slc_kafka_get32(bytes + AT_LAST_OFFSET_DELTA),
        .base_timestamp = (int64_t)slc_kafka_get64(bytes + AT_BASE_TIMESTAMP),
        .max_timestamp = (int64_t)slc_kafka_get64(bytes + AT_MAX_TIMESTAMP),
        .producer_id = (int64_t)slc_kafka_get64(bytes + AT_PRODUCER_ID),
        .producer_epoch = (int16_t)slc_kafka_get16(bytes + AT_PRODUCER_EPOCH),
        .base_sequence = (int32_t)slc_kafka_get32(bytes + AT_BASE_SEQUENCE),
        .count = (int32_t)slc_kafka_get32(bytes + AT_COUNT),
        .records = bytes + SLC_BATCH_HEADER_BYTES,
        .records_len = len - SLC_BATCH_HEADER_BYTES,
    };
}

static enum slc_batch_step fail_batch(slc_error *err, enum slc_code code, const uint8_t *bytes,
                                      const char *what, int64_t number)
{
    slc_fail(err, code, NULL, "The record batch at offset %" PRId64 " has %s %" PRId64 ".",
             (int64_t)slc_kafka_get64(bytes), what, number);
    return SLC_BATCH_FAILED;
}

/* The formats before have their magic byte at the same place, and lengths that mean the same. */
static enum slc_batch_step fail_magic(slc_error *err, const uint8_t *bytes)
{
    slc_fail(err, SLC_UNSUPPORTED, NULL,
             "The records at offset %" PRId64
             " are of the message format %d. Policies on records need the format 2, "
             "which brokers write since 0.11.",
             (int64_t)slc_kafka_get64(bytes), bytes[AT_MAGIC]);
    return SLC_BATCH_FAILED;
}

enum slc_batch_step slc_batch_next(const uint8_t *data, size_t len, size_t *at, slc_batch *batch,
                                   slc_error *err)
{
    size_t left = len - *at;
    if (left == 0)
        return SLC_BATCH_DONE;
    if (left <= AT_MAGIC)
        return SLC_BATCH_PARTIAL;
    const uint8_t *bytes = data + *at;
    int32_t length = (int32_t)slc_kafka_get32(bytes + AT_LENGTH);
    if (bytes[AT_MAGIC] != MAGIC_2)
        return fail_magic(err, bytes);
    if (length < SLC_BATCH_HEADER_BYTES - SLC_BATCH_PREFIX_BYTES)
        return fail_batch(err, SLC_CORRUPT, bytes, "the impossible length", length);
    if ((size_t)length > left - SLC_BATCH_PREFIX_BYTES)
        return SLC_BATCH_PARTIAL;
    read_header(bytes, SLC_BATCH_PREFIX_BYTES + (size_t)length, batch);
    if (batch->count < 0)
        return fail_batch(err, SLC_CORRUPT, bytes, "the impossible count of records", batch->count);
    if (batch->last_offset_delta < 0)
        return fail_batch(err, SLC_CORRUPT, bytes, "the impossible last offset delta",
                          batch->last_offset_delta);
    if (slc_batch_codec(batch) >= SLC_CODECS)
        return fail_batch(err, SLC_UNSUPPORTED, bytes, "the unknown compression", slc_batch_codec(batch));
    *at += batch->len;
    return SLC_BATCH;
}

bool slc_batch_extent_at(const uint8_t *data, size_t len, size_t at, slc_batch_extent *extent)
{
    size_t left = len - at;
    const uint8_t *bytes = data + at;
    if (left <= AT_MAGIC)
        return false;
    bool old = bytes[AT_MAGIC] < MAGIC_2;
    size_t least = old ? AT_MAGIC + 1 : SLC_BATCH_HEADER_BYTES;
    int32_t length = (int32_t)slc_kafka_get32(bytes + AT_LENGTH);
    if (length < 0 || (size_t)length > left - SLC_BATCH_PREFIX_BYTES ||
        SLC_BATCH_PREFIX_BYTES + (size_t)length < least)
        return false;
    int64_t first = (int64_t)slc_kafka_get64(bytes);
    *extent = (slc_batch_extent){first, first, -1, SLC_BATCH_PREFIX_BYTES + (size_t)length};
    if (old)
        return true;
    slc_batch batch;
    read_header(bytes, extent->len, &batch);
    if (batch.last_offset_delta > 0 && slc_batch_last_offset(&batch) > first)
        extent->last = slc_batch_last_offset(&batch);
    if (slc_batch_crc_holds(&batch))
        extent->max_timestamp = batch.max_timestamp;
    return true;
}

bool slc_batch_crc_holds(const slc_batch *batch)
{
    return slc_crc32c(0, batch->bytes + AT_ATTRIBUTES, batch->len - AT_ATTRIBUTES) == batch->crc;
}

/* --- records --- */

void slc_batch_cursor_init(slc_batch_cursor *cursor, const slc_batch *batch, const uint8_t *data, size_t len)
{
    *cursor = (slc_batch_cursor){.batch_ = batch, .at_ = data, .end_ = data + len, .left_ = batch->count};
}

/* A length of -1 is null. */
static inline bool read_bytes(const uint8_t **at, const uint8_t *end, const uint8_t **data, size_t *len)
{
    int32_t length;
    if (!slc_varint_get(at, end, &length) || length < -1 || length > end - *at)
        return false;
    *data = length < 0 ? NULL : *at;
    *len = length < 0 ? 0 : (size_t)length;
    *at += *len;
    return true;
}

static bool read_header_of_record(const uint8_t **at, const uint8_t *end, slc_record_header *header)
{
    const uint8_t *name;
    size_t name_len, value_len;
    if (!read_bytes(at, end, &name, &name_len) || name == NULL)
        return false;
    header->name = (const char *)name;
    header->name_len = (uint32_t)name_len;
    if (!read_bytes(at, end, &header->value, &value_len))
        return false;
    header->value_len = (uint32_t)value_len;
    return true;
}

/* Each header takes two bytes at least, so that a count that lies ends early. */
static const char *read_headers(const uint8_t **at, const uint8_t *end, slc_batch_record *record)
{
    if (!slc_varint_get(at, end, &record->n_headers) || record->n_headers < 0)
        return "the count of its headers";
    record->headers = *at;
    for (int32_t i = 0; i < record->n_headers; i++) {
        slc_record_header header;
        if (!read_header_of_record(at, end, &header))
            return "one of its headers";
    }
    record->headers_len = (size_t)(*at - record->headers);
    return NULL;
}

static void place(slc_batch_record *record, const slc_batch *batch)
{
    record->offset = (int64_t)((uint64_t)batch->base_offset + (uint64_t)(int64_t)record->offset_delta);
    if ((batch->attributes & SLC_BATCH_LOG_APPEND_TIME) != 0)
        record->timestamp = batch->max_timestamp;
    else
        record->timestamp = (int64_t)((uint64_t)batch->base_timestamp + (uint64_t)record->timestamp_delta);
}

/* What is wrong, or NULL. */
static const char *read_record(slc_batch_cursor *cursor, slc_batch_record *record)
{
    const uint8_t *at = cursor->at_;
    int32_t length;
    record->bytes = at;
    if (!slc_varint_get(&at, cursor->end_, &length) || length < 1 || length > cursor->end_ - at)
        return "its length";
    const uint8_t *end = at + length;
    record->attributes = *at++;
    if (!slc_varlong_get(&at, end, SLC_VARLONG_MAX, &record->timestamp_delta))
        return "its timestamp";
    if (!slc_varint_get(&at, end, &record->offset_delta) || record->offset_delta < 0 ||
        record->offset_delta > cursor->batch_->last_offset_delta)
        return "its offset";
    if (!read_bytes(&at, end, &record->key, &record->key_len))
        return "its key";
    if (!read_bytes(&at, end, &record->value, &record->value_len))
        return "its value";
    const char *wrong = read_headers(&at, end, record);
    if (wrong != NULL)
        return wrong;
    if (at != end)
        return "bytes behind its headers";
    record->bytes_len = (size_t)(end - record->bytes);
    place(record, cursor->batch_);
    cursor->at_ = end;
    return NULL;
}

static enum slc_batch_cursor_step fail_record(const slc_batch_cursor *cursor, const char *wrong, slc_error *err)
{
    const slc_batch *batch = cursor->batch_;
    slc_fail(err, SLC_CORRUPT, NULL,
             "In the record batch at offset %" PRId64 ", record %d of %d is damaged: %s.", batch->base_offset,
             batch->count - cursor->left_ + 1, batch->count, wrong);
    return SLC_RECORD_FAILED;
}

enum slc_batch_cursor_step slc_batch_cursor_next(slc_batch_cursor *cursor, slc_batch_record *record,
                                                 slc_error *err)
{
    if (cursor->left_ == 0) {
        if (cursor->at_ == cursor->end_)
            return SLC_RECORD_DONE;
        slc_fail(err, SLC_CORRUPT, NULL, "The record batch at offset %" PRId64 " has more than its %d records.",
                 cursor->batch_->base_offset, cursor->batch_->count);
        return SLC_RECORD_FAILED;
    }
    const char *wrong = read_record(cursor, record);
    if (wrong != NULL)
        return fail_record(cursor, wrong, err);
    cursor->left_--;
    return SLC_RECORD;
}

void slc_batch_headers_init(slc_batch_headers *headers, const slc_batch_record *record)
{
    *headers = (slc_batch_headers){.at_ = record->headers, .end_ = record->headers + record->headers_len};
}

bool slc_batch_headers_next(slc_batch_headers *headers, slc_record_header *header)
{
    if (headers->at_ == headers->end_)
        return false;
    bool read = read_header_of_record(&headers->at_, headers->end_, header);
    SLC_BUG_ON(!read);
    return true;
}
