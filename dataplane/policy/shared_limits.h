/* Limits that the gateways of a group share exactly, by a Redis server that counts for all of them.
 *
 * A worker borrows requests from the server's bucket (GCRA, in a script that runs there), a few at a time where
 * many are allowed, and one by one where few are; a request waits for that for a bounded time. Events and bytes
 * are told afterwards, and the server's answer says what everybody together owes. Everything here belongs to
 * one worker and its thread. Why so: docs/decisions/0012-limits.md.
 */
#ifndef SLC_DATAPLANE_POLICY_SHARED_LIMITS_H
#define SLC_DATAPLANE_POLICY_SHARED_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "dataplane/policy/limits.h"
#include "dataplane/policy/redis.h"

struct event_base;
typedef struct slc_shared_limits slc_shared_limits;
typedef struct slc_shared_bucket slc_shared_bucket; /* of one limit and subject */

typedef struct slc_shared_options {
    slc_redis_options redis;
    char *prefix;      /* of the server's keys */
    int64_t wait_ms;   /* longest that a request waits for the server */
    int64_t borrow_ms; /* so many milliseconds' worth of requests are borrowed at once, at least one */
    int64_t keys;      /* buckets that a worker knows of */
} slc_shared_options;

/* Registers the metrics; once, before threads start. */
void slc_shared_register_metrics(void);

/* `options` (borrowed) must outlive it. NULL on error, which names the setting. */
slc_shared_limits *slc_shared_new(struct event_base *base, const slc_shared_options *options,
                                  slc_error *err) SLC_CHECKED;
/* Nobody may wait any more, and every bucket have been let go. NULL is fine. */
void slc_shared_free(slc_shared_limits *shared);

enum slc_shared_outcome {
    SLC_SHARED_TAKEN,
    SLC_SHARED_REFUSED,     /* `answer` says by which and for how long */
    SLC_SHARED_WAITING,     /* `ready` will be called */
    SLC_SHARED_UNAVAILABLE, /* the server is away, or too slow */
};

/* Of one request at a time; lies in what the caller keeps for it. */
typedef struct slc_shared_waiter {
    void (*ready)(
        struct slc_shared_waiter *waiter); /* the caller's: `outcome` is there, never SLC_SHARED_WAITING */
    bool answered;
    enum slc_shared_outcome outcome;
    slc_limit_answer answer;
    /* private */
    slc_shared_bucket *bucket; /* NULL: waits for nothing */
    struct slc_shared_waiter *next, **link;
    int64_t until_ms;
} slc_shared_waiter;

/* The bucket of a limit for a subject in a group of gateways; the reference is the caller's. NULL: there are as
 * many as may be, all in use. */
slc_shared_bucket *slc_shared_bucket_get(slc_shared_limits *shared, const char *group, const char *limit,
                                         const char *subject);
void slc_shared_bucket_unref(slc_shared_bucket *bucket);
slc_shared_bucket *slc_shared_bucket_ref(slc_shared_bucket *bucket);

/* Takes one request. On SLC_SHARED_WAITING the waiter (zeroed but for `ready`) is called later, or let go with
 * slc_shared_unwait. */
enum slc_shared_outcome slc_shared_take(slc_shared_bucket *bucket, const slc_rates *rates,
                                        slc_shared_waiter *waiter, slc_limit_answer *answer);
void slc_shared_unwait(slc_shared_waiter *waiter);

/* What was done. Told to the server now or, while it is away, later. */
void slc_shared_pay(slc_shared_bucket *bucket, const slc_rates *rates, const uint64_t amounts[SLC_LIMIT_RATES]);
/* Until everybody together owes nothing of the kinds from `first` on, as the server last said; 0: nothing is
 * owed. */
int64_t slc_shared_owed_ns(const slc_shared_bucket *bucket, const slc_rates *rates, enum slc_limit_kind first,
                           int64_t now_ns);
/* Is there a server to count? */
bool slc_shared_available(const slc_shared_bucket *bucket);
/* What is left of a rate, as the server last said. */
void slc_shared_left(const slc_shared_bucket *bucket, const slc_rates *rates, enum slc_limit_kind kind,
                     int64_t now_ns, uint64_t *left, int64_t *full_in_ms);

#endif
