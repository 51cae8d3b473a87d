/* A limit for what librdkafka inflates, see kafka_inflate.c. */
#ifndef SLC_DATAPLANE_BROKER_KAFKA_INFLATE_H
#define SLC_DATAPLANE_BROKER_KAFKA_INFLATE_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>

/* No batch inflates to more for the handle that is made of `conf`; its consumer gets an error where one would.
 */
void slc_kafka_limit_inflated(rd_kafka_conf_t *conf, size_t bytes);

/* The limit holds for what librdkafka inflates by functions that it finds outside of itself: the name of one
 * that it does not call so, NULL when all is well. Any thread. */
const char *slc_kafka_inflates_unlimited(void);

/* Does an error of a consumer say that the batch at its offset cannot be read, so that it comes again for ever?
 */
static inline bool slc_kafka_is_unreadable(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__BAD_COMPRESSION || code == RD_KAFKA_RESP_ERR__BAD_MSG ||
           code == RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED; /* a format or codec that it does not know */
}

#endif
