/* A feed's way to its records: ask for the topic, ask where the last minute began and where the end is,
 * consume. And again after a failure, when the topic has grown, or when it is another one than it was.
 */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/log.h"
#include "dataplane/mediation/feed_private.h"

#define ASK_TIMEOUT_MS     5000
#define RETRY_MS           1000
#define HOLD_BYTES         (4LL * 1024 * 1024)
#define FALLBACK_RECORDS   1000 /* prefill of each partition where the broker cannot look up times */
#define SMALL_RECORD_BYTES 256

/* One answer or event from the broker's thread. */
struct news {
    slc_message msg;
    slc_feed *feed;
    bool failed;
    slc_error err;
    slc_topic_info info;
    int64_t *offsets;
    int32_t count;
    unsigned outages; /* the feed's when it was asked */
    int32_t partition;
    int64_t requested, earliest, latest;
    size_t record_count;
    size_t bytes;
    slc_record *records[];
};

static void post(slc_feed *feed, struct news *news, void (*run)(slc_message *msg, void *owner))
{
    news->msg.run = run;
    news->feed = feed;
    slc_mailbox_post(slc_loop_mailbox(feed->feeds->loop), &news->msg);
}

static struct news *news_new(const slc_error *err)
{
    struct news *news = slc_calloc(1, sizeof *news);
    if (err != NULL) {
        news->failed = true;
        news->err = *err;
    }
    return news;
}

static void news_free(struct news *news)
{
    free(news->offsets);
    free(news);
}

static bool is_wanted(const slc_feed *feed)
{
    return !TAILQ_EMPTY(&feed->subscriptions);
}

/* Timer
 * --------------------------------------------------------------------------------------------------------- */

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    slc_feed *feed = arg;
    SLC_CHECK_MAGIC(feed, SLC_FEED_MAGIC);
    if (feed->state == SLC_FEED_WAITING)
        slc_feed_ask(feed);
    else if (feed->state == SLC_FEED_LIVE)
        slc_feed_look(feed);
    slc_feed_settle(feed); /* if that failed so far */
}

static void set_timer(slc_feed *feed, int64_t delay_ms)
{
    struct timeval delay = {.tv_sec = delay_ms / 1000, .tv_usec = delay_ms % 1000 * 1000};
    if (feed->timer == NULL)
        feed->timer = event_new(slc_loop_base(feed->feeds->loop), -1, 0, on_timer, feed);
    event_add(feed->timer, &delay);
}

static void look_again_later(slc_feed *feed)
{
    set_timer(feed, slc_jitter_ms(feed->feeds->limits.metadata_refresh_ms, 20));
}

static void wait_and_retry(slc_feed *feed, const slc_error *err)
{
    feed->state = SLC_FEED_WAITING;
    slc_feed_set_error(feed, err);
    set_timer(feed, slc_jitter_ms(RETRY_MS, 30));
}

/* The consumer's events
 * ------------------------------------------------------------------------------------------- */

static void filled(slc_feed *feed)
{
    for (int32_t i = 0; i < feed->partitions; i++) {
        if (feed->end[i].next < feed->fill_until[i] && !feed->ended[i])
            return;
    }
    feed->state = SLC_FEED_LIVE;
    feed->reset_due = true;
    look_again_later(feed);
    slc_log(SLC_LOG_DEBUG, "feed is live", LS("topic", feed->topic),
            LI("records", (int64_t)(feed->next - feed->first)));
}

static void changed(slc_feed *feed)
{
    if (feed->state == SLC_FEED_FILLING)
        filled(feed);
    if (feed->state == SLC_FEED_LIVE)
        slc_feed_flush_soon(feed);
}

/* Keeps what lies between the two threads small. */
static void hold_or_go(slc_feed *feed, long long under_way_bytes)
{
    bool hold = feed->held ? under_way_bytes > HOLD_BYTES / 2 : under_way_bytes > HOLD_BYTES;
    if (feed->state == SLC_FEED_STOPPING || hold == feed->held)
        return;
    feed->held = hold;
    feed->link->ops->pause(feed->consumer, hold);
}

static void take_records(slc_message *msg, void *owner)
{
    (void)owner;
    struct news *news = (struct news *)msg;
    slc_feed *feed = news->feed;
    bool stopping = feed->state == SLC_FEED_STOPPING;
    for (size_t i = 0; i < news->record_count; i++) {
        if (stopping)
            slc_record_unref(news->records[i]);
        else
            slc_feed_append(feed, news->records[i]);
    }
    slc_series_add(feed->fetched_bytes, (int64_t)news->bytes);
    slc_series_add(feed->fetched_records, (int64_t)news->record_count);
    /* Of what is left: of the last there is nothing, so that whoever was held goes on. */
    long long taken_bytes = (long long)news->bytes;
    hold_or_go(feed, atomic_fetch_sub(&feed->under_way_bytes, taken_bytes) - taken_bytes);
    news_free(news);
    if (!stopping)
        changed(feed);
}

static bool on_records(void *ctx, slc_record **records, size_t count)
{
    slc_feed *feed = ctx;
    struct news *news = slc_calloc(1, sizeof *news + count * sizeof *records);
    news->record_count = count;
    memcpy(news->records, records, count * sizeof *records);
    for (size_t i = 0; i < count; i++)
        news->bytes += records[i]->size_bytes;
    atomic_fetch_add(&feed->under_way_bytes, (long long)news->bytes);
    post(feed, news, take_records);
    return true; /* see hold_or_go */
}

static void take_end(slc_message *msg, void *owner)
{
    (void)owner;
    struct news *news = (struct news *)msg;
    slc_feed *feed = news->feed;
    if (feed->state != SLC_FEED_STOPPING && news->partition < feed->partitions) {
        slc_position *end = &feed->end[news->partition];
        if (news->latest > end->next)
            end->next = news->latest;
        feed->ended[news->partition] = true;
        changed(feed);
    }
    news_free(news);
}

static void on_end(void *ctx, int32_t partition, int64_t offset)
{
    struct news *news = news_new(NULL);
    news->partition = partition;
    news->latest = offset;
    post(ctx, news, take_end);
}

/* Overtaken by retention, or the log was cut: the ring starts anew there, and readers hear of the gap when they
 * find themselves outside. */
static void take_out_of_range(slc_message *msg, void *owner)
{
    (void)owner;
    struct news *news = (struct news *)msg;
    slc_feed *feed = news->feed;
    if (feed->state != SLC_FEED_STOPPING) {
        int64_t to = news->requested < news->earliest ? news->earliest : news->latest;
        slc_log(SLC_LOG_WARN, "a feed's offset is out of range", LS("topic", feed->topic),
                LI("partition", news->partition), LI("from", news->requested), LI("to", to));
        feed->end[news->partition] = (slc_position){to, -1};
        feed->fill_until[news->partition] = to;
        slc_feed_clear(feed);
        feed->link->ops->seek(feed->consumer, news->partition, to);
        changed(feed);
    }
    news_free(news);
}

static void on_out_of_range(void *ctx, int32_t partition, int64_t requested, int64_t earliest, int64_t latest)
{
    struct news *news = news_new(NULL);
    news->partition = partition;
    news->requested = requested;
    news->earliest = earliest;
    news->latest = latest;
    post(ctx, news, take_out_of_range);
}

/* The topic is gone, or is another one: what was read says nothing of what comes. */
static void start_over(slc_feed *feed)
{
    feed->resume = false;
    slc_feed_stop(feed);
}

static void take_error(slc_message *msg, void *owner)
{
    (void)owner;
    struct news *news = (struct news *)msg;
    slc_feed *feed = news->feed;
    if (feed->state == SLC_FEED_STOPPING)
        goto out;
    if (!news->failed || news->err.code != SLC_STALE)
        slc_feed_set_error(feed, news->failed ? &news->err : NULL);
    if (news->failed && (news->err.code == SLC_STALE || news->err.code == SLC_NOT_FOUND))
        start_over(feed);
out:
    news_free(news);
}

static void on_error(void *ctx, const slc_error *err)
{
    post(ctx, news_new(err), take_error);
}

static void start_consumer(slc_feed *feed)
{
    static const slc_consumer_callbacks callbacks = {on_records, on_end, on_out_of_range, on_error};
    int64_t *offsets = slc_malloc((size_t)feed->partitions * sizeof *offsets);
    for (int32_t i = 0; i < feed->partitions; i++)
        offsets[i] = feed->end[i].next;
    feed->held = false;
    feed->state = SLC_FEED_FILLING;
    feed->consumer = feed->link->ops->consume(feed->link->broker, feed->topic, feed->topic_id, offsets,
                                              feed->partitions, &callbacks, feed);
    free(offsets);
    slc_feed_set_error(feed, NULL);
    changed(feed);
}

static void take_stopped(slc_message *msg, void *owner)
{
    (void)owner;
    struct news *news = (struct news *)msg;
    slc_feed *feed = news->feed;
    news_free(news);
    feed->consumer = NULL;
    if (slc_feed_free_if_done(feed))
        return;
    if (feed->resume && is_wanted(feed))
        start_consumer(feed);
    else
        slc_feed_ask(feed);
}

static void on_stopped(void *ctx)
{
    post(ctx, news_new(NULL), take_stopped);
}

void slc_feed_stop(slc_feed *feed)
{
    if (feed->consumer == NULL || feed->state == SLC_FEED_STOPPING)
        return;
    feed->state = SLC_FEED_STOPPING;
    feed->link->ops->stop(feed->consumer, on_stopped, feed);
}

bool slc_feed_free_if_done(slc_feed *feed)
{
    if (is_wanted(feed) || feed->consumer != NULL || feed->questions > 0)
        return false;
    slc_log(SLC_LOG_INFO, "closing a feed", LS("backend", feed->link->name), LS("topic", feed->topic));
    slc_feed_clear(feed);
    slc_series_set(feed->ring_bytes, 0);
    slc_series_set(feed->ring_records, 0);
    slc_series_set(feed->failing_series, 0);
    slc_link_note(feed->link, feed->topic, NULL);
    TAILQ_REMOVE(&feed->feeds->list, feed, entry);
    if (feed->timer != NULL)
        event_free(feed->timer);
    event_free(feed->flush);
    free(feed->ring);
    free(feed->start);
    free(feed->end);
    free(feed->ended);
    free(feed->fill_until);
    free(feed->topic);
    slc_link_unref(feed->link);
    feed->magic = 0;
    free(feed);
    return true;
}

/* Questions
 * ------------------------------------------------------------------------------------------------------- */

/* Every answer comes by here. False when the feed is gone or on its way out. */
static bool answered(slc_feed *feed)
{
    feed->questions--;
    if (slc_feed_free_if_done(feed))
        return false;
    return feed->state != SLC_FEED_STOPPING;
}

static void ask_offsets(slc_feed *feed, int64_t time, void (*run)(slc_message *msg, void *owner));

static void offsets_answer(void *ctx, const int64_t *offsets, int32_t count, const slc_error *err)
{
    struct news *news = ctx;
    if (err != NULL) {
        news->failed = true;
        news->err = *err;
    } else {
        news->offsets = slc_memdup(offsets, (size_t)count * sizeof *offsets);
        news->count = count;
    }
    post(news->feed, news, news->msg.run);
}

static void ask_offsets(slc_feed *feed, int64_t time, void (*run)(slc_message *msg, void *owner))
{
    struct news *news = news_new(NULL);
    news->feed = feed;
    news->msg.run = run;
    news->outages = feed->outages;
    feed->questions++;
    feed->link->ops->offsets(feed->link->broker, feed->topic, feed->partitions, time, ASK_TIMEOUT_MS,
                             offsets_answer, news);
}

/* At most about a ring full, wherever the minute began. */
static void bound_start(slc_feed *feed)
{
    int64_t most = feed->feeds->limits.feed_ring_bytes / SMALL_RECORD_BYTES / feed->partitions + 1;
    for (int32_t i = 0; i < feed->partitions; i++) {
        if (feed->end[i].next < feed->fill_until[i] - most)
            feed->end[i].next = feed->fill_until[i] - most;
        feed->start[i] = feed->end[i];
    }
}

static void take_earliest(slc_message *msg, void *owner)
{
    (void)owner;
    struct news *news = (struct news *)msg;
    slc_feed *feed = news->feed;
    if (answered(feed)) {
        if (news->failed) {
            wait_and_retry(feed, &news->err);
        } else {
            for (int32_t i = 0; i < news->count; i++) {
                int64_t back = feed->fill_until[i] - FALLBACK_RECORDS;
                feed->end[i] = (slc_position){back > news->offsets[i] ? back : news->offsets[i], -1};
            }
            bound_start(feed);
            start_consumer(feed);
        }
    }
    news_free(news);
}

static void take_minute(slc_message *msg, void *owner)
{
    (void)owner;
    struct news *news = (struct news *)msg;
    slc_feed *feed = news->feed;
    if (answered(feed)) {
        if (news->failed && news->err.code == SLC_UNSUPPORTED) {
            ask_offsets(feed, SLC_OFFSET_EARLIEST, take_earliest);
        } else if (news->failed) {
            wait_and_retry(feed, &news->err);
        } else {
            /* Without a record of that minute the answer is the end, which may have moved on since it was asked
             * for. */
            for (int32_t i = 0; i < news->count; i++) {
                bool later = news->offsets[i] > feed->fill_until[i];
                feed->end[i] = (slc_position){later ? feed->fill_until[i] : news->offsets[i], -1};
            }
            bound_start(feed);
            start_consumer(feed);
        }
    }
    news_free(news);
}

static void take_latest(slc_message *msg, void *owner)
{
    (void)owner;
    struct news *news = (struct news *)msg;
    slc_feed *feed = news->feed;
    if (answered(feed)) {
        if (news->failed) {
            wait_and_retry(feed, &news->err);
        } else {
            memcpy(feed->fill_until, news->offsets, (size_t)news->count * sizeof *news->offsets);
            ask_offsets(feed, slc_wall_ms() - feed->feeds->limits.feed_prefill_ms, take_minute);
        }
    }
    news_free(news);
}

/* Can the topic be served? Once its id was known it must be known again: nobody could say otherwise whether
 * cursors still mean anything. */
static bool is_usable(slc_feed *feed, const slc_topic_info *info, slc_error *err)
{
    if (slc_topic_id_known(feed->topic_id) && !slc_topic_id_known(info->topic_id))
        return slc_fail(err, SLC_UNAVAILABLE, NULL, "the id of the topic %s is not known now", feed->topic);
    if (info->partitions <= SLC_CURSOR_MAX_PARTITIONS)
        return true;
    return slc_fail(err, SLC_LIMIT, NULL,
                    "the topic %s has %d partitions: over HTTP one with more than %d cannot be read",
                    feed->topic, info->partitions, SLC_CURSOR_MAX_PARTITIONS);
}

static void note_topic(slc_feed *feed, const slc_topic_info *info)
{
    if (slc_topic_id_differs(feed->topic_id, info->topic_id))
        slc_log(SLC_LOG_WARN, "a topic was deleted and made anew: its readers are told",
                LS("topic", feed->topic), LS("backend", feed->link->name));
    memcpy(feed->topic_id, info->topic_id, sizeof feed->topic_id);
}

static void take_info(slc_message *msg, void *owner)
{
    (void)owner;
    struct news *news = (struct news *)msg;
    slc_feed *feed = news->feed;
    if (answered(feed)) {
        if (news->failed || !is_usable(feed, &news->info, &news->err)) {
            wait_and_retry(feed, &news->err);
        } else {
            note_topic(feed, &news->info);
            slc_feed_clear(feed);
            feed->partitions = 0; /* the topic may be another one of that name */
            feed->outages++;      /* answers that are under way are of the old one */
            feed->doubted = false;
            slc_feed_set_partitions(feed, news->info.partitions);
            ask_offsets(feed, SLC_OFFSET_LATEST, take_latest);
        }
    }
    news_free(news);
}

static void info_answer(void *ctx, const slc_topic_info *info, const slc_error *err)
{
    struct news *news = ctx;
    if (err != NULL) {
        news->failed = true;
        news->err = *err;
    } else {
        news->info = *info;
    }
    post(news->feed, news, news->msg.run);
}

static void ask_info(slc_feed *feed, int64_t max_age_ms, void (*run)(slc_message *msg, void *owner))
{
    struct news *news = news_new(NULL);
    news->feed = feed;
    news->msg.run = run;
    feed->questions++;
    feed->link->ops->topic_info(feed->link->broker, feed->topic, max_age_ms, ASK_TIMEOUT_MS, info_answer, news);
}

void slc_feed_ask(slc_feed *feed)
{
    feed->state = SLC_FEED_ASKING;
    feed->resume = false;
    ask_info(feed, 0, take_info);
}

/* New partitions are read from their beginning: nobody can have seen them. */
static void grow(slc_feed *feed, int32_t partitions)
{
    feed->resume = true;
    slc_feed_set_partitions(feed, partitions);
    slc_feed_stop(feed);
}

/* The id was not known so far, and the views must learn it. */
static void learn_id(slc_feed *feed, const slc_topic_info *info)
{
    if (slc_topic_id_known(feed->topic_id) || !slc_topic_id_known(info->topic_id))
        return;
    memcpy(feed->topic_id, info->topic_id, sizeof feed->topic_id);
    feed->reset_due = true;
    slc_feed_flush_soon(feed);
}

static void take_look(slc_message *msg, void *owner)
{
    (void)owner;
    struct news *news = (struct news *)msg;
    slc_feed *feed = news->feed;
    const slc_topic_info *info = &news->info;
    if (!answered(feed) || feed->state != SLC_FEED_LIVE) {
        news_free(news);
        return;
    }
    bool gone = news->failed && news->err.code == SLC_NOT_FOUND;
    if (gone)
        slc_feed_set_error(feed, &news->err);
    if (gone || (!news->failed && (slc_topic_id_differs(feed->topic_id, info->topic_id) ||
                                   info->partitions > SLC_CURSOR_MAX_PARTITIONS))) {
        start_over(feed);
    } else if (!news->failed && info->partitions > feed->partitions) {
        grow(feed, info->partitions);
    } else {
        if (!news->failed)
            learn_id(feed, info);
        look_again_later(feed);
    }
    news_free(news);
}

void slc_feed_look(slc_feed *feed)
{
    if (feed->state == SLC_FEED_LIVE)
        ask_info(feed, feed->feeds->limits.metadata_refresh_ms / 2, take_look);
}

/* What was stored meanwhile has still to come; its end will be told. */
static void take_ends(slc_message *msg, void *owner)
{
    (void)owner;
    struct news *news = (struct news *)msg;
    slc_feed *feed = news->feed;
    if (answered(feed) && !news->failed && !feed->failing && news->outages == feed->outages) {
        for (int32_t i = 0; i < news->count && i < feed->partitions; i++)
            feed->ended[i] = feed->ended[i] && feed->end[i].next >= news->offsets[i];
        feed->doubted = false;
        changed(feed);
    }
    news_free(news);
}

void slc_feed_settle(slc_feed *feed)
{
    bool reads = feed->state == SLC_FEED_LIVE || feed->state == SLC_FEED_FILLING;
    if (feed->doubted && !feed->failing && reads)
        ask_offsets(feed, SLC_OFFSET_LATEST, take_ends);
}
