/* Chains: the policies of one event API, compiled, ordered and run. Default deny. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "dataplane/policy/chain_private.h"
#include "dataplane/policy/credential.h"
#include "dataplane/policy/record_chain.h"

#define CHAIN_MAGIC      0x51c4a15eu
#define MAX_CONFIG_BYTES (256 * 1024)
#define PARTS            3 /* policies of wide scopes, of the plan, of the application */

/* In this order: what a client says it is comes before what its connection says of it. */
static const slc_policy_type *const builtin_types[] = {&slc_policy_key_auth, &slc_policy_oidc,
                                                       &slc_policy_mtls,     &slc_policy_subscription,
                                                       &slc_policy_ticket,   &slc_policy_plan_limits};
#define BUILTINS (sizeof builtin_types / sizeof *builtin_types)

static bool compile_entry(slc_chain_entry *entry, const Sluice__Snapshot__V1__Policy *policy, slc_error *err);
static void release_entry(slc_chain_entry *entry);
static int compare_policies(const void *a, const void *b);

static bool is_way_in(const slc_policy_type *type)
{
    return type->way != NULL;
}

/* Who configures how clients authenticate does not want the other ways. */
static bool replaces(const slc_policy_type *configured, const slc_policy_type *builtin)
{
    return configured == builtin || (is_way_in(builtin) && is_way_in(configured));
}

/* The policies that hold when nobody configured any. They come last in their phase, so that a configured one of
 * another type may authenticate first. */
static bool add_builtin(slc_chain *chain, const slc_policy_type *type, slc_error *err)
{
    slc_chain_entry *entry = &chain->entries[chain->count];
    for (size_t i = 0; i < chain->configured; i++)
        if (replaces(chain->entries[i].type, type) && !chain->entries[i].dry_run)
            return true;
    json_t *config = json_object();
    memset(entry, 0, sizeof *entry);
    bool ok = type->compile(config, &entry->compiled, err);
    json_decref(config);
    if (!ok)
        return false;
    entry->type = type;
    entry->id = slc_strdup("");
    entry->name = slc_asprintf("built-in %s", type->name);
    entry->scope_id = slc_strdup("");
    chain->count++;
    return true;
}

/* Does some policy change headers of HTTP? */
static void find_headers(slc_chain *chain)
{
    for (size_t i = 0; i < chain->count; i++)
        if (chain->entries[i].type == &slc_policy_headers && !chain->entries[i].dry_run)
            chain->headers = true;
}

static slc_chain *compile(const Sluice__Snapshot__V1__Policy *const *policies, size_t count, bool builtins,
                          slc_error *err)
{
    slc_chain *chain = slc_calloc(1, sizeof *chain + (count + BUILTINS) * sizeof chain->entries[0]);
    const Sluice__Snapshot__V1__Policy **sorted = slc_calloc(count + 1, sizeof *sorted);
    bool ok = true;
    chain->magic = CHAIN_MAGIC;
    chain->refs = 1;
    if (count > 0)
        memcpy(sorted, policies, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_policies);
    for (size_t i = 0; ok && i < count; i++) {
        ok = compile_entry(&chain->entries[i], sorted[i], err);
        chain->count += ok ? 1 : 0;
    }
    chain->configured = chain->count;
    for (size_t i = 0; i < chain->count; i++)
        chain->entries[i].chain = chain;
    find_headers(chain);
    for (size_t i = 0; ok && builtins && i < BUILTINS; i++)
        ok = add_builtin(chain, builtin_types[i], err);
    free(sorted);
    if (ok)
        return chain;
    slc_chain_free(chain);
    return NULL;
}

slc_chain *slc_chain_compile(const Sluice__Snapshot__V1__Policy *const *policies, size_t count, slc_error *err)
{
    return compile(policies, count, true, err);
}

slc_chain *slc_chain_compile_narrow(const Sluice__Snapshot__V1__Policy *const *policies, size_t count,
                                    slc_error *err)
{
    return compile(policies, count, false, err);
}

slc_chain *slc_chain_ref(slc_chain *chain)
{
    __atomic_add_fetch(&chain->refs, 1, __ATOMIC_RELAXED);
    return chain;
}

void slc_chain_free(slc_chain *chain)
{
    if (chain == NULL)
        return;
    SLC_CHECK_MAGIC(chain, CHAIN_MAGIC);
    if (__atomic_sub_fetch(&chain->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < chain->count; i++)
        release_entry(&chain->entries[i]);
    chain->magic = 0;
    free(chain);
}

static void release_entry(slc_chain_entry *entry)
{
    if (entry->type->release != NULL && entry->compiled != NULL)
        entry->type->release(entry->compiled);
    slc_cel_free(entry->condition);
    free(entry->id);
    free(entry->name);
    free(entry->scope_id);
    free(entry->decisions);
}

static bool compile_entry(slc_chain_entry *entry, const Sluice__Snapshot__V1__Policy *policy, slc_error *err)
{
    slc_error inner = {0};
    char field[160];
    snprintf(field, sizeof field, "policy/%s", policy->name);
    const slc_policy_type *type = slc_policy_type_find(policy->type);
    if (type == NULL)
        return slc_fail(err, SLC_UNSUPPORTED, field, "this gateway has no policy type %s", policy->type);
    slc_cel *condition = NULL;
    if (policy->condition[0] != '\0' && (condition = slc_condition_compile(policy->condition, &inner)) == NULL)
        return slc_fail(err, inner.code, field, "/condition: %s", inner.message);
    const char *text = policy->config_json[0] != '\0' ? policy->config_json : "{}";
    json_t *config = slc_json_parse(text, strlen(text), MAX_CONFIG_BYTES, &inner);
    bool ok = config != NULL;
    if (ok && !json_is_object(config))
        ok = slc_fail(&inner, SLC_INVALID, "/config", "config must be an object");
    ok = ok && type->compile(config, &entry->compiled, &inner);
    json_decref(config);
    if (!ok) {
        slc_cel_free(condition);
        return slc_fail(err, inner.code, field, "%s%s%s", inner.field, inner.field[0] != '\0' ? ": " : "",
                        inner.message);
    }
    entry->type = type;
    entry->condition = condition;
    entry->id = slc_strdup(policy->id);
    entry->name = slc_strdup(policy->name);
    entry->scope = policy->scope;
    entry->scope_id = slc_strdup(policy->scope_id);
    entry->dry_run = policy->dry_run;
    entry->decisions = slc_calloc(1, sizeof *entry->decisions);
    return true;
}

/* Wide before narrow, then by order, then by name, so that the outcome never depends on how rows came. */
static int compare_policies(const void *a, const void *b)
{
    const Sluice__Snapshot__V1__Policy *x = *(const Sluice__Snapshot__V1__Policy *const *)a;
    const Sluice__Snapshot__V1__Policy *y = *(const Sluice__Snapshot__V1__Policy *const *)b;
    if (x->scope != y->scope)
        return x->scope < y->scope ? -1 : 1;
    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    return strcmp(x->name, y->name);
}

bool slc_chain_concerns(const slc_chain_entry *entry, const slc_principal *principal)
{
    if (entry->scope == SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_PLAN)
        return strcmp(entry->scope_id, principal->plan_id) == 0;
    if (entry->scope == SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_APPLICATION)
        return strcmp(entry->scope_id, principal->application_id) == 0;
    return true;
}

typedef enum slc_verdict (*phase_fn)(void *compiled, slc_policy_request *request, slc_denial *denial);

enum phase { ON_REQUEST, AUTHENTICATE, AUTHORISE, LIMIT, TRANSFORM, RECORDS, PHASES };

static const char *const phase_names[PHASES] = {"request", "authenticate", "authorise",
                                                "limit",   "transform",    "records"};

/* Of every type that does something to records: who has them at hand binds those that take part. */
static enum slc_verdict note_records(void *compiled, slc_policy_request *request, slc_denial *denial)
{
    (void)compiled, (void)denial;
    if (request->records != NULL)
        slc_record_policies_add(request->records, request->asked);
    return SLC_PASS;
}

static bool acts_on_records(const slc_chain_entry *entry, const slc_policy_request *request)
{
    enum slc_record_direction direction =
        request->operation == SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_PUBLISH ? SLC_RECORDS_PRODUCE
                                                                                 : SLC_RECORDS_CONSUME;
    return slc_record_ops_act(entry->type->records, entry->compiled, direction);
}

static phase_fn phase_of(const slc_policy_type *type, enum phase phase)
{
    switch (phase) {
    case ON_REQUEST:
        return type->on_request;
    case AUTHENTICATE:
        return type->authenticate;
    case AUTHORISE:
        return type->authorise;
    case LIMIT:
        return type->limit;
    case TRANSFORM:
        return type->transform;
    case RECORDS:
        return type->records != NULL ? note_records : NULL;
    case PHASES:
        break;
    }
    return NULL;
}

static void drop_header(void *protocol, const char *name, const char *value)
{
    (void)protocol, (void)name, (void)value;
}

/* A condition that cannot be evaluated refuses the request: nobody knows what the policy would have said. */
enum slc_condition_answer slc_chain_condition(const slc_chain_entry *entry, slc_policy_request *request,
                                              slc_denial *denial)
{
    char why[128];
    enum slc_condition_answer answer = entry->condition == NULL
                                           ? SLC_CONDITION_TRUE
                                           : slc_condition_ask(entry->condition, request, why, sizeof why);
    if (answer == SLC_CONDITION_UNKNOWN) {
        (void)slc_deny(denial, 403, "denied", "Denied", NULL, "%s: its condition cannot be evaluated, %s",
                       entry->name, why);
        denial->unevaluated = entry->name;
    }
    return answer;
}

void slc_chain_tell(const slc_chain_entry *entry, const char *phase, slc_policy_request *request,
                    enum slc_condition_answer answer, enum slc_verdict verdict, const slc_denial *denial)
{
    static const char *const answers[] = {
        [SLC_CONDITION_FALSE] = "false", [SLC_CONDITION_TRUE] = "true", [SLC_CONDITION_UNKNOWN] = "unknown"};
    slc_trace *trace = request->trace;
    if (trace == NULL)
        return;
    const slc_step step = {.phase = phase,
                           .id = entry->id,
                           .name = entry->name,
                           .type = entry->type->name,
                           .scope = entry->scope,
                           .scope_id = entry->scope_id,
                           .condition = entry->condition != NULL ? answers[answer] : NULL,
                           .dry_run = entry->dry_run,
                           .verdict = verdict,
                           .reason = verdict == SLC_DENY    ? denial->reason
                                     : verdict == SLC_ALLOW ? trace->why
                                                            : ""};
    trace->told(trace->ctx, &step);
    trace->why[0] = '\0';
}

void slc_chain_tell_dry(const slc_chain_entry *entry, const slc_policy_request *request,
                        const slc_denial *denial)
{
    if (request->trace == NULL)
        slc_decisions_tell(entry->decisions, entry->name, denial->reason);
}

/* Does the policy take part? */
static enum slc_condition_answer holds(const slc_chain_entry *entry, slc_policy_request *request,
                                       slc_denial *denial)
{
    return slc_chain_concerns(entry, request->principal) ? slc_chain_condition(entry, request, denial)
                                                         : SLC_CONDITION_FALSE;
}

/* Asks a policy and does not do what it says: the log tells what would have happened. */
static void run_dry(const slc_chain_entry *entry, uint64_t bit, enum phase phase,
                    const slc_policy_request *request, slc_counted *counted)
{
    slc_principal principal = *request->principal;
    slc_policy_request copy = *request;
    slc_denial denial = {0};
    copy.principal = &principal;
    copy.add_header = drop_header;
    copy.headers = NULL;
    copy.records = NULL;
    copy.pause = NULL;
    unsigned charged = request->charges != NULL ? request->charges->count : 0;
    enum slc_condition_answer answer = holds(entry, &copy, &denial);
    enum slc_verdict verdict = answer == SLC_CONDITION_UNKNOWN ? SLC_DENY
                               : answer == SLC_CONDITION_TRUE
                                   ? phase_of(entry->type, phase)(entry->compiled, &copy, &denial)
                                   : SLC_PASS;
    if (verdict == SLC_DENY &&
        (counted->dry_denied & bit) == 0) { /* in earnest there would be no later phase */
        slc_chain_count(entry, request, SLC_OUTCOME_DRY_DENIED);
        slc_chain_tell_dry(entry, request, &denial);
        counted->dry_denied |= bit;
    }
    if (slc_chain_concerns(entry, request->principal))
        slc_chain_tell(entry, phase_names[phase], &copy, answer, verdict, &denial);
    for (unsigned i = charged; request->charges != NULL && i < request->charges->count; i++)
        request->charges->list[i].dry = true;
}

/* Counts what a policy said. Who takes part in several phases lets a request through once. */
static void count_verdict(const slc_chain_entry *entry, const slc_policy_request *request, uint64_t bit,
                          enum phase phase, enum slc_verdict verdict, slc_counted *counted)
{
    bool asks = phase == AUTHENTICATE || phase == AUTHORISE; /* there, to pass is to say nothing */
    if (verdict == SLC_DENY) {
        slc_chain_count(entry, request, SLC_OUTCOME_DENIED);
    } else if ((verdict != SLC_PASS || !asks) && (counted->allowed & bit) == 0) {
        slc_chain_count(entry, request, SLC_OUTCOME_ALLOWED);
        counted->allowed |= bit;
    }
}

/* From entry `*at` on: the first that has something to say decides, and `*at` is which. */
static enum slc_verdict run_from(const slc_chain *chain, enum phase phase, size_t *at,
                                 slc_policy_request *request, slc_denial *denial, slc_counted *counted)
{
    for (; *at < chain->count; ++*at) {
        const slc_chain_entry *entry = &chain->entries[*at];
        uint64_t bit = *at < 64 ? UINT64_C(1) << *at : 0;
        phase_fn fn = phase_of(entry->type, phase);
        if (fn == NULL || (phase == RECORDS && !acts_on_records(entry, request)))
            continue;
        request->policy_id = entry->id;
        request->asked = entry;
        if (entry->dry_run) {
            run_dry(entry, bit, phase, request, counted);
            continue;
        }
        enum slc_condition_answer answer = holds(entry, request, denial);
        enum slc_verdict verdict = answer == SLC_CONDITION_UNKNOWN ? SLC_DENY
                                   : answer == SLC_CONDITION_TRUE  ? fn(entry->compiled, request, denial)
                                                                   : SLC_PASS;
        bool yields = answer == SLC_CONDITION_TRUE && verdict == SLC_DENY && entry->type->yields;
        if (answer == SLC_CONDITION_UNKNOWN)
            slc_chain_count(entry, request, SLC_OUTCOME_ERROR);
        else if (answer == SLC_CONDITION_TRUE && verdict != SLC_WAIT && !yields)
            count_verdict(entry, request, bit, phase, verdict, counted);
        if (request->trace != NULL && slc_chain_concerns(entry, request->principal))
            slc_chain_tell(entry, phase_names[phase], request, answer, verdict, denial);
        if (verdict == SLC_ALLOW && phase == AUTHENTICATE)
            request->principal->by = entry->type->name;
        if (yields)
            request->yielded = entry;
        else if (verdict != SLC_PASS)
            return verdict;
    }
    return SLC_PASS;
}

static enum slc_verdict run_entries(const slc_chain *chain, enum phase phase, slc_policy_request *request,
                                    slc_denial *denial, slc_counted *counted)
{
    size_t at = 0;
    return run_from(chain, phase, &at, request, denial, counted);
}

static enum slc_verdict run_narrow(const char *id, enum phase phase, slc_policy_request *request,
                                   slc_denial *denial, slc_counted *counted)
{
    const slc_chain *narrow = id[0] != '\0' ? slc_snapshot_narrow(request->snapshot, id) : NULL;
    return narrow != NULL ? run_entries(narrow, phase, request, denial, counted) : SLC_PASS;
}

const slc_chain *slc_chain_of_subscription(const slc_snapshot *snapshot,
                                           const Sluice__Snapshot__V1__Subscription *subscription)
{
    const slc_chain *rules = slc_snapshot_narrow(snapshot, subscription->plan_id);
    bool live =
        rules != NULL && (subscription->expires_at_ms == 0 || subscription->expires_at_ms > slc_wall_ms());
    return live ? rules : NULL;
}

static void take_subscription(slc_principal *principal, const Sluice__Snapshot__V1__Subscription *subscription)
{
    snprintf(principal->plan_id, sizeof principal->plan_id, "%s", subscription->plan_id);
    snprintf(principal->subscription_id, sizeof principal->subscription_id, "%s", subscription->id);
    if (subscription->expires_at_ms != 0 &&
        (principal->expires_at_ms == 0 || subscription->expires_at_ms < principal->expires_at_ms))
        principal->expires_at_ms = subscription->expires_at_ms;
}

/* The rules of all plans that the application subscribes to, as on native Kafka: they hold whatever the plan
 * grants by itself. Where they alone grant, the request is made under that plan. `verdict` is what the chain
 * said; the plan that it took is asked later, with the limits. */
static enum slc_verdict ask_plans(slc_policy_request *request, slc_denial *denial, enum slc_verdict verdict)
{
    slc_principal *principal = request->principal;
    const Sluice__Snapshot__V1__Application *application =
        slc_snapshot_application(request->snapshot, principal->application_id);
    for (size_t i = 0; application != NULL && i < application->n_subscriptions; i++) {
        const Sluice__Snapshot__V1__Subscription *subscription = application->subscriptions[i];
        const slc_chain *rules = slc_chain_of_subscription(request->snapshot, subscription);
        if (rules == NULL || (verdict == SLC_ALLOW && strcmp(subscription->plan_id, principal->plan_id) == 0))
            continue;
        const slc_principal before = *principal;
        slc_counted counted = {0};
        take_subscription(principal, subscription);
        enum slc_verdict said = run_entries(rules, AUTHORISE, request, denial, &counted);
        if (said == SLC_DENY)
            return SLC_DENY;
        if (said == SLC_ALLOW && verdict != SLC_ALLOW)
            request->counted[1] = counted;
        else
            *principal = before;
        verdict = said == SLC_ALLOW ? SLC_ALLOW : verdict;
    }
    return verdict;
}

/* The chain, then the policies of the plan and of the application, once they are known: those of all plans and
 * applications together may be very many, and one of each concerns a request. */
static enum slc_verdict run_phase(const slc_chain *chain, enum phase phase, slc_policy_request *request,
                                  slc_denial *denial)
{
    enum slc_verdict verdict = run_entries(chain, phase, request, denial, &request->counted[0]);
    if (phase == AUTHORISE && verdict != SLC_DENY)
        verdict = ask_plans(request, denial, verdict);
    if (verdict == SLC_PASS && phase >= LIMIT)
        verdict = run_narrow(request->principal->plan_id, phase, request, denial, &request->counted[1]);
    if (verdict == SLC_PASS && phase >= AUTHORISE)
        verdict = run_narrow(request->principal->application_id, phase, request, denial, &request->counted[2]);
    return verdict;
}

static const slc_chain *part_of(const slc_chain *chain, const slc_policy_request *request, unsigned part)
{
    const char *id = part == 1 ? request->principal->plan_id : request->principal->application_id;
    return part == 0 ? chain : id[0] != '\0' ? slc_snapshot_narrow(request->snapshot, id) : NULL;
}

/* As a phase, which may pause at any entry and go on there. */
static enum slc_verdict run_limits(const slc_chain *chain, slc_policy_request *request, slc_denial *denial)
{
    slc_limit_pause once = {0}, *pause = request->pause != NULL ? request->pause : &once;
    for (; pause->part < PARTS; pause->part++, pause->entry = 0) {
        const slc_chain *part = part_of(chain, request, pause->part);
        enum slc_verdict verdict =
            part != NULL ? run_from(part, LIMIT, &pause->entry, request, denial, &request->counted[pause->part])
                         : SLC_PASS;
        if (verdict != SLC_PASS)
            return verdict;
    }
    return SLC_PASS;
}

void slc_limit_pause_release(slc_limit_pause *pause)
{
    slc_shared_unwait(&pause->waiter);
    slc_shared_bucket_unref(pause->bucket);
    pause->bucket = NULL;
}

/* Tells how one may authenticate. */
static enum slc_verdict ask_who(const slc_chain *chain, slc_policy_request *request, slc_denial *denial)
{
    size_t len = 0;
    slc_deny(denial, 401, "unauthenticated", "Authentication required", denial->text,
             "no policy authenticated the request");
    for (size_t i = 0; i < chain->count; i++) {
        const slc_chain_entry *entry = &chain->entries[i];
        slc_way way = {0};
        if (!is_way_in(entry->type) || entry->dry_run || !entry->type->way(entry->compiled, request, &way))
            continue;
        if (way.challenge != NULL)
            request->add_header(request->protocol, "WWW-Authenticate", way.challenge);
        if (len < sizeof denial->text)
            len += (size_t)snprintf(denial->text + len, sizeof denial->text - len, "%s%s",
                                    len == 0 ? "Send " : ", or ", way.text);
    }
    if (len > 0 && len < sizeof denial->text)
        snprintf(denial->text + len, sizeof denial->text - len, ".");
    return SLC_DENY;
}

enum slc_verdict slc_chain_resume(const slc_chain *chain, slc_policy_request *request, slc_denial *denial)
{
    enum slc_verdict verdict = run_limits(chain, request, denial);
    if (verdict != SLC_PASS)
        return verdict;
    if (run_phase(chain, TRANSFORM, request, denial) == SLC_DENY ||
        run_phase(chain, RECORDS, request, denial) == SLC_DENY)
        return SLC_DENY;
    if (request->headers != NULL)
        request->headers->judged = true;
    return SLC_ALLOW;
}

enum slc_verdict slc_chain_run(const slc_chain *chain, slc_policy_request *request, slc_denial *denial)
{
    SLC_CHECK_MAGIC(chain, CHAIN_MAGIC);
    enum slc_verdict verdict = run_phase(chain, ON_REQUEST, request, denial);
    if (verdict != SLC_PASS)
        return verdict;
    verdict = run_phase(chain, AUTHENTICATE, request, denial);
    if (verdict == SLC_PASS || (verdict == SLC_ALLOW && !request->principal->authenticated))
        verdict = ask_who(chain, request, denial);
    denial->unauthenticated = verdict == SLC_DENY;
    if (verdict == SLC_DENY)
        return verdict;
    verdict = run_phase(chain, AUTHORISE, request, denial);
    if (verdict == SLC_DENY)
        return verdict;
    if (verdict != SLC_ALLOW && request->yielded != NULL) { /* what it said stands */
        slc_chain_count(request->yielded, request, SLC_OUTCOME_DENIED);
        return SLC_DENY;
    }
    if (verdict != SLC_ALLOW)
        return slc_deny(denial, 403, "denied", "Denied", NULL, "no policy granted the request");
    *denial = (slc_denial){0};
    return slc_chain_resume(chain, request, denial);
}

/* Nothing is refused here any more: a condition that cannot be evaluated leaves its policy out. */
void slc_chain_answer_headers(const slc_chain *chain, slc_policy_request *request)
{
    slc_denial denial = {0};
    SLC_CHECK_MAGIC(chain, CHAIN_MAGIC);
    for (size_t i = 0; chain->headers && i < chain->count; i++) {
        const slc_chain_entry *entry = &chain->entries[i];
        if (entry->type == &slc_policy_headers && !entry->dry_run &&
            holds(entry, request, &denial) == SLC_CONDITION_TRUE)
            slc_header_policies_add(request->headers, entry->compiled);
    }
}

bool slc_chain_records(const slc_chain *chain, slc_policy_request *request)
{
    slc_denial denial = {0};
    SLC_CHECK_MAGIC(chain, CHAIN_MAGIC);
    slc_record_policies_clear(request->records);
    return run_phase(chain, RECORDS, request, &denial) != SLC_DENY;
}

void slc_chain_other_answer(const slc_chain *chain, slc_policy_request *request)
{
    slc_denial denial = {0};
    SLC_CHECK_MAGIC(chain, CHAIN_MAGIC);
    for (size_t i = 0; i < chain->count; i++) {
        const slc_chain_entry *entry = &chain->entries[i];
        if (entry->type->on_other_answer == NULL || entry->dry_run)
            continue;
        request->policy_id = entry->id;
        if (holds(entry, request, &denial) == SLC_CONDITION_TRUE)
            entry->type->on_other_answer(entry->compiled, request);
    }
}
