/* What applications use, counted. Each worker adds to a table of its own; from time to time the tables are
 * taken from them, added up (usage_book.h) and told to the control plane. docs/usage.md.
 *
 * A table is its worker's; the hour is the process's, and any thread may read it.
 */
#ifndef SLC_DATAPLANE_OBSERVE_USAGE_H
#define SLC_DATAPLANE_OBSERVE_USAGE_H

#include <stddef.h>
#include <stdint.h>

#define SLC_USAGE_ID_CHARS 24
#define SLC_USAGE_HOUR_MS  3600000LL

/* In the order of UsageOperation in proto/sluice/config.proto. */
enum slc_usage_operation {
    SLC_USAGE_NOTHING,
    SLC_USAGE_PUBLISH,
    SLC_USAGE_READ,
    SLC_USAGE_STREAM,
    SLC_USAGE_KAFKA_PRODUCE,
    SLC_USAGE_KAFKA_FETCH,
};

/* Made with slc_usage_key_make, so that every byte counts. */
typedef struct slc_usage_key {
    char application_id[SLC_USAGE_ID_CHARS]; /* "": nobody authenticated */
    char event_api_id[SLC_USAGE_ID_CHARS];   /* "": none */
    char vcluster_id[SLC_USAGE_ID_CHARS];    /* "": not by native Kafka */
    uint32_t hour;                           /* since 1970 */
    uint32_t operation;
} slc_usage_key;

typedef struct slc_usage_sum {
    uint64_t requests, events, bytes, errors, throttled;
} slc_usage_sum;

typedef struct slc_usage_row {
    slc_usage_key key;
    slc_usage_sum sum;
    uint32_t state; /* usage_book.c's */
} slc_usage_row;

typedef struct slc_usage_table {
    slc_usage_row **slots; /* open addressing; a power of two, or NULL while it is empty */
    size_t slot_count, count, max;
} slc_usage_table;

/* Registers the metrics of this module; once, before threads start. */
void slc_usage_register_metrics(void);

/* The hour that is counted now; it never goes back. Set by who collects, before the tables are taken: what is
 * counted after that is of this hour or a later one. */
uint32_t slc_usage_hour(void);
void slc_usage_set_hour(int64_t wall_ms);

void slc_usage_key_make(slc_usage_key *key, enum slc_usage_operation operation, const char *application_id,
                        const char *event_api_id, const char *vcluster_id);

/* At most `max` rows: what is more is added to rows without ids, one for each operation and hour, and counted
 * by sluice_usage_merged_total. */
void slc_usage_init(slc_usage_table *table, size_t max);
void slc_usage_release(slc_usage_table *table);
void slc_usage_add(slc_usage_table *table, const slc_usage_key *key, const slc_usage_sum *sum);
/* The row to add to, made if it is not there. Lives until it is removed. */
slc_usage_row *slc_usage_row_of(slc_usage_table *table, const slc_usage_key *key);
/* Calls `keep` with every row; removes those that it does not want to keep. */
void slc_usage_sift(slc_usage_table *table, int (*keep)(slc_usage_row *row, void *arg), void *arg);

#endif
