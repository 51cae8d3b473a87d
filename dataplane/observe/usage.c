#include "dataplane/observe/usage.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/metrics.h"

#define FIRST_SLOTS 64

static const slc_metric metrics[] = {
    {"sluice_usage_merged_total",
     SLC_COUNTER,
     "Counts of usage that were too many to be told apart (usage.series, usage.backlog).",
     {NULL},
     1,
     NULL},
    {NULL, SLC_COUNTER, NULL, {NULL}, 0, NULL},
};

static atomic_uint the_hour;

void slc_usage_register_metrics(void)
{
    slc_metrics_register(metrics);
}

uint32_t slc_usage_hour(void)
{
    return atomic_load_explicit(&the_hour, memory_order_relaxed);
}

void slc_usage_set_hour(int64_t wall_ms)
{
    unsigned hour = wall_ms > 0 ? (unsigned)(wall_ms / SLC_USAGE_HOUR_MS) : 0, before = atomic_load(&the_hour);
    while (hour > before && !atomic_compare_exchange_weak(&the_hour, &before, hour))
        ;
}

void slc_usage_key_make(slc_usage_key *key, enum slc_usage_operation operation, const char *application_id,
                        const char *event_api_id, const char *vcluster_id)
{
    memset(key, 0, sizeof *key);
    memcpy(key->application_id, application_id, strnlen(application_id, SLC_USAGE_ID_CHARS - 1));
    memcpy(key->event_api_id, event_api_id, strnlen(event_api_id, SLC_USAGE_ID_CHARS - 1));
    memcpy(key->vcluster_id, vcluster_id, strnlen(vcluster_id, SLC_USAGE_ID_CHARS - 1));
    key->hour = slc_usage_hour();
    key->operation = operation;
}

/* ---- the table ---- */

static size_t hash(const slc_usage_key *key)
{
    uint64_t words[sizeof *key / sizeof(uint64_t)], h = 0x9e3779b97f4a7c15u;
    _Static_assert(sizeof *key % sizeof(uint64_t) == 0, "a key is made of whole words");
    memcpy(words, key, sizeof *key);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        h = (h ^ words[i]) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    return (size_t)h;
}

void slc_usage_init(slc_usage_table *table, size_t max)
{
    *table = (slc_usage_table){.max = max};
}

void slc_usage_release(slc_usage_table *table)
{
    for (size_t i = 0; i < table->slot_count; i++)
        free(table->slots[i]);
    free(table->slots);
    *table = (slc_usage_table){.max = table->max};
}

static slc_usage_row **slot_of(const slc_usage_table *table, const slc_usage_key *key)
{
    size_t mask = table->slot_count - 1, i = hash(key) & mask;
    while (table->slots[i] != NULL && memcmp(&table->slots[i]->key, key, sizeof *key) != 0)
        i = (i + 1) & mask;
    return &table->slots[i];
}

static void resize(slc_usage_table *table, size_t slot_count)
{
    slc_usage_table wider = {.slot_count = slot_count, .count = table->count, .max = table->max};
    wider.slots = slc_calloc(slot_count, sizeof *wider.slots);
    for (size_t i = 0; i < table->slot_count; i++)
        if (table->slots[i] != NULL)
            *slot_of(&wider, &table->slots[i]->key) = table->slots[i];
    free(table->slots);
    *table = wider;
}

static slc_usage_row *insert(slc_usage_table *table, const slc_usage_key *key)
{
    if (2 * (table->count + 1) > table->slot_count)
        resize(table, table->slot_count > 0 ? 2 * table->slot_count : FIRST_SLOTS);
    slc_usage_row **slot = slot_of(table, key);
    if (*slot == NULL) {
        *slot = slc_calloc(1, sizeof **slot);
        (*slot)->key = *key;
        table->count++;
    }
    return *slot;
}

slc_usage_row *slc_usage_row_of(slc_usage_table *table, const slc_usage_key *key)
{
    if (table->slot_count > 0) {
        slc_usage_row *row = *slot_of(table, key);
        if (row != NULL)
            return row;
    }
    if (table->count < table->max)
        return insert(table, key);
    const slc_usage_key others = {.hour = key->hour, .operation = key->operation};
    const char *none[] = {NULL};
    slc_series_add(slc_metrics_series("sluice_usage_merged_total", none), 1);
    return insert(table, &others);
}

void slc_usage_add(slc_usage_table *table, const slc_usage_key *key, const slc_usage_sum *sum)
{
    slc_usage_row *row = slc_usage_row_of(table, key);
    row->sum.requests += sum->requests;
    row->sum.events += sum->events;
    row->sum.bytes += sum->bytes;
    row->sum.errors += sum->errors;
    row->sum.throttled += sum->throttled;
}

void slc_usage_sift(slc_usage_table *table, int (*keep)(slc_usage_row *row, void *arg), void *arg)
{
    size_t before = table->count;
    for (size_t i = 0; i < table->slot_count; i++) {
        if (table->slots[i] == NULL || keep(table->slots[i], arg))
            continue;
        free(table->slots[i]);
        table->slots[i] = NULL;
        table->count--;
    }
    if (table->count == before)
        return;
    size_t slot_count = FIRST_SLOTS; /* places behind a gap would not be found */
    while (slot_count < 2 * (table->count + 1))
        slot_count *= 2;
    resize(table, slot_count);
}
