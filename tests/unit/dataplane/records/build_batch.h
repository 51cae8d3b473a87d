/* Builds record batches byte by byte, with an encoder of its own, so that also wrong ones can be made. */
#ifndef SLC_TESTS_BUILD_BATCH_H
#define SLC_TESTS_BUILD_BATCH_H

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "dataplane/records/batch.h"
#include "dataplane/records/crc32c.h"

#define BUILD_MAX (64 << 20)

struct build_record {
    int64_t timestamp_delta;
    const char *key;     /* NULL: null */
    const char *value;   /* NULL: null */
    const char *headers; /* "a=1;b" and so on; without = the value is null */
    int skip_offsets;    /* before it */
};

struct build_batch {
    int64_t base_offset;
    uint16_t attributes;
    int32_t last_offset_delta; /* 0: of the last record */
    int64_t base_timestamp;
    int64_t max_timestamp;
    int count_more; /* what the count is wrong by */
};

static inline void put_number(slc_buf *buf, uint64_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--)
        ck_assert(slc_buf_addc(buf, (char)(value >> 8 * i)));
}

static inline void put_varint(slc_buf *buf, int64_t value)
{
    uint64_t bits = value < 0 ? ~((uint64_t)value << 1) : (uint64_t)value << 1;
    do {
        uint64_t rest = bits >> 7;
        ck_assert(slc_buf_addc(buf, (char)((bits & 0x7f) | (rest != 0 ? 0x80 : 0))));
        bits = rest;
    } while (bits != 0);
}

static inline void put_text(slc_buf *buf, const char *text, size_t len)
{
    put_varint(buf, text != NULL ? (int64_t)len : -1);
    ck_assert(slc_buf_add(buf, text, text != NULL ? len : 0));
}

static inline void put_headers(slc_buf *buf, const char *headers)
{
    int count = 0;
    slc_buf all;
    slc_buf_init(&all, BUILD_MAX);
    while (headers != NULL && *headers != '\0') {
        size_t len = strcspn(headers, ";"), name = strcspn(headers, "=;");
        put_text(&all, headers, name);
        put_text(&all, name < len ? headers + name + 1 : NULL, name < len ? len - name - 1 : 0);
        headers += len + (headers[len] == ';');
        count++;
    }
    put_varint(buf, count);
    ck_assert(slc_buf_add(buf, all.data, all.len));
    slc_buf_release(&all);
}

static inline void put_record(slc_buf *buf, const struct build_record *record, int offset_delta)
{
    slc_buf body;
    slc_buf_init(&body, BUILD_MAX);
    put_number(&body, 0, 1);
    put_varint(&body, record->timestamp_delta);
    put_varint(&body, offset_delta);
    put_text(&body, record->key, record->key != NULL ? strlen(record->key) : 0);
    put_text(&body, record->value, record->value != NULL ? strlen(record->value) : 0);
    put_headers(&body, record->headers);
    put_varint(buf, (int64_t)body.len);
    ck_assert(slc_buf_add(buf, body.data, body.len));
    slc_buf_release(&body);
}

/* Sets length and checksum of the batch that begins at `start`, to whatever its bytes are now. */
static inline void seal_batch(slc_buf *buf, size_t start)
{
    uint8_t *bytes = buf->data + start;
    size_t len = buf->len - start;
    uint32_t crc = slc_crc32c(0, bytes + 21, len - 21);
    for (int i = 0; i < 4; i++) {
        bytes[8 + i] = (uint8_t)((len - 12) >> 8 * (3 - i));
        bytes[17 + i] = (uint8_t)(crc >> 8 * (3 - i));
    }
}

/* Adds a batch with these records' bytes, compressed by what the attributes say. */
static inline void put_batch_of(slc_buf *buf, const struct build_batch *batch, const uint8_t *records,
                                size_t len, int count, int last_offset_delta)
{
    size_t start = buf->len;
    put_number(buf, (uint64_t)batch->base_offset, 8);
    put_number(buf, 0, 4);
    put_number(buf, 7, 4); /* leader epoch */
    put_number(buf, 2, 1);
    put_number(buf, 0, 4);
    put_number(buf, batch->attributes, 2);
    put_number(buf, (uint64_t)(batch->last_offset_delta > 0 ? batch->last_offset_delta : last_offset_delta), 4);
    put_number(buf, (uint64_t)batch->base_timestamp, 8);
    put_number(buf, (uint64_t)batch->max_timestamp, 8);
    put_number(buf, 4711, 8); /* producer id, epoch, sequence */
    put_number(buf, 3, 2);
    put_number(buf, 100, 4);
    put_number(buf, (uint64_t)(count + batch->count_more), 4);
    if ((batch->attributes & SLC_BATCH_CODEC) == SLC_CODEC_NONE) {
        ck_assert(slc_buf_add(buf, records, len));
    } else {
        slc_error err = {0};
        slc_compression *compression = slc_compression_new(&SLC_COMPRESSION_DEFAULTS);
        enum slc_codec codec = (enum slc_codec)(batch->attributes & SLC_BATCH_CODEC);
        ck_assert_msg(slc_deflate(compression, codec, records, len, buf, &err), "%s", err.message);
        slc_compression_free(compression);
    }
    seal_batch(buf, start);
}

static inline void put_batch(slc_buf *buf, const struct build_batch *batch, const struct build_record *records,
                             int count)
{
    slc_buf plain;
    int offset_delta = -1;
    slc_buf_init(&plain, BUILD_MAX);
    for (int i = 0; i < count; i++) {
        offset_delta += 1 + records[i].skip_offsets;
        put_record(&plain, &records[i], offset_delta);
    }
    put_batch_of(buf, batch, plain.data, plain.len, count, offset_delta > 0 ? offset_delta : 0);
    slc_buf_release(&plain);
}

#endif
