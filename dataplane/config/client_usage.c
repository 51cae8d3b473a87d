/* What was counted, told to the control plane: a part at a time, each until it is acknowledged. While there is
 * no stream it gathers; after a lost one the part that was under way is told again. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "dataplane/config/client_private.h"

#define PACE_MS 100 /* between parts: the control plane takes twenty messages a second for long */

/* Somebody waits until all is told, on another thread. */
struct slc_usage_flush {
    slc_config_client *client;
    int64_t timeout_ms;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool done, told;
};

static void on_pace(evutil_socket_t fd, short what, void *arg);
static void on_flush_timeout(evutil_socket_t fd, short what, void *arg);

void slc_client_usage_start(slc_config_client *client)
{
    struct event_base *base = slc_loop_base(client->loop);
    client->usage_pace = evtimer_new(base, on_pace, client);
    client->usage_flush_timer = evtimer_new(base, on_flush_timeout, client);
}

void slc_client_usage_release(slc_config_client *client)
{
    event_free(client->usage_pace);
    event_free(client->usage_flush_timer);
}

static void note_waiting(const slc_config_client *client)
{
    slc_series_set(client->m_usage, (int64_t)client->usage.untold);
}

/* ---- telling ---- */

static void fill(Sluice__Config__V1__UsageCount *out, const slc_usage_row *row)
{
    sluice__config__v1__usage_count__init(out);
    out->hour = row->key.hour;
    out->application_id = (char *)row->key.application_id;
    out->event_api_id = (char *)row->key.event_api_id;
    out->virtual_cluster_id = (char *)row->key.vcluster_id;
    out->operation = (Sluice__Config__V1__UsageOperation)row->key.operation;
    out->requests = row->sum.requests;
    out->events = row->sum.events;
    out->bytes = row->sum.bytes;
    out->errors = row->sum.errors;
    out->throttled = row->sum.throttled;
}

static void tell(slc_config_client *client)
{
    Sluice__Config__V1__FromNode message = SLUICE__CONFIG__V1__FROM_NODE__INIT;
    Sluice__Config__V1__Usage body = SLUICE__CONFIG__V1__USAGE__INIT;
    const slc_usage_row *rows[SLC_USAGE_PART_MAX];
    uint32_t oldest_hour = 0;
    size_t count;
    if (!atomic_load(&client->connected) || evtimer_pending(client->usage_pace, NULL) ||
        (count = slc_usage_book_next(&client->usage, rows, &oldest_hour)) == 0)
        return;
    Sluice__Config__V1__UsageCount *counts = slc_calloc(count, sizeof *counts),
                                   **list = slc_calloc(count, sizeof *list);
    for (size_t i = 0; i < count; i++) {
        fill(&counts[i], rows[i]);
        list[i] = &counts[i];
    }
    body.sequence = client->usage.sequence;
    body.oldest_hour = oldest_hour;
    body.counts = list;
    body.n_counts = count;
    message.message_case = SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_USAGE;
    message.usage = &body;
    client->usage_told_ms = slc_monotonic_ms();
    note_waiting(client);
    slc_client_send(client, &message);
    free(list);
    free(counts);
}

static void on_pace(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    tell(arg);
}

/* ---- waiting for the end ---- */

static void flushed(slc_config_client *client)
{
    struct slc_usage_flush *flush = client->usage_flush;
    if (flush == NULL)
        return;
    client->usage_flush = NULL;
    evtimer_del(client->usage_flush_timer);
    pthread_mutex_lock(&flush->lock);
    flush->told = slc_usage_book_is_told(&client->usage);
    flush->done = true;
    pthread_cond_signal(&flush->wake);
    pthread_mutex_unlock(&flush->lock);
}

static void on_flush_timeout(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    flushed(arg);
}

static void begin_flush(void *arg)
{
    struct slc_usage_flush *flush = arg;
    slc_config_client *client = flush->client;
    client->usage_flush = flush;
    if (slc_usage_book_is_told(&client->usage) || !atomic_load(&client->connected)) {
        flushed(client);
        return;
    }
    slc_client_arm(client->usage_flush_timer, flush->timeout_ms);
    tell(client);
}

bool slc_config_client_flush_usage(slc_config_client *client, int64_t timeout_ms)
{
    struct slc_usage_flush flush = {.client = client, .timeout_ms = timeout_ms};
    SLC_CHECK_MAGIC(client, SLC_CLIENT_MAGIC);
    pthread_mutex_init(&flush.lock, NULL);
    pthread_cond_init(&flush.wake, NULL);
    slc_loop_call(client->loop, begin_flush, &flush);
    pthread_mutex_lock(&flush.lock);
    while (!flush.done)
        pthread_cond_wait(&flush.wake, &flush.lock);
    pthread_mutex_unlock(&flush.lock);
    pthread_cond_destroy(&flush.wake);
    pthread_mutex_destroy(&flush.lock);
    return flush.told;
}

/* ---- what comes ---- */

void slc_client_usage_acknowledged(slc_config_client *client, const Sluice__Config__V1__UsageAck *ack)
{
    if (!slc_usage_book_acknowledged(&client->usage, ack->sequence))
        return;
    note_waiting(client);
    if (slc_usage_book_is_told(&client->usage))
        flushed(client);
    else if (client->usage_flush != NULL)
        tell(client);
    else
        slc_client_arm(client->usage_pace, PACE_MS);
}

void slc_client_usage_cut(slc_config_client *client)
{
    slc_usage_book_again(&client->usage);
    note_waiting(client);
    flushed(client);
}

struct counted {
    slc_message msg;
    slc_config_client *client;
    uint32_t hour;
    size_t count;
    slc_usage_table tables[];
};

static void drop_counted(slc_message *msg)
{
    struct counted *counted = (struct counted *)msg;
    for (size_t i = 0; i < counted->count; i++)
        slc_usage_release(&counted->tables[i]);
    free(counted);
}

static void run_counted(slc_message *msg, void *owner)
{
    struct counted *counted = (struct counted *)msg;
    slc_config_client *client = counted->client;
    (void)owner;
    SLC_CHECK_MAGIC(client, SLC_CLIENT_MAGIC);
    for (size_t i = 0; i < counted->count; i++)
        slc_usage_book_add(&client->usage, &counted->tables[i]);
    slc_usage_book_settle(&client->usage, counted->hour);
    drop_counted(msg);
    if (slc_monotonic_ms() - client->usage_told_ms >= client->usage_retry_ms)
        slc_usage_book_again(&client->usage); /* what was told then is not answered any more */
    note_waiting(client);
    tell(client);
}

void slc_config_client_usage(slc_config_client *client, slc_usage_table *tables, size_t count, uint32_t hour)
{
    struct counted *counted = slc_calloc(1, sizeof *counted + count * sizeof *tables);
    SLC_CHECK_MAGIC(client, SLC_CLIENT_MAGIC);
    counted->msg.run = run_counted;
    counted->msg.drop = drop_counted;
    counted->client = client;
    counted->hour = hour;
    counted->count = count;
    memcpy(counted->tables, tables, count * sizeof *tables);
    for (size_t i = 0; i < count; i++)
        slc_usage_init(&tables[i], tables[i].max);
    slc_mailbox_post(slc_loop_mailbox(client->loop), &counted->msg);
}
