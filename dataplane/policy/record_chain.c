#include "dataplane/policy/record_chain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/metrics.h"
#include "dataplane/policy/chain_private.h"

#define NAME       "sluice_policy_records_total"
#define MAX_SERIES 4000

/* ---- metrics ---- */

static const slc_metric metrics[] = {
    {NAME,
     SLC_COUNTER,
     "Records that policies did not let through: dropped (as it should be), withheld (it could not be judged), "
     "rejected, retriable (rejected for now), put_aside (went to a dead letter topic), letters_lost.",
     {"policy", "outcome"},
     MAX_SERIES,
     NULL},
    {NULL, SLC_COUNTER, NULL, {NULL}, 0, NULL},
};

static bool registered;

void slc_record_metrics_register(void)
{
    slc_metrics_register(metrics);
    registered = true;
}

static slc_series *series_of(const char *policy, enum slc_record_outcome outcome)
{
    static const char *const names[SLC_RECORD_OUTCOMES] = {"dropped",   "withheld",  "rejected",
                                                           "retriable", "put_aside", "letters_lost"};
    const char *labels[] = {policy, names[outcome]};
    return registered ? slc_metrics_series(NAME, labels) : NULL;
}

void slc_record_count(const char *policy, enum slc_record_outcome outcome)
{
    slc_series *series = series_of(policy, outcome);
    if (series != NULL)
        slc_series_add(series, 1);
}

/* ---- which take part ---- */

void slc_record_policies_add(slc_record_policies *policies, const slc_chain_entry *entry)
{
    if (policies->count == policies->cap) {
        policies->cap = policies->cap == 0 ? 4 : 2 * policies->cap;
        policies->items = slc_realloc(policies->items, policies->cap * sizeof *policies->items);
    }
    policies->items[policies->count++] = entry;
}

void slc_record_policies_clear(slc_record_policies *policies)
{
    policies->count = 0;
}

void slc_record_policies_release(slc_record_policies *policies)
{
    free(policies->items);
    *policies = (slc_record_policies){0};
}

bool slc_record_policies_same(const slc_record_policies *a, const slc_record_policies *b)
{
    return a->count == b->count &&
           (a->count == 0 || memcmp(a->items, b->items, a->count * sizeof *a->items) == 0);
}

enum slc_record_audience slc_record_policies_audience(const slc_record_policies *policies)
{
    enum slc_record_audience narrowest = SLC_AUDIENCE_ALL;
    for (size_t i = 0; i < policies->count; i++) {
        const slc_chain_entry *entry = policies->items[i];
        enum slc_record_audience audience = entry->type->records->audience != NULL
                                                ? entry->type->records->audience(entry->compiled)
                                                : SLC_AUDIENCE_ALL;
        narrowest = audience > narrowest ? audience : narrowest;
    }
    return narrowest;
}

enum slc_verdict slc_record_access(void *compiled, const slc_access_question *question, slc_denial *denial)
{
    (void)compiled, (void)question, (void)denial;
    return SLC_PASS;
}

/* ---- binding ---- */

struct step {
    const slc_record_ops *ops;
    slc_policy_record_fn *fn;
    void *bound;
    bool owned; /* unbind() it */
    char *name; /* of the policy */
    char *dead_letter_topic;
    slc_chain *chain; /* own reference, of the compiled policy */
    slc_series *series[SLC_RECORD_OUTCOMES];
    slc_error broken; /* code SLC_OK: it is not */
};

struct slc_record_chain {
    enum slc_record_direction direction;
    bool headers;
    bool encrypts;
    slc_vcluster *vcluster; /* own reference */
    char *topic;
    char application_id[24], application_name[64];
    size_t count;
    struct step steps[];
};

/* Smaller is earlier. */
static int place_of(const struct step *step, enum slc_record_direction direction)
{
    bool first = direction == SLC_RECORDS_CONSUME && step->ops->rank == SLC_RANK_ENCRYPT;
    return first ? -1 : (int)step->ops->rank;
}

/* Stable: few there are, in the order of their scopes. */
static void sort(slc_record_chain *chain)
{
    for (size_t i = 1; i < chain->count; i++) {
        struct step step = chain->steps[i];
        int place = place_of(&step, chain->direction);
        size_t at = i;
        /* What was encrypted last is decrypted first. */
        for (; at > 0 && place_of(&chain->steps[at - 1], chain->direction) >= place + (place < 0 ? 0 : 1); at--)
            chain->steps[at] = chain->steps[at - 1];
        chain->steps[at] = step;
    }
}

/* False: it does nothing here. */
static bool bind_step(struct step *step, const slc_chain_entry *entry, const slc_record_subject *subject)
{
    const slc_record_ops *ops = entry->type->records;
    slc_record_subject own = *subject;
    *step = (struct step){.ops = ops,
                          .fn = subject->direction == SLC_RECORDS_PRODUCE ? ops->on_produce_record
                                                                          : ops->on_consume_record,
                          .bound = entry->compiled};
    own.policy_id = entry->id;
    own.policy_name = entry->name;
    if (own.api == NULL && entry->scope == SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_EVENT_API)
        own.api = slc_snapshot_event_api_by_id(subject->snapshot, entry->scope_id);
    if (ops->bind != NULL) {
        step->bound = NULL;
        step->owned = ops->bind(entry->compiled, &own, &step->bound, &step->broken);
        if (!step->owned && step->broken.code == SLC_OK)
            slc_fail(&step->broken, SLC_INTERNAL, NULL, "it cannot be applied here");
        if (step->owned && step->bound == NULL)
            return false;
    }
    const char *letters = ops->dead_letter_topic != NULL ? ops->dead_letter_topic(entry->compiled) : NULL;
    step->dead_letter_topic = letters != NULL && letters[0] != '\0' ? slc_strdup(letters) : NULL;
    step->name = slc_strdup(entry->name);
    step->chain = slc_chain_ref(entry->chain);
    return true;
}

slc_record_chain *slc_record_chain_bind(const slc_record_policies *policies, const slc_record_subject *subject)
{
    slc_record_chain *chain = NULL;
    for (size_t i = 0; i < policies->count; i++) {
        const slc_chain_entry *entry = policies->items[i];
        if (!slc_record_ops_act(entry->type->records, entry->compiled, subject->direction))
            continue;
        if (chain == NULL) {
            chain = slc_calloc(1, sizeof *chain + policies->count * sizeof chain->steps[0]);
            chain->direction = subject->direction;
        }
        if (!bind_step(&chain->steps[chain->count], entry, subject))
            continue;
        chain->headers = chain->headers || entry->type->records->headers;
        chain->encrypts = chain->encrypts || entry->type->records->rank == SLC_RANK_ENCRYPT;
        chain->count++;
    }
    if (chain != NULL && chain->count == 0) {
        free(chain);
        return NULL;
    }
    if (chain == NULL)
        return NULL;
    const slc_principal *principal = subject->request->principal;
    chain->vcluster = slc_vcluster_ref((slc_vcluster *)subject->vcluster);
    chain->topic = slc_strdup(subject->topic);
    snprintf(chain->application_id, sizeof chain->application_id, "%s", principal->application_id);
    snprintf(chain->application_name, sizeof chain->application_name, "%s", principal->application_name);
    sort(chain);
    return chain;
}

void slc_record_chain_free(slc_record_chain *chain)
{
    if (chain == NULL)
        return;
    for (size_t i = 0; i < chain->count; i++) {
        struct step *step = &chain->steps[i];
        if (step->owned && step->ops->unbind != NULL)
            step->ops->unbind(step->bound);
        free(step->name);
        free(step->dead_letter_topic);
        slc_chain_free(step->chain);
    }
    slc_vcluster_unref(chain->vcluster);
    free(chain->topic);
    free(chain);
}

bool slc_record_chain_holds(const slc_record_chain *chain, const slc_snapshot *snapshot)
{
    for (size_t i = 0; i < chain->count; i++) {
        const struct step *step = &chain->steps[i];
        if (step->broken.code != SLC_OK ||
            (step->owned && step->ops->holds != NULL && !step->ops->holds(step->bound, snapshot)))
            return false;
    }
    return true;
}

bool slc_record_chain_wants_headers(const slc_record_chain *chain)
{
    return chain->headers;
}

/* ---- at work ---- */

static void count(struct step *step, enum slc_record_outcome outcome)
{
    if (step->series[outcome] == NULL)
        step->series[outcome] = series_of(step->name, outcome);
    if (step->series[outcome] != NULL)
        slc_series_add(step->series[outcome], 1);
}

/* As the masks would have stored it. A value that they cannot look into is left out, and is not null: a letter
 * ends no other of the same key. */
static slc_policy_record masked(const slc_record_chain *chain, slc_record_turn *turn,
                                const slc_policy_record *came)
{
    slc_policy_record shown = *came;
    slc_record_turn now = {.scratch = turn->scratch}; /* nobody waits for a letter */
    for (size_t i = 0; i < chain->count; i++) {
        const struct step *step = &chain->steps[i];
        slc_record_problem unused = {0};
        if (step->ops->rank != SLC_RANK_MASK || shown.value == NULL)
            continue;
        enum slc_record_verdict verdict =
            step->broken.code != SLC_OK ? SLC_RECORD_REJECT : step->fn(step->bound, &now, &shown, &unused);
        if (verdict != SLC_RECORD_KEEP && verdict != SLC_RECORD_CHANGE) {
            shown.value = (const uint8_t *)"";
            shown.value_len = 0;
            break;
        }
    }
    return shown;
}

/* What a letter holds is what would have been stored at most. */
static void put_aside(const slc_record_chain *chain, const struct step *step, slc_record_turn *turn,
                      slc_dead_letters *letters, const slc_policy_record *came,
                      const slc_record_problem *problem)
{
    bool written = chain->direction == SLC_RECORDS_PRODUCE, secret = chain->encrypts && written;
    const slc_policy_record bare = {.partition = came->partition, .offset = came->offset, .timestamp_ms = -1};
    const slc_policy_record shown = secret || !written ? *came : masked(chain, turn, came);
    const slc_dead_letter letter = {.backend = chain->vcluster->backend,
                                    .dead_letter_topic = step->dead_letter_topic,
                                    .policy = step->name,
                                    .reason = problem->why,
                                    .topic = chain->topic,
                                    .application_id = chain->application_id,
                                    .application_name = chain->application_name,
                                    .direction = chain->direction,
                                    .record = secret ? &bare : &shown,
                                    .bare = secret};
    letters->put(letters, &letter);
}

static enum slc_record_verdict reject(slc_record_chain *chain, struct step *step, slc_record_turn *turn,
                                      slc_dead_letters *letters, const slc_policy_record *came,
                                      slc_record_problem *problem)
{
    bool retriable = problem->code == SLC_UNAVAILABLE || problem->code == SLC_TIMEOUT;
    problem->policy = step->name;
    if (turn->told)
        return SLC_RECORD_REJECT;
    count(step, retriable ? SLC_RECORDS_RETRIABLE : SLC_RECORDS_REJECTED);
    if (!retriable && letters != NULL && step->dead_letter_topic != NULL)
        put_aside(chain, step, turn, letters, came, problem);
    return SLC_RECORD_REJECT;
}

/* What could not be judged is put aside as what is rejected is. */
static void drop(slc_record_chain *chain, struct step *step, slc_record_turn *turn, slc_dead_letters *letters,
                 const slc_policy_record *came, slc_record_problem *problem)
{
    problem->policy = step->name;
    if (turn->told)
        return;
    count(step, problem->code == SLC_OK ? SLC_RECORDS_DROPPED : SLC_RECORDS_WITHHELD);
    if (problem->code != SLC_OK && letters != NULL && step->dead_letter_topic != NULL)
        put_aside(chain, step, turn, letters, came, problem);
}

static enum slc_record_verdict run_step(struct step *step, slc_record_turn *turn, slc_policy_record *record,
                                        slc_record_problem *problem)
{
    if (step->broken.code != SLC_OK) {
        (void)slc_record_reject(problem, step->broken.code, "%s", step->broken.message);
        problem->detail[0] = '\0';
        return SLC_RECORD_REJECT;
    }
    enum slc_record_verdict verdict = step->fn(step->bound, turn, record, problem);
    if (verdict == SLC_RECORD_LATER && turn->waiter == NULL)
        return slc_record_reject(problem, SLC_UNAVAILABLE, "what the policy needs is not there in time");
    SLC_BUG_ON(verdict == SLC_RECORD_LATER && !slc_record_waits(turn->waiter));
    return verdict;
}

enum slc_record_verdict slc_record_chain_run(slc_record_chain *chain, slc_record_turn *turn,
                                             slc_dead_letters *letters, slc_policy_record *record,
                                             slc_record_problem *problem)
{
    const slc_policy_record came = *record;
    enum slc_record_verdict result = SLC_RECORD_KEEP;
    slc_record_scratch_reset(turn->scratch);
    for (size_t i = 0; i < chain->count; i++) {
        struct step *step = &chain->steps[i];
        problem->code = SLC_OK;
        problem->why[0] = problem->detail[0] = problem->pointer[0] = '\0';
        problem->policy = NULL;
        switch (run_step(step, turn, record, problem)) {
        case SLC_RECORD_KEEP:
            break;
        case SLC_RECORD_CHANGE:
            result = SLC_RECORD_CHANGE;
            break;
        case SLC_RECORD_DROP:
            SLC_BUG_ON(chain->direction != SLC_RECORDS_CONSUME);
            drop(chain, step, turn, letters, &came, problem);
            return SLC_RECORD_DROP;
        case SLC_RECORD_LATER:
            return SLC_RECORD_LATER;
        case SLC_RECORD_REJECT:
            return reject(chain, step, turn, letters, &came, problem);
        }
    }
    return result;
}
