#include "dataplane/policy/limits.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/crypto.h"
#include "dataplane/policy/shared_limits.h"

#define PROBES    8
#define HUGE_PAGE (2UL * 1024 * 1024)
#define SECOND_NS 1000000000
#define DAY_NS    (86400LL * SECOND_NS)

struct slc_limit_place {
    _Alignas(64) _Atomic uint64_t hash;     /* 0: nobody's */
    _Atomic int64_t paid[SLC_LIMIT_RATES];  /* monotonic ns: when what was taken is paid for */
    _Atomic uint64_t rate[SLC_LIMIT_RATES]; /* at which that is; 0: not known yet */
    _Atomic uint32_t streams;
};
_Static_assert(sizeof(slc_limit_place) == 64, "a place is a cache line");

struct slc_limits {
    size_t size; /* bytes of all of it */
    size_t mask;
    uint64_t key[2]; /* of the hash: nobody outside can find keys that meet */
    _Atomic uint32_t gateways;
    _Atomic bool owing; /* somebody has owed by slc_limits_owe */
    slc_limit_place places[];
};

int64_t slc_limits_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * (int64_t)SECOND_NS + now.tv_nsec;
}

slc_limits *slc_limits_new(size_t keys)
{
    size_t count = PROBES, size;
    while (count < keys)
        count *= 2;
    size = sizeof(slc_limits) + count * sizeof(slc_limit_place);
    /* Zeroed, and in memory as soon as somebody is limited: not before. */
    slc_limits *limits = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SLC_BUG_ON(limits == MAP_FAILED);
    if (size >= HUGE_PAGE)
        (void)madvise(limits, size, MADV_HUGEPAGE); /* places are visited at random */
    limits->size = size;
    limits->mask = count - 1;
    slc_random(limits->key, sizeof limits->key);
    atomic_store(&limits->gateways, 1);
    return limits;
}

void slc_limits_free(slc_limits *limits)
{
    if (limits != NULL)
        munmap(limits, limits->size);
}

void slc_limits_set_gateways(slc_limits *limits, unsigned gateways)
{
    atomic_store_explicit(&limits->gateways, gateways > 0 ? gateways : 1, memory_order_relaxed);
}

/* ---- keys: SipHash-2-4 (Aumasson and Bernstein, 2012) ---- */

struct sip {
    uint64_t v[4];
};

#define ROTATE(x, bits) (((x) << (bits)) | ((x) >> (64 - (bits))))

static void sip_rounds(struct sip *sip, int rounds)
{
    uint64_t *v = sip->v;
    for (; rounds > 0; rounds--) {
        v[0] += v[1], v[1] = ROTATE(v[1], 13) ^ v[0], v[0] = ROTATE(v[0], 32);
        v[2] += v[3], v[3] = ROTATE(v[3], 16) ^ v[2];
        v[0] += v[3], v[3] = ROTATE(v[3], 21) ^ v[0];
        v[2] += v[1], v[1] = ROTATE(v[1], 17) ^ v[2], v[2] = ROTATE(v[2], 32);
    }
}

static void sip_word(struct sip *sip, uint64_t word)
{
    sip->v[3] ^= word;
    sip_rounds(sip, 2);
    sip->v[0] ^= word;
}

/* The text with its NUL, in words filled up with zeros, so that no two pairs of texts are the same words. */
static void sip_text(struct sip *sip, const char *text)
{
    size_t left = strlen(text) + 1;
    for (; left > 0; text += 8) {
        uint64_t word = 0;
        size_t len = left < 8 ? left : 8;
        memcpy(&word, text, len);
        sip_word(sip, word);
        left -= len;
    }
}

uint64_t slc_limits_hash(const slc_limits *limits, const char *limit, const char *subject)
{
    struct sip sip = {{limits->key[0] ^ 0x736f6d6570736575, limits->key[1] ^ 0x646f72616e646f6d,
                       limits->key[0] ^ 0x6c7967656e657261, limits->key[1] ^ 0x7465646279746573}};
    sip_text(&sip, limit);
    sip_text(&sip, subject);
    sip.v[2] ^= 0xff;
    sip_rounds(&sip, 4);
    uint64_t hash = sip.v[0] ^ sip.v[1] ^ sip.v[2] ^ sip.v[3];
    __builtin_prefetch(&limits->places[hash & limits->mask],
                       1); /* it comes from far while the caller goes on */
    return hash != 0 ? hash : 1;
}

/* ---- places ---- */

static bool is_idle(slc_limit_place *place, int64_t now_ns)
{
    for (int kind = 0; kind < SLC_LIMIT_RATES; kind++)
        if (atomic_load_explicit(&place->paid[kind], memory_order_relaxed) > now_ns)
            return false;
    return atomic_load_explicit(&place->streams, memory_order_relaxed) == 0;
}

/* Who looked at an idle place when another took it pays into the other's account, once: far below what is lost
 * by locks. */
slc_limit_place *slc_limits_place(slc_limits *limits, uint64_t hash, int64_t now_ns)
{
    slc_limit_place *idle = NULL;
    for (size_t i = 0; i < PROBES; i++) {
        slc_limit_place *place = &limits->places[(hash + i) & limits->mask];
        if (atomic_load_explicit(&place->hash, memory_order_relaxed) == hash)
            return place;
        if (idle == NULL && is_idle(place, now_ns))
            idle = place;
    }
    if (idle == NULL)
        return &limits->places[hash & limits->mask];
    atomic_store_explicit(&idle->hash, hash, memory_order_relaxed);
    return idle;
}

/* ---- rates ---- */

static unsigned gateways_of(const slc_limits *limits)
{
    return atomic_load_explicit(&((slc_limits *)limits)->gateways, memory_order_relaxed);
}

/* What `n` of a kind cost in time. At most a day, so that nobody is shut out for longer and nothing overflows.
 */
static int64_t cost_ns(const slc_limits *limits, const slc_rates *rates, enum slc_limit_kind kind, uint64_t n)
{
    double cost = (double)n * SECOND_NS * gateways_of(limits) / (double)rates->per_second[kind];
    return cost < (double)DAY_NS ? (int64_t)cost : DAY_NS;
}

static int64_t window_ns(const slc_rates *rates)
{
    return (int64_t)rates->burst_s * SECOND_NS;
}

static int64_t owed_ns(const slc_limit_place *place, enum slc_limit_kind kind, int64_t now_ns)
{
    int64_t paid = atomic_load_explicit(&((slc_limit_place *)place)->paid[kind], memory_order_relaxed);
    return paid > now_ns ? paid - now_ns : 0;
}

/* How long until there is something to take; 0: there is. For what is paid afterwards. */
static int64_t wait_ns(const slc_limit_place *place, const slc_rates *rates, enum slc_limit_kind kind,
                       int64_t now_ns)
{
    int64_t owed = rates->per_second[kind] > 0 ? owed_ns(place, kind, now_ns) : 0;
    return owed >= window_ns(rates) ? owed - window_ns(rates) + 1 : 0;
}

static void pay(slc_limit_place *place, enum slc_limit_kind kind, int64_t cost, int64_t now_ns)
{
    int64_t paid = atomic_load_explicit(&place->paid[kind], memory_order_relaxed), next;
    do {
        next = (paid > now_ns ? paid : now_ns) + cost;
        next = next < now_ns + DAY_NS ? next : now_ns + DAY_NS;
    } while (!atomic_compare_exchange_weak_explicit(&place->paid[kind], &paid, next, memory_order_relaxed,
                                                    memory_order_relaxed));
}

/* What is owed stays as many requests, events or bytes: at another rate it takes another time. */
static void rescale(slc_limit_place *place, enum slc_limit_kind kind, double factor, int64_t now_ns)
{
    int64_t paid = atomic_load_explicit(&place->paid[kind], memory_order_relaxed), next;
    do {
        if (paid <= now_ns)
            return;
        double owed = (double)(paid - now_ns) * factor;
        next = now_ns + (owed < (double)DAY_NS ? (int64_t)owed : DAY_NS);
    } while (!atomic_compare_exchange_weak_explicit(&place->paid[kind], &paid, next, memory_order_relaxed,
                                                    memory_order_relaxed));
}

void slc_limits_settle(slc_limit_place *place, uint64_t hash, const slc_rates *rates, int64_t now_ns)
{
    if (atomic_load_explicit(&place->hash, memory_order_relaxed) != hash)
        return;
    for (int kind = 0; kind < SLC_LIMIT_RATES; kind++) {
        uint64_t now = rates->per_second[kind],
                 before = atomic_load_explicit(&place->rate[kind], memory_order_relaxed);
        if (now == 0 || now == before ||
            !atomic_compare_exchange_strong_explicit(&place->rate[kind], &before, now, memory_order_relaxed,
                                                     memory_order_relaxed))
            continue;
        if (before != 0)
            rescale(place, kind, (double)before / (double)now, now_ns);
    }
}

/* One request. One is always possible when nothing is owed, also when it costs more than the window. */
static bool take_request(const slc_limits *limits, slc_limit_place *place, const slc_rates *rates,
                         int64_t now_ns, int64_t *wait)
{
    int64_t cost = cost_ns(limits, rates, SLC_LIMIT_REQUESTS, 1), window = window_ns(rates);
    int64_t paid = atomic_load_explicit(&place->paid[SLC_LIMIT_REQUESTS], memory_order_relaxed), start;
    window = window > cost ? window : cost;
    do {
        start = paid > now_ns ? paid : now_ns;
        if (start + cost - now_ns > window) {
            *wait = start + cost - now_ns - window;
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&place->paid[SLC_LIMIT_REQUESTS], &paid, start + cost,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

static bool take_stream(const slc_limits *limits, slc_limit_place *place, const slc_rates *rates)
{
    uint32_t share = rates->streams / gateways_of(limits), open;
    share = share > 0 ? share : 1;
    open = atomic_fetch_add_explicit(&place->streams, 1, memory_order_relaxed);
    if (open < share)
        return true;
    atomic_fetch_sub_explicit(&place->streams, 1, memory_order_relaxed);
    return false;
}

static void give_stream_back(slc_limit_place *place)
{
    uint32_t before = atomic_fetch_sub_explicit(&place->streams, 1, memory_order_relaxed);
    SLC_BUG_ON(before == 0);
}

static bool refuse(slc_limit_answer *answer, enum slc_limit_kind kind, int64_t wait)
{
    answer->refused = kind;
    answer->retry_after_ms = wait / 1000000 + 1;
    return false;
}

/* ---- what is no rate ---- */

void slc_limits_owe(slc_limits *limits, uint64_t hash, int64_t cost_ns, int64_t most_ns, int64_t now_ns)
{
    slc_limit_place *place = slc_limits_place(limits, hash, now_ns);
    if (atomic_load_explicit(&place->hash, memory_order_relaxed) != hash)
        return;
    atomic_store_explicit(&limits->owing, true, memory_order_relaxed);
    int64_t paid = atomic_load_explicit(&place->paid[SLC_LIMIT_REQUESTS], memory_order_relaxed), next;
    do {
        next = (paid > now_ns ? paid : now_ns) + cost_ns;
        next = next < now_ns + most_ns ? next : now_ns + most_ns;
    } while (!atomic_compare_exchange_weak_explicit(&place->paid[SLC_LIMIT_REQUESTS], &paid, next,
                                                    memory_order_relaxed, memory_order_relaxed));
}

int64_t slc_limits_owed_ns(const slc_limits *limits, uint64_t hash, int64_t now_ns)
{
    for (size_t i = 0; i < PROBES; i++) {
        const slc_limit_place *place = &limits->places[(hash + i) & limits->mask];
        if (atomic_load_explicit(&((slc_limit_place *)place)->hash, memory_order_relaxed) == hash)
            return owed_ns(place, SLC_LIMIT_REQUESTS, now_ns);
    }
    return 0;
}

bool slc_limits_is_quiet(const slc_limits *limits)
{
    return !atomic_load_explicit(&((slc_limits *)limits)->owing, memory_order_relaxed);
}

/* ---- requests ---- */

bool slc_charges_take(slc_charges *charges, slc_limit_place *place, const slc_rates *rates, bool stream,
                      int64_t now_ns, slc_limit_answer *answer)
{
    int64_t wait = 0;
    bool holds = stream && rates->streams > 0;
    if (charges->count == SLC_MAX_CHARGES)
        return refuse(answer, SLC_LIMIT_REQUESTS, SECOND_NS);
    for (int kind = SLC_LIMIT_EVENTS; kind < SLC_LIMIT_RATES; kind++)
        if ((wait = wait_ns(place, rates, kind, now_ns)) > 0)
            return refuse(answer, kind, wait);
    if (holds && !take_stream(charges->limits, place, rates))
        return refuse(answer, SLC_LIMIT_STREAMS, SECOND_NS);
    if (rates->per_second[SLC_LIMIT_REQUESTS] > 0 &&
        !take_request(charges->limits, place, rates, now_ns, &wait)) {
        if (holds)
            give_stream_back(place);
        return refuse(answer, SLC_LIMIT_REQUESTS, wait);
    }
    charges->list[charges->count++] = (struct slc_charge){.place = place, .rates = *rates, .stream = holds};
    return true;
}

static bool is_held(const slc_charges *charges, uint64_t hash)
{
    for (unsigned i = 0; i < charges->count; i++)
        if (charges->list[i].hash == hash)
            return true;
    return false;
}

bool slc_charges_hold(slc_charges *charges, const char *limit, const char *subject, const slc_rates *rates,
                      int64_t now_ns)
{
    const slc_rates places = {.streams = rates->connections, .burst_s = 1};
    char key[64];
    snprintf(key, sizeof key, "%s/connections", limit);
    uint64_t hash = slc_limits_hash(charges->limits, key, subject);
    if (is_held(charges, hash))
        return true;
    slc_limit_place *place = slc_limits_place(charges->limits, hash, now_ns);
    if (!take_stream(charges->limits, place, &places))
        return false;
    if (charges->count == SLC_MAX_CHARGES) {
        give_stream_back(charges->list[0].place);
        memmove(charges->list, charges->list + 1, (--charges->count) * sizeof charges->list[0]);
    }
    charges->list[charges->count++] =
        (struct slc_charge){.place = place, .rates = places, .stream = true, .hash = hash};
    return true;
}

void slc_charges_join(slc_charges *charges, uint64_t hash, const slc_rates *rates, bool dry)
{
    if (charges->count == SLC_MAX_CHARGES)
        return;
    int64_t now_ns = slc_limits_now_ns();
    slc_limit_place *place = slc_limits_place(charges->limits, hash, now_ns);
    slc_limits_settle(place, hash, rates, now_ns);
    charges->list[charges->count++] =
        (struct slc_charge){.place = place, .rates = *rates, .hash = hash, .dry = dry};
}

void slc_charges_share(slc_charges *charges, struct slc_shared_bucket *bucket)
{
    SLC_BUG_ON(charges->count == 0 || charges->list[charges->count - 1].shared != NULL);
    charges->list[charges->count - 1].shared = bucket;
}

void slc_charges_add(slc_charges *charges, uint64_t events, uint64_t bytes, int64_t now_ns)
{
    slc_charges_pay(charges, 0, events, bytes, now_ns);
}

void slc_charges_pay(slc_charges *charges, uint64_t requests, uint64_t events, uint64_t bytes, int64_t now_ns)
{
    const uint64_t amounts[SLC_LIMIT_RATES] = {
        [SLC_LIMIT_REQUESTS] = requests, [SLC_LIMIT_EVENTS] = events, [SLC_LIMIT_BYTES] = bytes};
    for (unsigned i = 0; i < charges->count; i++) {
        struct slc_charge *charge = &charges->list[i];
        if (charge->hash != 0) {
            charge->place = slc_limits_place(charges->limits, charge->hash, now_ns);
            slc_limits_settle(charge->place, charge->hash, &charge->rates, now_ns);
        }
        if (charge->shared != NULL)
            slc_shared_pay(charge->shared, &charge->rates, amounts);
        for (int kind = SLC_LIMIT_REQUESTS; kind < SLC_LIMIT_RATES; kind++)
            if (amounts[kind] > 0 && charge->rates.per_second[kind] > 0)
                pay(charge->place, kind, cost_ns(charges->limits, &charge->rates, kind, amounts[kind]), now_ns);
    }
}

bool slc_charges_owes_dry(const slc_charges *charges, unsigned index, int64_t now_ns)
{
    const struct slc_charge *charge = &charges->list[index];
    for (int kind = SLC_LIMIT_REQUESTS; charge->dry && kind < SLC_LIMIT_RATES; kind++)
        if (wait_ns(charge->place, &charge->rates, kind, now_ns) > 0)
            return true;
    return false;
}

static int64_t debt_ns(const struct slc_charge *charge, enum slc_limit_kind first, int64_t now_ns)
{
    int64_t longest = 0;
    bool counted = charge->shared != NULL && slc_shared_available(charge->shared);
    if (counted)
        return slc_shared_owed_ns(charge->shared, &charge->rates, first, now_ns);
    if (charge->shared != NULL && charge->rates.fallback != SLC_FALLBACK_LOCAL)
        return charge->rates.fallback == SLC_FALLBACK_REFUSE ? SECOND_NS : 0;
    for (int kind = first; kind < SLC_LIMIT_RATES; kind++) {
        int64_t wait = wait_ns(charge->place, &charge->rates, kind, now_ns);
        longest = wait > longest ? wait : longest;
    }
    return longest;
}

static int64_t debt_ms(const slc_charges *charges, enum slc_limit_kind first, int64_t now_ns)
{
    int64_t longest = 0;
    for (unsigned i = 0; i < charges->count; i++) {
        int64_t debt = charges->list[i].dry ? 0 : debt_ns(&charges->list[i], first, now_ns);
        longest = debt > longest ? debt : longest;
    }
    return longest > 0 ? longest / 1000000 + 1 : 0;
}

int64_t slc_charges_owed_ms(const slc_charges *charges, int64_t now_ns)
{
    return debt_ms(charges, SLC_LIMIT_EVENTS, now_ns);
}

int64_t slc_charges_debt_ms(const slc_charges *charges, int64_t now_ns)
{
    return debt_ms(charges, SLC_LIMIT_REQUESTS, now_ns);
}

void slc_charges_release(slc_charges *charges)
{
    for (unsigned i = 0; i < charges->count; i++)
        if (charges->list[i].stream)
            give_stream_back(charges->list[i].place);
    for (unsigned i = 0; i < charges->count; i++)
        slc_shared_bucket_unref(charges->list[i].shared);
    charges->count = 0;
}

void slc_limits_left(const slc_limits *limits, const slc_limit_place *place, const slc_rates *rates,
                     enum slc_limit_kind kind, int64_t now_ns, uint64_t *left, int64_t *full_in_ms)
{
    if (kind == SLC_LIMIT_STREAMS) {
        uint32_t open = atomic_load_explicit(&((slc_limit_place *)place)->streams, memory_order_relaxed);
        uint32_t share = rates->streams / gateways_of(limits);
        share = share > 0 ? share : 1;
        *left = open < share ? share - open : 0;
        *full_in_ms = 0;
        return;
    }
    int64_t owed = owed_ns(place, kind, now_ns), room = window_ns(rates) - owed;
    double each = (double)SECOND_NS * gateways_of(limits) / (double)rates->per_second[kind];
    *left = room > 0 ? (uint64_t)((double)room / each) : 0;
    *full_in_ms = (owed + 999999) / 1000000;
}
