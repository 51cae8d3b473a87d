/* The rewriter: keeps beside the walker's stack what an edit inside an array, an element or a tag has to be
 * told to. */
#include "dataplane/kafka/rewrite.h"

#include <string.h>

#include "common/assert.h"
#include "dataplane/kafka/wire.h"

#define MAX_PREFIX 8

typedef struct slc_kafka_rewrite_frame frame_t;

static frame_t *top(slc_kafka_rewriter *rw)
{
    SLC_BUG_ON(rw->depth_ == 0);
    return &rw->frames_[rw->depth_ - 1];
}

static void push(slc_kafka_rewriter *rw, const slc_kafka_event *ev)
{
    SLC_BUG_ON(rw->depth_ >= SLC_KAFKA_WALK_DEPTH);
    rw->frames_[rw->depth_++] =
        (frame_t){.kind = ev->kind, .event = *ev, .mark = slc_kafka_edits_here(rw->edits_)};
}

/* Writes a length or count as the field has it; `fixed` is the width where it is not compact. */
static size_t put_prefix(uint8_t *to, bool compact, int64_t length, size_t fixed)
{
    if (compact)
        return slc_kafka_put_uvarint(to, (uint32_t)(length + 1));
    slc_kafka_put(to, (uint64_t)length, fixed);
    return fixed;
}

/* --- replacing --- */

static bool replace_fixed(slc_kafka_rewriter *rw, const slc_kafka_event *ev, const slc_kafka_value *value,
                          slc_error *err)
{
    uint8_t bytes[16];
    size_t size = slc_kafka_type_size(ev->field->type);
    if (value->body.len > 0) {
        SLC_BUG_ON(value->body.len != size);
        return slc_kafka_edits_add(rw->edits_, ev->at, ev->prefix + ev->total, &value->body, 1, err);
    }
    SLC_BUG_ON(size > 8);
    slc_kafka_put(bytes, (uint64_t)value->number, size);
    slc_kafka_span span = {bytes, size};
    return slc_kafka_edits_add(rw->edits_, ev->at, ev->prefix + ev->total, &span, 1, err);
}

static bool fits(const slc_kafka_event *ev, const slc_kafka_value *value, int version, size_t len,
                 slc_error *err)
{
    if (value->null && !slc_kafka_within(ev->field->null_in, version))
        return slc_fail(err, SLC_INVALID, ev->field->name, "%s cannot be null in version %d.", ev->field->name,
                        version);
    size_t max = ev->field->type == SLC_KAFKA_STRING ? SLC_KAFKA_MAX_STRING : INT32_MAX - 1;
    if (len > max)
        return slc_fail(err, SLC_TOO_LARGE, ev->field->name, "%s of %zu bytes does not fit into Kafka's %zu.",
                        ev->field->name, len, max);
    return true;
}

static bool replace_variable(slc_kafka_rewriter *rw, const slc_kafka_event *ev, const slc_kafka_value *value,
                             slc_error *err)
{
    size_t made = value->made ? rw->edits_->bytes.len - value->made_from : 0;
    size_t len = value->null ? 0 : value->made ? made : value->head.len + value->body.len;
    if (!fits(ev, value, rw->walk_.version_, len, err))
        return false;
    size_t size = slc_kafka_type_size(ev->field->type); /* of an array's elements */
    SLC_BUG_ON(size > 0 && len % size != 0);
    int64_t length = value->null ? -1 : (int64_t)(size > 0 ? len / size : len);
    uint8_t prefix[MAX_PREFIX];
    size_t fixed = ev->field->type == SLC_KAFKA_STRING ? 2 : 4;
    slc_kafka_span spans[3] = {
        {prefix, put_prefix(prefix, ev->compact, length, fixed)}, value->head, value->body};
    if (value->made)
        return slc_kafka_edits_add_made(rw->edits_, ev->at, ev->prefix + ev->total, spans[0], value->made_from,
                                        err);
    return slc_kafka_edits_add(rw->edits_, ev->at, ev->prefix + ev->total, spans, value->null ? 1 : 3, err);
}

static bool replace(slc_kafka_rewriter *rw, const slc_kafka_event *ev, const slc_kafka_value *value,
                    slc_error *err)
{
    SLC_BUG_ON(ev->kind != SLC_KAFKA_EV_VALUE || ev->piece_at + ev->len != ev->total);
    bool run = (ev->field->flags & SLC_KAFKA_FIELD_ARRAY) != 0 && ev->index < 0;
    if (slc_kafka_type_size(ev->field->type) > 0 && !run)
        return replace_fixed(rw, ev, value, err);
    return replace_variable(rw, ev, value, err);
}

/* --- dropping --- */

/* A string or bytes that is itself an element goes at once; a struct goes when its end is known. */
static bool drop(slc_kafka_rewriter *rw, const slc_kafka_event *ev, slc_error *err)
{
    if (ev->kind == SLC_KAFKA_EV_VALUE && ev->index >= 0) {
        SLC_BUG_ON(ev->piece_at + ev->len != ev->total);
        top(rw)->dropped++;
        return slc_kafka_edits_add(rw->edits_, ev->at, ev->prefix + ev->total, NULL, 0, err);
    }
    for (uint8_t i = rw->depth_; i > 0; i--) {
        if (rw->frames_[i - 1].kind == SLC_KAFKA_EV_ELEMENT) {
            rw->dropping_ = i;
            return true;
        }
    }
    return slc_fail(err, SLC_INVALID, ev->field->name, "%s is in no array, so it cannot be left out.",
                    ev->field->name);
}

/* --- the ends --- */

static bool end_element(slc_kafka_rewriter *rw, const slc_kafka_event *ev, slc_error *err)
{
    frame_t *f = top(rw);
    bool gone = rw->dropping_ == rw->depth_;
    rw->depth_--;
    if (!gone)
        return true;
    rw->dropping_ = 0;
    slc_kafka_edits_rewind(rw->edits_, &f->mark);
    top(rw)->dropped++;
    return slc_kafka_edits_add(rw->edits_, f->event.at, ev->at - f->event.at, NULL, 0, err);
}

static bool end_array(slc_kafka_rewriter *rw, slc_error *err)
{
    frame_t *f = top(rw);
    rw->depth_--;
    if (f->dropped == 0)
        return true;
    uint8_t prefix[MAX_PREFIX];
    size_t width = put_prefix(prefix, f->event.compact, f->event.number - f->dropped, 4);
    return slc_kafka_edits_insert(rw->edits_, &f->mark, f->event.at, f->event.prefix,
                                  (slc_kafka_span){prefix, width}, err);
}

static bool end_tag(slc_kafka_rewriter *rw, slc_error *err)
{
    frame_t *f = top(rw);
    rw->depth_--;
    int64_t growth = rw->edits_->growth - f->mark.growth;
    if (growth == 0)
        return true;
    uint8_t size[SLC_KAFKA_MAX_UVARINT];
    size_t width = slc_kafka_put_uvarint(size, (uint32_t)((int64_t)f->event.total + growth));
    size_t old_width = f->event.at + f->event.prefix - f->event.size_at;
    return slc_kafka_edits_insert(rw->edits_, &f->mark, f->event.size_at, old_width,
                                  (slc_kafka_span){size, width}, err);
}

/* --- asking --- */

static bool concerns_map(const slc_kafka_rewriter *rw, const slc_kafka_event *ev)
{
    if (rw->dropping_ != 0)
        return false;
    switch (ev->kind) {
    case SLC_KAFKA_EV_VALUE: {
        bool array = (ev->field->flags & SLC_KAFKA_FIELD_ARRAY) != 0 && ev->index < 0;
        return (rw->ops_->roles & SLC_KAFKA_WANT(ev->field->role)) != 0 && !(array && ev->data == NULL) &&
               ev->field->type != SLC_KAFKA_STRUCT;
    }
    case SLC_KAFKA_EV_ELEMENT:
    case SLC_KAFKA_EV_ELEMENT_END:
        return (rw->ops_->roles & SLC_KAFKA_WANT_SHAPE) != 0;
    default:
        return false;
    }
}

/* DONE stands for "go on". */
static enum slc_kafka_step ask(slc_kafka_rewriter *rw, const slc_kafka_event *ev, slc_error *err)
{
    if (!concerns_map(rw, ev))
        return SLC_KAFKA_DONE;
    slc_kafka_value value = {0};
    switch (rw->ops_->map(rw->ctx_, ev, &value, err)) {
    case SLC_KAFKA_KEEP:
        return SLC_KAFKA_DONE;
    case SLC_KAFKA_REPLACE:
        return replace(rw, ev, &value, err) ? SLC_KAFKA_DONE : SLC_KAFKA_FAILED;
    case SLC_KAFKA_DROP:
        return drop(rw, ev, err) ? SLC_KAFKA_DONE : SLC_KAFKA_FAILED;
    case SLC_KAFKA_LATER:
        rw->held_ = *ev;
        rw->holding_ = true;
        return SLC_KAFKA_WAIT;
    case SLC_KAFKA_REFUSE:
        break;
    }
    return SLC_KAFKA_FAILED;
}

static bool follow(slc_kafka_rewriter *rw, const slc_kafka_event *ev, slc_error *err)
{
    switch (ev->kind) {
    case SLC_KAFKA_EV_ELEMENT_END:
        return end_element(rw, ev, err);
    case SLC_KAFKA_EV_ARRAY_END:
        return end_array(rw, err);
    case SLC_KAFKA_EV_TAG_END:
        return end_tag(rw, err);
    default:
        return true;
    }
}

static enum slc_kafka_step take(slc_kafka_rewriter *rw, const slc_kafka_event *ev, bool again, slc_error *err)
{
    bool opens =
        ev->kind == SLC_KAFKA_EV_ARRAY || ev->kind == SLC_KAFKA_EV_ELEMENT || ev->kind == SLC_KAFKA_EV_TAG;
    if (opens && !again) /* before the question, which may drop the element that has just begun */
        push(rw, ev);
    enum slc_kafka_step step = ask(rw, ev, err);
    if (step != SLC_KAFKA_DONE)
        return step;
    return follow(rw, ev, err) ? SLC_KAFKA_DONE : SLC_KAFKA_FAILED;
}

/* --- public --- */

bool slc_kafka_rewriter_init(slc_kafka_rewriter *rw, const slc_kafka_message *message, int version, size_t size,
                             const slc_kafka_rewrite_ops *ops, void *ctx, slc_kafka_edits *edits,
                             slc_error *err)
{
    slc_kafka_walk_options options = {.wants = ops->roles | SLC_KAFKA_WANT_SHAPE,
                                      .whole = ops->whole,
                                      .any_null = ops->any_null,
                                      .trailing_ok = ops->trailing_ok};
    SLC_BUG_ON(edits->count != 0);
    rw->ops_ = ops;
    rw->ctx_ = ctx;
    rw->edits_ = edits;
    rw->holding_ = false;
    rw->depth_ = 0;
    rw->dropping_ = 0;
    return slc_kafka_walk_init(&rw->walk_, message, version, size, &options, err);
}

void slc_kafka_rewriter_feed(slc_kafka_rewriter *rw, const uint8_t *data, size_t len)
{
    SLC_BUG_ON(rw->holding_);
    slc_kafka_walk_feed(&rw->walk_, data, len);
}

size_t slc_kafka_rewriter_offset(const slc_kafka_rewriter *rw)
{
    return slc_kafka_walk_offset(&rw->walk_);
}

enum slc_kafka_step slc_kafka_rewriter_run(slc_kafka_rewriter *rw, slc_error *err)
{
    for (;;) {
        slc_kafka_event ev;
        bool again = rw->holding_;
        if (again)
            ev = rw->held_;
        enum slc_kafka_step step = again ? SLC_KAFKA_EVENT : slc_kafka_walk_next(&rw->walk_, &ev, err);
        rw->holding_ = false;
        if (step != SLC_KAFKA_EVENT)
            return step;
        step = take(rw, &ev, again, err);
        if (step != SLC_KAFKA_DONE)
            return step;
    }
}

bool slc_kafka_rewrite(const slc_kafka_message *message, int version, const uint8_t *in, size_t len,
                       const slc_kafka_rewrite_ops *ops, void *ctx, slc_kafka_edits *edits, slc_error *err)
{
    slc_kafka_rewriter rw;
    if (!slc_kafka_rewriter_init(&rw, message, version, len, ops, ctx, edits, err))
        return false;
    slc_kafka_rewriter_feed(&rw, in, len);
    enum slc_kafka_step step = slc_kafka_rewriter_run(&rw, err);
    SLC_BUG_ON(step != SLC_KAFKA_DONE && step != SLC_KAFKA_FAILED);
    return step == SLC_KAFKA_DONE;
}
