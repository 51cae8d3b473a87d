/* Feeds: a topic is fetched once, on the feeds' own thread, and handed to every worker that has readers of it.
 * docs/decisions/0002-feed-and-cursor.md says why.
 */
#ifndef SLC_DATAPLANE_MEDIATION_FEED_H
#define SLC_DATAPLANE_MEDIATION_FEED_H

#include "common/loop.h"
#include "dataplane/mediation/cursor.h"
#include "dataplane/mediation/link.h"
#include "dataplane/worker.h"

typedef struct slc_feeds slc_feeds;

/* What happened to a feed since the last update; shared by its subscribers and immutable. */
typedef struct slc_feed_update {
    unsigned refs;
    bool reset; /* start anew with these positions and records: the first update, and after a break */
    bool lost_touch, regained; /* the backend or the topic is out of reach: `err`; it works again */
    slc_error err;
    uint8_t topic_id[16];
    int32_t partitions;
    slc_position *start; /* with reset */
    int64_t *end;        /* next offsets, also past what no reader sees */
    bool caught_up;      /* `end` was the last stable offset everywhere */
    size_t count;
    size_t bytes;
    slc_record *records[]; /* the update's references */
} slc_feed_update;

/* A worker's subscription. */
typedef struct slc_subscription slc_subscription;
/* On the worker's thread; the update is borrowed. */
typedef void (*slc_feed_fn)(void *ctx, const slc_feed_update *update);

slc_feeds *slc_feeds_new(const slc_gateway_limits *limits, slc_error *err) SLC_CHECKED;
/* After every subscription has ended. Blocks until the consumers have stopped. */
void slc_feeds_free(slc_feeds *feeds);

/* On the worker's thread. Opens the feed when it is the first. `gone(gone_ctx)` is called on the feeds' thread
 * when nothing will be posted to the worker any more. */
slc_subscription *slc_feed_subscribe(slc_feeds *feeds, slc_link *link, const char *topic, slc_loop *worker,
                                     slc_feed_fn fn, void *ctx, void (*gone)(void *ctx), void *gone_ctx);
/* On the worker's thread: something looks as if the topic had been made anew. */
void slc_feed_suspect(slc_subscription *subscription);
/* On the worker's thread; `fn` is not called afterwards. */
void slc_feed_unsubscribe(slc_subscription *subscription);

#endif
