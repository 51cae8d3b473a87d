#include "dataplane/mediation/dead_letters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/log.h"

#define OWN_HEADERS 8
#define MAX_HEADERS 256 /* of a record; the rest is left out of the letter */

/* On its way; freed when it is decided, on the broker's thread. */
struct under_way {
    slc_letter_box *box;
    slc_link *link;
    char policy[];
};

static uint64_t add(uint64_t hash, const void *data, size_t len)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* Was this record, as it is stored, put aside for the policy before? */
static bool is_known(slc_letter_box *box, const slc_dead_letter *letter)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    if (letter->direction != SLC_RECORDS_CONSUME || letter->record->offset < 0)
        return false;
    hash = add(hash, letter->backend->digest, sizeof letter->backend->digest);
    hash = add(hash, letter->topic, strlen(letter->topic) + 1);
    hash = add(hash, letter->policy, strlen(letter->policy) + 1);
    hash = add(hash, &letter->record->partition, sizeof letter->record->partition);
    hash = add(hash, &letter->record->offset, sizeof letter->record->offset);
    hash =
        add(hash, &letter->record->timestamp_ms, sizeof letter->record->timestamp_ms); /* a topic made anew */
    uint64_t *place = &box->seen[(hash >> 20) % SLC_LETTERS_REMEMBERED];
    pthread_mutex_lock(&box->lock);
    bool known = *place == hash;
    *place = hash;
    pthread_mutex_unlock(&box->lock);
    return known;
}

static void lose(const char *policy, const char *why)
{
    slc_record_count(policy, SLC_RECORDS_LETTERS_LOST);
    slc_log(SLC_LOG_DEBUG, "a dead letter is lost", LS("policy", policy), LS("reason", why));
}

static void on_stored(void *ctx, enum slc_publish_outcome outcome, int32_t partition, int64_t offset)
{
    struct under_way *letter = ctx;
    slc_link *link = letter->link;
    (void)partition, (void)offset;
    if (outcome == SLC_PUBLISHED)
        slc_record_count(letter->policy, SLC_RECORDS_PUT_ASIDE);
    else
        lose(letter->policy, outcome == SLC_TOPIC_MISSING ? "the topic is missing" : "it was not stored");
    atomic_fetch_sub(&letter->box->under_way, 1);
    free(letter);
    slc_link_unref(link);
}

/* ---- what it says ---- */

struct headers {
    slc_broker_header items[MAX_HEADERS + OWN_HEADERS];
    size_t count;
    slc_buf names; /* of the record's own, with an end each */
    char partition[16], offset[24];
};

static void say(struct headers *headers, const char *name, const char *value)
{
    headers->items[headers->count++] = (slc_broker_header){name, value, strlen(value)};
}

/* A record that calls itself a dead letter keeps those words of its own no more. */
static bool is_own(const slc_record_header *header)
{
    static const char own[] = "sluice.";
    return header->name_len >= strlen(own) && memcmp(header->name, own, strlen(own)) == 0;
}

static void copy_headers(struct headers *headers, const slc_policy_record *record)
{
    size_t size = 1;
    for (uint32_t i = 0; i < record->header_count; i++)
        size += record->headers[i].name_len + 1;
    slc_buf_init(&headers->names, size);
    char *name = (char *)slc_buf_extend(&headers->names, size);
    for (uint32_t i = 0; name != NULL && i < record->header_count && headers->count < MAX_HEADERS; i++) {
        const slc_record_header *header = &record->headers[i];
        if (is_own(header))
            continue;
        memcpy(name, header->name, header->name_len);
        name[header->name_len] = '\0';
        headers->items[headers->count++] = (slc_broker_header){name, header->value, header->value_len};
        name += header->name_len + 1;
    }
}

static void write_headers(struct headers *headers, const slc_dead_letter *letter)
{
    const slc_policy_record *record = letter->record;
    headers->count = 0;
    copy_headers(headers, record);
    say(headers, "sluice.reason", letter->reason);
    say(headers, "sluice.policy", letter->policy);
    say(headers, "sluice.topic", letter->topic);
    say(headers, "sluice.operation", letter->direction == SLC_RECORDS_PRODUCE ? "publish" : "read");
    say(headers, "sluice.application", letter->application_name);
    say(headers, "sluice.application_id", letter->application_id);
    if (record->partition >= 0) {
        snprintf(headers->partition, sizeof headers->partition, "%d", record->partition);
        say(headers, "sluice.partition", headers->partition);
    }
    if (record->offset >= 0) {
        snprintf(headers->offset, sizeof headers->offset, "%lld", (long long)record->offset);
        say(headers, "sluice.offset", headers->offset);
    }
}

/* ---- on its way ---- */

static void post(slc_letter_box *box, const slc_dead_letter *letter, slc_link *link)
{
    struct headers headers;
    slc_error err;
    size_t len = strlen(letter->policy) + 1;
    struct under_way *sent = slc_malloc(sizeof *sent + len);
    write_headers(&headers, letter);
    *sent = (struct under_way){.box = box, .link = link};
    memcpy(sent->policy, letter->policy, len);
    const slc_policy_record *record = letter->record;
    const slc_outgoing outgoing = {.topic = letter->dead_letter_topic,
                                   .key = record->key,
                                   .key_len = record->key_len,
                                   .value = record->value,
                                   .value_len = record->value_len,
                                   .headers = headers.items,
                                   .header_count = headers.count};
    atomic_fetch_add(&box->under_way, 1);
    if (!link->ops->publish(link->broker, &outgoing, on_stored, sent, &err)) {
        atomic_fetch_sub(&box->under_way, 1);
        lose(letter->policy, err.message);
        free(sent);
        slc_link_unref(link);
    }
    slc_buf_release(&headers.names);
}

static void put(slc_dead_letters *letters, const slc_dead_letter *letter)
{
    slc_letter_box *box = (slc_letter_box *)letters;
    slc_error err;
    if (is_known(box, letter))
        return;
    if (atomic_load(&box->under_way) >= box->most_under_way) {
        lose(letter->policy, "too many are under way");
        return;
    }
    slc_link *link = slc_link_get(box->links, letter->backend, &err);
    if (link == NULL)
        lose(letter->policy, err.message);
    else
        post(box, letter, link);
}

void slc_letter_box_init(slc_letter_box *box, slc_links *links, int64_t most_under_way)
{
    *box = (slc_letter_box){.sink = {put}, .links = links, .most_under_way = most_under_way};
    atomic_init(&box->under_way, 0);
    pthread_mutex_init(&box->lock, NULL);
}

void slc_letter_box_release(slc_letter_box *box)
{
    pthread_mutex_destroy(&box->lock);
}
