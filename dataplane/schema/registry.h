/* Schema registries, as Confluent's API has them: schemas by number, GUID, or the latest of a subject, fetched
 * by threads of their own and kept compiled.
 *
 * Whoever asks for a schema that is not there gets LATER while it is fetched: once, however many ask. A schema
 * that is older than its time to live is served and fetched again meanwhile; while that fails it is served on,
 * until `stale` is over. What does not exist is remembered for a short time, in a place of its own, so that
 * made-up numbers do not drive out what is used. Any thread. */
#ifndef SLC_DATAPLANE_SCHEMA_REGISTRY_H
#define SLC_DATAPLANE_SCHEMA_REGISTRY_H

#include "dataplane/policy/record_wait.h"
#include "dataplane/schema/schema.h"
#include "dataplane/schema/wire.h"

#define SLC_SUBJECT_MAX 400

typedef struct slc_schemas_options {
    int64_t threads;     /* fetches at once */
    int64_t queue;       /* that wait for one of them; more are refused for now */
    int64_t cache_bytes; /* of compiled schemas, of all registries, about */
    int64_t steps;       /* of checking or converting one value */
} slc_schemas_options;

#define SLC_SCHEMAS_DEFAULTS                                                                                   \
    ((slc_schemas_options){.threads = 4, .queue = 1000, .cache_bytes = 64 << 20, .steps = 1000000})

/* Where a registry is and how it is used. Strings are copied; NULL or "": none. */
typedef struct slc_registry_options {
    const char *name; /* for logs and metrics */
    const char *url;
    const char *username, *password; /* basic */
    const char *token;               /* bearer */
    const char *ca_pem, *certificate_pem, *key_pem;
    int64_t timeout_ms;     /* of a request */
    int64_t cache_schemas;  /* kept at most */
    int64_t ttl_ms;         /* of a schema by its number or GUID: then it is looked whether it still exists */
    int64_t latest_ttl_ms;  /* of the latest of a subject */
    int64_t missing_ttl_ms; /* so long what does not exist is not asked for again */
    int64_t stale_ms;       /* so long beyond its time to live a schema is used while the registry is away */
} slc_registry_options;

#define SLC_REGISTRY_DEFAULTS                                                                                  \
    ((slc_registry_options){.timeout_ms = 5000,                                                                \
                            .cache_schemas = 1000,                                                             \
                            .ttl_ms = 3600000,                                                                 \
                            .latest_ttl_ms = 60000,                                                            \
                            .missing_ttl_ms = 10000,                                                           \
                            .stale_ms = 86400000})

typedef struct slc_schemas slc_schemas;
typedef struct slc_registry slc_registry;

/* Registers the metrics; once, before threads start. */
void slc_schemas_register_metrics(void);

/* No thread is started before something is asked for. */
slc_schemas *slc_schemas_new(const slc_schemas_options *options);
/* Ends the threads, fetches that are under way too; asking fails from now on. */
void slc_schemas_stop(slc_schemas *schemas);
/* Stops it, if it was not. Every registry must have been let go. NULL is fine. */
void slc_schemas_free(slc_schemas *schemas);

/* The gateway's; NULL: nothing is looked up in this process. Set before and after all threads. */
void slc_schemas_set_process(slc_schemas *schemas);
slc_schemas *slc_schemas_of_process(void);
/* How many steps a value may take, also where there is none of it. */
uint64_t slc_schemas_steps(void);

/* The registry with these options: the one that is there, with its schemas, or a new one. The reference is the
 * caller's. */
slc_registry *slc_registry_get(slc_schemas *schemas, const slc_registry_options *options);
slc_registry *slc_registry_ref(slc_registry *registry);
void slc_registry_unref(slc_registry *registry); /* NULL is fine */

typedef struct slc_schema_want {
    enum slc_schema_want_by { SLC_WANT_ID, SLC_WANT_GUID, SLC_WANT_LATEST } by;
    int32_t id;
    uint8_t guid[SLC_SCHEMA_GUID];
    /* LATEST: whose. ID: NULL, or the schema must be registered under it, in any version. */
    const char *subject;
} slc_schema_want;

enum slc_schema_answer {
    SLC_SCHEMA_READY,  /* *schema is a new reference */
    SLC_SCHEMA_LATER,  /* the waiter will be told */
    SLC_SCHEMA_FAILED, /* `err`: SLC_NOT_FOUND: there is no such schema (any more); SLC_INVALID,
                          SLC_UNSUPPORTED, SLC_TOO_LARGE: nothing can be made of it; SLC_UNAVAILABLE: it may
                          work later */
};

/* Never blocks. Without a waiter what is not there yet FAILS with SLC_UNAVAILABLE, and is fetched nevertheless.
 */
enum slc_schema_answer slc_registry_ask(slc_registry *registry, const slc_schema_want *want,
                                        slc_record_waiter *waiter, slc_schema **schema, slc_error *err);

#endif
