/* When a record may go to librdkafka, and by which of two producers: one lane for each partition. Used by
 * kafka_producer.c alone, on one thread.
 *
 * Publishing idempotently, librdkafka sends nothing more to a partition that has five records under way
 * (records, not requests), and its thread spins until they are acknowledged if it has more to send. So a lane
 * lets go what is never more than four at a time, by a producer that sends at once; what comes meanwhile
 * gathers until those are decided. When more has gathered than that can cope with, all of it goes together, by
 * a producer that waits long enough to get it into one request: a request costs some 29 us of CPU, a record in
 * company 0.5 us. Records without a key take a partition that has nothing under way.
 */
#ifndef SLC_DATAPLANE_BROKER_KAFKA_LANES_H
#define SLC_DATAPLANE_BROKER_KAFKA_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "dataplane/config/strmap.h"

typedef struct slc_lane slc_lane;

/* Part of what the owner sends. */
typedef struct slc_lane_item {
    TAILQ_ENTRY(slc_lane_item) link;
    slc_lane *lane;    /* NULL: is staged, or has none any more */
    int64_t staged_ms; /* monotonic */
    size_t bytes;      /* that it takes of a request */
} slc_lane_item;

TAILQ_HEAD(slc_lane_items, slc_lane_item);

enum slc_lane_way { SLC_LANE_QUICK, SLC_LANE_BULK };

/* Sends it. `partition` is a wish, -1 for none. May call slc_lane_leave for the item. */
typedef void (*slc_lane_send_fn)(void *owner, slc_lane_item *item, enum slc_lane_way way, int32_t partition);

typedef struct slc_lanes {
    int64_t gather_ms; /* longest wait for less than four of the partition; 0: everything goes at once */
    slc_lane_send_fn send;
    void *owner;
    slc_strmap topics;
    TAILQ_HEAD(, slc_lane) waiting;        /* have staged items */
    TAILQ_HEAD(, slc_lane_topic) loose_of; /* have items without a key */
    unsigned under_way;                    /* items */
} slc_lanes;

void slc_lanes_init(slc_lanes *lanes, int64_t gather_ms, slc_lane_send_fn send, void *owner);
/* Nothing may be staged or under way. */
void slc_lanes_release(slc_lanes *lanes);

typedef struct slc_lane_wish {
    const char *topic;
    const void *key; /* NULL: any partition */
    size_t key_len;
    int32_t partitions;   /* of the topic; 0: unknown */
    size_t request_bytes; /* of one request at most */
} slc_lane_wish;

/* Everything of `wish` is copied. `bytes` of the item is set. */
void slc_lanes_stage(slc_lanes *lanes, slc_lane_item *item, const slc_lane_wish *wish, int64_t now_ms);
/* Sends what may go, in order within a partition. Returns how long nothing else will by itself: milliseconds,
 * -1 when nothing waits. To be called again then, and after slc_lane_leave. */
int64_t slc_lanes_serve(slc_lanes *lanes, int64_t now_ms);
/* It is decided, or goes on without a lane. Nothing happens when it has none. */
void slc_lane_leave(slc_lanes *lanes, slc_lane_item *item);

#endif
