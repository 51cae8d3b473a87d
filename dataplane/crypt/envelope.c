#include "dataplane/crypt/envelope.h"

#include <string.h>

/* 0xf8 stands nowhere in UTF-8. */
static const uint8_t magic[] = {0xf8, 'S', 'L'};

enum { AT_VERSION = 3, AT_ALGORITHM = 4, AT_PART = 5, AT_KEK_LEN = 6 };

bool slc_envelope_is(const uint8_t *data, size_t len)
{
    return len >= sizeof magic && memcmp(data, magic, sizeof magic) == 0;
}

/* Takes `want` bytes; NULL when there are fewer. */
static const uint8_t *take(const uint8_t **at, const uint8_t *end, size_t want)
{
    const uint8_t *here = *at;
    if ((size_t)(end - here) < want)
        return NULL;
    *at += want;
    return here;
}

static bool damaged(slc_error *err)
{
    return slc_fail(err, SLC_CORRUPT, NULL, "What should be encrypted is cut off or damaged.");
}

static bool parse_kind(const uint8_t *data, slc_envelope *envelope, slc_error *err)
{
    uint8_t algorithm = data[AT_ALGORITHM], part = data[AT_PART];
    if (data[AT_VERSION] != SLC_ENVELOPE_VERSION)
        return slc_fail(err, SLC_UNSUPPORTED, NULL, "It is encrypted in version %u, which is not known here.",
                        data[AT_VERSION]);
    if (algorithm != SLC_ENVELOPE_GCM && algorithm != SLC_ENVELOPE_SIV)
        return slc_fail(err, SLC_UNSUPPORTED, NULL, "It is encrypted by algorithm %u, which is not known here.",
                        algorithm);
    if (part != SLC_PART_VALUE && part != SLC_PART_KEY && part != SLC_PART_FIELD)
        return damaged(err);
    if ((part == SLC_PART_KEY) != (algorithm == SLC_ENVELOPE_SIV))
        return damaged(err);
    envelope->head = data;
    envelope->algorithm = (enum slc_envelope_algorithm)algorithm;
    envelope->part = (enum slc_envelope_part)part;
    return true;
}

bool slc_envelope_parse(const uint8_t *data, size_t len, slc_envelope *envelope, slc_error *err)
{
    const uint8_t *at = data, *end = data + len, *bytes;
    *envelope = (slc_envelope){0};
    if (!slc_envelope_is(data, len) || take(&at, end, SLC_ENVELOPE_HEAD_BYTES) == NULL)
        return damaged(err);
    if (!parse_kind(data, envelope, err))
        return false;
    bool gcm = envelope->algorithm == SLC_ENVELOPE_GCM;
    if ((bytes = take(&at, end, 1)) == NULL)
        return damaged(err);
    envelope->kek_len = bytes[0];
    envelope->kek = (const char *)take(&at, end, envelope->kek_len);
    if (envelope->kek == NULL || envelope->kek_len == 0 || (bytes = take(&at, end, 2)) == NULL)
        return damaged(err);
    envelope->edek_len = (size_t)bytes[0] << 8 | bytes[1];
    envelope->edek = take(&at, end, envelope->edek_len);
    if (envelope->edek == NULL || envelope->edek_len > SLC_EDEK_MAX || gcm != (envelope->edek_len > 0))
        return damaged(err);
    if (gcm && (envelope->nonce = take(&at, end, SLC_ENVELOPE_NONCE_BYTES)) == NULL)
        return damaged(err);
    if ((size_t)(end - at) < SLC_ENVELOPE_TAG_BYTES)
        return damaged(err);
    envelope->text_len = (size_t)(end - at) - SLC_ENVELOPE_TAG_BYTES;
    envelope->tag = gcm ? end - SLC_ENVELOPE_TAG_BYTES : at;
    envelope->text = gcm ? at : at + SLC_ENVELOPE_TAG_BYTES;
    return true;
}

size_t slc_envelope_overhead(enum slc_envelope_part part, size_t kek_len, size_t edek_len)
{
    return SLC_ENVELOPE_HEAD_BYTES + 1 + kek_len + 2 + edek_len +
           (part != SLC_PART_KEY ? SLC_ENVELOPE_NONCE_BYTES : 0) + SLC_ENVELOPE_TAG_BYTES;
}

size_t slc_envelope_write(enum slc_envelope_part part, const char *kek, size_t kek_len, const uint8_t *edek,
                          size_t edek_len, uint8_t *out)
{
    uint8_t *at = out;
    memcpy(at, magic, sizeof magic);
    at[AT_VERSION] = SLC_ENVELOPE_VERSION;
    at[AT_ALGORITHM] = part == SLC_PART_KEY ? SLC_ENVELOPE_SIV : SLC_ENVELOPE_GCM;
    at[AT_PART] = (uint8_t)part;
    at[AT_KEK_LEN] = (uint8_t)kek_len;
    at += AT_KEK_LEN + 1;
    memcpy(at, kek, kek_len);
    at += kek_len;
    *at++ = (uint8_t)(edek_len >> 8);
    *at++ = (uint8_t)edek_len;
    if (edek_len > 0)
        memcpy(at, edek, edek_len);
    return (size_t)(at - out) + edek_len;
}
