/* What would be presented: a credential's secret, certificate or token, taken as proved. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "dataplane/config/snapshot.h"
#include "dataplane/explain/explain_private.h"

#define HOUR_S 3600

struct wanted {
    const char *id;
    const Sluice__Snapshot__V1__Credential *found;
};

static bool compare(void *arg, const Sluice__Snapshot__V1__Credential *credential)
{
    struct wanted *wanted = arg;
    if (strcmp(credential->id, wanted->id) == 0)
        wanted->found = credential;
    return wanted->found == NULL;
}

/* The key by which it is found; one that nothing has when gateways do not know it. */
static void lookup_of(const slc_explain_case *asked, const char *id, char out[SLC_LOOKUP_MAX + 1])
{
    struct wanted wanted = {.id = id};
    slc_snapshot_each_credential(asked->snapshot, compare, &wanted);
    snprintf(out, SLC_LOOKUP_MAX + 1, "%s", wanted.found != NULL ? wanted.found->lookup : "-");
}

/* A token of the issuer that matches the credential, and says nothing else. */
static slc_token *token_for(const slc_explain_case *asked, const char *id, const char *issuer_id)
{
    const slc_issuer *issuer = issuer_id != NULL ? slc_snapshot_issuer(asked->snapshot, issuer_id) : NULL;
    if (issuer == NULL)
        return slc_token_bad(SLC_TOKEN_REFUSED, "there is no issuer here that a credential names");
    const slc_jwt nothing = {.claims = json_pack("{s:I}", "exp", (json_int_t)(slc_wall_ms() / 1000 + HOUR_S))};
    slc_token *token = slc_token_good(&nothing, issuer, (const uint8_t[SLC_SHA256_BYTES]){0});
    json_decref(nothing.claims);
    free(token->lookups);
    token->lookups = slc_calloc(1, sizeof *token->lookups);
    token->lookup_count = 1;
    lookup_of(asked, id, token->lookups[0]);
    return token;
}

/* One that has what the credential matches, and nothing else: `property` of it. */
static slc_certificate *certificate_for(const slc_explain_case *asked, const char *id, const char *property)
{
    slc_certificate *certificate = slc_calloc(1, sizeof *certificate);
    snprintf(certificate->subject, sizeof certificate->subject, "(that of credential %s)", id);
    certificate->expires_ms = INT64_MAX;
    certificate->lookup_count = 1;
    certificate->properties[0] = property != NULL ? property : "";
    lookup_of(asked, id, certificate->lookups[0]);
    return certificate;
}

void slc_explain_proof_of(const slc_explain_case *asked, const json_t *credential, slc_explain_proof *proof)
{
    const char *issuer = json_string_value(json_object_get(credential, "issuer"));
    *proof = (slc_explain_proof){.type = json_string_value(json_object_get(credential, "type")),
                                 .credential_id = json_string_value(json_object_get(credential, "id"))};
    if (strcmp(proof->type, "oidc") == 0)
        proof->token = token_for(asked, proof->credential_id, issuer);
    else if (strcmp(proof->type, "certificate") == 0)
        proof->certificate = certificate_for(asked, proof->credential_id,
                                             json_string_value(json_object_get(credential, "property")));
}

/* The claims as a token of the issuer would have them: who signed it and until when are not asked of the
 * caller. */
static json_t *complete(const json_t *claims, const slc_issuer *issuer)
{
    json_t *all = json_deep_copy(claims);
    if (json_object_get(all, "iss") == NULL)
        json_object_set_new(all, "iss", json_string(issuer->msg->url));
    if (json_object_get(all, "exp") == NULL)
        json_object_set_new(all, "exp", json_integer(slc_wall_ms() / 1000 + HOUR_S));
    return all;
}

bool slc_explain_proof_of_claims(const slc_explain_case *asked, slc_explain_proof *proof, slc_error *err)
{
    const char *id = json_string_value(json_object_get(asked->question, "issuer"));
    const slc_issuer *issuer = id != NULL ? slc_snapshot_issuer(asked->snapshot, id) : NULL;
    slc_error why = {0};
    *proof = (slc_explain_proof){.type = "oidc"};
    if (issuer == NULL)
        return slc_fail(err, SLC_INVALID, "/issuer",
                        "the group's gateways do not have it: no live credential names the issuer");
    slc_jwt jwt = {.claims = complete(json_object_get(asked->question, "claims"), issuer)};
    if (issuer->msg->n_algorithms > 0)
        snprintf(jwt.algorithm, sizeof jwt.algorithm, "%s", issuer->msg->algorithms[0]);
    const slc_issuer *taken = slc_token_issuer(&jwt, asked->snapshot, slc_wall_ms(), &why);
    proof->token = taken != NULL ? slc_token_good(&jwt, taken, (const uint8_t[SLC_SHA256_BYTES]){0})
                                 : slc_token_bad(SLC_TOKEN_REFUSED, why.message);
    json_decref(jwt.claims);
    return true;
}

void slc_explain_proof_release(slc_explain_proof *proof)
{
    slc_token_unref(proof->token);
    free(proof->certificate);
}
