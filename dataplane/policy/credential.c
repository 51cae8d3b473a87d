#include "dataplane/policy/credential.h"

#include <stdio.h>
#include <string.h>
#include <sys/types.h>

#include "common/clock.h"
#include "common/crypto.h"

void slc_principal_fill(slc_principal *principal, const Sluice__Snapshot__V1__Credential *credential,
                        const Sluice__Snapshot__V1__Application *application)
{
    memset(principal, 0, sizeof *principal);
    principal->authenticated = true;
    principal->expires_at_ms = credential->expires_at_ms;
    snprintf(principal->application_id, sizeof principal->application_id, "%s", application->id);
    snprintf(principal->application_name, sizeof principal->application_name, "%s", application->name);
    snprintf(principal->credential_id, sizeof principal->credential_id, "%s", credential->id);
    snprintf(principal->credential_lookup, sizeof principal->credential_lookup, "%s", credential->lookup);
}

static bool expired(const Sluice__Snapshot__V1__Credential *credential)
{
    return credential->expires_at_ms != 0 && credential->expires_at_ms <= slc_wall_ms();
}

/* Of a credential that was proved. */
static enum slc_credential_answer let_in(const slc_snapshot *snapshot,
                                         const Sluice__Snapshot__V1__Credential *credential,
                                         slc_principal *principal)
{
    if (expired(credential))
        return SLC_CREDENTIAL_EXPIRED;
    const Sluice__Snapshot__V1__Application *application =
        slc_snapshot_application(snapshot, credential->application_id);
    if (application == NULL)
        return SLC_CREDENTIAL_UNSUBSCRIBED;
    slc_principal_fill(principal, credential, application);
    return SLC_CREDENTIAL_GOOD;
}

enum slc_credential_answer slc_credential_check(const slc_snapshot *snapshot, const char *id,
                                                const char *secret, slc_principal *principal)
{
    static const uint8_t nobody[SLC_SHA256_BYTES];
    uint8_t digest[SLC_SHA256_BYTES];
    char lookup[64];
    int len = snprintf(lookup, sizeof lookup, "secret:%s", id);
    const Sluice__Snapshot__V1__Credential *credential = slc_snapshot_credential(snapshot, lookup, (size_t)len);
    slc_sha256(secret, strlen(secret), digest);
    bool known = credential != NULL && credential->secret_sha256.len == sizeof digest;
    bool equal = slc_equal_secret(digest, known ? credential->secret_sha256.data : nobody, sizeof digest);
    if (!known || !equal)
        return known ? SLC_CREDENTIAL_WRONG : SLC_CREDENTIAL_UNKNOWN;
    return let_in(snapshot, credential, principal);
}

enum slc_credential_answer slc_credential_proved(const slc_snapshot *snapshot, const char *id,
                                                 slc_principal *principal)
{
    char lookup[64];
    int len = snprintf(lookup, sizeof lookup, "secret:%s", id);
    const Sluice__Snapshot__V1__Credential *credential =
        len < (int)sizeof lookup ? slc_snapshot_credential(snapshot, lookup, (size_t)len) : NULL;
    return credential != NULL ? let_in(snapshot, credential, principal) : SLC_CREDENTIAL_UNKNOWN;
}

typedef Sluice__Snapshot__V1__Credential credential_msg;

/* Of those that match, one that has not expired, unless they are of two applications. */
static enum slc_credential_answer find_match(const slc_snapshot *snapshot, char (*lookups)[SLC_LOOKUP_MAX + 1],
                                             size_t count, const credential_msg **found)
{
    bool any = false;
    *found = NULL;
    for (size_t i = 0; i < count; i++) {
        const credential_msg *credential = slc_snapshot_credential(snapshot, lookups[i], strlen(lookups[i]));
        any = any || credential != NULL;
        if (credential == NULL || expired(credential))
            continue;
        if (*found != NULL && strcmp((*found)->application_id, credential->application_id) != 0)
            return SLC_CREDENTIAL_AMBIGUOUS;
        *found = *found == NULL ? credential : *found;
    }
    return *found != NULL ? SLC_CREDENTIAL_GOOD : any ? SLC_CREDENTIAL_EXPIRED : SLC_CREDENTIAL_UNKNOWN;
}

static enum slc_credential_answer of_match(const slc_snapshot *snapshot, char (*lookups)[SLC_LOOKUP_MAX + 1],
                                           size_t count, int64_t proof_expires_ms, slc_principal *principal)
{
    const credential_msg *credential;
    enum slc_credential_answer answer = find_match(snapshot, lookups, count, &credential);
    if (answer != SLC_CREDENTIAL_GOOD)
        return answer;
    const Sluice__Snapshot__V1__Application *application =
        slc_snapshot_application(snapshot, credential->application_id);
    if (application == NULL)
        return SLC_CREDENTIAL_UNSUBSCRIBED;
    slc_principal_fill(principal, credential, application);
    principal->proof_expires_at_ms = proof_expires_ms;
    principal->expires_at_ms = slc_expiry_of(principal, credential);
    return SLC_CREDENTIAL_GOOD;
}

enum slc_credential_answer slc_credential_of_token(const slc_snapshot *snapshot, const slc_token *token,
                                                   slc_principal *principal)
{
    return of_match(snapshot, token->lookups, token->lookup_count, token->expires_ms, principal);
}

/* The first that it has of what the listener lists; -1: it has none of them. */
static ssize_t identity_of(const slc_certificate *certificate, const Sluice__Snapshot__V1__Listener *listener)
{
    for (size_t i = 0; i < listener->n_client_identity; i++)
        for (size_t j = 0; j < certificate->lookup_count; j++)
            if (strcmp(certificate->properties[j], listener->client_identity[i]) == 0)
                return (ssize_t)j;
    return -1;
}

enum slc_credential_answer slc_credential_of_certificate(const slc_snapshot *snapshot,
                                                         const slc_listener *listener,
                                                         const slc_certificate *certificate,
                                                         slc_principal *principal)
{
    char(*lookups)[SLC_LOOKUP_MAX + 1] = (char(*)[SLC_LOOKUP_MAX + 1]) certificate->lookups;
    size_t count = certificate->lookup_count;
    if (certificate->expires_ms <= slc_wall_ms())
        return SLC_CREDENTIAL_EXPIRED;
    if (listener != NULL && listener->msg->n_client_identity > 0) {
        ssize_t index = identity_of(certificate, listener->msg);
        lookups += index < 0 ? 0 : index;
        count = index < 0 ? 0 : 1;
    }
    return of_match(snapshot, lookups, count, certificate->expires_ms, principal);
}

int64_t slc_expiry_of(const slc_principal *principal, const Sluice__Snapshot__V1__Credential *credential)
{
    int64_t proof_ms = principal->proof_expires_at_ms, own_ms = credential->expires_at_ms;
    return own_ms == 0 || (proof_ms != 0 && proof_ms < own_ms) ? proof_ms : own_ms;
}

bool slc_credential_alive(const slc_snapshot *snapshot, const slc_principal *principal)
{
    const Sluice__Snapshot__V1__Credential *credential =
        slc_snapshot_credential(snapshot, principal->credential_lookup, strlen(principal->credential_lookup));
    return credential != NULL && strcmp(credential->id, principal->credential_id) == 0 &&
           !expired(credential) && strcmp(credential->application_id, principal->application_id) == 0 &&
           slc_snapshot_application(snapshot, credential->application_id) != NULL;
}

const char *slc_credential_reason(enum slc_credential_answer answer)
{
    static const char *const reasons[] = {
        [SLC_CREDENTIAL_GOOD] = "good",
        [SLC_CREDENTIAL_UNKNOWN] = "unknown credential",
        [SLC_CREDENTIAL_WRONG] = "wrong secret",
        [SLC_CREDENTIAL_EXPIRED] = "expired",
        [SLC_CREDENTIAL_AMBIGUOUS] = "it matches credentials of two applications",
        [SLC_CREDENTIAL_UNSUBSCRIBED] = "its application has no subscription in this environment",
    };
    return reasons[answer];
}
