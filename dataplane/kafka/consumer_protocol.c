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

bool slc_kafka_consumer_protocol_rewrite(enum slc_kafka_role role, const uint8_t *in, size_t len,
                                         const slc_kafka_rewrite_ops *ops, void *ctx, slc_kafka_edits *edits,
                                         slc_buf *out, slc_error *err)
{
    SLC_BUG_ON(role != SLC_KAFKA_ROLE_SUBSCRIPTION && role != SLC_KAFKA_ROLE_ASSIGNMENT);
    const slc_kafka_message *message = role == SLC_KAFKA_ROLE_SUBSCRIPTION
                                           ? slc_kafka_consumer_protocol_subscription_message
                                           : slc_kafka_consumer_protocol_assignment_message;
    if (len == 0)
        return true;
    int version = len >= VERSION_BYTES ? (int16_t)slc_kafka_get16(in) : -1;
    if (version < message->in.since)
        return slc_fail(err, SLC_INVALID, message->name, "%s begins with no version.", message->name);
    if (version > message->in.until)
        version = message->in.until;
    slc_kafka_rewrite_ops lenient = *ops;
    lenient.trailing_ok = true;
    const uint8_t *body = in + VERSION_BYTES;
    size_t body_len = len - VERSION_BYTES;
    bool done = slc_kafka_rewrite(message, version, body, body_len, &lenient, ctx, edits, err) &&
                add(out, in, VERSION_BYTES, err) && slc_kafka_edits_apply(edits, body, body_len, out, err);
    slc_kafka_edits_clear(edits);
    return done;
}
