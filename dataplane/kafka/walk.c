/* The walker: a stack of frames, each of which takes one step at a time.
 *
 * A step looks at the window, and commits (moves the cursor, changes a frame) only when all the bytes that it
 * needs are there; so a step that runs out of bytes is simply taken again after the next feed. */
#include "dataplane/kafka/walk.h"

#include <limits.h>

#include "common/assert.h"
#include "dataplane/kafka/walk_read.h"
#include "dataplane/kafka/wire.h"

static const uint8_t nothing[1]; /* the window before the first feed */

/* --- frames --- */

static frame_t *push(slc_kafka_walk *w, uint8_t kind, const slc_kafka_field *field, size_t end)
{
    SLC_BUG_ON(w->depth_ >= SLC_KAFKA_WALK_DEPTH);
    frame_t *f = &w->frames_[w->depth_++];
    *f = (frame_t){.field = field,
                   .end = end,
                   .kind = kind,
                   .resource_type = SLC_KAFKA_UNQUALIFIED,
                   .pattern_type = SLC_KAFKA_UNQUALIFIED};
    return f;
}

static void push_struct(slc_kafka_walk *w, const slc_kafka_field *field, uint16_t node, size_t end)
{
    frame_t *f = push(w, FRAME_STRUCT, field, end);
    f->first = slc_kafka_nodes[node].first;
    f->count = slc_kafka_nodes[node].count;
}

/* The innermost frame is done with the value that it was at. */
static void passed(slc_kafka_walk *w)
{
    frame_t *f = top(w);
    if (f->kind == FRAME_TAG)
        f->in_tags = true;
    else
        f->index++;
}

/* An event for what stands at the cursor. */
static void begin_event(slc_kafka_walk *w, slc_kafka_event *ev, enum slc_kafka_event_kind kind,
                        const slc_kafka_field *field)
{
    const frame_t *f = top(w);
    *ev = (slc_kafka_event){.kind = kind,
                            .field = field,
                            .at = w->offset_,
                            .index = f->kind == FRAME_ARRAY ? (int32_t)f->index : -1,
                            .resource_type = SLC_KAFKA_UNQUALIFIED,
                            .pattern_type = SLC_KAFKA_UNQUALIFIED};
}

static enum progress tell_value(const slc_kafka_walk *w, const slc_kafka_field *field)
{
    return (w->options_.wants & SLC_KAFKA_WANT(field->role)) != 0 ? EVENT : AGAIN;
}

static enum progress tell_shape(const slc_kafka_walk *w)
{
    return (w->options_.wants & SLC_KAFKA_WANT_SHAPE) != 0 ? EVENT : AGAIN;
}

static enum progress take_null(slc_kafka_walk *w, slc_kafka_event *ev, const slc_kafka_field *field,
                               size_t width)
{
    begin_event(w, ev, SLC_KAFKA_EV_VALUE, field);
    ev->prefix = width;
    ev->compact = is_compact(w, field);
    skip(w, width);
    passed(w);
    return tell_value(w, field);
}

/* --- values that come in pieces --- */

static enum progress step_run(slc_kafka_walk *w, slc_kafka_event *ev)
{
    if (w->avail_ == 0)
        return MORE;
    size_t n = w->run_left_ < w->avail_ ? w->run_left_ : w->avail_;
    if (w->run_skip_ > 0) {
        n = n < w->run_skip_ ? n : w->run_skip_;
        skip(w, n);
        w->run_left_ -= n;
        w->run_skip_ -= n;
        return AGAIN;
    }
    *ev = w->run_;
    ev->data = w->window_;
    ev->len = n;
    ev->piece_at = w->run_.total - w->run_left_;
    skip(w, n);
    w->run_left_ -= n;
    return w->run_wanted_ ? EVENT : AGAIN;
}

/* Commits: passes the prefix and hands out what is there of `total` bytes. */
static enum progress begin_run(slc_kafka_walk *w, slc_kafka_event *ev, size_t total, bool wanted)
{
    skip(w, ev->prefix);
    ev->total = total;
    w->run_ = *ev;
    w->run_left_ = total;
    w->run_skip_ = 0;
    w->run_wanted_ = wanted;
    if (total > 0)
        return AGAIN;
    ev->data = w->window_;
    return wanted ? EVENT : AGAIN;
}

static enum progress take_run(slc_kafka_walk *w, slc_kafka_event *ev, const slc_kafka_field *field,
                              const struct prefix *prefix, size_t total, slc_error *err)
{
    if (total > left_in_scope(w) - prefix->width)
        return slc_kafka_walk_refuse(w, err, SLC_INVALID, field, "claims %zu bytes where %zu are left", total,
                                     left_in_scope(w) - prefix->width);
    bool whole = (w->options_.whole & SLC_KAFKA_WANT(field->role)) != 0;
    if (whole && prefix->width + total > w->avail_)
        return MORE;
    begin_event(w, ev, SLC_KAFKA_EV_VALUE, field);
    ev->prefix = prefix->width;
    ev->compact = is_compact(w, field);
    ev->number = (field->flags & SLC_KAFKA_FIELD_ARRAY) != 0 ? prefix->length : 0;
    passed(w);
    return begin_run(w, ev, total, tell_value(w, field) == EVENT);
}

static enum progress take_bytes(slc_kafka_walk *w, slc_kafka_event *ev, const slc_kafka_field *field,
                                slc_error *err)
{
    struct prefix prefix;
    enum progress p = slc_kafka_walk_peek_prefix(w, field, 4, &prefix, err);
    if (p != AGAIN)
        return p;
    if (prefix.length < 0)
        return take_null(w, ev, field, prefix.width);
    return take_run(w, ev, field, &prefix, (size_t)prefix.length, err);
}

/* --- names and their qualifiers --- */

static frame_t *enclosing_struct(slc_kafka_walk *w)
{
    unsigned i = w->depth_;
    while (w->frames_[i - 1].kind != FRAME_STRUCT)
        i--;
    return &w->frames_[i - 1];
}

static bool is_positional(const slc_kafka_walk *w, const slc_kafka_field *field)
{
    return slc_kafka_within(field->in, w->version_) && !slc_kafka_within(field->tagged_in, w->version_);
}

/* The flag of the qualifier that is the very next byte after the field at the cursor, or 0. */
static int qualifier_ahead(slc_kafka_walk *w, const slc_kafka_field *field)
{
    const frame_t *f = top(w);
    if (f->kind != FRAME_STRUCT ||
        (field->flags & (SLC_KAFKA_FIELD_HAS_TYPE | SLC_KAFKA_FIELD_HAS_PATTERN)) == 0)
        return 0;
    for (uint32_t i = f->index + 1; i < f->count; i++) {
        const slc_kafka_field *next = &slc_kafka_fields[f->first + i];
        if (is_positional(w, next))
            return next->flags & (SLC_KAFKA_FIELD_IS_TYPE | SLC_KAFKA_FIELD_IS_PATTERN);
    }
    return 0;
}

static int16_t qualifier(int has, int16_t seen, bool ahead, uint8_t next, int8_t otherwise)
{
    if (!has)
        return SLC_KAFKA_UNQUALIFIED;
    if (seen != SLC_KAFKA_UNQUALIFIED)
        return seen;
    return ahead ? (int8_t)next : otherwise;
}

static void qualify(slc_kafka_walk *w, slc_kafka_event *ev, int ahead, uint8_t next)
{
    const frame_t *f = enclosing_struct(w);
    const slc_kafka_field *field = ev->field;
    ev->resource_type = qualifier(field->flags & SLC_KAFKA_FIELD_HAS_TYPE, f->resource_type,
                                  (ahead & SLC_KAFKA_FIELD_IS_TYPE) != 0, next, field->type_default);
    ev->pattern_type = qualifier(field->flags & SLC_KAFKA_FIELD_HAS_PATTERN, f->pattern_type,
                                 (ahead & SLC_KAFKA_FIELD_IS_PATTERN) != 0, next, field->pattern_default);
}

/* --- values in one piece --- */

static enum progress check_string(slc_kafka_walk *w, const slc_kafka_field *field, const struct prefix *prefix,
                                  size_t peek, slc_error *err)
{
    size_t len = prefix->length > 0 ? (size_t)prefix->length : 0;
    if (len > left_in_scope(w) - prefix->width)
        return slc_kafka_walk_refuse(w, err, SLC_INVALID, field, "claims %zu bytes where %zu are left", len,
                                     left_in_scope(w) - prefix->width);
    if (len > SLC_KAFKA_MAX_STRING)
        return slc_kafka_walk_refuse(w, err, SLC_INVALID, field,
                                     "is a string of %zu bytes, more than Kafka allows", len);
    return slc_kafka_walk_need(w, field, prefix->width + len + peek, err);
}

static enum progress take_string(slc_kafka_walk *w, slc_kafka_event *ev, const slc_kafka_field *field,
                                 slc_error *err)
{
    struct prefix prefix;
    enum progress p = slc_kafka_walk_peek_prefix(w, field, 2, &prefix, err);
    if (p != AGAIN)
        return p;
    int ahead = qualifier_ahead(w, field);
    p = check_string(w, field, &prefix, ahead != 0, err);
    if (p != AGAIN)
        return p;
    size_t len = prefix.length > 0 ? (size_t)prefix.length : 0;
    begin_event(w, ev, SLC_KAFKA_EV_VALUE, field);
    ev->prefix = prefix.width;
    ev->compact = is_compact(w, field);
    ev->data = prefix.length < 0 ? NULL : w->window_ + prefix.width;
    ev->len = ev->total = len;
    qualify(w, ev, ahead, ahead != 0 ? w->window_[prefix.width + len] : 0);
    skip(w, prefix.width + len);
    passed(w);
    return tell_value(w, field);
}

static int64_t get_number(const uint8_t *p, uint8_t type)
{
    switch (type) {
    case SLC_KAFKA_BOOL:
    case SLC_KAFKA_INT8:
        return (int8_t)p[0];
    case SLC_KAFKA_INT16:
        return (int16_t)slc_kafka_get16(p);
    case SLC_KAFKA_UINT16:
        return slc_kafka_get16(p);
    case SLC_KAFKA_INT32:
        return (int32_t)slc_kafka_get32(p);
    case SLC_KAFKA_UINT32:
        return slc_kafka_get32(p);
    case SLC_KAFKA_INT64:
        return (int64_t)slc_kafka_get64(p);
    default:
        return 0;
    }
}

static enum progress take_fixed(slc_kafka_walk *w, slc_kafka_event *ev, const slc_kafka_field *field,
                                slc_error *err)
{
    size_t size = slc_kafka_type_size(field->type);
    enum progress p = slc_kafka_walk_need(w, field, size, err);
    if (p != AGAIN)
        return p;
    begin_event(w, ev, SLC_KAFKA_EV_VALUE, field);
    ev->data = w->window_;
    ev->len = ev->total = size;
    ev->number = get_number(w->window_, field->type);
    if ((field->flags & SLC_KAFKA_FIELD_IS_TYPE) != 0)
        enclosing_struct(w)->resource_type = (int16_t)ev->number;
    if ((field->flags & SLC_KAFKA_FIELD_IS_PATTERN) != 0)
        enclosing_struct(w)->pattern_type = (int16_t)ev->number;
    skip(w, size);
    passed(w);
    return tell_value(w, field);
}

/* --- containers --- */

/* A count is believed only as far as the bytes that are left could hold it: the generator has checked that no
 * element is empty. */
static enum progress check_count(slc_kafka_walk *w, const slc_kafka_field *field, const struct prefix *prefix,
                                 size_t element, slc_error *err)
{
    size_t left = left_in_scope(w) - prefix->width;
    if ((uint64_t)prefix->length > left / element)
        return slc_kafka_walk_refuse(w, err, SLC_INVALID, field,
                                     "claims %lld elements where %zu bytes are left", (long long)prefix->length,
                                     left);
    if (element == 1 && prefix->length > SLC_KAFKA_MAX_ELEMENTS)
        return slc_kafka_walk_refuse(w, err, SLC_TOO_LARGE, field, "has %lld elements, more than %d",
                                     (long long)prefix->length, SLC_KAFKA_MAX_ELEMENTS);
    return AGAIN;
}

static enum progress take_array(slc_kafka_walk *w, slc_kafka_event *ev, const slc_kafka_field *field,
                                slc_error *err)
{
    struct prefix prefix;
    enum progress p = slc_kafka_walk_peek_prefix(w, field, 4, &prefix, err);
    if (p != AGAIN)
        return p;
    if (prefix.length < 0)
        return take_null(w, ev, field, prefix.width);
    size_t size = slc_kafka_type_size(field->type);
    p = check_count(w, field, &prefix, size > 0 ? size : 1, err);
    if (p != AGAIN)
        return p;
    if (size > 0)
        return take_run(w, ev, field, &prefix, (size_t)prefix.length * size, err);
    begin_event(w, ev, SLC_KAFKA_EV_ARRAY, field);
    ev->prefix = prefix.width;
    ev->compact = is_compact(w, field);
    ev->number = prefix.length;
    skip(w, prefix.width);
    passed(w);
    push(w, FRAME_ARRAY, field, top(w)->end)->count = (uint32_t)prefix.length;
    return tell_shape(w);
}

static enum progress take_struct(slc_kafka_walk *w, slc_kafka_event *ev, const slc_kafka_field *field,
                                 slc_error *err)
{
    bool element = top(w)->kind == FRAME_ARRAY;
    size_t marker = !element && slc_kafka_within(field->null_in, w->version_) ? 1 : 0;
    enum progress p = slc_kafka_walk_need(w, field, marker, err);
    if (p != AGAIN)
        return p;
    if (marker != 0 && (int8_t)w->window_[0] < 0)
        return take_null(w, ev, field, marker);
    begin_event(w, ev, element ? SLC_KAFKA_EV_ELEMENT : SLC_KAFKA_EV_STRUCT, field);
    ev->prefix = marker;
    skip(w, marker);
    passed(w);
    push_struct(w, field, field->node, top(w)->end);
    return tell_shape(w);
}

static enum progress take_value(slc_kafka_walk *w, slc_kafka_event *ev, const slc_kafka_field *field,
                                slc_error *err)
{
    if ((field->flags & SLC_KAFKA_FIELD_ARRAY) != 0 && top(w)->kind != FRAME_ARRAY)
        return take_array(w, ev, field, err);
    switch (field->type) {
    case SLC_KAFKA_STRUCT:
        return take_struct(w, ev, field, err);
    case SLC_KAFKA_STRING:
        return take_string(w, ev, field, err);
    case SLC_KAFKA_BYTES:
    case SLC_KAFKA_RECORDS:
        return take_bytes(w, ev, field, err);
    default:
        return take_fixed(w, ev, field, err);
    }
}

/* --- tagged sections --- */

static enum progress begin_tags(slc_kafka_walk *w, slc_error *err)
{
    uint32_t count;
    size_t width;
    enum progress p = slc_kafka_walk_peek_uvarint(w, NULL, 0, &count, &width, err);
    if (p != AGAIN)
        return p;
    if (count > (left_in_scope(w) - width) / 2) /* a tag and a size are two bytes at least */
        return slc_kafka_walk_refuse(w, err, SLC_INVALID, NULL,
                                     "claims %u tagged fields where %zu bytes are left", count,
                                     left_in_scope(w) - width);
    skip(w, width);
    top(w)->in_tags = true;
    top(w)->tags_left = count;
    return AGAIN;
}

static const slc_kafka_field *find_tag(const slc_kafka_walk *w, const frame_t *f, uint32_t tag)
{
    for (uint32_t i = 0; i < f->count; i++) {
        const slc_kafka_field *field = &slc_kafka_fields[f->first + i];
        if (slc_kafka_within(field->tagged_in, w->version_) && field->tag == tag)
            return field;
    }
    return NULL;
}

static enum progress take_tag(slc_kafka_walk *w, slc_kafka_event *ev, slc_error *err)
{
    uint32_t tag, size;
    size_t tag_width, size_width;
    enum progress p = slc_kafka_walk_peek_uvarint(w, NULL, 0, &tag, &tag_width, err);
    if (p == AGAIN)
        p = slc_kafka_walk_peek_uvarint(w, NULL, tag_width, &size, &size_width, err);
    if (p != AGAIN)
        return p;
    size_t width = tag_width + size_width;
    if (size > left_in_scope(w) - width)
        return slc_kafka_walk_refuse(w, err, SLC_INVALID, NULL, "has tag %u of %u bytes where %zu are left",
                                     tag, size, left_in_scope(w) - width);
    const slc_kafka_field *field = find_tag(w, top(w), tag);
    begin_event(w, ev, field != NULL ? SLC_KAFKA_EV_TAG : SLC_KAFKA_EV_UNKNOWN_TAG, field);
    ev->prefix = width;
    ev->size_at = w->offset_ + tag_width;
    ev->number = tag;
    ev->total = size;
    top(w)->tags_left--;
    if (field == NULL)
        return begin_run(w, ev, size, (w->options_.wants & SLC_KAFKA_WANT_UNKNOWN) != 0);
    skip(w, width);
    push(w, FRAME_TAG, field, w->offset_ + size);
    return tell_shape(w);
}

/* --- steps --- */

/* Leaves the innermost frame. */
static enum progress leave(slc_kafka_walk *w, slc_kafka_event *ev, enum slc_kafka_event_kind kind)
{
    const slc_kafka_field *field = top(w)->field;
    w->depth_--;
    begin_event(w, ev, kind, field);
    if (kind == SLC_KAFKA_EV_ELEMENT_END)
        ev->index--; /* the array has counted it already */
    return tell_shape(w);
}

static enum progress leave_struct(slc_kafka_walk *w, slc_kafka_event *ev, slc_error *err)
{
    if (w->depth_ > 1) {
        bool element = w->frames_[w->depth_ - 2].kind == FRAME_ARRAY;
        return leave(w, ev, element ? SLC_KAFKA_EV_ELEMENT_END : SLC_KAFKA_EV_STRUCT_END);
    }
    if (w->offset_ < w->size_ && !w->options_.trailing_ok)
        return slc_kafka_walk_refuse(w, err, SLC_INVALID, NULL, "%zu bytes follow the last field",
                                     w->size_ - w->offset_);
    return DONE;
}

static enum progress step_struct(slc_kafka_walk *w, slc_kafka_event *ev, slc_error *err)
{
    frame_t *f = top(w);
    for (; f->index < f->count; f->index++) {
        const slc_kafka_field *field = &slc_kafka_fields[f->first + f->index];
        if (is_positional(w, field))
            return take_value(w, ev, field, err);
    }
    if (w->flexible_ && !f->in_tags)
        return begin_tags(w, err);
    if (f->tags_left > 0)
        return take_tag(w, ev, err);
    return leave_struct(w, ev, err);
}

static enum progress step_tag(slc_kafka_walk *w, slc_kafka_event *ev, slc_error *err)
{
    if (!top(w)->in_tags)
        return take_value(w, ev, top(w)->field, err);
    if (left_in_scope(w) > 0)
        return slc_kafka_walk_refuse(w, err, SLC_INVALID, top(w)->field,
                                     "leaves %zu bytes of its tagged field unused", left_in_scope(w));
    return leave(w, ev, SLC_KAFKA_EV_TAG_END);
}

static enum progress step(slc_kafka_walk *w, slc_kafka_event *ev, slc_error *err)
{
    if (w->run_left_ > 0)
        return step_run(w, ev);
    switch (top(w)->kind) {
    case FRAME_STRUCT:
        return step_struct(w, ev, err);
    case FRAME_ARRAY:
        if (top(w)->index < top(w)->count)
            return take_value(w, ev, top(w)->field, err);
        return leave(w, ev, SLC_KAFKA_EV_ARRAY_END);
    default:
        return step_tag(w, ev, err);
    }
}

/* --- public --- */

bool slc_kafka_walk_init(slc_kafka_walk *w, const slc_kafka_message *message, int version, size_t size,
                         const slc_kafka_walk_options *options, slc_error *err)
{
    if (!slc_kafka_within(message->in, version))
        return slc_fail(err, SLC_UNSUPPORTED, NULL, "%s has no version %d; it has %d to %d.", message->name,
                        version, message->in.since, message->in.until);
    if (size > INT32_MAX)
        return slc_fail(err, SLC_TOO_LARGE, NULL, "%s of %zu bytes is larger than a Kafka frame can be.",
                        message->name, size);
    /* The frames are set when they are pushed; clearing them all would cost more than a small message. */
    w->message_ = message;
    w->options_ = *options;
    w->size_ = size;
    w->offset_ = 0;
    w->window_ = nothing;
    w->avail_ = 0;
    w->run_left_ = 0;
    w->run_skip_ = 0;
    w->run_wanted_ = false;
    w->failed_ = false;
    w->version_ = (int8_t)version;
    w->flexible_ = slc_kafka_within(message->flexible_in, version);
    w->depth_ = 0;
    push_struct(w, NULL, message->node, size);
    return true;
}

void slc_kafka_walk_feed(slc_kafka_walk *w, const uint8_t *data, size_t len)
{
    size_t left = w->size_ - w->offset_;
    w->window_ = data != NULL ? data : nothing;
    w->avail_ = len < left ? len : left;
}

size_t slc_kafka_walk_unseen(const slc_kafka_walk *w)
{
    if (w->avail_ > 0 || w->failed_)
        return 0;
    return w->run_wanted_ ? w->run_skip_ : w->run_left_;
}

void slc_kafka_walk_pass(slc_kafka_walk *w, size_t len)
{
    SLC_BUG_ON(len > slc_kafka_walk_unseen(w));
    w->window_ = nothing;
    w->offset_ += len;
    w->run_left_ -= len;
    w->run_skip_ -= len < w->run_skip_ ? len : w->run_skip_;
}

void slc_kafka_walk_skip(slc_kafka_walk *w, size_t len)
{
    w->run_skip_ = len < w->run_left_ ? len : w->run_left_;
}

enum slc_kafka_step slc_kafka_walk_next(slc_kafka_walk *w, slc_kafka_event *ev, slc_error *err)
{
    static const enum slc_kafka_step steps[] = {[EVENT] = SLC_KAFKA_EVENT,
                                                [MORE] = SLC_KAFKA_MORE,
                                                [DONE] = SLC_KAFKA_DONE,
                                                [FAILED] = SLC_KAFKA_FAILED};
    if (w->failed_) {
        slc_fail(err, SLC_INVALID, NULL, "%s was refused before.", w->message_->name);
        return SLC_KAFKA_FAILED;
    }
    enum progress p;
    do
        p = step(w, ev, err);
    while (p == AGAIN);
    return steps[p];
}

size_t slc_kafka_walk_offset(const slc_kafka_walk *w)
{
    return w->offset_;
}
