/* What the key rings, their cache and their threads share. Everything is under slc_keys.lock. */
#ifndef SLC_DATAPLANE_CRYPT_KEYS_PRIVATE_H
#define SLC_DATAPLANE_CRYPT_KEYS_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "common/crypto.h"
#include "dataplane/crypt/keys.h"
#include "dataplane/crypt/provider.h"

#define SLC_KEY_BUCKETS 4096

enum slc_key_job { SLC_JOB_NONE, SLC_JOB_FETCH, SLC_JOB_VERIFY };

/* One key, there or wanted. */
typedef struct slc_key_entry {
    TAILQ_ENTRY(slc_key_entry) lru;
    TAILQ_ENTRY(slc_key_entry) queue;
    struct slc_key_entry *next; /* of its bucket */
    uint64_t hash;
    slc_key_ring *ring;
    enum slc_key_want_kind kind;
    enum slc_key_job job; /* queued or under way */
    slc_data_key *key;    /* own reference; NULL: not there */
    int64_t until_ms;     /* TO_ENCRYPT: when another one is wanted */
    int64_t verify_ms;    /* TO_ENCRYPT: when it is looked whether its KEK still lives */
    int64_t retry_ms;     /* not asked for again before; 0: may be */
    unsigned failures;    /* in sequence, that may pass */
    unsigned generation;  /* grows when the ring's keys are forgotten: what a call brings then is old */
    slc_error err;        /* of the last call; code SLC_OK: it went well */
    slc_record_waiters waiters;
    unsigned blocked; /* threads in slc_key_ring_ask_now() */
    size_t kek_len, edek_len;
    char kek[SLC_KEK_NAME_MAX + 1];
    uint8_t edek[];
} slc_key_entry;

struct slc_key_ring {
    TAILQ_ENTRY(slc_key_ring) entry;
    slc_keys *keys;
    unsigned refs;
    uint8_t digest[SLC_SHA256_BYTES];
    slc_key_ring_options options;
    const slc_key_provider_ops *ops;
    void *provider;
    char health[200];
    int64_t logged_ms;  /* monotonic: when a failure was last logged; 0: it is well */
    int64_t refused_ms; /* monotonic: when it was last logged that a key cannot be had */
};

struct slc_keys {
    slc_keys_options options;
    pthread_mutex_t lock;
    pthread_cond_t work;     /* something is queued, or it is time to look at keystores */
    pthread_cond_t answered; /* for ask_now */
    TAILQ_HEAD(, slc_key_ring) rings;
    TAILQ_HEAD(slc_key_lru, slc_key_entry) lru; /* the one that was used last is first */
    TAILQ_HEAD(, slc_key_entry) queue;
    slc_key_entry *buckets[SLC_KEY_BUCKETS];
    size_t count;
    int64_t watched_ms;
    pthread_t *threads;
    size_t n_threads;
    atomic_bool stopping;
};

/* keys_cache.c, all with the lock */
slc_key_entry *slc_key_entry_get(slc_keys *keys, slc_key_ring *ring, const slc_key_want *want); /* NULL: full */
void slc_key_entry_drop(slc_keys *keys, slc_key_entry *entry);
/* Its key is no key any more. */
void slc_key_entry_kill(slc_key_entry *entry);
/* Those of a ring (of one KEK of it, or all: NULL). */
void slc_keys_forget(slc_keys *keys, const slc_key_ring *ring, const char *kek);
void slc_keys_drop_ring(slc_keys *keys, const slc_key_ring *ring);
void slc_key_entry_queue(slc_keys *keys, slc_key_entry *entry, enum slc_key_job job);

/* keys_work.c */
void slc_keys_start(slc_keys *keys); /* with the lock */
void slc_keys_count(const slc_key_ring *ring, const char *operation, const char *outcome);

#endif
