/* Writing messages by hand: a buffer and the encoders. */
#ifndef SLC_TESTS_UNIT_DATAPLANE_KAFKA_MESSAGE_H
#define SLC_TESTS_UNIT_DATAPLANE_KAFKA_MESSAGE_H

#include <string.h>

#include "dataplane/kafka/encode.h"
#include "dataplane/kafka/table.h"
#include "tests/unit/common/unit.h"

#define MESSAGE_MAX (1024 * 1024)

enum { OLD = false, COMPACT = true };

static inline const slc_kafka_message *message_of(int key, int version, enum slc_kafka_kind kind)
{
    slc_error err = {0};
    const slc_kafka_message *message = slc_kafka_message_find(key, version, kind, &err);
    ck_assert_msg(message != NULL, "%s", err.message);
    return message;
}

static inline void text(slc_buf *buf, bool compact, const char *s)
{
    slc_kafka_add_string(buf, compact, s, s != NULL ? strlen(s) : 0);
}

#endif
