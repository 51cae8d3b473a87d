/* DescribeConfigs version 4, as the gateway itself asks for a few of a topic's settings (max.message.bytes). */
#ifndef SLC_DATAPLANE_KAFKA_CONFIGS_CODEC_H
#define SLC_DATAPLANE_KAFKA_CONFIGS_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"

#define SLC_KAFKA_DESCRIBE_CONFIGS_KEY     32
#define SLC_KAFKA_DESCRIBE_CONFIGS_VERSION 4

/* One setting of one topic. Strings live as long as the call. */
typedef struct slc_kafka_config {
    const char *topic;
    const char *name;
    const char *value; /* NULL when it is null (a sensitive one) */
} slc_kafka_config;

/* `error` is the topic's error code; when it is not 0, name and value are NULL. False stops the reading, `err`
 * filled. */
typedef bool slc_kafka_config_fn(void *ctx, int16_t error, const slc_kafka_config *config, slc_error *err);

/* Adds a request frame for the settings `names` of each topic. Topics are at most SLC_KAFKA_TOPIC_MAX bytes
 * each (SLC_INVALID). */
bool slc_kafka_describe_configs_request(slc_buf *out, int32_t correlation_id, const char *client_id,
                                        const char *const *topics, size_t n_topics, const char *const *names,
                                        size_t n_names, slc_error *err) SLC_CHECKED;

/* Reads the answer (a frame without its length prefix): calls `fn` for each setting. False with `err`
 * (SLC_INVALID, SLC_LIMIT for a value of more than 4 KiB, or fn's). */
bool slc_kafka_describe_configs_response(const uint8_t *frame, size_t len, int32_t correlation_id,
                                         slc_kafka_config_fn *fn, void *ctx, slc_error *err) SLC_CHECKED;

#endif
