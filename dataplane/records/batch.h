/* Kafka's record batches (message format 2, KIP-98), read in place: nothing is copied and nothing is allocated.
 *
 * docs/decisions/0015-record-batches.md has the design. No function here is tied to a thread.
 */
#ifndef SLC_DATAPLANE_RECORDS_BATCH_H
#define SLC_DATAPLANE_RECORDS_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "dataplane/records/compression.h"
#include "dataplane/records/header.h"

#define SLC_BATCH_HEADER_BYTES 61
#define SLC_BATCH_PREFIX_BYTES 12 /* base offset and length, which the length does not count */

enum slc_batch_attributes {
    SLC_BATCH_CODEC = 0x07,
    SLC_BATCH_LOG_APPEND_TIME = 0x08,
    SLC_BATCH_TRANSACTIONAL = 0x10,
    SLC_BATCH_CONTROL = 0x20,
    SLC_BATCH_DELETE_HORIZON =
        0x40, /* the base timestamp is it; the records' deltas are from there (KIP-534) */
};

typedef struct slc_batch {
    const uint8_t *bytes; /* the whole batch */
    size_t len;
    int64_t base_offset;
    int32_t leader_epoch;
    uint32_t crc;
    uint16_t attributes;
    int32_t last_offset_delta;
    int64_t base_timestamp; /* milliseconds since 1970 */
    int64_t max_timestamp;
    int64_t producer_id; /* -1: none */
    int16_t producer_epoch;
    int32_t base_sequence;
    int32_t count;          /* of records, as the header says; 0 where compaction left nothing */
    const uint8_t *records; /* behind the header; compressed, if it is */
    size_t records_len;
} slc_batch;

enum slc_batch_step {
    SLC_BATCH,
    SLC_BATCH_DONE,
    SLC_BATCH_PARTIAL, /* what is left begins a batch that is cut off, as at the end of a Fetch answer */
    SLC_BATCH_FAILED,
};

/* Reads the batch at data[*at] and moves *at behind it; at the end, and at a partial batch, *at stays. The
 * checksum is not looked at. FAILED fills `err`: SLC_CORRUPT for a length that cannot be, SLC_UNSUPPORTED for
 * another format than 2 (the formats 0 and 1 of brokers before 0.11 in old segments). */
enum slc_batch_step slc_batch_next(const uint8_t *data, size_t len, size_t *at, slc_batch *batch,
                                   slc_error *err) SLC_CHECKED;

/* Where a batch lies, as far as that can be said of one that cannot be read. */
typedef struct slc_batch_extent {
    int64_t first, last;   /* offsets; last >= first */
    int64_t max_timestamp; /* milliseconds since 1970; -1: unknown, also where the checksum does not hold */
    size_t len;
} slc_batch_extent;

/* Of the batch at data[at], of whatever format: what those to come will have in common with those there are is
 * its place, its length, and from 2 on, as brokers take it, its last offset; a message of the formats 0 and 1
 * has one offset, the last of those in it. False: it is cut off, or its length cannot be. */
bool slc_batch_extent_at(const uint8_t *data, size_t len, size_t at, slc_batch_extent *extent);

/* Does the checksum hold? */
bool slc_batch_crc_holds(const slc_batch *batch);

static inline enum slc_codec slc_batch_codec(const slc_batch *batch)
{
    return (enum slc_codec)(batch->attributes & SLC_BATCH_CODEC);
}

/* Wraps where the base offset is none that a broker gives. */
static inline int64_t slc_batch_last_offset(const slc_batch *batch)
{
    return (int64_t)((uint64_t)batch->base_offset + (uint64_t)(int64_t)batch->last_offset_delta);
}

/* A record in its batch. All pointers are into the (inflated) batch. */
typedef struct slc_batch_record {
    const uint8_t *bytes; /* the whole record, its length included */
    size_t bytes_len;
    uint8_t attributes; /* none are in use */
    int64_t offset;
    int64_t timestamp; /* milliseconds since 1970; that of the append where the topic has those; -1: none */
    int64_t timestamp_delta;
    int32_t offset_delta;
    const uint8_t *key; /* NULL: null */
    size_t key_len;
    const uint8_t *value; /* NULL: null, a tombstone */
    size_t value_len;
    int32_t n_headers;
    const uint8_t *headers; /* n_headers of them, see slc_batch_headers_next */
    size_t headers_len;
} slc_batch_record;

/* A run of records. */
typedef struct slc_batch_cursor {
    const slc_batch *batch_;
    const uint8_t *at_;
    const uint8_t *end_;
    int32_t left_;
} slc_batch_cursor;

/* Begins at the records of a batch: `data` is batch->records, or what they inflate to. */
void slc_batch_cursor_init(slc_batch_cursor *cursor, const slc_batch *batch, const uint8_t *data, size_t len);

enum slc_batch_cursor_step {
    SLC_RECORD,
    SLC_RECORD_DONE, /* as many as the batch says, and not a byte more */
    SLC_RECORD_FAILED,
};

/* The next record, every length in it checked, its headers' too. FAILED fills `err` (SLC_CORRUPT). */
enum slc_batch_cursor_step slc_batch_cursor_next(slc_batch_cursor *cursor, slc_batch_record *record,
                                                 slc_error *err) SLC_CHECKED;

typedef struct slc_batch_headers {
    const uint8_t *at_;
    const uint8_t *end_;
} slc_batch_headers;

/* The headers of a record that slc_batch_cursor_next() gave, in order, repeated names included. */
void slc_batch_headers_init(slc_batch_headers *headers, const slc_batch_record *record);
/* False at the end. */
bool slc_batch_headers_next(slc_batch_headers *headers, slc_record_header *header);

#endif
