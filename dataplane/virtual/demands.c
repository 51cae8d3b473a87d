#include "dataplane/virtual/demands.h"

#include "dataplane/kafka/wire.h"

#define FLAG       (INT64_C(1) << 30)
#define CODE_SHIFT 24
#define INDEX_MASK ((INT64_C(1) << CODE_SHIFT) - 1)

/* Where things lie in a batch; the first four are the same in older messages. */
enum {
    LENGTH_AT = 8,
    BEFORE_LENGTH = 12, /* bytes that the length does not count */
    MAGIC_AT = 16,
    OLD_ATTRIBUTES_AT = 17,
    OLD_HEAD = 18,
    ATTRIBUTES_AT = 21,
    PRODUCER_ID_AT = 43,
    HEAD = 61,
};

/* In the order of the numbers that stand for them. */
static const int16_t codes[] = {SLC_KAFKA_POLICY_VIOLATION,
                                SLC_KAFKA_INVALID_REQUIRED_ACKS,
                                SLC_KAFKA_UNSUPPORTED_COMPRESSION_TYPE,
                                SLC_KAFKA_CORRUPT_MESSAGE,
                                SLC_KAFKA_MESSAGE_TOO_LARGE,
                                SLC_KAFKA_TOPIC_AUTHORIZATION_FAILED,
                                SLC_KAFKA_UNSUPPORTED_FOR_MESSAGE_FORMAT,
                                SLC_KAFKA_INVALID_RECORD,
                                SLC_KAFKA_NOT_ENOUGH_REPLICAS};
#define CODES ((int64_t)(sizeof codes / sizeof *codes))

bool slc_refused_partition(int64_t index, int16_t code, int64_t *sent)
{
    for (int64_t i = 0; index >= 0 && index <= INDEX_MASK && i < CODES; i++) {
        if (codes[i] != code)
            continue;
        *sent = FLAG | i << CODE_SHIFT | index;
        return true;
    }
    return false;
}

bool slc_refused_partition_of(int64_t sent, int64_t *index, int16_t *code)
{
    int64_t which = (sent & ~FLAG) >> CODE_SHIFT;
    if (sent < FLAG || which >= CODES)
        return false;
    *index = sent & INDEX_MASK;
    *code = codes[which];
    return true;
}

bool slc_batches_each(const uint8_t *records, size_t len, bool (*fn)(const slc_batch_head *head, void *arg),
                      void *arg)
{
    for (size_t at = 0; len - at >= OLD_HEAD;) {
        const uint8_t *batch = records + at;
        size_t size = slc_kafka_get32(batch + LENGTH_AT);
        bool old = batch[MAGIC_AT] < 2;
        if (!old && len - at < HEAD)
            break;
        const slc_batch_head head = {
            .codec = (uint8_t)((old ? batch[OLD_ATTRIBUTES_AT] : slc_kafka_get16(batch + ATTRIBUTES_AT)) & 7),
            .idempotent = !old && (batch[PRODUCER_ID_AT] & 0x80) == 0};
        if (!fn(&head, arg))
            return false;
        if (size > len - at - BEFORE_LENGTH)
            break;
        at += BEFORE_LENGTH + size;
    }
    return true;
}
