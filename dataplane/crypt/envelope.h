/* What an encrypted value, key or field looks like: its envelope, byte by byte. docs/encryption.md has the
 * table and test vectors. Nothing is copied and nothing is allocated; any thread. */
#ifndef SLC_DATAPLANE_CRYPT_ENVELOPE_H
#define SLC_DATAPLANE_CRYPT_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"

#define SLC_ENVELOPE_VERSION 1
#define SLC_ENVELOPE_HEAD_BYTES                                                                                \
    6 /* magic, version, algorithm, part: what is authenticated besides the context */
#define SLC_ENVELOPE_NONCE_BYTES 12
#define SLC_ENVELOPE_TAG_BYTES   16
#define SLC_KEK_NAME_MAX         255
#define SLC_EDEK_MAX             1024

enum slc_envelope_algorithm {
    SLC_ENVELOPE_GCM = 1, /* AES-256-GCM, of values and fields */
    SLC_ENVELOPE_SIV = 2, /* AES-256-SIV (RFC 5297), of keys: equal keys stay equal */
};

enum slc_envelope_part {
    SLC_PART_VALUE = 'v',
    SLC_PART_KEY = 'k',
    SLC_PART_FIELD = 'f',
};

/* All pointers are into the bytes that were parsed. */
typedef struct slc_envelope {
    const uint8_t *head; /* SLC_ENVELOPE_HEAD_BYTES */
    enum slc_envelope_algorithm algorithm;
    enum slc_envelope_part part;
    const char *kek; /* name of the key-encryption key in its ring; not terminated */
    size_t kek_len;
    const uint8_t *edek; /* the data key, encrypted by that; of keys (SIV) none */
    size_t edek_len;
    const uint8_t *nonce; /* GCM; NULL with SIV, which has none */
    const uint8_t *tag;   /* GCM: behind the text; SIV: before it */
    const uint8_t *text;
    size_t text_len;
} slc_envelope;

/* Do the bytes begin as an envelope of any version does? Neither UTF-8 text nor JSON does. */
bool slc_envelope_is(const uint8_t *data, size_t len);

/* False with `err`: SLC_UNSUPPORTED for another version or algorithm, SLC_CORRUPT for anything else. */
bool slc_envelope_parse(const uint8_t *data, size_t len, slc_envelope *envelope, slc_error *err) SLC_CHECKED;

/* How many bytes an envelope is longer than what is in it. */
size_t slc_envelope_overhead(enum slc_envelope_part part, size_t kek_len, size_t edek_len);

/* Writes all that stands before the nonce (GCM) or the tag (SIV) to `out`, which has room for it, and returns
 * its length. */
size_t slc_envelope_write(enum slc_envelope_part part, const char *kek, size_t kek_len, const uint8_t *edek,
                          size_t edek_len, uint8_t *out);

#endif
