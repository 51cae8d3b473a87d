/* Kafka's primitive encodings: big-endian integers and the unsigned varints of KIP-482. */
#ifndef SLC_DATAPLANE_KAFKA_WIRE_H
#define SLC_DATAPLANE_KAFKA_WIRE_H

#include <stddef.h>
#include <stdint.h>

#define SLC_KAFKA_MAX_UVARINT 5 /* bytes of a 32-bit varint */

static inline uint16_t slc_kafka_get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t slc_kafka_get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t slc_kafka_get64(const uint8_t *p)
{
    return (uint64_t)slc_kafka_get32(p) << 32 | slc_kafka_get32(p + 4);
}

/* The low `size` bytes of `value`, big-endian; two's complement comes out right. */
static inline void slc_kafka_put(uint8_t *p, uint64_t value, size_t size)
{
    for (size_t i = size; i > 0; i--) {
        p[i - 1] = (uint8_t)value;
        value >>= 8;
    }
}

/* Writes the shortest encoding and returns its bytes, at most SLC_KAFKA_MAX_UVARINT. */
static inline size_t slc_kafka_put_uvarint(uint8_t *p, uint32_t value)
{
    size_t n = 0;
    while (value >= 0x80) {
        p[n++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    p[n++] = (uint8_t)value;
    return n;
}

#endif
