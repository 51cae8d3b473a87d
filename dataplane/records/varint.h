/* The varints of record batches: zigzag, in groups of seven bits, the lowest first. */
#ifndef SLC_DATAPLANE_RECORDS_VARINT_H
#define SLC_DATAPLANE_RECORDS_VARINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLC_VARINT_MAX  5 /* bytes of 32 bits */
#define SLC_VARLONG_MAX 10

static inline uint64_t slc_zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

static inline size_t slc_varint_size(int64_t value)
{
    uint64_t bits = slc_zigzag(value) | 1;
    return (size_t)(63 - __builtin_clzll(bits)) / 7 + 1;
}

/* Writes the shortest encoding and returns what is behind it. */
static inline uint8_t *slc_varint_put(uint8_t *p, int64_t value)
{
    uint64_t bits = slc_zigzag(value);
    for (; bits >= 0x80; bits >>= 7)
        *p++ = (uint8_t)(bits | 0x80);
    *p++ = (uint8_t)bits;
    return p;
}

static inline int64_t slc_unzigzag(uint64_t bits)
{
    return (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
}

/* Reads one of at most `max_bytes` at *p, before `end`, and moves *p behind it. False when it is longer or the
 * bytes end; encodings that are longer than they need be are read. */
static inline bool slc_varlong_get(const uint8_t **p, const uint8_t *end, unsigned max_bytes, int64_t *value)
{
    uint64_t bits = 0;
    const uint8_t *at = *p;
    if (at < end && *at < 0x80) { /* most are */
        *value = slc_unzigzag(*at);
        *p = at + 1;
        return true;
    }
    for (unsigned i = 0; i < max_bytes && at < end; i++) {
        uint8_t byte = *at++;
        bits |= (uint64_t)(byte & 0x7f) << 7 * i;
        if (byte < 0x80) {
            *value = slc_unzigzag(bits);
            *p = at;
            return true;
        }
    }
    return false;
}

/* The same for 32 bits; more than fit into those is an error. */
static inline bool slc_varint_get(const uint8_t **p, const uint8_t *end, int32_t *value)
{
    int64_t wide;
    if (!slc_varlong_get(p, end, SLC_VARINT_MAX, &wide) || wide < INT32_MIN || wide > INT32_MAX)
        return false;
    *value = (int32_t)wide;
    return true;
}

#endif
