/* What the walker reads before it knows whether it may go on: bounds, varints, prefixes; and how it says no. */
#include "dataplane/kafka/walk_read.h"

#include <limits.h>
#include <stdio.h>

#include "common/assert.h"
#include "dataplane/kafka/wire.h"

/* --- errors --- */

static size_t append_name(char *path, size_t cap, size_t used, const char *name)
{
    int n = snprintf(path + used, cap - used, "%s%s", used > 0 ? "." : "", name);
    return n < 0 || used + (size_t)n >= cap ? cap - 1 : used + (size_t)n;
}

static size_t append_index(char *path, size_t cap, size_t used, uint32_t index)
{
    int n = snprintf(path + used, cap - used, "[%u]", index);
    return n < 0 || used + (size_t)n >= cap ? cap - 1 : used + (size_t)n;
}

static size_t frame_path(const slc_kafka_walk *w, char *path, size_t cap)
{
    size_t used = 0;
    path[0] = '\0';
    for (unsigned i = 1; i < w->depth_; i++) {
        const frame_t *f = &w->frames_[i];
        bool innermost = i + 1U == w->depth_;
        bool element = f->kind == FRAME_STRUCT && w->frames_[i - 1].kind == FRAME_ARRAY;
        if (f->kind != FRAME_TAG && !element)
            used = append_name(path, cap, used, f->field->name);
        if (f->kind == FRAME_ARRAY && (!innermost || f->index < f->count))
            used = append_index(path, cap, used, innermost ? f->index : f->index - 1);
    }
    return used;
}

void slc_kafka_walk_path(const slc_kafka_walk *w, char *path, size_t cap)
{
    SLC_BUG_ON(cap == 0);
    frame_path(w, path, cap);
}

enum progress slc_kafka_walk_refuse(slc_kafka_walk *w, slc_error *err, enum slc_code code,
                                    const slc_kafka_field *field, const char *fmt, ...)
{
    char path[sizeof(err->field)];
    char what[160];
    size_t used = frame_path(w, path, sizeof(path));
    if (field != NULL && top(w)->kind != FRAME_ARRAY)
        append_name(path, sizeof(path), used, field->name);
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    slc_fail(err, code, path, "%s version %d: %s%s%s at offset %zu.", w->message_->name, w->version_, path,
             path[0] != '\0' ? ": " : "", what, w->offset_);
    w->failed_ = true;
    return FAILED;
}

/* --- reading --- */

enum progress slc_kafka_walk_need(slc_kafka_walk *w, const slc_kafka_field *field, size_t n, slc_error *err)
{
    if (n > left_in_scope(w))
        return slc_kafka_walk_refuse(w, err, SLC_INVALID, field, "needs %zu bytes where %zu are left", n,
                                     left_in_scope(w));
    return n > w->avail_ ? MORE : AGAIN;
}

/* Values above INT32_MAX are no length, count or tag that Kafka could have written. */
enum progress slc_kafka_walk_peek_uvarint(slc_kafka_walk *w, const slc_kafka_field *field, size_t from,
                                          uint32_t *value, size_t *width, slc_error *err)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < SLC_KAFKA_MAX_UVARINT; i++) {
        enum progress p = slc_kafka_walk_need(w, field, from + i + 1, err);
        if (p != AGAIN)
            return p;
        uint8_t byte = w->window_[from + i];
        sum |= (uint64_t)(byte & 0x7f) << (7 * i);
        if ((byte & 0x80) == 0) {
            *value = (uint32_t)sum;
            *width = i + 1;
            return sum <= INT32_MAX
                       ? AGAIN
                       : slc_kafka_walk_refuse(w, err, SLC_INVALID, field, "holds a varint above 2^31");
        }
    }
    return slc_kafka_walk_refuse(w, err, SLC_INVALID, field, "holds a varint longer than %d bytes",
                                 SLC_KAFKA_MAX_UVARINT);
}

/* The length or count before a value, as it stands; `fixed` is its width where it is not compact. */
static enum progress peek_raw_prefix(slc_kafka_walk *w, const slc_kafka_field *field, size_t fixed,
                                     struct prefix *out, slc_error *err)
{
    if (is_compact(w, field)) {
        uint32_t value;
        enum progress p = slc_kafka_walk_peek_uvarint(w, field, 0, &value, &out->width, err);
        if (p == AGAIN)
            out->length = (int64_t)value - 1;
        return p;
    }
    enum progress p = slc_kafka_walk_need(w, field, fixed, err);
    if (p != AGAIN)
        return p;
    out->width = fixed;
    out->length = fixed == 2 ? (int16_t)slc_kafka_get16(w->window_) : (int32_t)slc_kafka_get32(w->window_);
    return AGAIN;
}

enum progress slc_kafka_walk_peek_prefix(slc_kafka_walk *w, const slc_kafka_field *field, size_t fixed,
                                         struct prefix *out, slc_error *err)
{
    enum progress p = peek_raw_prefix(w, field, fixed, out, err);
    if (p != AGAIN)
        return p;
    if (out->length < -1 && w->options_.any_null)
        out->length = -1;
    if (out->length < -1)
        return slc_kafka_walk_refuse(w, err, SLC_INVALID, field, "has the negative length %lld",
                                     (long long)out->length);
    if (out->length < 0 && !slc_kafka_within(field->null_in, w->version_))
        return slc_kafka_walk_refuse(w, err, SLC_INVALID, field, "is null, which this version does not allow");
    return AGAIN;
}
