/* The small parsers of text that comes from outside: addresses, times, base64, hex; and the JSON string writer.
 */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/json.h"
#include "common/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_time(const char *text, size_t len)
{
    int64_t ms, again;
    char printed[SLC_RFC3339_CHARS];
    if (!slc_rfc3339_parse(text, len, &ms))
        return;
    slc_rfc3339_format(ms, printed);
    /* An offset may lead out of the years 0000 to 9999, which are clamped. */
    SLC_BUG_ON(!slc_rfc3339_parse(printed, strlen(printed), &again));
    SLC_BUG_ON(again != ms && printed[0] != '0' && printed[0] != '9');
}

static void try_base64(const char *text, size_t len)
{
    uint8_t *bytes = slc_malloc(len);
    char *again = slc_malloc(len + 8);
    long n = slc_base64_decode(text, len, bytes, len);
    if (n >= 0) {
        SLC_BUG_ON(slc_base64_encode(bytes, (size_t)n, again) != len || memcmp(again, text, len) != 0);
    }
    n = slc_base64url_decode(text, len, bytes, len);
    if (n >= 0) {
        size_t written = slc_base64url_encode(bytes, (size_t)n, again);
        SLC_BUG_ON(written > len || memcmp(again, text, written) != 0);
    }
    if (slc_hex_decode(text, len, bytes, len / 2))
        SLC_BUG_ON(len % 2 != 0);
    free(bytes);
    free(again);
}

static void try_json_string(const char *text, size_t len)
{
    slc_buf out;
    slc_buf_init(&out, SIZE_MAX / 2);
    slc_buf_addc(&out, '"');
    slc_buf_add_json_string(&out, text, len);
    slc_buf_addc(&out, '"');
    json_t *value = json_loadb((char *)out.data, out.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    SLC_BUG_ON(value == NULL);
    json_decref(value);
    slc_buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char host[300];
    uint16_t port;
    slc_error err;
    char *text = slc_strndup((const char *)data, size);
    if (slc_address_split(text, host, sizeof host, &port, &err))
        SLC_BUG_ON(strlen(host) >= strlen(text));
    free(text);
    try_time((const char *)data, size);
    try_base64((const char *)data, size);
    try_json_string((const char *)data, size);
    return 0;
}
