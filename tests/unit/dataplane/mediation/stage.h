/* A stage for mediation: workers, a broker in memory and exchanges without sockets, whose clients take what is
 * written or do not. Everything is driven from the test's thread.
 */
#ifndef SLC_TESTS_MEDIATION_STAGE_H
#define SLC_TESTS_MEDIATION_STAGE_H

#include <pthread.h>

#include "dataplane/broker/memory.h"
#include "dataplane/mediation/mediation_private.h"
#include "dataplane/policy/record_chain.h"

#define STAGE_WORKERS 2

typedef struct stage {
    slc_gateway_limits limits;
    slc_mediation *mediation;
    slc_worker workers[STAGE_WORKERS];
    slc_event_api *api;
    slc_broker *broker; /* the API's backend's: kept open by the stage */
    slc_link *link;
} stage;

/* The topic "topic" with `partitions` partitions; change limits before stage_open. */
void stage_defaults(stage *s);
void stage_open(stage *s, int32_t partitions);
void stage_close(stage *s);
/* May every principal still read? */
void stage_set_granted(bool granted);
/* What a policy does to records of clients that are made from here on; borrowed, NULL: there is none. It has
 * the name "stage", and `compiled` is its configuration. */
void stage_records(const slc_record_ops *ops, void *compiled);
/* Applies a snapshot (none) to every worker: re-checks. */
void stage_apply(stage *s);
void stage_drain(stage *s);
/* The configuration is too old on every worker. */
void stage_cut_off(stage *s);

/* What worker 0 knows of the topic. */
slc_topic_info stage_topic(stage *s);

void stage_append(stage *s, int32_t partition, const char *value);
void stage_append_record(stage *s, const slc_record *parts);
/* Waits until the worker's mailbox, the feeds and the broker have gone quiet enough for the condition. 20 s at
 * most. */
#define STAGE_WAIT(condition)                                                                                  \
    do {                                                                                                       \
        int64_t give_up = slc_monotonic_ms() + 20000;                                                          \
        while (!(condition) && slc_monotonic_ms() < give_up)                                                   \
            stage_pause();                                                                                     \
        ck_assert_msg(condition, "not reached within 20 s: %s", #condition);                                   \
    } while (0)
/* Until something was written to some client, or a few milliseconds. */
void stage_pause(void);

/* A client with one request. */
typedef struct client client;
typedef struct client_field {
    const char *name, *value;
} client_field;

client *client_new(stage *s, unsigned worker);
void client_header(client *c, const char *name, const char *value);
/* Of which application it is; by default of none. */
void client_application(client *c, const char *id);
void client_body(client *c, const void *body, size_t len);
/* Sends it: "cursor=...&from=..." or NULL. */
void client_get(client *c, const char *query);
void client_post(client *c);
/* Stops and starts taking what is written. */
void client_block(client *c, bool blocked);
/* Goes away while the exchange is open. */
void client_abort(client *c);
void client_free(client *c); /* aborts when it is open */

int client_status(client *c);     /* 0: no answer yet */
bool client_ended(client *c);     /* the exchange is over */
char *client_text(client *c);     /* everything received; the caller frees */
size_t client_pending(client *c); /* written and not taken */
/* The value of a response header; the caller frees; NULL when absent. */
char *client_response_header(client *c, const char *name);
/* Blocks until the exchange has ended. */
void client_wait(client *c);

/* What a stream said: data of events in order, joined by commas; the last id. The caller frees. */
char *stream_data(client *c);
char *stream_last_id(client *c);
size_t stream_count(client *c, const char *line_start);

#endif
