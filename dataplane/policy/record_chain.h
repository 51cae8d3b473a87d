/* Chains of records: which policies take part for somebody, bound to him and a topic, in their order.
 *
 * The same for every protocol: who has a record puts it through slc_record_chain_run() and does with the
 * verdict what his protocol can. A chain belongs to one worker. */
#ifndef SLC_DATAPLANE_POLICY_RECORD_CHAIN_H
#define SLC_DATAPLANE_POLICY_RECORD_CHAIN_H

#include "dataplane/policy/policy.h"
#include "dataplane/policy/records.h"

struct slc_chain_entry;

/* The policies that take part in the records of one request: in `chain` order, none twice. Zeroed at first.
 * What they point at lives as long as the snapshot that they are of; a bound chain keeps it. */
typedef struct slc_record_policies {
    const struct slc_chain_entry **items;
    size_t count, cap;
} slc_record_policies;

void slc_record_policies_add(slc_record_policies *policies, const struct slc_chain_entry *entry);
void slc_record_policies_clear(slc_record_policies *policies);
void slc_record_policies_release(slc_record_policies *policies);
bool slc_record_policies_same(const slc_record_policies *a, const slc_record_policies *b);
/* The narrowest of theirs. */
enum slc_record_audience slc_record_policies_audience(const slc_record_policies *policies);

/* What was rejected and is to be put aside. Everything is borrowed. */
typedef struct slc_dead_letter {
    const slc_backend *backend;
    const char *dead_letter_topic; /* of the backend */
    const char *policy, *reason;
    const char *topic; /* that it is of, as clients name it */
    const char *application_id, *application_name;
    enum slc_record_direction direction;
    const slc_policy_record *record; /* as it came, its value as masks would have stored it, or empty where they
                                        cannot. Of what would have been encrypted key, value and headers are
                                        left out */
    bool bare;                       /* they are */
} slc_dead_letter;

/* Who takes them; the worker's. Never blocks; takes copies, or counts what is lost. */
typedef struct slc_dead_letters {
    void (*put)(struct slc_dead_letters *letters, const slc_dead_letter *letter);
} slc_dead_letters;

typedef struct slc_record_chain slc_record_chain;

/* NULL: no policy has anything to do. */
slc_record_chain *slc_record_chain_bind(const slc_record_policies *policies, const slc_record_subject *subject);
void slc_record_chain_free(slc_record_chain *chain); /* NULL is fine */
/* The configuration changed: is it still what binding the same policies would give? */
bool slc_record_chain_holds(const slc_record_chain *chain, const slc_snapshot *snapshot);
/* Have headers to be read for it? */
bool slc_record_chain_wants_headers(const slc_record_chain *chain);

/* Puts a record through. On CHANGE `record` is what it became, valid until the next record of the same scratch.
 * On REJECT `problem` says why. SLC_RECORD_DROP and SLC_RECORD_REJECT are counted by policy, once (turn->told).
 * `letters` may be NULL. */
enum slc_record_verdict slc_record_chain_run(slc_record_chain *chain, slc_record_turn *turn,
                                             slc_dead_letters *letters, slc_policy_record *record,
                                             slc_record_problem *problem);

/* For policy types whose only say in native requests is that their condition can be evaluated: `access` and
 * `asks_access` of those that have `records`. */
enum slc_verdict slc_record_access(void *compiled, const slc_access_question *question, slc_denial *denial);

/* Once, before threads start. */
void slc_record_metrics_register(void);

/* Outcomes of sluice_policy_records_total. */
enum slc_record_outcome {
    SLC_RECORDS_DROPPED,  /* left out, as it should be */
    SLC_RECORDS_WITHHELD, /* left out because it could not be judged */
    SLC_RECORDS_REJECTED,
    SLC_RECORDS_RETRIABLE,    /* rejected for now */
    SLC_RECORDS_PUT_ASIDE,    /* went to a dead letter topic */
    SLC_RECORDS_LETTERS_LOST, /* should have, and did not */
    SLC_RECORD_OUTCOMES,
};
void slc_record_count(const char *policy, enum slc_record_outcome outcome);

#endif
