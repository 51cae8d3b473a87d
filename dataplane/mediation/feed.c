/* The feeds' thread: rings, subscribers, and one update for each burst. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/log.h"
#include "dataplane/mediation/feed_private.h"

#define FIRST_CAPACITY 256u

/* Updates
 * ------------------------------------------------------------------------------------------------------- */

static slc_feed_update *update_new(const slc_feed *feed, uint64_t from, bool reset)
{
    size_t count = (size_t)(feed->next - from);
    slc_feed_update *update = slc_calloc(1, sizeof *update + count * sizeof *update->records);
    update->refs = 1;
    update->reset = reset;
    update->partitions = feed->partitions;
    update->count = count;
    update->caught_up = !feed->doubted;
    memcpy(update->topic_id, feed->topic_id, sizeof update->topic_id);
    size_t partitions = (size_t)feed->partitions;
    if (reset)
        update->start = slc_memdup(feed->start, partitions * sizeof *feed->start);
    update->end = slc_malloc(partitions * sizeof *update->end + 1);
    for (size_t i = 0; i < partitions; i++) {
        update->end[i] = feed->end[i].next;
        update->caught_up = update->caught_up && feed->ended[i];
    }
    for (uint64_t seq = from; seq < feed->next; seq++) {
        slc_record *record = slc_record_ref(feed->ring[seq & (feed->capacity - 1)]);
        update->records[seq - from] = record;
        update->bytes += record->size_bytes;
    }
    return update;
}

static void update_unref(slc_feed_update *update)
{
    if (__atomic_sub_fetch(&update->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < update->count; i++)
        slc_record_unref(update->records[i]);
    free(update->start);
    free(update->end);
    free(update);
}

struct delivery {
    slc_message msg;
    slc_subscription *subscription;
    slc_feed_update *update;
};

static void deliver(slc_message *msg, void *owner)
{
    (void)owner;
    struct delivery *delivery = (struct delivery *)msg;
    slc_subscription *subscription = delivery->subscription;
    SLC_CHECK_MAGIC(subscription, SLC_SUBSCRIPTION_MAGIC);
    if (subscription->fn != NULL)
        subscription->fn(subscription->ctx, delivery->update);
    atomic_fetch_sub(&subscription->under_way_bytes, (long long)delivery->update->bytes + 1);
    update_unref(delivery->update);
    free(delivery);
}

static void post_update(slc_subscription *subscription, slc_feed_update *update)
{
    struct delivery *delivery = slc_calloc(1, sizeof *delivery);
    delivery->msg.run = deliver;
    delivery->subscription = subscription;
    delivery->update = update;
    __atomic_add_fetch(&update->refs, 1, __ATOMIC_RELAXED);
    atomic_fetch_add(&subscription->under_way_bytes, (long long)update->bytes + 1);
    slc_mailbox_post(slc_loop_mailbox(subscription->worker), &delivery->msg);
}

static void seed(slc_feed *feed, slc_subscription *subscription)
{
    bool live = feed->state == SLC_FEED_LIVE;
    if (!live && !feed->failing)
        return;
    slc_feed_update *update = update_new(feed, live ? feed->first : feed->next, live);
    if (feed->failing) {
        update->lost_touch = true;
        update->err = feed->err;
    }
    subscription->seeded = live;
    post_update(subscription, update);
    update_unref(update);
}

/* Twice the ring under way to one worker: it is busy otherwise. It starts anew when it has caught up with its
 * mail. */
static bool too_far_behind(const slc_feed *feed, slc_subscription *subscription)
{
    return atomic_load(&subscription->under_way_bytes) > 2 * feed->feeds->limits.feed_ring_bytes;
}

static void tell(slc_feed *feed)
{
    static const struct timeval again = {.tv_usec = 100000};
    bool live = feed->state == SLC_FEED_LIVE;
    bool reset = live && feed->reset_due;
    slc_feed_update *update = update_new(feed, reset ? feed->first : live ? feed->told : feed->next, reset);
    update->lost_touch = feed->err_due;
    update->regained = feed->ok_due;
    if (feed->err_due)
        update->err = feed->err;
    slc_subscription *subscription;
    TAILQ_FOREACH (subscription, &feed->subscriptions, entry) {
        if (reset)
            subscription->seeded = true;
        if (live && !subscription->seeded) {
            if (atomic_load(&subscription->under_way_bytes) == 0)
                seed(feed, subscription);
            else
                event_add(feed->flush, &again);
        } else if (too_far_behind(feed, subscription)) {
            subscription->seeded = false;
            event_add(feed->flush, &again);
        } else {
            post_update(subscription, update);
        }
    }
    update_unref(update);
    feed->err_due = feed->ok_due = false;
    slc_series_set(feed->ring_bytes, (int64_t)feed->bytes);
    slc_series_set(feed->ring_records, (int64_t)(feed->next - feed->first));
    slc_series_add(feed->resets, reset);
    if (live) {
        feed->reset_due = false;
        feed->told = feed->next;
    }
}

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    slc_feed *feed = arg;
    SLC_CHECK_MAGIC(feed, SLC_FEED_MAGIC);
    tell(feed);
}

void slc_feed_flush_soon(slc_feed *feed)
{
    event_active(feed->flush, EV_TIMEOUT, 1); /* once, after what is in the mailbox now */
}

/* Ring
 * ---------------------------------------------------------------------------------------------------------- */

static void drop_first(slc_feed *feed)
{
    slc_record *record = feed->ring[feed->first & (feed->capacity - 1)];
    feed->start[record->partition] = (slc_position){record->offset + 1, record->leader_epoch};
    feed->bytes -= record->size_bytes;
    feed->first++;
    slc_record_unref(record);
}

static void grow(slc_feed *feed)
{
    uint64_t capacity = feed->capacity == 0 ? FIRST_CAPACITY : feed->capacity * 2;
    slc_record **ring = slc_calloc(capacity, sizeof *ring);
    for (uint64_t seq = feed->first; seq < feed->next; seq++)
        ring[seq & (capacity - 1)] = feed->ring[seq & (feed->capacity - 1)];
    free(feed->ring);
    feed->ring = ring;
    feed->capacity = capacity;
}

void slc_feed_append(slc_feed *feed, slc_record *record)
{
    if (record->partition >= feed->partitions || record->offset < feed->end[record->partition].next) {
        slc_record_unref(record); /* of a consumer's past: before a seek took effect */
        return;
    }
    if (feed->next - feed->first == feed->capacity)
        grow(feed);
    feed->ring[feed->next++ & (feed->capacity - 1)] = record;
    feed->bytes += record->size_bytes;
    feed->end[record->partition] = (slc_position){record->offset + 1, record->leader_epoch};
    feed->ended[record->partition] = false;
    while (feed->bytes > (size_t)feed->feeds->limits.feed_ring_bytes && feed->next - feed->first > 1)
        drop_first(feed);
    if (feed->told < feed->first) { /* more came at once than the ring holds: readers go by catch-up */
        feed->told = feed->first;
        feed->reset_due = feed->state == SLC_FEED_LIVE;
    }
}

void slc_feed_clear(slc_feed *feed)
{
    while (feed->first < feed->next)
        drop_first(feed);
    feed->told = feed->first;
    if (feed->partitions > 0)
        memcpy(feed->start, feed->end, (size_t)feed->partitions * sizeof *feed->start);
    feed->reset_due = true;
}

void slc_feed_set_partitions(slc_feed *feed, int32_t partitions)
{
    int32_t old = feed->partitions;
    size_t count = (size_t)partitions;
    if (partitions <= old)
        return;
    feed->start = slc_realloc(feed->start, count * sizeof *feed->start);
    feed->end = slc_realloc(feed->end, count * sizeof *feed->end);
    feed->ended = slc_realloc(feed->ended, count * sizeof *feed->ended);
    feed->fill_until = slc_realloc(feed->fill_until, count * sizeof *feed->fill_until);
    for (int32_t i = old; i < partitions; i++) {
        feed->start[i] = feed->end[i] = (slc_position){0, -1};
        feed->ended[i] = false;
        feed->fill_until[i] = 0;
    }
    feed->partitions = partitions;
    feed->reset_due = true;
}

void slc_feed_set_error(slc_feed *feed, const slc_error *err)
{
    if (err == NULL && !feed->failing)
        return;
    bool same = err != NULL && feed->failing && feed->err.code == err->code;
    slc_series_set(feed->failing_series, err != NULL);
    if (!same && err != NULL && err->code != SLC_UNAVAILABLE && err->code != SLC_TIMEOUT)
        slc_log_error(SLC_LOG_WARN, "a feed cannot be served", err);
    slc_link_note(feed->link, feed->topic, err);
    if (err != NULL && !feed->failing) {
        feed->outages++;
        feed->doubted = true;
    }
    feed->failing = err != NULL;
    if (err != NULL)
        feed->err = *err;
    else
        slc_feed_settle(feed);
    if (same)
        return;
    feed->err_due = err != NULL;
    feed->ok_due = err == NULL;
    slc_feed_flush_soon(feed);
}

/* Subscriptions
 * ------------------------------------------------------------------------------------------------- */

static slc_feed *find(slc_feeds *feeds, const slc_subscription *subscription)
{
    slc_feed *feed;
    TAILQ_FOREACH (feed, &feeds->list, entry) {
        if (feed->link == subscription->link && strcmp(feed->topic, subscription->topic) == 0)
            return feed;
    }
    return NULL;
}

static void find_series(slc_feed *feed)
{
    const char *const labels[] = {feed->link->name, feed->topic};
    feed->ring_bytes = slc_metrics_series("sluice_feed_ring_bytes", labels);
    feed->ring_records = slc_metrics_series("sluice_feed_ring_records", labels);
    feed->fetched_bytes = slc_metrics_series("sluice_feed_fetched_bytes_total", labels);
    feed->fetched_records = slc_metrics_series("sluice_feed_fetched_records_total", labels);
    feed->failing_series = slc_metrics_series("sluice_feed_failing", labels);
    feed->resets = slc_metrics_series("sluice_feed_resets_total", labels);
}

static slc_feed *open_feed(slc_feeds *feeds, const slc_subscription *subscription)
{
    slc_feed *feed = slc_calloc(1, sizeof *feed);
    feed->magic = SLC_FEED_MAGIC;
    feed->feeds = feeds;
    feed->link = slc_link_ref(subscription->link);
    feed->topic = slc_strdup(subscription->topic);
    feed->flush = event_new(slc_loop_base(feeds->loop), -1, 0, on_flush, feed);
    find_series(feed);
    TAILQ_INIT(&feed->subscriptions);
    TAILQ_INSERT_TAIL(&feeds->list, feed, entry);
    slc_log(SLC_LOG_INFO, "opening a feed", LS("backend", feed->link->name), LS("topic", feed->topic));
    slc_feed_ask(feed);
    return feed;
}

static void subscribe_here(void *arg)
{
    slc_subscription *subscription = arg;
    slc_feed *feed = find(subscription->feeds, subscription);
    if (feed == NULL)
        feed = open_feed(subscription->feeds, subscription);
    subscription->feed = feed;
    TAILQ_INSERT_TAIL(&feed->subscriptions, subscription, entry);
    if (feed->state == SLC_FEED_LIVE && feed->told != feed->next)
        tell(feed); /* what is pending is in the seed already, so the others have it first */
    seed(feed, subscription);
}

slc_subscription *slc_feed_subscribe(slc_feeds *feeds, slc_link *link, const char *topic, slc_loop *worker,
                                     slc_feed_fn fn, void *ctx, void (*gone)(void *ctx), void *gone_ctx)
{
    slc_subscription *subscription = slc_calloc(1, sizeof *subscription);
    subscription->magic = SLC_SUBSCRIPTION_MAGIC;
    subscription->feeds = feeds;
    subscription->link = slc_link_ref(link);
    subscription->topic = slc_strdup(topic);
    subscription->worker = worker;
    subscription->fn = fn;
    subscription->ctx = ctx;
    subscription->gone = gone;
    subscription->gone_ctx = gone_ctx;
    slc_loop_call(feeds->loop, subscribe_here, subscription);
    return subscription;
}

static void suspect_here(void *arg)
{
    slc_subscription *subscription = arg;
    slc_feed_look(subscription->feed);
}

void slc_feed_suspect(slc_subscription *subscription)
{
    SLC_CHECK_MAGIC(subscription, SLC_SUBSCRIPTION_MAGIC);
    slc_loop_call(subscription->feeds->loop, suspect_here, subscription);
}

static void subscription_free(void *arg)
{
    slc_subscription *subscription = arg;
    slc_link_unref(subscription->link);
    free(subscription->topic);
    subscription->magic = 0;
    free(subscription);
}

static void unsubscribe_here(void *arg)
{
    slc_subscription *subscription = arg;
    slc_feed *feed = subscription->feed;
    TAILQ_REMOVE(&feed->subscriptions, subscription, entry);
    if (!slc_feed_free_if_done(feed) && TAILQ_EMPTY(&feed->subscriptions))
        slc_feed_stop(feed);
    void (*gone)(void *) = subscription->gone;
    void *gone_ctx = subscription->gone_ctx;
    /* Behind every delivery that is in the worker's mailbox. */
    slc_loop_call(subscription->worker, subscription_free, subscription);
    gone(gone_ctx);
}

void slc_feed_unsubscribe(slc_subscription *subscription)
{
    SLC_CHECK_MAGIC(subscription, SLC_SUBSCRIPTION_MAGIC);
    subscription->fn = NULL;
    slc_loop_call(subscription->feeds->loop, unsubscribe_here, subscription);
}

/* Life
 * ---------------------------------------------------------------------------------------------------------- */

slc_feeds *slc_feeds_new(const slc_gateway_limits *limits, slc_error *err)
{
    slc_feeds *feeds = slc_calloc(1, sizeof *feeds);
    feeds->limits = *limits;
    TAILQ_INIT(&feeds->list);
    feeds->loop = slc_loop_new("feeds", feeds);
    if (slc_loop_start(feeds->loop, err))
        return feeds;
    slc_loop_free(feeds->loop);
    free(feeds);
    return NULL;
}

static void count_feeds(void *arg)
{
    slc_feed *feed;
    struct {
        slc_feeds *feeds;
        unsigned left;
    } *question = arg;
    question->left = 0;
    TAILQ_FOREACH (feed, &question->feeds->list, entry)
        question->left++;
}

void slc_feeds_free(slc_feeds *feeds)
{
    struct {
        slc_feeds *feeds;
        unsigned left;
    } question = {feeds, 1};
    while (question.left > 0) {
        slc_loop_call_sync(feeds->loop, count_feeds, &question);
        if (question.left > 0) {
            struct timespec pause = {.tv_nsec = 2000000};
            nanosleep(&pause, NULL);
        }
    }
    slc_loop_stop(feeds->loop);
    slc_loop_join(feeds->loop);
    slc_loop_free(feeds->loop);
    free(feeds);
}
