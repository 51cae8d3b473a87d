/* A compiled chain, for the files that run one. Private to policy/. */
#ifndef SLC_DATAPLANE_POLICY_CHAIN_PRIVATE_H
#define SLC_DATAPLANE_POLICY_CHAIN_PRIVATE_H

#include "dataplane/policy/condition.h"
#include "dataplane/policy/decisions.h"
#include "dataplane/policy/headers.h"
#include "dataplane/policy/types.h"

typedef struct slc_chain_entry {
    const slc_policy_type *type;
    void *compiled;
    slc_cel *condition; /* NULL: always */
    char *id;
    char *name;
    Sluice__Snapshot__V1__ScopeKind scope;
    char *scope_id;
    bool dry_run;
    struct slc_chain *chain;  /* that it is of */
    slc_decisions *decisions; /* own; NULL: it is built in, and only what it refuses is counted elsewhere */
} slc_chain_entry;

struct slc_chain {
    unsigned magic;
    unsigned refs;
    size_t count, configured; /* the first ones: of all */
    bool headers;             /* some policy changes headers */
    slc_chain_entry entries[];
};

/* A policy of a plan or an application concerns only requests that are made under it. */
bool slc_chain_concerns(const slc_chain_entry *entry, const slc_principal *principal);
/* The policies of the subscription's plan; NULL: it has none, or the subscription has expired. Borrowed. */
const slc_chain *slc_chain_of_subscription(const slc_snapshot *snapshot,
                                           const Sluice__Snapshot__V1__Subscription *subscription);

/* What the policy said in the phase, to who explains; nothing when nobody does. */
void slc_chain_tell(const slc_chain_entry *entry, const char *phase, slc_policy_request *request,
                    enum slc_condition_answer answer, enum slc_verdict verdict, const slc_denial *denial);
/* One in dry run would have denied: for the log, unless somebody explains. */
void slc_chain_tell_dry(const slc_chain_entry *entry, const slc_policy_request *request,
                        const slc_denial *denial);

/* Is the condition true? When it cannot be evaluated `denial` says why. */
enum slc_condition_answer slc_chain_condition(const slc_chain_entry *entry, slc_policy_request *request,
                                              slc_denial *denial);

/* Who explains decisions serves nobody, and counts nothing. */
static inline void slc_chain_count(const slc_chain_entry *entry, const slc_policy_request *request,
                                   enum slc_outcome outcome)
{
    if (entry->decisions != NULL && request->trace == NULL)
        slc_decisions_count(entry->decisions, entry->name, outcome);
}

/* Has it a say in what native clients may do? */
static inline bool slc_chain_asks_access(const slc_chain_entry *entry)
{
    return entry->type->access != NULL &&
           (entry->type->asks_access == NULL || entry->type->asks_access(entry->compiled));
}

#endif
