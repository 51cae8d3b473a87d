#include "common/crypto.h"

/* RFC 4648 sections 4 and 5. */

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static size_t encode(const char *alphabet, bool pad, const void *data, size_t len, char *out)
{
    const uint8_t *p = data;
    char *o = out;
    while (len >= 3) {
        uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        *o++ = alphabet[v >> 18];
        *o++ = alphabet[v >> 12 & 63];
        *o++ = alphabet[v >> 6 & 63];
        *o++ = alphabet[v & 63];
        p += 3;
        len -= 3;
    }
    if (len > 0) {
        uint32_t v = (uint32_t)p[0] << 16 | (len > 1 ? (uint32_t)p[1] << 8 : 0);
        *o++ = alphabet[v >> 18];
        *o++ = alphabet[v >> 12 & 63];
        if (len > 1)
            *o++ = alphabet[v >> 6 & 63];
        for (size_t i = len; pad && i < 3; i++)
            *o++ = '=';
    }
    *o = '\0';
    return (size_t)(o - out);
}

static int digit(char c, char c62, char c63)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == c62)
        return 62;
    return c == c63 ? 63 : -1;
}

/* `need_padding`: the length must be a multiple of four with its padding; otherwise padding may be absent, but
 * when present it must be right. */
static long decode(const char *alphabet, bool need_padding, const char *text, size_t len, uint8_t *out,
                   size_t out_max)
{
    size_t pads = 0;
    while (pads < 2 && pads < len && text[len - 1 - pads] == '=')
        pads++;
    if ((need_padding || pads > 0) && len % 4 != 0)
        return -1;
    len -= pads;
    if (len % 4 == 1 || len / 4 > INT32_MAX)
        return -1;
    size_t total = len / 4 * 3 + (len % 4 > 0 ? len % 4 - 1 : 0);
    if (total > out_max)
        return -1;
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < len; i++) {
        int d = digit(text[i], alphabet[62], alphabet[63]);
        if (d < 0)
            return -1;
        bits = (bits << 6 | (uint32_t)d) & 0xFFFFFF;
        have += 6;
        if (have >= 8) {
            have -= 8;
            *out++ = (uint8_t)(bits >> have);
        }
    }
    if ((bits & ((1U << have) - 1)) != 0) /* a second spelling of the same bytes */
        return -1;
    return (long)total;
}

size_t slc_base64_encode(const void *data, size_t len, char *out)
{
    return encode(standard, true, data, len, out);
}

size_t slc_base64url_encode(const void *data, size_t len, char *out)
{
    return encode(url_safe, false, data, len, out);
}

long slc_base64_decode(const char *text, size_t len, uint8_t *out, size_t out_max)
{
    return decode(standard, true, text, len, out, out_max);
}

long slc_base64url_decode(const char *text, size_t len, uint8_t *out, size_t out_max)
{
    return decode(url_safe, false, text, len, out, out_max);
}
