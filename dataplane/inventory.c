#include "dataplane/inventory.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/log.h"
#include "dataplane/broker/survey.h"
#include "sluice/config.pb-c.h"

#define TOPICS_MAX 500 /* in a message */
#define GROUPS_MAX 100
#define PACE_MS    100 /* between messages */

struct slc_inventory {
    pthread_t thread;
    pthread_mutex_t lock; /* all that follows */
    pthread_cond_t wake;
    slc_snapshot *snapshot;
    slc_config_client *client;
    slc_inventory_turn_options turn;
    int64_t due_ms; /* monotonic */
    atomic_bool stop;
};

/* ---- what is told ---- */

/* False: nobody wants it any more. */
static bool report(slc_inventory *inventory, Sluice__Config__V1__Inventory *body)
{
    Sluice__Config__V1__FromNode message = SLUICE__CONFIG__V1__FROM_NODE__INIT;
    message.message_case = SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_INVENTORY;
    message.inventory = body;
    pthread_mutex_lock(&inventory->lock);
    bool wanted = inventory->client != NULL && inventory->turn.take && !atomic_load(&inventory->stop);
    if (wanted)
        slc_config_client_report(inventory->client, &message);
    pthread_mutex_unlock(&inventory->lock);
    const struct timespec pace = {.tv_nsec = PACE_MS * 1000000L};
    if (wanted)
        nanosleep(&pace, NULL);
    return wanted;
}

static size_t fill_topics(Sluice__Config__V1__Inventory *body, Sluice__Config__V1__InventoryTopic *topics,
                          Sluice__Config__V1__InventoryTopic **list, const slc_survey *survey, size_t first)
{
    size_t n = survey->topic_count - first < TOPICS_MAX ? survey->topic_count - first : TOPICS_MAX;
    for (size_t i = 0; i < n; i++) {
        const slc_survey_topic *from = &survey->topics[first + i];
        sluice__config__v1__inventory_topic__init(&topics[i]);
        topics[i].name = from->name;
        topics[i].partitions = (uint32_t)from->partitions;
        topics[i].replication = (uint32_t)from->replication;
        topics[i].configured = from->configured;
        topics[i].retention_ms = from->retention_ms;
        topics[i].cleanup_policy = (char *)from->cleanup_policy;
        list[i] = &topics[i];
    }
    body->topics = list;
    body->n_topics = n;
    return n;
}

static bool report_topics(slc_inventory *inventory, Sluice__Config__V1__Inventory *head,
                          const slc_survey *survey)
{
    Sluice__Config__V1__InventoryTopic *topics = slc_calloc(TOPICS_MAX, sizeof *topics), *list[TOPICS_MAX];
    bool ok = true;
    for (size_t first = 0; ok && first < survey->topic_count; first += TOPICS_MAX) {
        Sluice__Config__V1__Inventory body = *head;
        (void)fill_topics(&body, topics, list, survey, first);
        ok = report(inventory, &body);
    }
    free(topics);
    return ok;
}

static void fill_group(Sluice__Config__V1__InventoryGroup *out, Sluice__Config__V1__GroupLag *lags,
                       Sluice__Config__V1__GroupLag **list, const slc_survey_group *from)
{
    sluice__config__v1__inventory_group__init(out);
    out->id = from->id;
    out->state = (char *)from->state;
    out->members = from->members;
    out->lag = from->lag;
    for (size_t i = 0; i < from->lag_count; i++) {
        sluice__config__v1__group_lag__init(&lags[i]);
        lags[i].topic = from->lags[i].topic;
        lags[i].lag = from->lags[i].lag;
        list[i] = &lags[i];
    }
    out->topics = list;
    out->n_topics = from->lag_count;
}

/* One group a message: its topics' names may be long. */
static bool report_groups(slc_inventory *inventory, Sluice__Config__V1__Inventory *head,
                          const slc_survey *survey)
{
    struct room {
        Sluice__Config__V1__InventoryGroup group;
        Sluice__Config__V1__GroupLag lags[SLC_SURVEY_LAGS], *list[SLC_SURVEY_LAGS];
    } *rooms = slc_calloc(GROUPS_MAX / 10, sizeof *rooms);
    Sluice__Config__V1__InventoryGroup *list[GROUPS_MAX / 10];
    bool ok = true;
    for (size_t first = 0; ok && first < survey->group_count; first += GROUPS_MAX / 10) {
        Sluice__Config__V1__Inventory body = *head;
        size_t n =
            survey->group_count - first < GROUPS_MAX / 10 ? survey->group_count - first : GROUPS_MAX / 10;
        for (size_t i = 0; i < n; i++) {
            fill_group(&rooms[i].group, rooms[i].lags, rooms[i].list, &survey->groups[first + i]);
            list[i] = &rooms[i].group;
        }
        body.groups = list;
        body.n_groups = n;
        ok = report(inventory, &body);
    }
    free(rooms);
    return ok;
}

/* ---- taking it ---- */

static void take_one(slc_inventory *inventory, const slc_backend *backend,
                     const slc_inventory_turn_options *turn)
{
    const slc_survey_options options = {
        .timeout_ms = turn->timeout_ms, .groups_max = turn->groups, .stop = &inventory->stop};
    Sluice__Config__V1__Inventory body = SLUICE__CONFIG__V1__INVENTORY__INIT;
    char run[17];
    slc_survey survey;
    slc_error err = {0};
    slc_random_id(run, sizeof run - 1);
    body.backend_id = backend->msg->id;
    body.run = run;
    if (!slc_survey_take(backend, &options, &survey, &err)) {
        body.error = err.message;
        body.last = true;
        (void)report(inventory, &body);
    } else if (report_topics(inventory, &body, &survey) && report_groups(inventory, &body, &survey)) {
        body.groups_error = survey.groups_error;
        body.group_total = (uint32_t)survey.group_total;
        body.last = true;
        (void)report(inventory, &body);
    }
    slc_survey_release(&survey);
}

/* Waits for its turn; the snapshot is the caller's. NULL: it stops. */
static slc_snapshot *wait_for_turn(slc_inventory *inventory, slc_inventory_turn_options *turn)
{
    slc_snapshot *snapshot = NULL;
    pthread_mutex_lock(&inventory->lock);
    while (!atomic_load(&inventory->stop)) {
        int64_t left_ms = inventory->due_ms - slc_monotonic_ms();
        if (inventory->turn.take && inventory->snapshot != NULL && left_ms <= 0) {
            snapshot = slc_snapshot_ref(inventory->snapshot);
            *turn = inventory->turn;
            inventory->due_ms = slc_monotonic_ms() + slc_jitter_ms(turn->interval_ms, 10);
            break;
        }
        left_ms = !inventory->turn.take || left_ms > 1000 || left_ms <= 0 ? 1000 : left_ms;
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += left_ms / 1000;
        until.tv_nsec += left_ms % 1000 * 1000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&inventory->wake, &inventory->lock, &until);
    }
    pthread_mutex_unlock(&inventory->lock);
    return snapshot;
}

static void *inventory_main(void *arg)
{
    slc_inventory *inventory = arg;
    slc_inventory_turn_options turn;
    slc_snapshot *snapshot;
    pthread_setname_np(pthread_self(), "inventory");
    while ((snapshot = wait_for_turn(inventory, &turn)) != NULL) {
        size_t count;
        slc_backend *const *backends = slc_snapshot_backends(snapshot, &count);
        for (size_t i = 0; i < count && !atomic_load(&inventory->stop); i++)
            take_one(inventory, backends[i], &turn);
        slc_snapshot_unref(snapshot);
    }
    return NULL;
}

/* ---- from other threads ---- */

slc_inventory *slc_inventory_new(slc_error *err)
{
    slc_inventory *inventory = slc_calloc(1, sizeof *inventory);
    pthread_mutex_init(&inventory->lock, NULL);
    pthread_cond_init(&inventory->wake, NULL);
    if (pthread_create(&inventory->thread, NULL, inventory_main, inventory) == 0)
        return inventory;
    slc_fail(err, SLC_LIMIT, NULL, "cannot start the thread that takes inventory");
    free(inventory);
    return NULL;
}

void slc_inventory_free(slc_inventory *inventory)
{
    if (inventory == NULL)
        return;
    atomic_store(&inventory->stop, true);
    pthread_mutex_lock(&inventory->lock);
    pthread_cond_signal(&inventory->wake);
    pthread_mutex_unlock(&inventory->lock);
    pthread_join(inventory->thread, NULL);
    slc_snapshot_unref(inventory->snapshot);
    pthread_cond_destroy(&inventory->wake);
    pthread_mutex_destroy(&inventory->lock);
    free(inventory);
}

void slc_inventory_apply(slc_inventory *inventory, slc_snapshot *snapshot)
{
    pthread_mutex_lock(&inventory->lock);
    slc_snapshot *before = inventory->snapshot;
    inventory->snapshot = slc_snapshot_ref(snapshot);
    pthread_mutex_unlock(&inventory->lock);
    slc_snapshot_unref(before);
}

void slc_inventory_connect(slc_inventory *inventory, slc_config_client *client)
{
    pthread_mutex_lock(&inventory->lock);
    inventory->client = client;
    pthread_mutex_unlock(&inventory->lock);
}

void slc_inventory_turn(slc_inventory *inventory, const slc_inventory_turn_options *turn)
{
    pthread_mutex_lock(&inventory->lock);
    if (turn->take && !inventory->turn.take)
        inventory->due_ms = slc_monotonic_ms() + slc_jitter_ms(turn->delay_ms, 10);
    inventory->turn = *turn;
    pthread_cond_signal(&inventory->wake);
    pthread_mutex_unlock(&inventory->lock);
}
