#include "dataplane/policy/shared_limits.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/metrics.h"

#define SECOND_NS     1000000000LL
#define DAY_NS        (86400 * SECOND_NS)
#define MAX_BORROWED  100000
#define GROUP_CHARS   80
#define LIMIT_CHARS   24
#define SUBJECT_CHARS 72
#define SLOTS         4096

/* One bucket: KEYS[1] holds when all that was taken is paid for, in microseconds of the server's own clock.
 * ARGV: what one costs and the window, in microseconds; how many to take at most; how many were done and are to
 * be paid for. Answers how many were taken, in how long there will be one, and what is owed. */
static const char script[] =
    "local time = redis.call('TIME') "
    "local now = time[1] * 1000000 + time[2] "
    "local each, window, take, pay = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), "
    "tonumber(ARGV[4]) "
    "local owed = math.max(0, tonumber(redis.call('GET', KEYS[1]) or '0') - now) "
    "local taken, wait = 0, 0 "
    "if pay > 0 then "
    "  owed = math.min(owed + pay * each, 86400000000) "
    "else "
    "  taken = math.max(0, math.min(take, math.floor((window - owed) / each))) "
    "  if taken == 0 and owed == 0 then taken = 1 end "
    "  if taken == 0 then wait = owed + each - math.max(window, each) end "
    "  owed = owed + taken * each "
    "end "
    "if pay > 0 or taken > 0 then "
    "  redis.call('SET', KEYS[1], string.format('%.2f', now + owed), 'PX', math.ceil(owed / 1000) + 1) "
    "end "
    "return {taken, math.ceil(wait), math.ceil(owed)}";

static const char *const kind_names[SLC_LIMIT_RATES] = {"requests", "events", "bytes"};

struct slc_shared_bucket {
    slc_shared_limits *shared;
    char group[GROUP_CHARS], limit[LIMIT_CHARS], subject[SUBJECT_CHARS];
    unsigned refs; /* 0: it may go for another */
    slc_rates rates;
    int64_t borrowed; /* requests that were taken from the server and not used */
    int64_t borrowed_until_ns, refused_until_ns;
    int64_t paid_ns[SLC_LIMIT_RATES]; /* monotonic: when all that everybody took is paid for */
    uint64_t unpaid[SLC_LIMIT_RATES]; /* done here, and the server does not know */
    bool borrowing, paying[SLC_LIMIT_RATES];
    slc_shared_waiter *waiting, **last;
    unsigned waiting_count;
    struct event timer; /* of the first that waits */
    TAILQ_ENTRY(slc_shared_bucket) slot_entry, idle_entry;
};

struct paying { /* the argument of a payment's question */
    slc_shared_bucket *bucket;
    enum slc_limit_kind kind;
};

struct slc_shared_limits {
    struct event_base *base;
    const slc_shared_options *options;
    slc_redis *redis;
    int64_t count;
    TAILQ_HEAD(bucket_list, slc_shared_bucket) slots[SLOTS];
    struct bucket_list idle; /* used longest ago first */
    slc_series *outcomes[SLC_SHARED_UNAVAILABLE + 1];
};

void slc_shared_register_metrics(void)
{
    static const slc_metric table[] = {
        {"sluice_limits_shared_total",
         SLC_COUNTER,
         "Requests under limits that Redis counts: taken, refused, or unavailable: without an answer in time.",
         {"outcome"},
         0,
         NULL},
        {"sluice_limits_redis_connections", SLC_GAUGE, "Workers that are connected to Redis.", {NULL}, 0, NULL},
        {NULL, SLC_COUNTER, NULL, {NULL}, 0, NULL},
    };
    slc_metrics_register(table);
}

slc_shared_limits *slc_shared_new(struct event_base *base, const slc_shared_options *options, slc_error *err)
{
    static const char *const outcomes[] = {[SLC_SHARED_TAKEN] = "taken",
                                           [SLC_SHARED_REFUSED] = "refused",
                                           [SLC_SHARED_UNAVAILABLE] = "unavailable"};
    slc_shared_limits *shared = slc_calloc(1, sizeof *shared);
    shared->base = base;
    shared->options = options;
    TAILQ_INIT(&shared->idle);
    for (size_t i = 0; i < SLOTS; i++)
        TAILQ_INIT(&shared->slots[i]);
    for (int i = 0; i <= SLC_SHARED_UNAVAILABLE; i++)
        if (outcomes[i] != NULL)
            shared->outcomes[i] = slc_metrics_series("sluice_limits_shared_total", &outcomes[i]);
    shared->redis = slc_redis_new(base, &options->redis, script, err);
    if (shared->redis != NULL)
        return shared;
    free(shared);
    return NULL;
}

void slc_shared_free(slc_shared_limits *shared)
{
    slc_shared_bucket *bucket;
    if (shared == NULL)
        return;
    slc_redis_free(shared->redis);
    while ((bucket = TAILQ_FIRST(&shared->idle)) != NULL) {
        TAILQ_REMOVE(&shared->idle, bucket, idle_entry);
        free(bucket);
        shared->count--;
    }
    SLC_BUG_ON(shared->count != 0);
    free(shared);
}

/* ---- buckets ---- */

static void on_timer(evutil_socket_t fd, short what, void *arg);

static uint32_t slot_of(const char *group, const char *limit, const char *subject)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    const char *const texts[] = {group, limit, subject};
    for (size_t i = 0; i < 3; i++)
        for (const char *p = texts[i]; *p != '\0'; p++)
            hash = (hash ^ (uint8_t)*p) * 16777619u;
    return hash % SLOTS;
}

static slc_shared_bucket *find(slc_shared_limits *shared, struct bucket_list *slot, const char *group,
                               const char *limit, const char *subject)
{
    slc_shared_bucket *bucket;
    (void)shared;
    TAILQ_FOREACH (bucket, slot, slot_entry)
        if (strcmp(bucket->subject, subject) == 0 && strcmp(bucket->limit, limit) == 0 &&
            strcmp(bucket->group, group) == 0)
            return bucket;
    return NULL;
}

/* A new one, or that which nobody has used for longest. */
static slc_shared_bucket *make(slc_shared_limits *shared)
{
    slc_shared_bucket *bucket = TAILQ_FIRST(&shared->idle);
    if (shared->count < shared->options->keys) {
        shared->count++;
        return slc_calloc(1, sizeof *bucket);
    }
    if (bucket == NULL)
        return NULL;
    TAILQ_REMOVE(&shared->idle, bucket, idle_entry);
    TAILQ_REMOVE(&shared->slots[slot_of(bucket->group, bucket->limit, bucket->subject)], bucket, slot_entry);
    memset(bucket, 0, sizeof *bucket);
    return bucket;
}

slc_shared_bucket *slc_shared_bucket_ref(slc_shared_bucket *bucket)
{
    if (bucket->refs++ == 0)
        TAILQ_REMOVE(&bucket->shared->idle, bucket, idle_entry);
    return bucket;
}

void slc_shared_bucket_unref(slc_shared_bucket *bucket)
{
    if (bucket == NULL)
        return;
    SLC_BUG_ON(bucket->refs == 0);
    if (--bucket->refs == 0)
        TAILQ_INSERT_TAIL(&bucket->shared->idle, bucket, idle_entry);
}

slc_shared_bucket *slc_shared_bucket_get(slc_shared_limits *shared, const char *group, const char *limit,
                                         const char *subject)
{
    struct bucket_list *slot = &shared->slots[slot_of(group, limit, subject)];
    slc_shared_bucket *bucket = find(shared, slot, group, limit, subject);
    if (bucket != NULL)
        return slc_shared_bucket_ref(bucket);
    if (strlen(group) >= GROUP_CHARS || strlen(limit) >= LIMIT_CHARS || strlen(subject) >= SUBJECT_CHARS ||
        (bucket = make(shared)) == NULL)
        return NULL;
    bucket->shared = shared;
    snprintf(bucket->group, sizeof bucket->group, "%s", group);
    snprintf(bucket->limit, sizeof bucket->limit, "%s", limit);
    snprintf(bucket->subject, sizeof bucket->subject, "%s", subject);
    bucket->refs = 1;
    bucket->last = &bucket->waiting;
    evtimer_assign(&bucket->timer, shared->base, on_timer, bucket);
    TAILQ_INSERT_TAIL(slot, bucket, slot_entry);
    return bucket;
}

/* ---- who waits ---- */

void slc_shared_unwait(slc_shared_waiter *waiter)
{
    slc_shared_bucket *bucket = waiter->bucket;
    if (bucket == NULL)
        return;
    *waiter->link = waiter->next;
    if (waiter->next != NULL)
        waiter->next->link = waiter->link;
    else
        bucket->last = waiter->link;
    waiter->bucket = NULL;
    if (--bucket->waiting_count == 0)
        evtimer_del(&bucket->timer);
    slc_shared_bucket_unref(bucket);
}

static void arm(slc_shared_bucket *bucket)
{
    int64_t left_ms = bucket->waiting->until_ms - slc_monotonic_ms();
    left_ms = left_ms > 0 ? left_ms : 0;
    const struct timeval wait = {left_ms / 1000, (left_ms % 1000) * 1000};
    evtimer_add(&bucket->timer, &wait);
}

static void wait_for(slc_shared_bucket *bucket, slc_shared_waiter *waiter)
{
    waiter->bucket = slc_shared_bucket_ref(bucket);
    waiter->until_ms = slc_monotonic_ms() + bucket->shared->options->wait_ms;
    waiter->next = NULL;
    waiter->link = bucket->last;
    *bucket->last = waiter;
    bucket->last = &waiter->next;
    if (bucket->waiting_count++ == 0)
        arm(bucket);
}

static enum slc_shared_outcome count(const slc_shared_bucket *bucket, enum slc_shared_outcome outcome)
{
    slc_series_add(bucket->shared->outcomes[outcome], 1);
    return outcome;
}

static void settle_first(slc_shared_bucket *bucket, enum slc_shared_outcome outcome,
                         const slc_limit_answer *answer)
{
    slc_shared_waiter *waiter = bucket->waiting;
    slc_shared_unwait(waiter);
    waiter->answered = true;
    waiter->outcome = count(bucket, outcome);
    if (answer != NULL)
        waiter->answer = *answer;
    waiter->ready(waiter);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    slc_shared_bucket *bucket = slc_shared_bucket_ref(arg);
    (void)fd, (void)what;
    while (bucket->waiting != NULL && bucket->waiting->until_ms <= slc_monotonic_ms())
        settle_first(bucket, SLC_SHARED_UNAVAILABLE, NULL);
    if (bucket->waiting != NULL)
        arm(bucket);
    slc_shared_bucket_unref(bucket);
}

/* ---- the server's side ---- */

static bool run(slc_shared_bucket *bucket, enum slc_limit_kind kind, int64_t take, uint64_t pay,
                void (*done)(const redisReply *reply, void *arg), void *arg)
{
    char key[320], each[40], window[24], taken[24], paid[24];
    snprintf(key, sizeof key, "%s%s/%s/%s/%s", bucket->shared->options->prefix, bucket->group, bucket->limit,
             kind_names[kind], bucket->subject);
    snprintf(each, sizeof each, "%.9f", 1e6 / (double)bucket->rates.per_second[kind]);
    snprintf(window, sizeof window, "%llu", bucket->rates.burst_s * 1000000ULL);
    snprintf(taken, sizeof taken, "%lld", (long long)take);
    snprintf(paid, sizeof paid, "%llu", (unsigned long long)pay);
    return slc_redis_run(bucket->shared->redis, key, 4, (const char *[]){each, window, taken, paid}, done, arg);
}

/* {taken, wait in us, owed in us}; false: it is none. */
static bool read_reply(const redisReply *reply, int64_t numbers[3])
{
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
        return false;
    for (size_t i = 0; i < 3; i++) {
        if (reply->element[i]->type != REDIS_REPLY_INTEGER)
            return false;
        numbers[i] = reply->element[i]->integer;
    }
    return true;
}

static void on_borrowed(const redisReply *reply, void *arg);

static bool borrow(slc_shared_bucket *bucket)
{
    uint64_t rate = bucket->rates.per_second[SLC_LIMIT_REQUESTS];
    double share = (double)rate * (double)bucket->shared->options->borrow_ms / 1000;
    int64_t want = share < MAX_BORROWED ? (int64_t)share : MAX_BORROWED;
    want = want > bucket->waiting_count ? want : bucket->waiting_count;
    if (rate == 0 || !run(bucket, SLC_LIMIT_REQUESTS, want > 0 ? want : 1, 0, on_borrowed, bucket))
        return false;
    bucket->borrowing = true;
    slc_shared_bucket_ref(bucket);
    return true;
}

static void refuse_all(slc_shared_bucket *bucket, int64_t wait_us)
{
    const slc_limit_answer answer = {SLC_LIMIT_REQUESTS, wait_us / 1000 + 1};
    while (bucket->waiting != NULL)
        settle_first(bucket, SLC_SHARED_REFUSED, &answer);
}

static void give_up(slc_shared_bucket *bucket)
{
    while (bucket->waiting != NULL)
        settle_first(bucket, SLC_SHARED_UNAVAILABLE, NULL);
}

static void on_borrowed(const redisReply *reply, void *arg)
{
    slc_shared_bucket *bucket = arg;
    int64_t numbers[3], now_ns = slc_limits_now_ns();
    bucket->borrowing = false;
    if (!read_reply(reply, numbers)) {
        give_up(bucket);
    } else {
        bucket->borrowed = (bucket->borrowed_until_ns > now_ns ? bucket->borrowed : 0) + numbers[0];
        bucket->borrowed_until_ns = now_ns + SECOND_NS + bucket->shared->options->borrow_ms * 1000000;
        bucket->paid_ns[SLC_LIMIT_REQUESTS] = now_ns + numbers[2] * 1000;
        bucket->refused_until_ns = numbers[0] == 0 ? now_ns + numbers[1] * 1000 : 0;
        for (; bucket->waiting != NULL && bucket->borrowed > 0; bucket->borrowed--)
            settle_first(bucket, SLC_SHARED_TAKEN, NULL);
        if (numbers[0] == 0)
            refuse_all(bucket, numbers[1]);
        else if (bucket->waiting != NULL && !bucket->borrowing && !borrow(bucket))
            give_up(bucket);
    }
    slc_shared_bucket_unref(bucket);
}

static void flush(slc_shared_bucket *bucket, enum slc_limit_kind kind);

static void on_paid(const redisReply *reply, void *arg)
{
    struct paying *paying = arg;
    slc_shared_bucket *bucket = paying->bucket;
    enum slc_limit_kind kind = paying->kind;
    int64_t numbers[3];
    free(paying);
    bucket->paying[kind] = false;
    if (read_reply(reply, numbers)) {
        bucket->paid_ns[kind] = slc_limits_now_ns() + numbers[2] * 1000;
        flush(bucket, kind);
    }
    slc_shared_bucket_unref(bucket);
}

/* One payment of a kind is under way at a time; what is done meanwhile is the next. */
static void flush(slc_shared_bucket *bucket, enum slc_limit_kind kind)
{
    if (bucket->unpaid[kind] == 0 || bucket->paying[kind] || bucket->rates.per_second[kind] == 0)
        return;
    struct paying *paying = slc_calloc(1, sizeof *paying);
    *paying = (struct paying){bucket, kind};
    if (!run(bucket, kind, 0, bucket->unpaid[kind], on_paid, paying)) {
        free(paying);
        return;
    }
    bucket->paying[kind] = true;
    bucket->unpaid[kind] = 0;
    slc_shared_bucket_ref(bucket);
}

/* ---- requests ---- */

static int64_t window_ns(const slc_rates *rates)
{
    return rates->burst_s * SECOND_NS;
}

bool slc_shared_available(const slc_shared_bucket *bucket)
{
    return slc_redis_ready(bucket->shared->redis);
}

int64_t slc_shared_owed_ns(const slc_shared_bucket *bucket, const slc_rates *rates, enum slc_limit_kind first,
                           int64_t now_ns)
{
    int64_t longest = 0;
    for (int kind = first; kind < SLC_LIMIT_RATES; kind++) {
        int64_t owed = rates->per_second[kind] > 0 ? bucket->paid_ns[kind] - now_ns - window_ns(rates) + 1 : 0;
        longest = owed > longest ? owed : longest;
    }
    return longest;
}

static enum slc_shared_outcome refuse(const slc_shared_bucket *bucket, slc_limit_answer *answer,
                                      enum slc_limit_kind kind, int64_t wait_ns)
{
    *answer = (slc_limit_answer){kind, wait_ns / 1000000 + 1};
    return count(bucket, SLC_SHARED_REFUSED);
}

enum slc_shared_outcome slc_shared_take(slc_shared_bucket *bucket, const slc_rates *rates,
                                        slc_shared_waiter *waiter, slc_limit_answer *answer)
{
    int64_t now_ns = slc_limits_now_ns(), owed_ns;
    bucket->rates = *rates;
    if (!slc_shared_available(bucket))
        return count(bucket, SLC_SHARED_UNAVAILABLE);
    if ((owed_ns = slc_shared_owed_ns(bucket, rates, SLC_LIMIT_BYTES, now_ns)) > 0)
        return refuse(bucket, answer, SLC_LIMIT_BYTES, owed_ns);
    if ((owed_ns = slc_shared_owed_ns(bucket, rates, SLC_LIMIT_EVENTS, now_ns)) > 0)
        return refuse(bucket, answer, SLC_LIMIT_EVENTS, owed_ns);
    if (rates->per_second[SLC_LIMIT_REQUESTS] == 0)
        return count(bucket, SLC_SHARED_TAKEN);
    if (bucket->borrowed > 0 && bucket->borrowed_until_ns > now_ns) {
        bucket->borrowed--;
        return count(bucket, SLC_SHARED_TAKEN);
    }
    if (bucket->refused_until_ns > now_ns)
        return refuse(bucket, answer, SLC_LIMIT_REQUESTS, bucket->refused_until_ns - now_ns);
    wait_for(bucket, waiter);
    if (bucket->borrowing || borrow(bucket))
        return SLC_SHARED_WAITING;
    slc_shared_unwait(waiter);
    return count(bucket, SLC_SHARED_UNAVAILABLE);
}

void slc_shared_pay(slc_shared_bucket *bucket, const slc_rates *rates, const uint64_t amounts[SLC_LIMIT_RATES])
{
    int64_t now_ns = slc_limits_now_ns();
    bucket->rates = *rates;
    for (int kind = 0; kind < SLC_LIMIT_RATES; kind++) {
        if (amounts[kind] == 0 || rates->per_second[kind] == 0)
            continue;
        double cost = (double)amounts[kind] * SECOND_NS / (double)rates->per_second[kind];
        int64_t from = bucket->paid_ns[kind] > now_ns ? bucket->paid_ns[kind] : now_ns;
        bucket->paid_ns[kind] =
            cost < DAY_NS && from + (int64_t)cost < now_ns + DAY_NS ? from + (int64_t)cost : now_ns + DAY_NS;
        bucket->unpaid[kind] += amounts[kind];
        flush(bucket, kind);
    }
}

void slc_shared_left(const slc_shared_bucket *bucket, const slc_rates *rates, enum slc_limit_kind kind,
                     int64_t now_ns, uint64_t *left, int64_t *full_in_ms)
{
    int64_t owed = bucket->paid_ns[kind] > now_ns ? bucket->paid_ns[kind] - now_ns : 0;
    int64_t room = window_ns(rates) - owed;
    uint64_t borrowed =
        kind == SLC_LIMIT_REQUESTS && bucket->borrowed_until_ns > now_ns ? (uint64_t)bucket->borrowed : 0;
    *left = borrowed + (room > 0 ? (uint64_t)((double)room * (double)rates->per_second[kind] / SECOND_NS) : 0);
    *full_in_ms = (owed + 999999) / 1000000;
}
