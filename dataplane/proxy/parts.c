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
static void keep(slc_parts *parts, const struct iovec *items, size_t count, size_t written)
{
    for (size_t i = 0; i < count; i++) {
        size_t skip = written < items[i].iov_len ? written : items[i].iov_len;
        written -= skip;
        if (!slc_buf_add(&parts->to->out, (const uint8_t *)items[i].iov_base + skip, items[i].iov_len - skip))
            parts->full = true;
    }
}

static void put(slc_parts *parts, const struct iovec *items, size_t count, size_t bytes, bool more)
{
    bool direct = bytes >= DIRECT && parts->to->fd >= 0;
    size_t written = direct ? slc_end_write(parts->to, items, count, more) : 0;
    if (written < bytes)
        keep(parts, items, count, written);
}

/* Each write of TLS is a record of its own: short pieces are gathered for one. */
static void flush(slc_parts *parts, bool more)
{
    bool one_by_one = parts->to->ssl != NULL;
    for (size_t i = 0; one_by_one && i < parts->count; i++)
        put(parts, &parts->items[i], 1, parts->items[i].iov_len, more);
    if (!one_by_one)
        put(parts, parts->items, parts->count, parts->bytes, more);
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
