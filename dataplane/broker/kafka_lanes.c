#include "dataplane/broker/kafka_lanes.h"

#include <librdkafka/rdkafka.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"

#define FEW         4   /* under way by the quick producer, at most: with one more librdkafka would spin */
#define LONGEST_MS  100 /* then they go nevertheless: a broker that does not answer must not make them late */
#define LOOSE_LANES 3   /* busy at once by records without a key, before those wait for one */
#define MANY        64  /* more than so many waiting go all at once, by the bulk producer */

typedef struct slc_lane_list {
    struct slc_lane_items items;
    size_t count;
} slc_lane_list;

typedef struct slc_lane_topic slc_lane_topic;

struct slc_lane {
    TAILQ_ENTRY(slc_lane) link;
    slc_lane_list staged; /* with a key; the lane is in `waiting` while there are any */
    slc_lane_topic *topic;
    int32_t partition;
    unsigned under_way;
    enum slc_lane_way way; /* of what is under way: two producers would not keep the order */
};

struct slc_lane_topic {
    TAILQ_ENTRY(slc_lane_topic) link;
    slc_lane_list loose; /* without a key; the topic is in `loose_of` while there are any */
    slc_lane **lanes;
    int32_t count;
    int32_t turn;  /* where to look next for a lane that is free */
    unsigned busy; /* lanes with something under way */
    size_t request_bytes;
    char name[];
};

/* Life
 * ---------------------------------------------------------------------------------------------------------- */

void slc_lanes_init(slc_lanes *lanes, int64_t gather_ms, slc_lane_send_fn send, void *owner)
{
    *lanes = (slc_lanes){.gather_ms = gather_ms, .send = send, .owner = owner};
    slc_strmap_init(&lanes->topics, 16);
    TAILQ_INIT(&lanes->waiting);
    TAILQ_INIT(&lanes->loose_of);
}

static void free_topic(slc_lane_topic *topic)
{
    for (int32_t i = 0; i < topic->count; i++)
        free(topic->lanes[i]);
    free(topic->lanes);
    free(topic);
}

void slc_lanes_release(slc_lanes *lanes)
{
    SLC_BUG_ON(!TAILQ_EMPTY(&lanes->waiting) || !TAILQ_EMPTY(&lanes->loose_of) || lanes->under_way > 0);
    for (size_t i = 0; lanes->topics.slots != NULL && i <= lanes->topics.mask; i++)
        if (lanes->topics.slots[i].key != NULL)
            free_topic(lanes->topics.slots[i].value);
    slc_strmap_release(&lanes->topics);
}

/* Lanes are never taken away: records of a topic that was made anew may be under way. */
static void grow(slc_lane_topic *topic, int32_t count)
{
    if (count <= topic->count)
        return;
    topic->lanes = slc_realloc(topic->lanes, (size_t)count * sizeof(slc_lane *));
    for (; topic->count < count; topic->count++) {
        slc_lane *lane = slc_calloc(1, sizeof *lane);
        lane->topic = topic;
        lane->partition = topic->count;
        TAILQ_INIT(&lane->staged.items);
        topic->lanes[topic->count] = lane;
    }
}

static slc_lane_topic *topic_of(slc_lanes *lanes, const char *name)
{
    size_t len = strlen(name);
    slc_lane_topic *topic = slc_strmap_find(&lanes->topics, name, len);
    if (topic != NULL)
        return topic;
    topic = slc_calloc(1, sizeof *topic + len + 1);
    memcpy(topic->name, name, len);
    TAILQ_INIT(&topic->loose.items);
    slc_strmap_add(&lanes->topics, topic->name, len, topic);
    return topic;
}

/* Coming
 * -------------------------------------------------------------------------------------------------------- */

static void append(slc_lane_list *list, slc_lane_item *item)
{
    TAILQ_INSERT_TAIL(&list->items, item, link);
    list->count++;
}

static void stage_loose(slc_lanes *lanes, slc_lane_topic *topic, slc_lane_item *item)
{
    if (topic->loose.count == 0)
        TAILQ_INSERT_TAIL(&lanes->loose_of, topic, link);
    append(&topic->loose, item);
}

static void stage_keyed(slc_lanes *lanes, slc_lane *lane, slc_lane_item *item)
{
    if (lane->staged.count == 0)
        TAILQ_INSERT_TAIL(&lanes->waiting, lane, link);
    append(&lane->staged, item);
}

void slc_lanes_stage(slc_lanes *lanes, slc_lane_item *item, const slc_lane_wish *wish, int64_t now_ms)
{
    slc_lane_topic *topic = topic_of(lanes, wish->topic);
    bool known = wish->partitions > 0;
    grow(topic, known ? wish->partitions : 1);
    topic->request_bytes = wish->request_bytes;
    item->lane = NULL;
    item->staged_ms = now_ms;
    if (known && wish->key == NULL) {
        stage_loose(lanes, topic, item);
        return;
    }
    int32_t partition =
        known ? rd_kafka_msg_partitioner_murmur2(NULL, wish->key, wish->key_len, wish->partitions, NULL, NULL)
              : 0;
    stage_keyed(lanes, topic->lanes[partition], item);
}

/* Going
 * --------------------------------------------------------------------------------------------------------- */

static void go(slc_lanes *lanes, slc_lane *lane, slc_lane_item *item, int32_t wish)
{
    item->lane = lane;
    lanes->under_way++;
    if (lane->under_way++ == 0)
        lane->topic->busy++;
    lanes->send(lanes->owner, item, lane->way, wish);
}

void slc_lane_leave(slc_lanes *lanes, slc_lane_item *item)
{
    slc_lane *lane = item->lane;
    item->lane = NULL;
    if (lane == NULL)
        return;
    lanes->under_way--;
    if (--lane->under_way == 0)
        lane->topic->busy--;
}

/* `most` of them, and what one request holds: more would wait in librdkafka. */
static void send_some(slc_lanes *lanes, slc_lane *lane, slc_lane_list *list, size_t most, int32_t wish)
{
    size_t room = lane->topic->request_bytes;
    slc_lane_item *item = TAILQ_FIRST(&list->items);
    do {
        room -= item->bytes < room ? item->bytes : room;
        TAILQ_REMOVE(&list->items, item, link);
        list->count--;
        go(lanes, lane, item, wish);
        item = TAILQ_FIRST(&list->items);
    } while (item != NULL && item->bytes <= room && --most > 0);
}

/* How long the first of a list must still wait for a lane in that state. */
static int64_t patience_ms(const slc_lanes *lanes, unsigned under_way, enum slc_lane_way way,
                           const slc_lane_list *list, int64_t now_ms)
{
    bool full = under_way >= FEW || (under_way > 0 && way == SLC_LANE_BULK);
    int64_t waits_ms = under_way == 0 ? 0 : lanes->gather_ms;
    if (full && waits_ms > 0 && waits_ms < LONGEST_MS)
        waits_ms = LONGEST_MS;
    int64_t left_ms = TAILQ_FIRST(&list->items)->staged_ms + waits_ms - now_ms;
    return left_ms > 0 ? left_ms : 0;
}

/* The lane has nothing under way, or less than FEW, or the list has waited for too long. */
static void let_go(slc_lanes *lanes, slc_lane *lane, slc_lane_list *list, int32_t wish)
{
    if (lane->under_way == 0)
        lane->way = list->count > MANY ? SLC_LANE_BULK : SLC_LANE_QUICK;
    bool few = lane->way == SLC_LANE_QUICK && lane->under_way < FEW && lanes->gather_ms > 0;
    send_some(lanes, lane, list, few ? FEW - lane->under_way : SIZE_MAX, wish);
}

/* By turns, so that all partitions get their share. */
static slc_lane *next_below(slc_lane_topic *topic, unsigned under_way)
{
    for (int32_t i = 0; i < topic->count; i++) {
        slc_lane *lane = topic->lanes[topic->turn];
        topic->turn = topic->turn + 1 < topic->count ? topic->turn + 1 : 0;
        if (lane->under_way == 0 || (lane->under_way < under_way && lane->way == SLC_LANE_QUICK) ||
            under_way == UINT_MAX)
            return lane;
    }
    return NULL;
}

static void sooner(int64_t *wait_ms, int64_t other_ms)
{
    if (*wait_ms < 0 || other_ms < *wait_ms)
        *wait_ms = other_ms;
}

/* The lane for what has no key. NULL: none yet. */
static slc_lane *choose(slc_lanes *lanes, slc_lane_topic *topic, int64_t now_ms, int64_t *wait_ms)
{
    int64_t some_ms = patience_ms(lanes, 1, SLC_LANE_QUICK, &topic->loose, now_ms);
    int64_t full_ms = patience_ms(lanes, FEW, SLC_LANE_QUICK, &topic->loose, now_ms);
    slc_lane *lane = NULL;
    if (topic->busy < LOOSE_LANES || some_ms == 0)
        lane = next_below(topic, 1);
    if (lane == NULL && some_ms == 0)
        lane = next_below(topic, FEW);
    if (lane == NULL && full_ms == 0)
        lane = next_below(topic, UINT_MAX);
    if (lane == NULL)
        sooner(wait_ms, some_ms > 0 ? some_ms : full_ms);
    return lane;
}

static void serve_loose(slc_lanes *lanes, slc_lane_topic *topic, int64_t now_ms, int64_t *wait_ms)
{
    slc_lane *lane;
    while (topic->loose.count > 0 && (lane = choose(lanes, topic, now_ms, wait_ms)) != NULL)
        let_go(lanes, lane, &topic->loose, lane->partition);
    if (topic->loose.count == 0)
        TAILQ_REMOVE(&lanes->loose_of, topic, link);
}

static void serve_keyed(slc_lanes *lanes, slc_lane *lane, int64_t now_ms, int64_t *wait_ms)
{
    while (lane->staged.count > 0) {
        int64_t left_ms = patience_ms(lanes, lane->under_way, lane->way, &lane->staged, now_ms);
        if (left_ms > 0) {
            sooner(wait_ms, left_ms);
            return;
        }
        let_go(lanes, lane, &lane->staged, -1);
    }
    TAILQ_REMOVE(&lanes->waiting, lane, link);
}

int64_t slc_lanes_serve(slc_lanes *lanes, int64_t now_ms)
{
    int64_t wait_ms = -1;
    slc_lane *next_lane;
    slc_lane_topic *next_topic;
    for (slc_lane *lane = TAILQ_FIRST(&lanes->waiting); lane != NULL; lane = next_lane) {
        next_lane = TAILQ_NEXT(lane, link);
        serve_keyed(lanes, lane, now_ms, &wait_ms);
    }
    for (slc_lane_topic *topic = TAILQ_FIRST(&lanes->loose_of); topic != NULL; topic = next_topic) {
        next_topic = TAILQ_NEXT(topic, link);
        serve_loose(lanes, topic, now_ms, &wait_ms);
    }
    return wait_ms;
}
