/* What is done to records on their way through a view: the policies' business
 * (dataplane/policy/record_rules.h). A view finds them in Produce requests and Fetch and ShareFetch answers and
 * knows of which topic they are. */
#ifndef SLC_DATAPLANE_VIRTUAL_RECORDS_H
#define SLC_DATAPLANE_VIRTUAL_RECORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/kafka/rewrite.h"

/* Why the records of a partition cannot be passed on. */
typedef struct slc_view_failure {
    int16_t code; /* Kafka's */
    char why[384];
} slc_view_failure;

typedef struct slc_view_records slc_view_records;
struct slc_view_records {
    bool produce, fetch; /* is anything done at all? Messages of that direction are held whole then */
    /* The records of one partition; `topic` is the client's name of it. KEEP, REPLACE by out->body, which lives
     * until the next call, or REFUSE, with `failure` filled. */
    enum slc_kafka_verdict (*map)(slc_view_records *records, bool produce, slc_kafka_span topic,
                                  slc_kafka_span data, slc_kafka_value *out, slc_view_failure *failure);
};

#endif
