/* Subscriptions and assignments: a version and then a message of the table. */
#include "dataplane/kafka/consumer_protocol.h"

#include "common/assert.h"
#include "dataplane/kafka/wire.h"

#define VERSION_BYTES 2

static bool add(slc_buf *out, const uint8_t *data, size_t len, slc_error *err)
{
    if (len == 0 || slc_buf_add(out, data, len))
        return true;
    return slc_fail(err, SLC_LIMIT, NULL, "The changed consumer protocol data does not fit into %zu bytes.",
                    out->max);
}

struct blob {
    const slc_kafka_message *message;
    const uint8_t *in;
    size_t len;
    const slc_kafka_rewrite_ops *ops;
    void *ctx;
};

static bool rewrite(const struct blob *blob, int version, slc_kafka_edits *edits, slc_buf *out, slc_error *err)
{
    slc_kafka_rewrite_ops lenient = *blob->ops;
    lenient.trailing_ok = lenient.any_null = true;
    const uint8_t *body = blob->in + VERSION_BYTES;
    size_t len = blob->len - VERSION_BYTES;
    bool done = slc_kafka_rewrite(blob->message, version, body, len, &lenient, blob->ctx, edits, err) &&
                add(out, blob->in, VERSION_BYTES, err) && slc_kafka_edits_apply(edits, body, len, out, err);
    slc_kafka_edits_clear(edits);
    return done;
}

bool slc_kafka_consumer_protocol_rewrite(enum slc_kafka_role role, const uint8_t *in, size_t len,
                                         const slc_kafka_rewrite_ops *ops, void *ctx, slc_kafka_edits *edits,
                                         slc_buf *out, slc_error *err)
{
    SLC_BUG_ON(role != SLC_KAFKA_ROLE_SUBSCRIPTION && role != SLC_KAFKA_ROLE_ASSIGNMENT);
    const slc_kafka_message *message = role == SLC_KAFKA_ROLE_SUBSCRIPTION
                                           ? slc_kafka_consumer_protocol_subscription_message
                                           : slc_kafka_consumer_protocol_assignment_message;
    const struct blob blob = {message, in, len, ops, ctx};
    if (len == 0)
        return true;
    if (len < VERSION_BYTES)
        return slc_fail(err, SLC_INVALID, message->name, "%s begins with no version.", message->name);
    int version = (int16_t)slc_kafka_get16(in), first = message->in.since;
    if (version > message->in.until)
        version = message->in.until;
    if (version > first && rewrite(&blob, version, edits, out, err))
        return true;
    if (version > first && err->code != SLC_INVALID)
        return false;
    /* A broker reads what it needs of a classic group's subscriptions as of the first version, whatever they
     * say. */
    slc_error_clear(err);
    return rewrite(&blob, first, edits, out, err);
}
