/* Any bytes as any message: kind, key, version and window size, then the message. Whole and in windows must
 * agree; what can be rewritten must be a message again, and of the size that its edits say. Seeds:
 * tests/wire/run --corpus. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "common/buf.h"
#include "dataplane/kafka/consumer_protocol.h"
#include "dataplane/kafka/header.h"
#include "dataplane/kafka/rewrite.h"

#define CHOICE_BYTES 4
#define LIMIT        (1024 * 1024)
#define MAX_EDITS    65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const slc_kafka_message *choose(uint8_t kind, uint8_t key, int version)
{
    const slc_kafka_message *const others[] = {
        slc_kafka_request_header_message, slc_kafka_response_header_message,
        slc_kafka_consumer_protocol_subscription_message, slc_kafka_consumer_protocol_assignment_message};
    if (kind <= SLC_KAFKA_RESPONSE)
        return slc_kafka_message_find(key, version, kind, NULL);
    return slc_kafka_within(others[key % 4]->in, version) ? others[key % 4] : NULL;
}

struct run {
    slc_buf scratch;
    slc_kafka_edits embedded;
    slc_kafka_rewrite_ops ops;
};

static enum slc_kafka_verdict map(void *ctx, const slc_kafka_event *ev, slc_kafka_value *out, slc_error *err)
{
    struct run *run = ctx;
    if (ev->kind != SLC_KAFKA_EV_VALUE || ev->data == NULL)
        return SLC_KAFKA_KEEP;
    if (ev->field->role == SLC_KAFKA_ROLE_SUBSCRIPTION || ev->field->role == SLC_KAFKA_ROLE_ASSIGNMENT) {
        slc_buf_clear(&run->scratch);
        if (!slc_kafka_consumer_protocol_rewrite(ev->field->role, ev->data, ev->len, &run->ops, run,
                                                 &run->embedded, &run->scratch, err))
            return SLC_KAFKA_REFUSE;
        out->body = (slc_kafka_span){run->scratch.data, run->scratch.len};
        return SLC_KAFKA_REPLACE;
    }
    if (ev->field->type != SLC_KAFKA_STRING) {
        out->number = ev->number ^ 1;
        out->body = (slc_kafka_span){ev->data, ev->field->type == SLC_KAFKA_UUID ? ev->len : 0};
        return ev->field->type == SLC_KAFKA_UUID || ev->field->role == SLC_KAFKA_ROLE_PORT ? SLC_KAFKA_REPLACE
                                                                                           : SLC_KAFKA_KEEP;
    }
    if (ev->len > 0 && ev->data[0] == '-')
        return SLC_KAFKA_DROP;
    out->head = (slc_kafka_span){"a-prefix-that-makes-some-varints-longer-", 40};
    out->body = (slc_kafka_span){ev->data, ev->len};
    return SLC_KAFKA_REPLACE;
}

static enum slc_kafka_step rewrite(const slc_kafka_message *message, int version, const uint8_t *data,
                                   size_t len, size_t window, struct run *run, slc_buf *out)
{
    slc_error err = {0};
    slc_kafka_edits edits;
    slc_kafka_rewriter rw;
    slc_kafka_edits_init(&edits, MAX_EDITS, LIMIT);
    SLC_BUG_ON(!slc_kafka_rewriter_init(&rw, message, version, len, &run->ops, run, &edits, &err));
    enum slc_kafka_step step;
    size_t fed = 0;
    while ((step = slc_kafka_rewriter_run(&rw, &err)) == SLC_KAFKA_MORE && fed < len) {
        fed = len - fed > window ? fed + window : len;
        size_t offset = slc_kafka_rewriter_offset(&rw);
        slc_kafka_rewriter_feed(&rw, data + offset, fed - offset);
    }
    SLC_BUG_ON(step != SLC_KAFKA_DONE && step != SLC_KAFKA_FAILED);
    SLC_BUG_ON((step == SLC_KAFKA_FAILED) != (err.code != SLC_OK));
    slc_buf_clear(out);
    if (step == SLC_KAFKA_DONE && slc_kafka_edits_apply(&edits, data, len, out, &err))
        SLC_BUG_ON((int64_t)out->len != (int64_t)len + edits.growth);
    slc_kafka_edits_release(&edits);
    return step;
}

static bool walks(const slc_kafka_message *message, int version, const slc_buf *bytes)
{
    slc_kafka_walk walk;
    slc_kafka_walk_options options = {.wants = SLC_KAFKA_WANT_FIELDS | SLC_KAFKA_WANT_SHAPE |
                                               SLC_KAFKA_WANT_UNKNOWN};
    slc_error err = {0};
    if (!slc_kafka_walk_init(&walk, message, version, bytes->len, &options, &err))
        return false;
    slc_kafka_walk_feed(&walk, bytes->data, bytes->len);
    slc_kafka_event ev;
    enum slc_kafka_step step;
    while ((step = slc_kafka_walk_next(&walk, &ev, &err)) == SLC_KAFKA_EVENT)
        SLC_BUG_ON(ev.data != NULL && (ev.data < bytes->data || ev.data + ev.len > bytes->data + bytes->len) &&
                   ev.len > 0);
    return step == SLC_KAFKA_DONE;
}

/* What is told of a message whose contents nobody wants, and where it ends. With `unseen` these are passed over
 * instead of being fed. */
static enum slc_kafka_step outline(const slc_kafka_message *message, int version, const uint8_t *data,
                                   size_t len, size_t window, bool unseen, uint64_t *told)
{
    slc_kafka_walk walk;
    slc_kafka_walk_options options = {.wants = SLC_KAFKA_WANT_SHAPE};
    slc_error err = {0};
    slc_kafka_event ev;
    enum slc_kafka_step step;
    *told = 0;
    if (!slc_kafka_walk_init(&walk, message, version, len, &options, &err))
        return SLC_KAFKA_FAILED;
    for (size_t fed = 0;;) {
        while ((step = slc_kafka_walk_next(&walk, &ev, &err)) == SLC_KAFKA_EVENT)
            *told = *told * 31 + ev.at * 10 + ev.kind;
        if (step != SLC_KAFKA_MORE || slc_kafka_walk_offset(&walk) >= len)
            break;
        if (unseen)
            slc_kafka_walk_pass(&walk, slc_kafka_walk_unseen(&walk));
        size_t offset = slc_kafka_walk_offset(&walk);
        fed = fed > offset ? fed : offset;
        fed = len - fed > window ? fed + window : len;
        slc_kafka_walk_feed(&walk, data + offset, fed - offset);
    }
    *told = *told * 31 + slc_kafka_walk_offset(&walk);
    return step;
}

static void check_outline(const slc_kafka_message *message, int version, const uint8_t *data, size_t len,
                          size_t window)
{
    uint64_t whole, passed;
    enum slc_kafka_step a = outline(message, version, data, len, len + 1, false, &whole);
    enum slc_kafka_step b = outline(message, version, data, len, window, true, &passed);
    SLC_BUG_ON(a != b || (a == SLC_KAFKA_DONE && whole != passed));
}

static void read_headers(const uint8_t *data, size_t size)
{
    slc_kafka_request_header header;
    slc_error err = {0};
    enum slc_kafka_step step = slc_kafka_request_header_read(data, size, size, &header, &err);
    SLC_BUG_ON(step == SLC_KAFKA_DONE && (header.size > size || header.message == NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_headers(data, size);
    if (size < CHOICE_BYTES)
        return 0;
    int version = data[2];
    const slc_kafka_message *message = choose(data[0], data[1], version);
    if (message == NULL)
        return 0;
    struct run run = {.ops = {.roles = SLC_KAFKA_WANT_FIELDS | SLC_KAFKA_WANT_SHAPE,
                              .whole = SLC_KAFKA_WANT_FIELDS,
                              .map = map}};
    slc_buf whole, windows;
    slc_buf_init(&run.scratch, LIMIT);
    slc_kafka_edits_init(&run.embedded, MAX_EDITS, LIMIT);
    slc_buf_init(&whole, 4 * LIMIT);
    slc_buf_init(&windows, 4 * LIMIT);
    const uint8_t *bytes = data + CHOICE_BYTES;
    size_t len = size - CHOICE_BYTES;
    enum slc_kafka_step a = rewrite(message, version, bytes, len, len + 1, &run, &whole);
    enum slc_kafka_step b = rewrite(message, version, bytes, len, data[3] + 1u, &run, &windows);
    SLC_BUG_ON(a != b || whole.len != windows.len);
    SLC_BUG_ON(whole.len > 0 && memcmp(whole.data, windows.data, whole.len) != 0);
    check_outline(message, version, bytes, len, data[3] + 1u);
    if (a == SLC_KAFKA_DONE && whole.len > 0)
        SLC_BUG_ON(!walks(message, version, &whole));
    slc_buf_release(&windows);
    slc_buf_release(&whole);
    slc_kafka_edits_release(&run.embedded);
    slc_buf_release(&run.scratch);
    return 0;
}
