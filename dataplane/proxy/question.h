/* One Metadata request for the brokers on a connection of the gateway's own, which is closed afterwards. */
#ifndef SLC_DATAPLANE_PROXY_QUESTION_H
#define SLC_DATAPLANE_PROXY_QUESTION_H

#include <event2/event.h>
#include <openssl/ssl.h>

#include "common/error.h"
#include "dataplane/kafka/api_versions_codec.h"
#include "dataplane/kafka/metadata_codec.h"

typedef struct slc_topology_question slc_question;

/* `metadata` NULL: `err` says why. From the loop; the question has gone afterwards. */
typedef void slc_question_fn(void *ctx, const slc_kafka_metadata *metadata, const slc_error *err);

/* Takes over the connection. */
slc_question *slc_question_ask(struct event_base *base, int fd, SSL *ssl,
                               const slc_kafka_api_versions *versions, int64_t timeout_ms, slc_question_fn *fn,
                               void *ctx);
/* Instead of the call; NULL is fine. */
void slc_question_free(slc_question *question);
void slc_question_close(int fd, SSL *ssl);

#endif
