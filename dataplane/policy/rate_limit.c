/* rate-limit: how much somebody may do, here and in all gateways of the group together; and the limits of
 * plans, which are the same thing for each application that subscribes to one.
 *
 * Answers carry RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers): the quota is the
 * group's, what is left is this gateway's share of it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/network.h"
#include "dataplane/policy/chain_private.h"
#include "dataplane/policy/limits.h"

#define MAX_RATE  1000000000000
#define MAX_BURST 3600

enum subject { BY_APPLICATION, BY_CREDENTIAL, BY_PLAN, BY_EVENT_API, BY_ADDRESS, BY_ALL, SUBJECTS };

static const char *const subject_names[SUBJECTS] = {"application", "credential", "plan",
                                                    "event-api",   "address",    "all"};
static const char *const kind_names[] = {"requests", "events", "bytes", "streams"};

struct rate_limit {
    slc_rates rates;
    enum subject subject;
};

static bool compile_subject(const json_t *config, struct rate_limit *limit, slc_error *err)
{
    const char *name = slc_policy_config_string(config, "per", subject_names[BY_APPLICATION], 16, err);
    if (name == NULL)
        return false;
    for (int i = 0; i < SUBJECTS; i++)
        if (strcmp(subject_names[i], name) == 0) {
            limit->subject = i;
            return true;
        }
    return slc_fail(err, SLC_INVALID, "/config/per",
                    "per must be application, credential, plan, event-api, address or all");
}

static bool one_of(const json_t *config, const char *name, const char *const *words, int *found, slc_error *err)
{
    char pointer[40];
    const char *word = slc_policy_config_string(config, name, words[0], 16, err);
    if (word == NULL)
        return false;
    for (*found = 0; words[*found] != NULL; ++*found)
        if (strcmp(words[*found], word) == 0)
            return true;
    snprintf(pointer, sizeof pointer, "/config/%s", name);
    return slc_fail(err, SLC_INVALID, pointer, "%s cannot be that; see the policy's schema", name);
}

static bool compile_store(const json_t *config, slc_rates *rates, slc_error *err)
{
    static const char *const stores[] = {"local", "redis", NULL};
    static const char *const fallbacks[] = {
        [SLC_FALLBACK_LOCAL] = "local", [SLC_FALLBACK_ALLOW] = "allow", [SLC_FALLBACK_REFUSE] = "refuse", NULL};
    int store, fallback;
    if (!one_of(config, "store", stores, &store, err) ||
        !one_of(config, "if_unavailable", fallbacks, &fallback, err))
        return false;
    rates->shared = store == 1;
    rates->fallback = (enum slc_limit_fallback)fallback;
    return true;
}

static bool compile(const json_t *config, void **compiled, slc_error *err)
{
    static const char *const known[] = {"requests_per_second",
                                        "events_per_second",
                                        "bytes_per_second",
                                        "streams",
                                        "connections",
                                        "burst",
                                        "per",
                                        "store",
                                        "if_unavailable",
                                        NULL};
    struct rate_limit limit = {.subject = BY_APPLICATION};
    int64_t rates[SLC_LIMIT_RATES], streams, connections, burst;
    bool ok = slc_policy_config_known(config, known, err) && compile_subject(config, &limit, err) &&
              compile_store(config, &limit.rates, err);
    for (int i = 0; ok && i < SLC_LIMIT_RATES; i++)
        ok = slc_policy_config_int(config, known[i], 0, 1, MAX_RATE, &rates[i], err);
    ok = ok && slc_policy_config_int(config, "streams", 0, 1, 1000000, &streams, err) &&
         slc_policy_config_int(config, "connections", 0, 1, 1000000, &connections, err) &&
         slc_policy_config_int(config, "burst", 1, 1, MAX_BURST, &burst, err);
    if (!ok)
        return false;
    if (rates[0] + rates[1] + rates[2] + streams + connections == 0)
        return slc_fail(err, SLC_INVALID, "/config", "at least one limit must be set");
    for (int i = 0; i < SLC_LIMIT_RATES; i++)
        limit.rates.per_second[i] = (uint64_t)rates[i];
    limit.rates.streams = (uint32_t)streams;
    limit.rates.connections = (uint32_t)connections;
    limit.rates.burst_s = (uint32_t)burst;
    *compiled = slc_memdup(&limit, sizeof limit);
    return true;
}

static void release(void *compiled)
{
    free(compiled);
}

static const char *subject_of(enum subject subject, const slc_policy_request *request,
                              char address[SLC_NETWORK_SUBJECT])
{
    switch (subject) {
    case BY_APPLICATION:
        return request->principal->application_id;
    case BY_CREDENTIAL:
        return request->principal->credential_id;
    case BY_PLAN:
        return request->principal->plan_id;
    case BY_EVENT_API:
        return request->api->msg->id;
    case BY_ADDRESS:
        slc_network_subject(request->client_address, address);
        return address;
    default:
        return "";
    }
}

static void left_of(const slc_policy_request *request, const slc_limit_place *place,
                    const slc_shared_bucket *bucket, const slc_rates *rates, enum slc_limit_kind kind,
                    int64_t now_ns, uint64_t *left, int64_t *full_ms)
{
    if (bucket != NULL && kind != SLC_LIMIT_STREAMS && slc_shared_available(bucket))
        slc_shared_left(bucket, rates, kind, now_ns, left, full_ms);
    else
        slc_limits_left(request->charges->limits, place, rates, kind, now_ns, left, full_ms);
}

/* "requests";r=9;t=1 for each limit. */
static void add_headers(slc_policy_request *request, const slc_limit_place *place,
                        const slc_shared_bucket *bucket, const slc_rates *rates, int64_t now_ns)
{
    char quotas[256] = "", rest[256] = "";
    size_t quotas_len = 0, rest_len = 0;
    for (int kind = 0; kind <= SLC_LIMIT_STREAMS; kind++) {
        uint64_t quota = kind == SLC_LIMIT_STREAMS ? rates->streams : rates->per_second[kind] * rates->burst_s,
                 left;
        int64_t full_ms;
        if (quota == 0)
            continue;
        left_of(request, place, bucket, rates, kind, now_ns, &left, &full_ms);
        const char *comma = quotas_len > 0 ? ", " : "";
        quotas_len += (size_t)snprintf(quotas + quotas_len, sizeof quotas - quotas_len, "%s\"%s\";q=%" PRIu64,
                                       comma, kind_names[kind], quota);
        rest_len += (size_t)snprintf(rest + rest_len, sizeof rest - rest_len, "%s\"%s\";r=%" PRIu64, comma,
                                     kind_names[kind], left);
        if (kind == SLC_LIMIT_STREAMS)
            continue;
        quotas_len +=
            (size_t)snprintf(quotas + quotas_len, sizeof quotas - quotas_len, ";w=%" PRIu32, rates->burst_s);
        rest_len +=
            (size_t)snprintf(rest + rest_len, sizeof rest - rest_len, ";t=%" PRId64, (full_ms + 999) / 1000);
    }
    if (quotas_len == 0)
        return;
    request->add_header(request->protocol, "RateLimit-Policy", quotas);
    request->add_header(request->protocol, "RateLimit", rest);
}

/* Does the connection hold a place, or get one? One that gets none is closed with the answer. */
static bool hold_connection(slc_policy_request *request, const char *limit, const char *subject,
                            const slc_rates *rates, int64_t now_ns)
{
    slc_charges *held = request->connection != NULL ? request->connection(request->protocol) : NULL;
    if (held == NULL || slc_charges_hold(held, limit, subject, rates, now_ns))
        return true;
    request->add_header(request->protocol, "Connection", "close");
    return false;
}

static enum slc_verdict refuse(const slc_limit_answer *answer, const char *limit, const char *subject,
                               slc_denial *denial)
{
    (void)slc_deny(denial, 429, "rate-limited", "Too many requests",
                   answer->refused == SLC_LIMIT_STREAMS
                       ? "As many streams are open as may be; close one, or wait."
                       : "The limit is used up; wait as long as Retry-After says.",
                   "rate-limit %s: %s of %s", limit, kind_names[answer->refused], subject);
    denial->retry_after_ms = answer->retry_after_ms;
    return SLC_DENY;
}

/* `counted` is what is counted here of `rates`. The bucket, if there is one, is stolen. */
static enum slc_verdict take(slc_policy_request *request, const char *limit, const char *subject,
                             const slc_rates *rates, const slc_rates *counted, slc_shared_bucket *bucket,
                             slc_denial *denial)
{
    slc_limits *limits = request->charges->limits;
    slc_limit_answer answer;
    SLC_BUG_ON(limits == NULL);
    int64_t now_ns = slc_limits_now_ns();
    if (rates->connections > 0 && !hold_connection(request, limit, subject, rates, now_ns)) {
        (void)slc_deny(denial, 429, "rate-limited", "Too many connections",
                       "As many connections are open as may be; use one of them, or wait.",
                       "rate-limit %s: connections of %s", limit, subject);
        denial->retry_after_ms = 1000;
        slc_shared_bucket_unref(bucket);
        return SLC_DENY;
    }
    uint64_t hash = slc_limits_hash(limits, limit, subject);
    slc_limit_place *place = slc_limits_place(limits, hash, now_ns);
    slc_limits_settle(place, hash, counted, now_ns);
    bool taken = slc_charges_take(request->charges, place, counted, request->stream, now_ns, &answer);
    add_headers(request, place, bucket, rates, now_ns);
    if (!taken) {
        slc_shared_bucket_unref(bucket);
        return refuse(&answer, limit, subject, denial);
    }
    struct slc_charge *charge = &request->charges->list[request->charges->count - 1];
    snprintf(charge->limit, sizeof charge->limit, "%s", limit);
    charge->rates = *rates;
    charge->key = hash;
    if (bucket != NULL)
        slc_charges_share(request->charges, bucket);
    return SLC_PASS;
}

/* What Redis said, or that it has to be waited for. The bucket is the caller's then; NULL: there is none. */
static enum slc_shared_outcome ask_redis(slc_policy_request *request, const char *subject,
                                         const slc_rates *rates, slc_shared_bucket **bucket,
                                         slc_limit_answer *answer)
{
    slc_limit_pause *pause = request->pause;
    if (pause->waiter.answered) {
        *bucket = pause->bucket;
        *answer = pause->waiter.answer;
        pause->bucket = NULL;
        pause->waiter.answered = false;
        return pause->waiter.outcome;
    }
    *bucket = slc_shared_bucket_get(request->shared, slc_snapshot_group(request->snapshot)->name,
                                    request->policy_id, subject);
    if (*bucket == NULL)
        return SLC_SHARED_UNAVAILABLE;
    enum slc_shared_outcome outcome = slc_shared_take(*bucket, rates, &pause->waiter, answer);
    if (outcome == SLC_SHARED_WAITING)
        pause->bucket = *bucket;
    return outcome;
}

static enum slc_verdict refuse_unavailable(const char *limit, slc_denial *denial)
{
    (void)slc_deny(denial, 503, "limit-unavailable", "Limit unavailable",
                   "How much may be done cannot be found out now; retry later.",
                   "rate-limit %s: Redis is away, or too slow, and if_unavailable is refuse", limit);
    denial->retry_after_ms = 1000;
    return SLC_DENY;
}

static enum slc_verdict take_shared(slc_policy_request *request, const char *subject, const slc_rates *rates,
                                    slc_denial *denial)
{
    const slc_rates streams = {.streams = rates->streams, .burst_s = rates->burst_s};
    slc_shared_bucket *bucket = NULL;
    slc_limit_answer answer = {0};
    enum slc_shared_outcome outcome = request->shared != NULL && request->pause != NULL
                                          ? ask_redis(request, subject, rates, &bucket, &answer)
                                          : SLC_SHARED_UNAVAILABLE;
    if (outcome == SLC_SHARED_WAITING)
        return SLC_WAIT;
    /* One in dry run, and who only wants to know what would be, do not ask Redis. */
    bool local =
        outcome == SLC_SHARED_UNAVAILABLE && (rates->fallback == SLC_FALLBACK_LOCAL || request->pause == NULL);
    if (outcome == SLC_SHARED_TAKEN || local ||
        (outcome == SLC_SHARED_UNAVAILABLE && rates->fallback == SLC_FALLBACK_ALLOW))
        return take(request, request->policy_id, subject, rates, local ? rates : &streams, bucket, denial);
    enum slc_verdict verdict = outcome == SLC_SHARED_REFUSED
                                   ? refuse(&answer, request->policy_id, subject, denial)
                                   : refuse_unavailable(request->policy_id, denial);
    slc_shared_bucket_unref(bucket);
    return verdict;
}

static enum slc_verdict limit(void *compiled, slc_policy_request *request, slc_denial *denial)
{
    const struct rate_limit *limit_ = compiled;
    char address[SLC_NETWORK_SUBJECT];
    const char *subject = subject_of(limit_->subject, request, address);
    if (limit_->rates.shared)
        return take_shared(request, subject, &limit_->rates, denial);
    return take(request, request->policy_id, subject, &limit_->rates, &limit_->rates, NULL, denial);
}

static void native_rates(const void *compiled, const slc_policy_request *request, slc_native_rates *out)
{
    const struct rate_limit *limit_ = compiled;
    *out = (slc_native_rates){.rates = limit_->rates};
    if (limit_->subject == BY_PLAN)
        out->per = SLC_PER_PLAN;
    else if (limit_->subject == BY_EVENT_API)
        out->per = SLC_PER_EVENT_API;
    else
        out->subject = subject_of(limit_->subject, request, out->address);
}

const slc_policy_type slc_policy_rate_limit = {
    .name = "rate-limit",
    .summary =
        "Limits requests, events, bytes and open streams, for each application or whatever else is counted.",
    .config_schema =
        "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
        "\"requests_per_second\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000000000000,"
        "\"description\":\"Requests, and openings of streams.\"},"
        "\"events_per_second\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000000000000,"
        "\"description\":\"Events that are published or delivered. Who has taken more waits until it is paid "
        "for.\"},"
        "\"bytes_per_second\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000000000000,"
        "\"description\":\"Bytes of bodies, both ways.\"},"
        "\"streams\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000000,"
        "\"description\":\"Event streams that are open at once.\"},"
        "\"connections\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000000,"
        "\"description\":\"Connections that are open at once, of HTTP and native Kafka together. One too many: "
        "its "
        "requests get 429 and it is closed. A native one counts from its first request after it has "
        "authenticated.\"},"
        "\"burst\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":3600,\"default\":1,"
        "\"description\":\"Seconds whose worth may be taken at once.\"},"
        "\"per\":{\"type\":\"string\",\"enum\":[\"application\",\"credential\",\"plan\",\"event-api\","
        "\"address\","
        "\"all\"],\"default\":\"application\",\"description\":\"Whom it is counted for, each on its own; an "
        "address of IPv6 with all of its network of 64 bits. A "
        "native "
        "session belongs to each of its application\'s plans that grant something there, and what it does with "
        "records to the event APIs on their topics.\"},"
        "\"store\":{\"type\":\"string\",\"enum\":[\"local\",\"redis\"],\"default\":\"local\",\"description\":"
        "\"Who counts requests, events and bytes: each gateway for itself, at its share of the limit, or the "
        "Redis "
        "server of limits.redis-address for all of them. Streams and connections are always counted "
        "locally.\"},"
        "\"if_unavailable\":{\"type\":\"string\",\"enum\":[\"local\",\"allow\",\"refuse\"],\"default\":"
        "\"local\","
        "\"description\":\"While Redis is away or does not answer in time, or the gateway has none: each "
        "gateway "
        "counts for itself, nothing is limited, or nothing is let through.\"}}}",
    .compile = compile,
    .release = release,
    .limit = limit,
    .rates = native_rates,
};

/* ---- the limits of plans ---- */

static bool compile_nothing(const json_t *config, void **compiled, slc_error *err)
{
    (void)config, (void)err;
    *compiled = NULL;
    return true;
}

/* False: it has none. */
static bool rates_of_plan(const slc_plan *plan, slc_rates *rates)
{
    const Sluice__Snapshot__V1__Limits *limits = plan != NULL ? plan->msg->limits : NULL;
    if (limits == NULL)
        return false;
    *rates = (slc_rates){
        .per_second = {limits->requests_per_second, limits->events_per_second, limits->bytes_per_second},
        .streams = limits->streams,
        .connections = limits->connections,
        .burst_s = 1};
    return rates->per_second[0] + rates->per_second[1] + rates->per_second[2] + rates->streams +
               rates->connections >
           0;
}

/* The rates of the rate-limit policy in one of the chains; NULL: it has gone. */
static const slc_rates *rates_of_policy(const slc_chain *const *chains, size_t count, const char *id)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; chains[i] != NULL && j < chains[i]->count; j++) {
            const slc_chain_entry *entry = &chains[i]->entries[j];
            if (entry->type == &slc_policy_rate_limit && strcmp(entry->id, id) == 0)
                return &((const struct rate_limit *)entry->compiled)->rates;
        }
    return NULL;
}

void slc_limits_changed(const slc_snapshot *snapshot, const slc_event_api *api, const slc_principal *principal,
                        slc_charges *charges)
{
    const slc_chain *const chains[] = {api->chain, slc_snapshot_narrow(snapshot, principal->plan_id),
                                       slc_snapshot_narrow(snapshot, principal->application_id)};
    for (unsigned i = 0; i < charges->count; i++) {
        struct slc_charge *charge = &charges->list[i];
        slc_rates rates = {.burst_s = 1};
        if (charge->limit[0] == '\0')
            continue;
        const slc_plan *plan = slc_snapshot_plan(snapshot, charge->limit);
        const slc_rates *now = rates_of_policy(chains, sizeof chains / sizeof chains[0], charge->limit);
        if (now != NULL)
            rates = *now;
        else
            (void)rates_of_plan(plan, &rates);
        charge->rates = rates; /* none: nothing more is paid, and what was owed is forgiven */
        slc_limits_settle(charge->place, charge->key, &rates, slc_limits_now_ns());
    }
}

static enum slc_verdict limit_by_plan(void *compiled, slc_policy_request *request, slc_denial *denial)
{
    const slc_principal *principal = request->principal;
    const slc_plan *plan =
        principal->plan_id[0] != '\0' ? slc_snapshot_plan(request->snapshot, principal->plan_id) : NULL;
    slc_rates rates;
    (void)compiled;
    if (!rates_of_plan(plan, &rates))
        return SLC_PASS;
    return take(request, principal->plan_id, principal->application_id, &rates, &rates, NULL, denial);
}

const slc_policy_type slc_policy_plan_limits = {
    .name = "plan-limits",
    .summary = "The limits of the plan, for each application.",
    .config_schema = "{\"type\":\"object\",\"additionalProperties\":false}",
    .compile = compile_nothing,
    .limit = limit_by_plan,
};
