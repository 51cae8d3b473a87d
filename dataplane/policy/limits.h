/* How much of a limit is used up, for all limits and workers of the process.
 *
 * One table of fixed size. A place holds one key (an application, an address, ... under one limit) as its
 * 64-bit keyed hash, a time for each kind of rate (GCRA, the generic cell rate algorithm: when all that was
 * taken is paid for at the limit's pace) and a count of open streams. Everything is an atomic, nothing takes a
 * lock: two workers that meet at a key lose a few nanoseconds. A key that has nothing taken is as if it were
 * not there, so its place goes to whoever needs one next. Why so: docs/decisions/0012-limits.md.
 *
 * Any thread, unless a function says otherwise.
 */
#ifndef SLC_DATAPLANE_POLICY_LIMITS_H
#define SLC_DATAPLANE_POLICY_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct slc_limits slc_limits; /* one for the process */
typedef struct slc_limit_place slc_limit_place;
struct slc_shared_bucket; /* shared_limits.h */

enum slc_limit_kind {
    SLC_LIMIT_REQUESTS, /* paid before it is done */
    SLC_LIMIT_EVENTS,   /* paid afterwards: one who owes gets nothing more */
    SLC_LIMIT_BYTES,
    SLC_LIMIT_RATES,
    SLC_LIMIT_STREAMS = SLC_LIMIT_RATES,
};

/* What becomes of a limit that Redis counts while there is no Redis. */
enum slc_limit_fallback {
    SLC_FALLBACK_LOCAL,  /* this gateway limits itself, at its share */
    SLC_FALLBACK_ALLOW,  /* nothing is limited */
    SLC_FALLBACK_REFUSE, /* nothing is let through */
};

typedef struct slc_rates {
    uint64_t per_second[SLC_LIMIT_RATES]; /* of the whole group; 0: no limit */
    uint32_t streams;                     /* open at once, of the whole group; 0: no limit */
    uint32_t connections;                 /* likewise; held by slc_charges_hold */
    uint32_t burst_s;                     /* so many seconds' worth may be taken at once; at least 1 */
    bool shared;                          /* rates are counted by Redis, if the gateway has one */
    enum slc_limit_fallback fallback;     /* then */
} slc_rates;

/* `keys` places, rounded up to a power of two; 64 bytes each. */
slc_limits *slc_limits_new(size_t keys);
void slc_limits_free(slc_limits *limits);
/* How many gateways share each limit, this one too; 0 counts as 1. */
void slc_limits_set_gateways(slc_limits *limits, unsigned gateways);
/* Of what makes a key: the limit's id and who it is counted for. */
uint64_t slc_limits_hash(const slc_limits *limits, const char *limit, const char *subject);
/* The place of a key. When all that it may have are taken, it shares one: what comes together there has one
 * limit. */
slc_limit_place *slc_limits_place(slc_limits *limits, uint64_t hash, int64_t now_ns);

/* The key's rates are these from now on: what it owes is as many requests, events and bytes as before, which
 * other rates make another time. Nothing when the place is shared and another key's. */
void slc_limits_settle(slc_limit_place *place, uint64_t hash, const slc_rates *rates, int64_t now_ns);

/* For what is no rate but counted alike (failures.h): the key owes this much more, and never more than
 * `most_ns`. When all places that it may have are taken, nothing is noted. */
void slc_limits_owe(slc_limits *limits, uint64_t hash, int64_t cost_ns, int64_t most_ns, int64_t now_ns);
/* What the key owes; takes no place. */
int64_t slc_limits_owed_ns(const slc_limits *limits, uint64_t hash, int64_t now_ns);
/* Has nobody ever owed anything so? Then there is nothing to look up. */
bool slc_limits_is_quiet(const slc_limits *limits);

/* What a request has taken, and of which limits: what it costs later is added, its stream is given back.
 * Belongs to one request. */
#define SLC_MAX_CHARGES 16
typedef struct slc_charges {
    slc_limits *limits;
    unsigned count;
    struct slc_charge {
        slc_limit_place *place;
        slc_rates rates;
        char limit[24]; /* whose: the id of a plan or a policy; empty: not to be looked up again */
        uint64_t key;   /* of what has a limit: the place's, when it was taken */
        uint64_t
            hash; /* of what lives long: without a stream its place may be another's by now. 0: it does not */
        /* Redis counts it, its own reference; the place has the gateway's share, for when there is no Redis.
         * NULL: the place is all. */
        struct slc_shared_bucket *shared;
        bool stream; /* holds one */
        bool dry;    /* of a policy in dry run: it is counted, and nobody waits for it */
    } list[SLC_MAX_CHARGES];
} slc_charges;

typedef struct slc_limit_answer {
    enum slc_limit_kind refused; /* by which, when it was */
    int64_t retry_after_ms;
} slc_limit_answer;

/* Takes a request, and a stream if it is one, and notes it in `charges`; false: refused, nothing is taken. A
 * limit too many on one request is refused. */
bool slc_charges_take(slc_charges *charges, slc_limit_place *place, const slc_rates *rates, bool stream,
                      int64_t now_ns, slc_limit_answer *answer);
/* Takes a place among the limit's connections, and holds it until the release. One that is held already stays.
 * False: there are as many as may be. When `charges` is full the first gives way: a connection that changes
 * hands so often is not many. */
bool slc_charges_hold(slc_charges *charges, const char *limit, const char *subject, const slc_rates *rates,
                      int64_t now_ns);
/* Notes a limit without taking anything of it: what is done is paid for later. One too many is left out. */
void slc_charges_join(slc_charges *charges, uint64_t hash, const slc_rates *rates, bool dry);
/* The last limit that was noted is one that Redis counts (the reference is stolen). */
void slc_charges_share(slc_charges *charges, struct slc_shared_bucket *bucket);
/* What it has cost since. */
void slc_charges_add(slc_charges *charges, uint64_t events, uint64_t bytes, int64_t now_ns);
/* The same with requests, for those that are let through and paid for afterwards. */
void slc_charges_pay(slc_charges *charges, uint64_t requests, uint64_t events, uint64_t bytes, int64_t now_ns);
/* Until nothing is owed, requests that were paid for so included; 0: nothing is. */
int64_t slc_charges_debt_ms(const slc_charges *charges, int64_t now_ns);
/* Does the charge owe anything, if it is of a policy in dry run? */
bool slc_charges_owes_dry(const slc_charges *charges, unsigned index, int64_t now_ns);
/* Until nothing is owed of what is paid afterwards; 0: nothing is. */
int64_t slc_charges_owed_ms(const slc_charges *charges, int64_t now_ns);
/* Gives the streams back. */
void slc_charges_release(slc_charges *charges);

/* What is left of a rate now, in this gateway, and how long until all of it is there again. */
void slc_limits_left(const slc_limits *limits, const slc_limit_place *place, const slc_rates *rates,
                     enum slc_limit_kind kind, int64_t now_ns, uint64_t *left, int64_t *full_in_ms);

int64_t slc_limits_now_ns(void);

#endif
