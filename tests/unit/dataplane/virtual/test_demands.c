/* Demands: what batches say of themselves, and partitions that say why they were refused. */
#include "dataplane/virtual/demands.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/kafka/wire.h"
#include "tests/unit/common/unit.h"

#define HEAD 61

/* A batch of magic 2 with a header and `more` bytes. */
static size_t put_batch(uint8_t *at, size_t more, uint8_t codec, int64_t producer_id)
{
    memset(at, 0, HEAD + more);
    slc_kafka_put(at + 8, HEAD - 12 + more, 4);
    at[16] = 2;
    slc_kafka_put(at + 21, codec, 2);
    slc_kafka_put(at + 43, (uint64_t)producer_id, 8);
    return HEAD + more;
}

static size_t put_old(uint8_t *at, uint8_t codec)
{
    memset(at, 0, 34);
    slc_kafka_put(at + 8, 22, 4);
    at[16] = 1;
    at[17] = codec;
    return 34;
}

static struct {
    slc_batch_head heads[8];
    size_t count, stop;
} seen;

static bool see(const slc_batch_head *head, void *arg)
{
    (void)arg;
    seen.heads[seen.count++] = *head;
    return seen.count != seen.stop;
}

START_TEST(every_batch_is_read)
{
    uint8_t records[400];
    size_t len = put_batch(records, 10, 4, 7);
    len += put_batch(records + len, 0, 0, -1);
    len += put_old(records + len, 2);
    seen.count = seen.stop = 0;
    ck_assert(slc_batches_each(records, len, see, NULL));
    ck_assert_uint_eq(seen.count, 3);
    ck_assert(seen.heads[0].codec == 4 && seen.heads[0].idempotent);
    ck_assert(seen.heads[1].codec == 0 && !seen.heads[1].idempotent);
    ck_assert(seen.heads[2].codec == 2 && !seen.heads[2].idempotent);
    seen.count = 0;
    seen.stop = 1;
    ck_assert(!slc_batches_each(records, len, see, NULL));
    ck_assert_uint_eq(seen.count, 1);
}
END_TEST

/* From every length on, each in memory of its own, so that a byte too many is found. */
START_TEST(what_is_cut_off_is_not_read)
{
    uint8_t records[400];
    size_t len = put_batch(records, 10, 1, -1);
    len += put_batch(records + len, 3, 1, -1);
    for (size_t cut = 0; cut <= len; cut++) {
        uint8_t *copy = malloc(cut + 1);
        memcpy(copy, records, cut);
        seen.count = seen.stop = 0;
        ck_assert(slc_batches_each(copy, cut, see, NULL));
        ck_assert_uint_eq(seen.count, cut < HEAD ? 0 : cut < HEAD + 10 + HEAD ? 1 : 2);
        free(copy);
    }
    slc_kafka_put(records + 8, 0xffffffff, 4); /* a length of its own choice */
    seen.count = 0;
    ck_assert(slc_batches_each(records, len, see, NULL));
    ck_assert_uint_eq(seen.count, 1);
}
END_TEST

START_TEST(a_refused_partition_is_told_from_all_others)
{
    static const int16_t codes[] = {SLC_KAFKA_POLICY_VIOLATION, SLC_KAFKA_INVALID_REQUIRED_ACKS,
                                    SLC_KAFKA_UNSUPPORTED_COMPRESSION_TYPE};
    static const int64_t indexes[] = {0, 1, 4095, 0xffffff};
    int64_t sent, index;
    int16_t code;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        for (size_t j = 0; j < sizeof indexes / sizeof *indexes; j++) {
            ck_assert(slc_refused_partition(indexes[j], codes[i], &sent));
            ck_assert(sent > 0xffffff && sent <= INT32_MAX);
            ck_assert(slc_refused_partition_of(sent, &index, &code) && index == indexes[j] && code == codes[i]);
        }
    ck_assert(!slc_refused_partition(0x1000000, codes[0], &sent));
    ck_assert(!slc_refused_partition(-1, codes[0], &sent));
    ck_assert(!slc_refused_partition(1, 3, &sent));
    ck_assert(!slc_refused_partition_of(4095, &index, &code));
    ck_assert(!slc_refused_partition_of(-1, &index, &code));
    ck_assert(!slc_refused_partition_of(INT32_MAX, &index, &code));
}
END_TEST

UNIT_MAIN("demands", every_batch_is_read, what_is_cut_off_is_not_read,
          a_refused_partition_is_told_from_all_others)
