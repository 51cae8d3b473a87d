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

/* The records of one partition. */
typedef struct slc_view_batches {
    bool produce;
    const char *topic;   /* as the client names it */
    const char *backend; /* as the backend names it */
    int32_t partition;
    int64_t from_offset; /* of a Fetch: where the client reads from; INT64_MIN: not known */
    bool share;          /* of a ShareFetch */
    size_t at;           /* where in the message's body they stand */
    slc_kafka_span data;
    slc_buf *made; /* where new records may be put, behind what is in it */
} slc_view_batches;

typedef struct slc_view_records slc_view_records;
struct slc_view_records {
    bool produce, fetch; /* is anything done at all? Messages of that direction are held whole then */
    /* KEEP, REPLACE by out->body, which lives until the next call, or by what was added to batches->made, with
     * out->made and made_from, LATER: the whole message comes again, or REFUSE, with `failure` filled. Nothing
     * is added but for that REPLACE. */
    enum slc_kafka_verdict (*map)(slc_view_records *records, const slc_view_batches *batches,
                                  slc_kafka_value *out, slc_view_failure *failure);
};

#endif
