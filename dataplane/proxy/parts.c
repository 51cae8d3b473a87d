#include "dataplane/proxy/parts.h"

#include "common/assert.h"

#define DIRECT (16u * 1024) /* bytes: less costs less to copy than a write of its own */

void slc_parts_init(slc_parts *parts, slc_end *to)
{
    parts->to = to;
    parts->count = parts->bytes = 0;
    parts->full = false;
}

/* Copies what is behind the first `written` bytes. */
static void keep(slc_parts *parts, size_t written)
{
    slc_buf *out = &parts->to->out;
    slc_buf_reserve(out, parts->bytes - written);
    for (size_t i = 0; i < parts->count; i++) {
        const struct iovec *part = &parts->items[i];
        size_t skip = written < part->iov_len ? written : part->iov_len;
        written -= skip;
        if (!slc_buf_add(out, (const uint8_t *)part->iov_base + skip, part->iov_len - skip))
            parts->full = true;
    }
}

static void flush(slc_parts *parts, bool more)
{
    bool direct = parts->bytes >= DIRECT && parts->to->fd >= 0;
    size_t written = direct ? slc_end_write(parts->to, parts->items, parts->count, more) : 0;
    if (written < parts->bytes)
        keep(parts, written);
    parts->count = parts->bytes = 0;
}

void slc_parts_add(slc_parts *parts, const void *data, size_t len)
{
    if (len == 0)
        return;
    if (parts->count == SLC_END_PARTS)
        flush(parts, true);
    parts->items[parts->count++] = (struct iovec){(void *)data, len};
    parts->bytes += len;
}

void slc_parts_add_changed(slc_parts *parts, const slc_kafka_edits *edits, const uint8_t *in, size_t len)
{
    size_t done = 0;
    for (size_t i = 0; i < edits->count; i++) {
        const slc_kafka_edit *edit = &edits->items[i];
        SLC_BUG_ON(edit->at < done || (size_t)edit->at + edit->remove > len);
        slc_parts_add(parts, in + done, edit->at - done);
        slc_parts_add(parts, edits->bytes.data + edit->from, edit->put);
        done = (size_t)edit->at + edit->remove;
    }
    slc_parts_add(parts, in + done, len - done);
}

bool slc_parts_send(slc_parts *parts, bool more)
{
    flush(parts, more);
    return !parts->full;
}
