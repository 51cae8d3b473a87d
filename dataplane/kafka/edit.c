/* The list of edits. */
#include "dataplane/kafka/edit.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"

#define FIRST_CAP 16

void slc_kafka_edits_init(slc_kafka_edits *edits, size_t max_edits, size_t max_bytes)
{
    *edits = (slc_kafka_edits){.max = max_edits};
    slc_buf_init(&edits->bytes, max_bytes < UINT32_MAX ? max_bytes : UINT32_MAX);
}

void slc_kafka_edits_release(slc_kafka_edits *edits)
{
    free(edits->items);
    slc_buf_release(&edits->bytes);
    edits->items = NULL;
    edits->count = edits->cap = 0;
}

void slc_kafka_edits_clear(slc_kafka_edits *edits)
{
    edits->count = 0;
    edits->growth = 0;
    slc_buf_clear(&edits->bytes);
}

static bool grow(slc_kafka_edits *edits, slc_error *err)
{
    if (edits->count < edits->cap)
        return true;
    if (edits->count >= edits->max)
        return slc_fail(err, SLC_LIMIT, NULL, "The message needs more than %zu edits.", edits->max);
    size_t cap = edits->cap > 0 ? edits->cap * 2 : FIRST_CAP;
    edits->cap = cap < edits->max ? cap : edits->max;
    edits->items = slc_realloc(edits->items, edits->cap * sizeof(*edits->items));
    return true;
}

/* Room for one more edit, and its bytes appended. Returns false when either is too much. */
static bool append(slc_kafka_edits *edits, const slc_kafka_span *put, size_t n, slc_error *err)
{
    if (!grow(edits, err))
        return false;
    size_t before = edits->bytes.len;
    for (size_t i = 0; i < n; i++) {
        if (put[i].len == 0 || slc_buf_add(&edits->bytes, put[i].data, put[i].len))
            continue;
        edits->bytes.len = before;
        edits->bytes.overflow = false;
        return slc_fail(err, SLC_LIMIT, NULL, "The message's new names and values need more than %zu bytes.",
                        edits->bytes.max);
    }
    return true;
}

/* The edit whose bytes are those behind `from`. */
static slc_kafka_edit make(slc_kafka_edits *edits, size_t at, size_t remove, size_t from)
{
    size_t put = edits->bytes.len - from;
    edits->growth += (int64_t)put - (int64_t)remove;
    return (slc_kafka_edit){(uint32_t)at, (uint32_t)remove, (uint32_t)from, (uint32_t)put};
}

bool slc_kafka_edits_add(slc_kafka_edits *edits, size_t at, size_t remove, const slc_kafka_span *put, size_t n,
                         slc_error *err)
{
    size_t from = edits->bytes.len;
    if (edits->count > 0) {
        const slc_kafka_edit *last = &edits->items[edits->count - 1];
        SLC_BUG_ON(at < (size_t)last->at + last->remove);
    }
    if (!append(edits, put, n, err))
        return false;
    edits->items[edits->count] = make(edits, at, remove, from);
    edits->count++;
    return true;
}

/* The head is written behind what it stands before. */
bool slc_kafka_edits_add_made(slc_kafka_edits *edits, size_t at, size_t remove, slc_kafka_span head,
                              size_t from, slc_error *err)
{
    size_t len = edits->bytes.len - from;
    const slc_kafka_edits_mark before = {edits->count, from, edits->growth};
    SLC_BUG_ON(from > edits->bytes.len);
    if (slc_kafka_edits_add(edits, at, remove, &head, 1, err) && grow(edits, err)) {
        edits->items[edits->count++] =
            (slc_kafka_edit){(uint32_t)(at + remove), 0, (uint32_t)from, (uint32_t)len};
        edits->growth += (int64_t)len;
        return true;
    }
    slc_kafka_edits_rewind(edits, &before);
    return false;
}

bool slc_kafka_edits_insert(slc_kafka_edits *edits, const slc_kafka_edits_mark *mark, size_t at, size_t remove,
                            slc_kafka_span put, slc_error *err)
{
    size_t from = edits->bytes.len;
    SLC_BUG_ON(mark->count > edits->count);
    if (!append(edits, &put, 1, err))
        return false;
    slc_kafka_edit *slot = &edits->items[mark->count];
    memmove(slot + 1, slot, (edits->count - mark->count) * sizeof(*slot));
    *slot = make(edits, at, remove, from);
    edits->count++;
    return true;
}

slc_kafka_edits_mark slc_kafka_edits_here(const slc_kafka_edits *edits)
{
    return (slc_kafka_edits_mark){edits->count, edits->bytes.len, edits->growth};
}

void slc_kafka_edits_rewind(slc_kafka_edits *edits, const slc_kafka_edits_mark *mark)
{
    SLC_BUG_ON(mark->count > edits->count || mark->bytes > edits->bytes.len);
    edits->count = mark->count;
    edits->bytes.len = mark->bytes;
    edits->growth = mark->growth;
}

bool slc_kafka_edits_apply(const slc_kafka_edits *edits, const uint8_t *in, size_t len, slc_buf *out,
                           slc_error *err)
{
    size_t size = (size_t)((int64_t)len + edits->growth);
    uint8_t *to = slc_buf_extend(out, size);
    if (to == NULL)
        return slc_fail(err, SLC_LIMIT, NULL, "The changed message of %zu bytes does not fit into %zu.", size,
                        out->max);
    size_t done = 0;
    for (size_t i = 0; i < edits->count; i++) {
        const slc_kafka_edit *edit = &edits->items[i];
        SLC_BUG_ON(edit->at < done || (size_t)edit->at + edit->remove > len);
        memcpy(to, in + done, edit->at - done);
        to += edit->at - done;
        if (edit->put > 0)
            memcpy(to, edits->bytes.data + edit->from, edit->put);
        to += edit->put;
        done = (size_t)edit->at + edit->remove;
    }
    if (len > done)
        memcpy(to, in + done, len - done);
    return true;
}
