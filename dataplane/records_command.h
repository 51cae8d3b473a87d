/* `sluice-gateway records`: verifies and encrypts anew what is in a topic, past any gateway. */
#ifndef SLC_DATAPLANE_RECORDS_COMMAND_H
#define SLC_DATAPLANE_RECORDS_COMMAND_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

/* Exit statuses. */
enum {
    SLC_RECORDS_GOOD = 0,
    SLC_RECORDS_USAGE = 1, /* arguments, configuration */
    SLC_RECORDS_BAD = 2,   /* some record does not open, or is plaintext */
    SLC_RECORDS_STOPPED =
        3, /* Kafka or a key service is out of reach, or it was interrupted: may be run again */
};

/* `argv` begins at "records". Returns the exit status; messages go to stderr, the result to stdout. */
int slc_records_command(int argc, char **argv);

/* What is to be done. Texts are borrowed. */
typedef struct slc_records_job {
    const char *topic;
    const char *to;              /* NULL: verify */
    const char *state;           /* file with the offsets that were reached; NULL: none */
    const char *virtual_cluster; /* for templates */
    int64_t progress_ms;
    int64_t wait_ms; /* for a key, or for Kafka */
    int64_t buffer_bytes;
    const json_t *kafka;    /* librdkafka's properties */
    const json_t *key_ring; /* as the entity's config, with provider */
    const json_t *policy;   /* as the policy's config */
} slc_records_job;

/* records_job.c. Fills `err` unless it returns GOOD or BAD. */
int slc_records_run(const slc_records_job *job, slc_error *err);

#endif
