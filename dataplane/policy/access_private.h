/* An access, for the files that ask policies about it. Private to policy/. */
#ifndef SLC_DATAPLANE_POLICY_ACCESS_PRIVATE_H
#define SLC_DATAPLANE_POLICY_ACCESS_PRIVATE_H

#include "dataplane/policy/access.h"
#include "dataplane/policy/chain_private.h"

#define SLC_ACCESS_SLOTS 256

/* The answers about one name, as bits of operations. */
struct slc_access_answer {
    uint8_t *name; /* NULL: free */
    size_t len;
    enum slc_resource resource;
    uint16_t known, allowed, told;
};

/* Chains of records that were bound, by topic and direction. */
struct slc_access_bound {
    char *topic;
    enum slc_record_direction direction;
    slc_record_policies policies;
    slc_record_chain *chain; /* NULL: nothing is done there */
};

struct slc_access {
    slc_guard guard; /* first */
    slc_access_subject subject;
    slc_snapshot *snapshot;
    slc_chain *chain;
    const Sluice__Snapshot__V1__Application *application;
    bool open;                       /* what nobody denies is allowed: nobody has to grant it */
    bool conditional;                /* some policy has a condition: nothing is remembered */
    int64_t until_ms;                /* wall clock: a subscription expires then; 0: none does */
    slc_record_policies taking_part; /* of the topic at hand */
    struct slc_access_bound *bound;
    size_t bound_count, bound_cap;
    size_t count;
    struct slc_access_answer answers[SLC_ACCESS_SLOTS];
};

/* All chains that concern the subject: the virtual cluster's, its plans' and its own; until one says false. */
bool slc_access_each_chain(const slc_access *access,
                           bool (*fn)(const slc_access *access, const slc_chain *chain, void *arg), void *arg);
/* Does the policy say anything about what the question is about? */
bool slc_access_concerns(const slc_access *access, const slc_chain_entry *entry,
                         const slc_access_question *question);

/* Counts what a policy said. */
void slc_access_count(const slc_chain_entry *entry, const slc_policy_request *request,
                      enum slc_condition_answer answer, enum slc_verdict verdict);

/* access_tokens.c: may a client that came by a token reach the topic that the question is about? Asks the oidc
 * policies of its event API, if there are any. False: the denial, and whose it is. `tells`: it is counted and
 * explained. True for whoever came without a token. */
bool slc_access_token_reaches(const slc_access *access, const slc_access_question *question, bool tells,
                              slc_denial *denial, const slc_chain_entry **policy) SLC_CHECKED;

/* access_demands.c: the guard's part in what policies demand of requests. */
void slc_access_find_demands(slc_access *access);

/* access_records.c: forgets what was bound. */
void slc_access_forget_records(slc_access *access);

#endif
