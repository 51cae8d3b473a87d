/* What the files that explain share. Private to explain/. */
#ifndef SLC_DATAPLANE_EXPLAIN_EXPLAIN_PRIVATE_H
#define SLC_DATAPLANE_EXPLAIN_EXPLAIN_PRIVATE_H

#include "dataplane/explain/explain.h"
#include "dataplane/policy/policy.h"

/* What is asked: the same for every credential that is tried. */
typedef struct slc_explain_case {
    slc_snapshot *snapshot;
    const json_t *question;
    const slc_event_api *api;     /* HTTP; NULL: native */
    const slc_vcluster *vcluster; /* native */
    const slc_listener *listener; /* NULL: none serves it */
    bool stream;
    Sluice__Snapshot__V1__Operation operation; /* HTTP */
    enum slc_operation access;                 /* native */
    enum slc_resource resource;
    const char *name;
    const char *address;
} slc_explain_case;

/* What is presented. */
typedef struct slc_explain_proof {
    const char *type; /* "secret", "certificate", "oidc"; NULL: nothing */
    const char *credential_id;
    slc_token *token;
    slc_certificate *certificate;
} slc_explain_proof;

/* What came out. */
typedef struct slc_explain_outcome {
    slc_trace trace;
    slc_principal principal;
    json_t *trail;            /* array of steps */
    json_t *granted, *denied; /* the first step that grants, the last that denies; NULL: none does */
    bool allowed;
    int status; /* HTTP: what the caller is told; 0: nothing */
    char type[64];
    char reason[256];
} slc_explain_outcome;

void slc_explain_outcome_init(slc_explain_outcome *outcome);
void slc_explain_outcome_release(slc_explain_outcome *outcome);
/* A step that is no policy's. */
void slc_explain_note(slc_explain_outcome *outcome, const char *phase, bool allow, const char *reason);
/* Refuses; what a caller is told has `status` (0: native) and `type`. */
void slc_explain_refuse(slc_explain_outcome *outcome, int status, const char *type, const char *reason);
json_t *slc_explain_answer(const slc_explain_case *asked, const slc_explain_proof *proof,
                           const slc_explain_outcome *outcome);

/* proof.c: a credential of the question's (item of its `credentials`), or its claims. `proof` is released in
 * every case. */
void slc_explain_proof_of(const slc_explain_case *asked, const json_t *credential, slc_explain_proof *proof);
bool slc_explain_proof_of_claims(const slc_explain_case *asked, slc_explain_proof *proof,
                                 slc_error *err) SLC_CHECKED;
void slc_explain_proof_release(slc_explain_proof *proof);

void slc_explain_http(const slc_explain_case *asked, const slc_explain_proof *proof,
                      slc_explain_outcome *outcome);
void slc_explain_native(const slc_explain_case *asked, const slc_explain_proof *proof,
                        slc_explain_outcome *outcome);

#endif
