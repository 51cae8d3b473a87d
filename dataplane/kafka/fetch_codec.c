/* The gateway's own Fetch exchange. */
#include "dataplane/kafka/fetch_codec.h"

#include <string.h>

#include "dataplane/kafka/decode.h"
#include "dataplane/kafka/encode.h"
#include "dataplane/kafka/metadata_codec.h"

bool slc_kafka_fetch_request(slc_buf *out, int32_t correlation_id, const char *client_id, const char *topic,
                             int32_t partition, int64_t offset, slc_error *err)
{
    if (strlen(topic) > SLC_KAFKA_TOPIC_MAX)
        return slc_fail(err, SLC_INVALID, "Topics", "A topic name has at most %d bytes.", SLC_KAFKA_TOPIC_MAX);
    size_t begin =
        slc_kafka_request_begin(out, SLC_KAFKA_FETCH_KEY, SLC_KAFKA_FETCH_VERSION, correlation_id, client_id);
    slc_kafka_add_int32(out, -1); /* replica */
    slc_kafka_add_int32(out, 0);  /* wait, milliseconds */
    slc_kafka_add_int32(out, 0);  /* least bytes */
    slc_kafka_add_int32(out, 1);  /* most bytes */
    slc_kafka_add_int8(out, 0);   /* also what is not committed */
    slc_kafka_add_int32(out, 0);  /* no session */
    slc_kafka_add_int32(out, -1);
    slc_kafka_add_count(out, false, 1);
    slc_kafka_add_string(out, false, topic, strlen(topic));
    slc_kafka_add_count(out, false, 1);
    slc_kafka_add_int32(out, partition);
    slc_kafka_add_int32(out, -1); /* leader epoch */
    slc_kafka_add_int64(out, offset);
    slc_kafka_add_int64(out, -1); /* start of a follower's log */
    slc_kafka_add_int32(out, 1);  /* most bytes */
    slc_kafka_add_count(out, false, 0);
    slc_kafka_add_string(out, false, "", 0); /* rack */
    return slc_kafka_frame_end(out, begin, err);
}

static bool visit(void *ctx, const slc_kafka_event *ev, slc_error *err)
{
    slc_kafka_fetched *fetched = ctx;
    (void)err;
    if (slc_kafka_event_is(ev, "ErrorCode") && ev->number != 0) {
        fetched->error = (int16_t)ev->number;
    } else if (slc_kafka_event_is(ev, "HighWatermark")) {
        fetched->high_watermark = ev->number;
    } else if (slc_kafka_event_is(ev, "Records") && fetched->records == NULL && ev->len > 0) {
        fetched->records = ev->data;
        fetched->len = ev->len;
    }
    return true;
}

bool slc_kafka_fetch_response(const uint8_t *frame, size_t len, int32_t correlation_id,
                              slc_kafka_fetched *fetched, slc_error *err)
{
    *fetched = (slc_kafka_fetched){0};
    return slc_kafka_response_decode(SLC_KAFKA_FETCH_KEY, SLC_KAFKA_FETCH_VERSION, correlation_id, frame, len,
                                     visit, fetched, err);
}
