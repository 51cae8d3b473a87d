#include "common/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/crypto.h"
#include "common/utf8.h"

#define FIRST_CAPACITY 64

void slc_buf_init(slc_buf *buf, size_t max_bytes)
{
    /* So that sums of sizes cannot wrap. */
    *buf = (slc_buf){.max = max_bytes < SIZE_MAX / 4 ? max_bytes : SIZE_MAX / 4};
}

void slc_buf_release(slc_buf *buf)
{
    free(buf->data);
    slc_buf_init(buf, buf->max);
}

void slc_buf_clear(slc_buf *buf)
{
    buf->len = 0;
    buf->overflow = false;
    if (buf->data != NULL)
        buf->data[0] = '\0';
}

/* Makes room for `len` more bytes and the NUL. */
static bool reserve(slc_buf *buf, size_t len)
{
    if (len > buf->max || buf->len > buf->max - len) {
        buf->overflow = true;
        return false;
    }
    size_t need = buf->len + len + 1;
    if (need <= buf->cap)
        return true;
    size_t cap = buf->cap > 0 ? buf->cap : FIRST_CAPACITY;
    while (cap < need)
        cap *= 2;
    if (cap > buf->max + 1)
        cap = buf->max + 1;
    buf->data = slc_realloc(buf->data, cap);
    buf->cap = cap;
    return true;
}

void slc_buf_reserve(slc_buf *buf, size_t len)
{
    size_t need = buf->len + len + 1;
    if (len > buf->max || buf->len > buf->max - len || need <= buf->cap)
        return;
    buf->data = slc_realloc(buf->data, need);
    buf->data[buf->len] = '\0';
    buf->cap = need;
}

uint8_t *slc_buf_extend(slc_buf *buf, size_t len)
{
    if (!reserve(buf, len))
        return NULL;
    uint8_t *room = buf->data + buf->len;
    buf->len += len;
    buf->data[buf->len] = '\0';
    return room;
}

bool slc_buf_add(slc_buf *buf, const void *data, size_t len)
{
    uint8_t *room = slc_buf_extend(buf, len);
    if (room == NULL)
        return false;
    if (len > 0)
        memcpy(room, data, len);
    return true;
}

bool slc_buf_adds(slc_buf *buf, const char *s)
{
    return slc_buf_add(buf, s, strlen(s));
}

bool slc_buf_addc(slc_buf *buf, char c)
{
    return slc_buf_add(buf, &c, 1);
}

bool slc_buf_add_int(slc_buf *buf, int64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (value < 0)
        digits[--at] = '-';
    return slc_buf_add(buf, digits + at, sizeof digits - at);
}

bool slc_buf_addf(slc_buf *buf, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0 || !reserve(buf, (size_t)n))
        return false;
    va_start(args, fmt);
    vsnprintf((char *)buf->data + buf->len, (size_t)n + 1, fmt, args);
    va_end(args);
    buf->len += (size_t)n;
    return true;
}

static bool add_escaped(slc_buf *buf, unsigned char c)
{
    static const char shorts[] = {
        ['"'] = '"', ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    if (c < sizeof(shorts) && shorts[c] != 0) {
        char pair[2] = {'\\', shorts[c]};
        return slc_buf_add(buf, pair, 2);
    }
    return slc_buf_addf(buf, "\\u%04x", c);
}

bool slc_buf_add_json_string(slc_buf *buf, const char *s, size_t len)
{
    const unsigned char *p = (const unsigned char *)s;
    size_t start = buf->len;
    size_t plain = 0; /* bytes before p[i] that can be copied as they are */
    size_t i = 0;
    bool ok = true;
    while (ok && i < len) {
        size_t n = slc_utf8_sequence(p + i, len - i);
        if (n > 0 && p[i] >= 0x20 && p[i] != '"' && p[i] != '\\' && p[i] != 0x7F) {
            i += n;
            continue;
        }
        ok = slc_buf_add(buf, p + plain, i - plain) &&
             (n == 0 ? slc_buf_add(buf, "\xEF\xBF\xBD", 3) : add_escaped(buf, p[i]));
        plain = ++i;
    }
    if (ok && slc_buf_add(buf, p + plain, len - plain))
        return true;
    /* All or nothing, as the header promises. */
    buf->len = start;
    if (buf->data != NULL)
        buf->data[start] = '\0';
    return false;
}

bool slc_buf_add_base64(slc_buf *buf, const void *data, size_t len)
{
    if (len > buf->max) {
        buf->overflow = true;
        return false;
    }
    size_t chars = 4 * ((len + 2) / 3);
    uint8_t *room = slc_buf_extend(buf, chars);
    if (room == NULL)
        return false;
    slc_base64_encode(data, len, (char *)room);
    return true;
}

char *slc_buf_steal(slc_buf *buf, size_t *len)
{
    char *text = buf->data != NULL ? (char *)buf->data : slc_calloc(1, 1);
    if (len != NULL)
        *len = buf->len;
    slc_buf_init(buf, buf->max);
    return text;
}
