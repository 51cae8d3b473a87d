/* Any bytes as an answer to the gateway's own requests, and as a client's SASL request. The first byte chooses.
 */
#include <stdint.h>
#include <string.h>

#include "common/assert.h"
#include "dataplane/kafka/api_versions_codec.h"
#include "dataplane/kafka/configs_codec.h"
#include "dataplane/kafka/fetch_codec.h"
#include "dataplane/kafka/metadata_codec.h"
#include "dataplane/kafka/sasl_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void metadata(const uint8_t *frame, size_t len)
{
    const slc_kafka_metadata_limits limits = {.brokers = 100, .topics = 1000, .partitions = 1000};
    slc_kafka_metadata read = {0};
    slc_error err = {0};
    if (!slc_kafka_metadata_response(frame, len, 0, &limits, &read, &err)) {
        SLC_BUG_ON(read.topics != NULL || err.code == SLC_OK);
        return;
    }
    for (size_t i = 0; i < read.n_topics; i++)
        SLC_BUG_ON(read.topics[i].first_partition + read.topics[i].partitions > read.n_partitions);
    slc_kafka_metadata_release(&read);
}

static bool see_config(void *ctx, int16_t error, const slc_kafka_config *config, slc_error *err)
{
    (void)ctx;
    (void)err;
    SLC_BUG_ON(config->topic == NULL || (error != 0) != (config->name == NULL));
    return true;
}

static void fetch(const uint8_t *frame, size_t len)
{
    slc_kafka_fetched fetched;
    slc_error err = {0};
    if (slc_kafka_fetch_response(frame, len, 0, &fetched, &err) && fetched.len > 0)
        SLC_BUG_ON(fetched.records < frame || fetched.records + fetched.len > frame + len);
}

static void sasl(const uint8_t *data, size_t len, int version)
{
    char mechanism[SLC_KAFKA_SASL_MECHANISM_MAX + 1];
    slc_kafka_sasl_handshake handshake;
    slc_kafka_sasl_answer answer;
    const uint8_t *token;
    size_t token_len;
    slc_error err = {0};
    (void)!slc_kafka_sasl_handshake_response(data, len, 0, &handshake, &err);
    (void)!slc_kafka_sasl_authenticate_response(data, len, 0, &answer, &err);
    if (slc_kafka_sasl_handshake_read(data, len, version, mechanism, &err))
        SLC_BUG_ON(strlen(mechanism) > SLC_KAFKA_SASL_MECHANISM_MAX);
    if (slc_kafka_sasl_authenticate_read(data, len, version, &token, &token_len, &err))
        SLC_BUG_ON(token < data || token + token_len > data + len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slc_kafka_api_versions versions;
    slc_error err = {0};
    if (size == 0)
        return 0;
    const uint8_t *frame = data + 1;
    size_t len = size - 1;
    switch (data[0] % 4) {
    case 0:
        metadata(frame, len);
        break;
    case 1:
        (void)!slc_kafka_api_versions_response(frame, len, data[0] / 4 % 5, 0, &versions, &err);
        break;
    case 2:
        if (data[0] / 4 % 2 == 0)
            (void)!slc_kafka_describe_configs_response(frame, len, 0, see_config, NULL, &err);
        else
            fetch(frame, len);
        break;
    default:
        sasl(frame, len, data[0] / 4 % 4);
        break;
    }
    return 0;
}
