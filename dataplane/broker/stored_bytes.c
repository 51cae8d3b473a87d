/* The size of a record in Kafka's format (message format 2): what a topic's max.message.bytes is compared with.
 */
#include <string.h>

#include "dataplane/broker/broker.h"

#define BATCH_HEADER_BYTES 61
#define FIXED_BYTES        3 /* attributes; timestamp and offset of the only record, as distances of 0 */

/* Of a zigzag varint that is not negative. */
static size_t varint_bytes(size_t value)
{
    size_t bytes = 1;
    for (value <<= 1; value >= 0x80; value >>= 7)
        bytes++;
    return bytes;
}

/* A length before bytes; null is -1, which takes one byte as well. */
static size_t bytes_bytes(size_t len)
{
    return varint_bytes(len) + len;
}

size_t slc_record_stored_bytes(const slc_outgoing *record)
{
    size_t size = FIXED_BYTES + bytes_bytes(record->key_len) + bytes_bytes(record->value_len) +
                  varint_bytes(record->header_count);
    for (size_t i = 0; i < record->header_count; i++)
        size += bytes_bytes(strlen(record->headers[i].name)) + bytes_bytes(record->headers[i].value_len);
    return BATCH_HEADER_BYTES + varint_bytes(size) + size;
}
