/* Is this an application's generated secret? The same answer for every protocol. */
#ifndef SLC_DATAPLANE_POLICY_CREDENTIAL_H
#define SLC_DATAPLANE_POLICY_CREDENTIAL_H

#include "dataplane/config/snapshot.h"
#include "dataplane/identity/certificate.h"
#include "dataplane/identity/token.h"
#include "dataplane/policy/principal.h"

#define SLC_CREDENTIAL_ID_MAX     23
#define SLC_CREDENTIAL_SECRET_MAX 128

enum slc_credential_answer {
    SLC_CREDENTIAL_GOOD,
    SLC_CREDENTIAL_UNKNOWN,
    SLC_CREDENTIAL_WRONG,
    SLC_CREDENTIAL_EXPIRED,
    SLC_CREDENTIAL_UNSUBSCRIBED, /* right, but its application has no live subscription in this environment */
    SLC_CREDENTIAL_AMBIGUOUS,    /* what was brought is of two applications */
};

/* Takes the same steps for an unknown id as for a wrong secret. Only the SHA-256 of the secret is known here:
 * it has 160 random bits or more, so a slow hash would add nothing. `principal` is filled when the answer is
 * good. */
enum slc_credential_answer slc_credential_check(const slc_snapshot *snapshot, const char *id,
                                                const char *secret, slc_principal *principal);
/* The same for who has proved to know the secret of a credential by other means. */
enum slc_credential_answer slc_credential_proved(const slc_snapshot *snapshot, const char *id,
                                                 slc_principal *principal);
/* The same for a token that is good, and for a certificate that was verified: the credential that matches it.
 * Which property of a certificate counts, the listener says that it was brought to; NULL: all. */
enum slc_credential_answer slc_credential_of_token(const slc_snapshot *snapshot, const slc_token *token,
                                                   slc_principal *principal);
enum slc_credential_answer slc_credential_of_certificate(const slc_snapshot *snapshot,
                                                         const slc_listener *listener,
                                                         const slc_certificate *certificate,
                                                         slc_principal *principal);
/* Once the credential is proved. */
void slc_principal_fill(slc_principal *principal, const Sluice__Snapshot__V1__Credential *credential,
                        const Sluice__Snapshot__V1__Application *application);
/* Until when the principal may go on with the credential; 0: for ever. */
int64_t slc_expiry_of(const slc_principal *principal, const Sluice__Snapshot__V1__Credential *credential);
/* Is the principal's credential still what it was? For connections that outlive a configuration. */
bool slc_credential_alive(const slc_snapshot *snapshot, const slc_principal *principal);
/* For logs: "wrong secret". */
const char *slc_credential_reason(enum slc_credential_answer answer);

#endif
