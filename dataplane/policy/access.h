/* What somebody may do in a virtual cluster by native Kafka: the guard of a session's view (virtual/guard.h),
 * which asks the policies. Default deny: what nobody allows is denied, and one denial outweighs every
 * permission.
 *
 * Without an application (anonymous clients) everything is allowed unless an acl policy holds in the virtual
 * cluster. The worker's thread.
 */
#ifndef SLC_DATAPLANE_POLICY_ACCESS_H
#define SLC_DATAPLANE_POLICY_ACCESS_H

#include "dataplane/policy/policy.h"
#include "dataplane/policy/record_chain.h"

typedef struct slc_access slc_access;

struct slc_chain_entry;

typedef struct slc_access_denial {
    enum slc_operation operation;
    enum slc_resource resource;
    const uint8_t *name;
    size_t len;
    const char *reason;                   /* names the rule */
    const struct slc_chain_entry *policy; /* NULL: nobody allows it */
    bool dry_run;                         /* it goes through all the same */
} slc_access_denial;

/* Who asks, where. What is pointed to must outlive the access. */
typedef struct slc_access_subject {
    const slc_vcluster *vcluster;
    const char *listener_id;
    const char *client_address;         /* "192.0.2.1" */
    slc_principal *principal;           /* filled by authentication, or not at all */
    const slc_token *token;             /* that it was authenticated by; NULL: none */
    const slc_certificate *certificate; /* of the client; NULL: none */
    /* Something was denied, or would have been; for the log and metrics. Answers that are remembered are not
     * told again. */
    void (*denied)(void *ctx, const struct slc_access_denial *denial);
    void *ctx;
    slc_trace *trace; /* NULL: nobody asks why */
} slc_access_subject;

/* NULL: everything is allowed. The snapshot is referenced. */
slc_access *slc_access_new(const slc_access_subject *subject, slc_snapshot *snapshot);
void slc_access_free(slc_access *access);
slc_guard *slc_access_guard(slc_access *access);
/* The configuration changed. False: so have this subject's rights, perhaps, and it must be made anew. */
bool slc_access_apply(slc_access *access, slc_snapshot *snapshot);

/* May the subject be here at all? Asks ip-restriction and oidc policies; false with `why`, which names the
 * policy. */
bool slc_access_admits(const slc_access_subject *subject, slc_snapshot *snapshot, char why[200]) SLC_CHECKED;

/* Is the subject's token one that oidc policies take, where there are any? True without a token; false with
 * `why`. Part of slc_access_admits; asked alone where a client can be told that its token is at fault. */
bool slc_access_takes_token(const slc_access_subject *subject, slc_snapshot *snapshot,
                            char why[200]) SLC_CHECKED;
/* The same before anybody has said who he is, by the policies that say it without a condition: who may not be
 * here may not try credentials either. */
bool slc_access_admits_strangers(const slc_access_subject *subject, slc_snapshot *snapshot,
                                 char why[200]) SLC_CHECKED;

/* A request of the subject's, for policies: without API and HTTP. */
slc_policy_request slc_access_request(const slc_access_subject *subject, const slc_snapshot *snapshot);
/* Calls `fn` with each policy that concerns the subject, whatever it does, those of event APIs if `topics`;
 * ends with false when `fn` says so. */
bool slc_access_each_policy(const slc_access_subject *subject, slc_snapshot *snapshot, bool topics,
                            bool (*fn)(const struct slc_chain_entry *entry, void *arg), void *arg);

/* Does some policy do anything to records that the subject writes, or reads? */
bool slc_access_has_records(const slc_access *access, enum slc_record_direction direction);
/* What those do to records of the topic, by the client's name of it and the backend's; NULL: nothing. Borrowed
 * until the next call, and kept by the access from one to the next. False: a condition cannot be evaluated. */
bool slc_access_record_chain(slc_access *access, enum slc_record_direction direction, const char *topic,
                             const char *backend_topic, slc_record_chain **chain) SLC_CHECKED;
/* Tells the subject's `denied` of records that a policy could not do its work on. */
void slc_access_tell(const slc_access *access, enum slc_operation operation, const uint8_t *topic, size_t len,
                     const char *reason);

/* For logs: "read", "topic". */
const char *slc_operation_name(enum slc_operation operation);
const char *slc_resource_name(enum slc_resource resource);

#endif
