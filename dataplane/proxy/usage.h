/* What native sessions count as usage: records as the headers of their batches say, without looking further,
 * while they pass. A message is followed by the walker; of a batch only its header must be seen, the rest may
 * pass unread.
 *
 * What is counted is what was sent: records that a broker refuses count too, beside an error. A batch of which
 * a consumer wants only the end counts whole, since brokers send it whole; control batches do not count. The
 * worker's thread.
 */
#ifndef SLC_DATAPLANE_PROXY_USAGE_H
#define SLC_DATAPLANE_PROXY_USAGE_H

#include <stdbool.h>

#include "dataplane/kafka/walk.h"
#include "dataplane/observe/usage.h"
#include "dataplane/proxy/pool.h"

#define SLC_USAGE_BATCH_HEADER 61 /* of magic 2, up to its records */

struct slc_session;
struct slc_proxy_span;

/* The records of one message. */
typedef struct slc_usage_count {
    struct slc_session *session;
    enum slc_usage_operation operation;
    bool mapped;                  /* its names are the backend's, not the client's */
    char api[SLC_USAGE_ID_CHARS]; /* id of the event API of the topic at hand; "": of none */
    slc_usage_sum sum;            /* of that topic */
    struct slc_proxy_span *span;  /* sees the same; NULL: the message is not traced */
    uint8_t head[SLC_USAGE_BATCH_HEADER];
    size_t have;     /* of the head of the batch at hand */
    size_t batch_at; /* where in the records it begins */
    bool broken;     /* the rest of these records is no batch */
} slc_usage_count;

/* What a walk must want for it. */
#define SLC_USAGE_WANTS                                                                                        \
    (SLC_KAFKA_WANT(SLC_KAFKA_ROLE_TOPIC) | SLC_KAFKA_WANT(SLC_KAFKA_ROLE_TOPIC_ID) |                          \
     SLC_KAFKA_WANT(SLC_KAFKA_ROLE_RECORDS))

void slc_usage_count_begin(slc_usage_count *count, struct slc_session *session,
                           enum slc_usage_operation operation, bool mapped, struct slc_proxy_span *span);
/* For each event of the walk; tells it what it may skip. */
void slc_usage_count_event(slc_usage_count *count, slc_kafka_walk *walk, const slc_kafka_event *event);
void slc_usage_count_end(slc_usage_count *count);

/* A whole message. */
void slc_usage_count_message(struct slc_session *session, enum slc_usage_operation operation,
                             const slc_kafka_message *message, int version, const uint8_t *body, size_t len,
                             struct slc_proxy_span *span);
/* A request or answer in error, a denial, or a client that was made to wait: of Produce and Fetch. */
void slc_usage_count_error(const struct slc_session *session, int key);
void slc_usage_count_throttled(const struct slc_session *session);

/* ---- a Produce request that passes ---- */
struct slc_usage_follow;
/* It begins, with session->request_span: the first `there` bytes of its body are at hand and unchanged.
 * `passes_from`: the first byte of the body that is still to pass; `before`: bytes that pass before the body.
 */
void slc_usage_follow_begin(struct slc_session *session, const slc_kafka_message *message, int version,
                            size_t size, const uint8_t *body, size_t there, size_t passes_from, size_t before,
                            bool mapped);
/* The next bytes pass. */
void slc_usage_follow_see(struct slc_session *session, const uint8_t *data, size_t len);
/* May bytes be moved past us? They can be looked at in the pipe then. False when the system has nothing for
 * that. */
bool slc_usage_follow_may_move(struct slc_session *session);
/* The next `len` bytes were moved; they are all that is in `from`. What the system refuses to copy is not
 * counted. */
void slc_usage_follow_moved(struct slc_session *session, const slc_pipe *from, size_t len);
void slc_usage_follow_end(struct slc_session *session);
/* Its span has ended before it. */
void slc_usage_follow_untraced(struct slc_session *session);

/* ---- the front's map from topics to event APIs ---- */
struct slc_proxy_front;
/* The pipe that was looked into. */
void slc_usage_look_release(struct slc_proxy_front *front);
void slc_usage_topics_release(struct slc_proxy_front *front);

#endif
