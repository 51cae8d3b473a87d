/* ApiVersions (KIP-35, KIP-511) as the gateway itself asks a backend. */
#ifndef SLC_DATAPLANE_KAFKA_API_VERSIONS_CODEC_H
#define SLC_DATAPLANE_KAFKA_API_VERSIONS_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "dataplane/kafka/table.h"

#define SLC_KAFKA_API_VERSIONS_KEY          18
#define SLC_KAFKA_ERROR_UNSUPPORTED_VERSION 35

/* What a backend can do, by key. A key that it did not name has an empty range; keys beyond the table are left
 * out. */
typedef struct slc_kafka_api_versions {
    int16_t error; /* SLC_KAFKA_ERROR_UNSUPPORTED_VERSION: ask again with version 0 */
    struct {
        int16_t min;
        int16_t max;
    } of[SLC_KAFKA_KEYS];
} slc_kafka_api_versions;

/* Adds a request frame of version 0, 3 or 4. The software's name and version go out in version 3; they must
 * match [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])? or Kafka refuses them. False with `err` (SLC_LIMIT). */
bool slc_kafka_api_versions_request(slc_buf *out, int version, int32_t correlation_id, const char *client_id,
                                    const char *software, const char *software_version,
                                    slc_error *err) SLC_CHECKED;

/* Reads the answer to a request of `version` (0 to 4). A broker that does not know it answers in version 0 with
 * UNSUPPORTED_VERSION, which is read as such. False with `err` (SLC_INVALID). */
bool slc_kafka_api_versions_response(const uint8_t *frame, size_t len, int version, int32_t correlation_id,
                                     slc_kafka_api_versions *versions, slc_error *err) SLC_CHECKED;

/* The tagged section that ends an answer of version 3 or 4 (features and their levels, KIP-584), as it was
 * sent; in the frame. False when the answer has none or is broken. */
bool slc_kafka_api_versions_tags(const uint8_t *frame, size_t len, int version, const uint8_t **tags,
                                 size_t *tags_len);

#endif
