/* What registries, their cache and their threads share. Everything is under slc_schemas.lock. */
#ifndef SLC_DATAPLANE_SCHEMA_REGISTRY_PRIVATE_H
#define SLC_DATAPLANE_SCHEMA_REGISTRY_PRIVATE_H

#include <curl/curl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "common/crypto.h"
#include "dataplane/schema/registry.h"

#define SLC_SCHEMA_BUCKETS 4096
#define SLC_SCHEMA_KEY_MAX (SLC_SUBJECT_MAX + 48)

/* One schema, there, wanted or missing. */
typedef struct slc_schema_entry {
    TAILQ_ENTRY(slc_schema_entry) lru;   /* of those that are there, or of those that are missing */
    TAILQ_ENTRY(slc_schema_entry) queue; /* to be fetched */
    struct slc_schema_entry *next;       /* of its bucket */
    uint64_t hash;
    slc_registry *registry;
    slc_schema *schema; /* own reference; NULL: not there */
    size_t bytes;       /* of it */
    bool missing;       /* in the other list */
    bool busy;          /* queued or being fetched */
    int64_t fetched_ms; /* monotonic */
    int64_t retry_ms;   /* not asked for again before; 0: may be */
    unsigned failures;  /* in sequence */
    slc_error err;      /* of the last fetch; code SLC_OK: it went well */
    slc_record_waiters waiters;
    slc_schema_want want; /* subject: in `key` */
    size_t key_len;
    char key[]; /* "i:7:subject", "g:...", "l:subject" */
} slc_schema_entry;

TAILQ_HEAD(slc_schema_list, slc_schema_entry);

struct slc_registry {
    TAILQ_ENTRY(slc_registry) entry;
    slc_schemas *schemas;
    unsigned refs;
    uint8_t digest[SLC_SHA256_BYTES];
    slc_registry_options options; /* own texts */
    size_t count, missing_count;
    struct slc_schema_list there, missing; /* the one that was used last is first */
    int64_t logged_ms;                     /* monotonic: when a failure was last logged; 0: it is well */
};

struct slc_schemas {
    slc_schemas_options options;
    pthread_mutex_t lock;
    pthread_cond_t work;
    TAILQ_HEAD(, slc_registry) registries;
    struct slc_schema_list queue;
    size_t queued;
    size_t bytes; /* of all that is there */
    slc_schema_entry *buckets[SLC_SCHEMA_BUCKETS];
    pthread_t *threads;
    size_t n_threads;
    atomic_bool stopping;
};

/* registry_work.c: with the lock. */
void slc_schemas_start(slc_schemas *schemas);

/* registry_cache.c: with the lock. */
/* NULL: there is none, and none can be made now. */
slc_schema_entry *slc_schema_entry_get(slc_registry *registry, const slc_schema_want *want);
/* It was used. */
void slc_schema_entry_touch(slc_schema_entry *entry);
/* What was fetched, stolen; NULL: entry->err says why not. Makes room. */
void slc_schema_entry_set(slc_schema_entry *entry, slc_schema *schema);
void slc_registry_drop_entries(slc_registry *registry);

/* registry_fetch.c: without the lock, on a thread of ours. NULL with err, as slc_registry_ask has it. */
slc_schema *slc_registry_fetch(CURL *curl, const slc_registry *registry, const slc_schema_want *want,
                               slc_error *err);

/* registry_http.c */
/* GETs `path` (below the registry's URL): the JSON, new. NULL with SLC_NOT_FOUND (404), SLC_UNAVAILABLE or
 * SLC_TOO_LARGE. */
json_t *slc_registry_call(CURL *curl, const slc_registry *registry, const char *path, slc_error *err);
/* Adds a segment of a path, with its escapes. */
void slc_registry_path_add(slc_buf *path, const char *segment);

#endif
