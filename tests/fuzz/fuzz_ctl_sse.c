/* What sluicectl reads from gateways: server-sent events give the same in any pieces; and what it hands on:
 * nothing that looks like a secret survives. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "common/buf.h"
#include "controlplane/ctl/bundle.h"
#include "controlplane/ctl/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SEEN_MAX (1u << 20)

static bool on_event(void *arg, const char *type, const char *text, size_t len)
{
    slc_buf *seen = arg;
    slc_buf_adds(seen, type);
    slc_buf_addc(seen, '\0');
    slc_buf_add(seen, text, len);
    slc_buf_addc(seen, '\0');
    return true;
}

static void read_in_pieces(const uint8_t *data, size_t size, size_t piece, slc_buf *seen)
{
    slc_sse *sse = malloc(sizeof *sse);
    SLC_BUG_ON(sse == NULL);
    slc_buf_init(seen, SEEN_MAX);
    slc_sse_init(sse, on_event, seen);
    for (size_t at = 0; at < size; at += piece) {
        size_t len = at + piece < size ? piece : size - at;
        SLC_BUG_ON(!slc_sse_feed(sse, (const char *)data + at, len));
    }
    slc_buf_adds(seen, sse->id);
    slc_sse_release(sse);
    free(sse);
}

static void redact_twice(const uint8_t *data, size_t size)
{
    char *once = malloc(size + 1), *twice = malloc(size + 1);
    SLC_BUG_ON(once == NULL || twice == NULL);
    memcpy(once, data, size);
    slc_redact(once, size);
    memcpy(twice, once, size);
    slc_redact(twice, size);
    SLC_BUG_ON(memcmp(once, twice, size) != 0);
    free(once);
    free(twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slc_buf whole, pieces;
    if (size == 0 || size > 65536)
        return 0;
    read_in_pieces(data, size, size, &whole);
    read_in_pieces(data, size, 1 + data[0] % 7, &pieces);
    SLC_BUG_ON(whole.len != pieces.len || (whole.len > 0 && memcmp(whole.data, pieces.data, whole.len) != 0));
    slc_buf_release(&whole);
    slc_buf_release(&pieces);
    redact_twice(data, size);
    return 0;
}
