/* A record as it was consumed: immutable, atomically refcounted. Those that arrive together share an
 * allocation, which goes with the last of them. */
#ifndef SLC_DATAPLANE_BROKER_RECORD_H
#define SLC_DATAPLANE_BROKER_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/records/header.h"

struct slc_record_block;

typedef struct slc_record {
    unsigned refs;
    struct slc_record_block *block; /* where it lies; NULL: an allocation of its own */
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms; /* -1: none */
    int32_t leader_epoch; /* -1: unknown */
    bool
        unreadable; /* it stands for a batch that cannot be read, with its last offset; there is nothing else */
    const uint8_t *key; /* NULL: none */
    uint32_t key_len;
    const uint8_t *value; /* NULL: tombstone */
    uint32_t value_len;
    uint32_t header_count;
    const slc_record_header *headers; /* in order, duplicates kept */
    uint32_t size_bytes;              /* what it costs a ring */
} slc_record;

/* A copy of everything that `parts` points at, with one reference; `refs` and `size_bytes` of `parts` are
 * ignored. Any thread. Sizes come from a broker response, which librdkafka bounds. */
slc_record *slc_record_new(const slc_record *parts);
/* The same for records that arrive one after the other and leave in about that order: small ones are put
 * together. `builder` starts zeroed, belongs to one thread and holds the block that is not full;
 * slc_record_builder_release lets go of that. */
typedef struct slc_record_builder {
    struct slc_record_block *block;
} slc_record_builder;
slc_record *slc_record_build(slc_record_builder *builder, const slc_record *parts);
void slc_record_builder_release(slc_record_builder *builder);
slc_record *slc_record_ref(slc_record *record);
void slc_record_unref(slc_record *record);

#endif
