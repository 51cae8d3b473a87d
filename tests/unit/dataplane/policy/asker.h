/* Somebody who asks a gateway: a snapshot with one of everything, one request's headers, and what the policy
 * chain of the sample's event API says to it. */
#ifndef SLC_TEST_POLICY_ASKER_H
#define SLC_TEST_POLICY_ASKER_H

#include "dataplane/policy/policy.h"
#include "tests/unit/dataplane/config/maker.h"

/* The sample's application app-1 has the credential cred-1 with this secret, and subscribes to plan-1, which
 * grants publish and read on api-1 (orders.v1) until 0 (never). */
#define ASKER_SECRET "correct-horse-battery-staple-0123"
#define ASKER_KEY    "slk_cred-1_" ASKER_SECRET
/* "cred-1:" ASKER_SECRET in base64. */
#define ASKER_BASIC "Basic Y3JlZC0xOmNvcnJlY3QtaG9yc2UtYmF0dGVyeS1zdGFwbGUtMDEyMw=="

#define PUBLISH SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_PUBLISH
#define READ    SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_READ

#define ASKER_HEADERS 16

struct asker {
    struct maker *maker; /* bend it before the first question, or call asker_rebuild */
    slc_snapshot *snapshot;
    slc_principal principal;
    slc_denial denial;
    struct asker_header {
        char name[64];
        char value[768];
    } sent[ASKER_HEADERS], answered[ASKER_HEADERS];
    size_t sent_count, answered_count;
    bool stream; /* what it asks for is a stream */
    uint64_t body_bytes;
    const char *address; /* NULL: 192.0.2.1 */
    slc_token *token;    /* what it brings besides headers; borrowed; NULL: none */
    const slc_certificate *certificate;
    slc_listener listener; /* that the certificate was brought to */
    Sluice__Snapshot__V1__Listener listener_msg;
    slc_trace *trace; /* hears what policies say; NULL: nobody does */
    slc_limits *limits;
    slc_charges charges; /* of the last question */
    bool keep;           /* the test releases them */
};

/* Without policies: only what is built in. */
struct asker *asker_new(void);
void asker_free(struct asker *asker);
/* Builds the snapshot again from what the maker says now. */
void asker_rebuild(struct asker *asker);
/* Adds a policy of the whole group, for the next build. */
void asker_policy(struct asker *asker, const char *name, const char *type, const char *config);

/* Headers of the next question; sending the same again replaces it, a NULL value takes it away. */
void asker_send(struct asker *asker, const char *name, const char *value);
/* Runs the chain of `api_id` in the asker's snapshot, built if it is not there yet. */
enum slc_verdict asker_ask_api(struct asker *asker, const char *api_id, const char *method,
                               Sluice__Snapshot__V1__Operation operation);
/* The same of api-1: POST publishes, everything else reads. */
enum slc_verdict asker_ask(struct asker *asker, const char *method);
/* A response header of the last question; NULL when there is none. */
const char *asker_answer(const struct asker *asker, const char *name);
size_t asker_answer_count(const struct asker *asker, const char *name);

#endif
