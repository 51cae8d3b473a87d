/* Events and the policies on records: through them at once, or put by until what they need is there. Once an
 * event of a request waits, those behind it wait as well, since events of one key keep their order. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/loop.h"
#include "dataplane/mediation/publish_private.h"
#include "dataplane/mediation/rejections.h"

/* A copy of an event. */
typedef struct slc_put_by {
    publish_item *item;
    slc_outgoing record;
    TAILQ_ENTRY(slc_put_by) entry;
    uint8_t bytes[];
} slc_put_by;

static slc_mediation_worker *worker_of(const slc_publish *publish)
{
    return publish->api->worker;
}

static void on_ready(slc_record_waiter *waiter);

/* ---- copies ---- */

static size_t size_of(const slc_outgoing *record)
{
    size_t size = record->header_count * sizeof *record->headers + record->key_len + record->value_len;
    for (size_t i = 0; i < record->header_count; i++)
        size += strlen(record->headers[i].name) + 1 + record->headers[i].value_len;
    return size;
}

static const void *copy(uint8_t **to, const void *data, size_t len)
{
    if (data == NULL)
        return NULL;
    void *copied = *to;
    if (len > 0)
        memcpy(copied, data, len);
    *to += len;
    return copied;
}

static void put_by(publish_item *item, const slc_outgoing *record)
{
    slc_publish *publish = item->publish;
    slc_put_by *kept = slc_malloc(sizeof *kept + size_of(record));
    slc_broker_header *headers = (slc_broker_header *)(void *)kept->bytes;
    uint8_t *to = kept->bytes + record->header_count * sizeof *headers;
    *kept = (slc_put_by){.item = item, .record = *record};
    for (size_t i = 0; i < record->header_count; i++) {
        const slc_broker_header *header = &record->headers[i];
        headers[i].name = copy(&to, header->name, strlen(header->name) + 1);
        headers[i].value = copy(&to, header->value, header->value_len);
        headers[i].value_len = header->value_len;
    }
    kept->record.headers = headers;
    kept->record.key = copy(&to, record->key, record->key_len);
    kept->record.value = copy(&to, record->value, record->value_len);
    if (TAILQ_EMPTY(&publish->put_by))
        TAILQ_INSERT_TAIL(&worker_of(publish)->publishes_waiting, publish, waiting_entry);
    TAILQ_INSERT_TAIL(&publish->put_by, kept, entry);
    publish->left++;
}

static void forget(slc_publish *publish, slc_put_by *kept)
{
    TAILQ_REMOVE(&publish->put_by, kept, entry);
    free(kept);
    if (!TAILQ_EMPTY(&publish->put_by))
        return;
    TAILQ_REMOVE(&worker_of(publish)->publishes_waiting, publish, waiting_entry);
    slc_record_unwait(&publish->waiter);
}

/* ---- the policies' words ---- */

static enum slc_problem_kind kind_of(enum slc_code code)
{
    switch (code) {
    case SLC_UNAVAILABLE:
    case SLC_TIMEOUT:
        return SLC_PROBLEM_RECORD_UNAVAILABLE;
    case SLC_TOO_LARGE:
    case SLC_LIMIT:
        return SLC_PROBLEM_TOO_LARGE;
    case SLC_DENIED:
        return SLC_PROBLEM_RECORD_DENIED;
    default:
        return SLC_PROBLEM_RECORD_REJECTED;
    }
}

/* The headers as the broker takes them: names end with a NUL. False: too large. */
static bool take_headers(slc_record_scratch *scratch, const slc_policy_record *made, slc_outgoing *record)
{
    slc_buf *names = slc_record_scratch_buf(scratch), *list = slc_record_scratch_buf(scratch);
    size_t size = 0;
    for (uint32_t i = 0; i < made->header_count; i++)
        size += made->headers[i].name_len + 1;
    char *name = (char *)slc_buf_extend(names, size + 1);
    slc_broker_header *headers =
        (slc_broker_header *)(void *)slc_buf_extend(list, (made->header_count + 1) * sizeof *headers);
    if (name == NULL || headers == NULL)
        return false;
    for (uint32_t i = 0; i < made->header_count; i++) {
        const slc_record_header *header = &made->headers[i];
        headers[i] = (slc_broker_header){name, header->value, header->value_len};
        memcpy(name, header->name, header->name_len);
        name[header->name_len] = '\0';
        name += header->name_len + 1;
    }
    record->headers = headers;
    record->header_count = made->header_count;
    return true;
}

static enum slc_record_verdict ask(slc_publish *publish, slc_outgoing *record, slc_record_problem *problem)
{
    slc_record_header headers[SLC_PUBLISH_MAX_HEADERS + SLC_PUBLISH_OWN_HEADERS];
    slc_mediation_worker *worker = worker_of(publish);
    slc_record_turn turn = {.scratch = &worker->records, .waiter = &publish->waiter};
    SLC_BUG_ON(record->header_count > sizeof headers / sizeof *headers);
    slc_policy_record at_hand = {.partition = -1,
                                 .offset = -1,
                                 .timestamp_ms = -1,
                                 .key = record->key,
                                 .key_len = record->key_len,
                                 .value = record->value,
                                 .value_len = record->value_len,
                                 .headers = headers,
                                 .header_count = (uint32_t)record->header_count};
    for (size_t i = 0; i < record->header_count; i++)
        headers[i] = (slc_record_header){.name = record->headers[i].name,
                                         .name_len = (uint32_t)strlen(record->headers[i].name),
                                         .value = record->headers[i].value,
                                         .value_len = (uint32_t)record->headers[i].value_len};
    publish->waiter.ready = on_ready;
    publish->waiter.mailbox = slc_loop_mailbox(worker->worker->loop);
    enum slc_record_verdict verdict =
        slc_record_chain_run(publish->records, &turn, worker->letters, &at_hand, problem);
    if (verdict != SLC_RECORD_CHANGE)
        return verdict;
    if (at_hand.key != record->key) {
        record->partition_key = record->key;
        record->partition_key_len = record->key_len;
    }
    record->key = at_hand.key;
    record->key_len = at_hand.key_len;
    record->value = at_hand.value;
    record->value_len = at_hand.value_len;
    if (at_hand.headers != headers && !take_headers(&worker->records, &at_hand, record))
        return slc_record_reject(problem, SLC_TOO_LARGE, "The event's headers are too large.");
    return SLC_RECORD_CHANGE;
}

/* A line for the request, whatever the number of its events; what may be tried again is no denial. */
static void audit(slc_publish *publish, const slc_record_problem *problem)
{
    if (publish->exchange == NULL || publish->denied ||
        kind_of(problem->code) == SLC_PROBLEM_RECORD_UNAVAILABLE)
        return;
    publish->denied = true;
    slc_exchange_denied(publish->exchange, problem->policy, problem->why);
}

/* False: it has to wait. */
static bool decide(publish_item *item, slc_outgoing *record)
{
    slc_record_problem problem;
    switch (ask(item->publish, record, &problem)) {
    case SLC_RECORD_LATER:
        return false;
    case SLC_RECORD_KEEP:
    case SLC_RECORD_CHANGE:
        slc_publish_send_item(item, record);
        return true;
    case SLC_RECORD_DROP: /* a chain never says so of what is published */
    case SLC_RECORD_REJECT:
        break;
    }
    slc_rejection_tell(item->publish->api, item->publish->exchange, &problem);
    audit(item->publish, &problem);
    slc_publish_reject_item(item, kind_of(problem.code), problem.detail[0] != '\0' ? problem.detail : NULL,
                            problem.pointer[0] != '\0' ? problem.pointer : NULL);
    return true;
}

void slc_publish_through(publish_item *item, slc_outgoing *record)
{
    if (!TAILQ_EMPTY(&item->publish->put_by) || !decide(item, record))
        put_by(item, record);
}

/* What was needed is there, or will not be. */
static void on_ready(slc_record_waiter *waiter)
{
    slc_publish *publish = (slc_publish *)((char *)waiter - offsetof(slc_publish, waiter));
    SLC_CHECK_MAGIC(publish, SLC_PUBLISH_MAGIC);
    slc_put_by *kept;
    slc_publish_owe(publish);
    while ((kept = TAILQ_FIRST(&publish->put_by)) != NULL) {
        slc_outgoing record = kept->record;
        if (!decide(kept->item, &record))
            break;
        publish->left--;
        forget(publish, kept);
    }
    slc_publish_owe_less(publish);
    slc_publish_decided(publish);
}

void slc_publish_give_up(slc_publish *publish)
{
    slc_put_by *kept;
    while ((kept = TAILQ_FIRST(&publish->put_by)) != NULL) {
        slc_publish_reject_item(kept->item, SLC_PROBLEM_RECORD_UNAVAILABLE, NULL, NULL);
        publish->left--;
        forget(publish, kept);
    }
}
