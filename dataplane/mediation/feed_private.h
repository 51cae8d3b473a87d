#ifndef SLC_DATAPLANE_MEDIATION_FEED_PRIVATE_H
#define SLC_DATAPLANE_MEDIATION_FEED_PRIVATE_H

#include <event2/event.h>
#include <stdatomic.h>

#include "common/metrics.h"
#include "dataplane/mediation/feed.h"

#define SLC_FEED_MAGIC         0x46454544U
#define SLC_SUBSCRIPTION_MAGIC 0x53554253U

typedef struct slc_feed slc_feed;

struct slc_subscription {
    unsigned magic;
    slc_feeds *feeds;
    slc_feed *feed; /* feeds' thread */
    slc_link *link;
    char *topic;
    slc_loop *worker;
    slc_feed_fn fn; /* worker's thread; NULL: has ended */
    void *ctx;
    void (*gone)(void *ctx);
    void *gone_ctx;
    atomic_llong under_way_bytes; /* posted to the worker and not handled */
    bool seeded;                  /* was told the ring; false again when it fell too far behind */
    TAILQ_ENTRY(slc_subscription) entry;
};

/* Why a feed is not live. */
enum slc_feed_state {
    SLC_FEED_ASKING,  /* topic and offsets are asked for */
    SLC_FEED_FILLING, /* reads up to the end that was found at the start */
    SLC_FEED_LIVE,
    SLC_FEED_WAITING,  /* asking failed: again soon */
    SLC_FEED_STOPPING, /* the consumer ends, to start again or for good */
};

struct slc_feed {
    unsigned magic;
    slc_feeds *feeds;
    slc_link *link;
    char *topic;
    enum slc_feed_state state;
    slc_consumer *consumer;
    uint8_t topic_id[16];
    int32_t partitions;
    slc_position *start, *end;
    bool *ended;         /* `end` is the partition's last stable offset */
    int64_t *fill_until; /* the ends at the start */
    slc_record **ring;   /* circular, `capacity` is a power of two */
    uint64_t first, next, capacity;
    size_t bytes;
    uint64_t told;  /* records before it went to the subscribers */
    bool reset_due; /* the next update starts anew */
    bool failing;
    slc_error err;
    bool err_due, ok_due;
    unsigned outages; /* counts */
    bool doubted;     /* `ended` is from before an outage: the broker is asked where the ends are now */
    struct event *flush;
    struct event *timer;          /* retry, and the look for new partitions */
    unsigned questions;           /* asked and not answered */
    bool resume;                  /* the ring is kept and the consumer goes on behind it */
    atomic_llong under_way_bytes; /* from the broker's thread */
    bool held;                    /* the consumer is paused because of them */
    slc_series *failing_series, *ring_bytes, *ring_records, *fetched_bytes, *fetched_records, *resets;
    TAILQ_HEAD(, slc_subscription) subscriptions;
    TAILQ_ENTRY(slc_feed) entry;
};

struct slc_feeds {
    slc_loop *loop;
    slc_gateway_limits limits;
    TAILQ_HEAD(, slc_feed) list; /* feeds' thread */
};

/* feed_source.c: where a feed's records come from. Feeds' thread. */
void slc_feed_ask(slc_feed *feed);
void slc_feed_stop(slc_feed *feed);
/* Has the topic grown, gone, or become another one? Only while it is live. */
void slc_feed_look(slc_feed *feed);
/* Asks where the ends are after an outage: a consumer tells of each end only once. */
void slc_feed_settle(slc_feed *feed);
/* Frees it when nobody subscribes and nothing is under way any more. True when it is gone. */
bool slc_feed_free_if_done(slc_feed *feed);

/* feed.c */
void slc_feed_flush_soon(slc_feed *feed);
void slc_feed_append(slc_feed *feed, slc_record *record); /* takes the reference */
void slc_feed_clear(slc_feed *feed);
void slc_feed_set_partitions(slc_feed *feed, int32_t partitions);
void slc_feed_set_error(slc_feed *feed, const slc_error *err); /* NULL: works again */

#endif
