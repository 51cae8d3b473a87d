/* The keys that encrypt records: one data key for each KEK and process to encrypt with, and those that decrypt,
 * kept for a time. Whoever asks for one that is not there gets LATER while a thread of ours asks the provider:
 * one call for all who want the same key. docs/decisions/0019-encryption.md has the design.
 *
 * Any thread, unless said otherwise.
 */
#ifndef SLC_DATAPLANE_CRYPT_KEYS_H
#define SLC_DATAPLANE_CRYPT_KEYS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "dataplane/crypt/data_key.h"
#include "dataplane/crypt/options.h"
#include "dataplane/policy/record_wait.h"

typedef struct slc_keys_options {
    int64_t threads;    /* calls to providers at once */
    int64_t timeout_ms; /* of a call */
    int64_t ttl_ms;     /* a key is asked for anew; at most an hour */
    int64_t cache_keys; /* that are kept at once */
    int64_t rotate_ms;  /* of a data key: when another one encrypts */
    int64_t rotate_records;
    int64_t rotate_bytes;
    int64_t retry_min_ms; /* after a provider could not be reached; doubles */
    int64_t retry_max_ms;
    int64_t missing_ms; /* so long a key that is not there is not asked for again */
    int64_t watch_ms;   /* how often keystores are looked at for changes */
} slc_keys_options;

#define SLC_KEYS_DEFAULTS                                                                                      \
    ((slc_keys_options){.threads = 4,                                                                          \
                        .timeout_ms = 5000,                                                                    \
                        .ttl_ms = 3600000,                                                                     \
                        .cache_keys = 4096,                                                                    \
                        .rotate_ms = 86400000,                                                                 \
                        .rotate_records = INT64_C(1) << 32,                                                    \
                        .rotate_bytes = INT64_C(1) << 40,                                                      \
                        .retry_min_ms = 200,                                                                   \
                        .retry_max_ms = 10000,                                                                 \
                        .missing_ms = 5000,                                                                    \
                        .watch_ms = 1000})

typedef struct slc_keys slc_keys;
typedef struct slc_key_ring slc_key_ring;

/* Registers the metrics; once, before threads start. */
void slc_keys_register_metrics(void);

/* No thread is started before there is a ring. */
slc_keys *slc_keys_new(const slc_keys_options *options);
/* Ends the threads, calls that are under way too; asking fails from now on. */
void slc_keys_stop(slc_keys *keys);
/* Stops it, if it was not. Every ring must have been let go. NULL is fine. */
void slc_keys_free(slc_keys *keys);

/* The process's own, for whoever builds rings from a configuration; NULL: nothing is encrypted here. Set before
 * threads start, cleared after they have ended. */
void slc_keys_set_process(slc_keys *keys);
slc_keys *slc_keys_of_process(void);

/* The ring with these options (checked, copied): the one that is there, with its keys, or a new one. */
slc_key_ring *slc_key_ring_get(slc_keys *keys, const slc_key_ring_options *options);
slc_key_ring *slc_key_ring_ref(slc_key_ring *ring);
void slc_key_ring_unref(slc_key_ring *ring); /* NULL is fine */
const char *slc_key_ring_name(const slc_key_ring *ring);
/* How its provider is: "" when the last call went well or there was none, else what went wrong. Cut to fit. */
void slc_key_ring_health(slc_key_ring *ring, char *text, size_t size);

/* {name: {provider, up, error}} of all rings: new. */
json_t *slc_keys_health(slc_keys *keys);

enum slc_key_want_kind {
    SLC_KEY_TO_ENCRYPT,
    SLC_KEY_TO_DECRYPT,
    SLC_KEY_FIXED, /* for keys of records, both ways */
};

typedef struct slc_key_want {
    enum slc_key_want_kind kind;
    const char *kek; /* not terminated */
    size_t kek_len;
    const uint8_t *edek; /* TO_DECRYPT */
    size_t edek_len;
} slc_key_want;

enum slc_key_answer {
    SLC_KEY_READY,  /* *key is a new reference */
    SLC_KEY_LATER,  /* the waiter will be told */
    SLC_KEY_FAILED, /* `err`: SLC_NOT_FOUND: no such KEK (any more); SLC_CORRUPT: an EDEK that is not that
                       KEK's; SLC_UNAVAILABLE: it may work later */
};

/* Never blocks. Without a waiter what is not there yet FAILS with SLC_UNAVAILABLE, and is fetched nevertheless.
 */
enum slc_key_answer slc_key_ring_ask(slc_key_ring *ring, const slc_key_want *want, slc_record_waiter *waiter,
                                     slc_data_key **key, slc_error *err);
/* The same, but waits for it: for programs that have nothing else to do. NULL with err. */
slc_data_key *slc_key_ring_ask_now(slc_key_ring *ring, const slc_key_want *want, slc_error *err) SLC_CHECKED;

/* May the key still be used? Cheap: for those who keep one. */
bool slc_data_key_holds(const slc_data_key *key, int64_t now_ms);

#endif
