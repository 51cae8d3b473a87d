/* The scanner of header blocks: the same result however the bytes are cut into pieces. */
#include "common/assert.h"
#include "common/httpd_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slc_http_head whole = {0}, pieces = {0};
    slc_http_head_scan(&whole, data, size);
    for (size_t at = 0, step = 1; at < size; at += step, step = step % 7 + 1) {
        if (step > size - at)
            step = size - at;
        slc_http_head_scan(&pieces, data + at, step);
    }
    SLC_BUG_ON(whole.bytes != pieces.bytes || whole.fields != pieces.fields ||
               whole.complete != pieces.complete || whole.bad_bytes != pieces.bad_bytes ||
               whole.lines != pieces.lines);
    SLC_BUG_ON(whole.bytes > size || whole.fields > whole.lines + 1);
    return 0;
}
