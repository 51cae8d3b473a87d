#include "dataplane/identity/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"

/* ---- references ---- */

slc_token *slc_token_ref(slc_token *token)
{
    __atomic_add_fetch(&token->refs, 1, __ATOMIC_RELAXED);
    return token;
}

static void free_names(slc_token_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->names[i]);
    free(names->names);
    free(names->values);
}

void slc_token_unref(slc_token *token)
{
    if (token == NULL || __atomic_sub_fetch(&token->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    free_names(&token->groups);
    free_names(&token->scopes);
    free(token->lookups);
    free(token->subject);
    free(token->issuer);
    free(token);
}

static slc_token *new_token(enum slc_token_state state)
{
    slc_token *token = slc_calloc(1, sizeof *token);
    token->refs = 1;
    token->state = state;
    return token;
}

slc_token *slc_token_bad(enum slc_token_state state, const char *why)
{
    slc_token *token = new_token(state);
    SLC_BUG_ON(state == SLC_TOKEN_GOOD);
    snprintf(token->reason, sizeof token->reason, "%s", why);
    return token;
}

bool slc_token_has(const slc_token_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->names[i], name) == 0)
            return true;
    return false;
}

/* ---- claims ---- */

/* One step of a JSON pointer (RFC 6901); `*at` stands on its slash and goes to the next one. */
static const json_t *step_into(const json_t *value, const char **at)
{
    char token[128];
    size_t len = 0;
    const char *from = *at + 1;
    for (; *from != '\0' && *from != '/'; from++) {
        if (len + 1 >= sizeof token)
            return NULL;
        bool escaped = *from == '~' && (from[1] == '0' || from[1] == '1');
        token[len++] = escaped ? (from[1] == '0' ? '~' : '/') : *from;
        from += escaped;
    }
    token[len] = '\0';
    *at = from;
    if (json_is_array(value)) {
        char *end;
        unsigned long index = strtoul(token, &end, 10);
        return len > 0 && *end == '\0' ? json_array_get(value, index) : NULL;
    }
    return json_object_get(value, token);
}

/* A claim by its name, or by a JSON pointer. */
static const json_t *claim_of(const slc_jwt *jwt, const char *name)
{
    const json_t *value = json_object_get(jwt->claims, name);
    if (value != NULL || name[0] != '/')
        return value;
    value = jwt->claims;
    while (value != NULL && *name == '/')
        value = step_into(value, &name);
    return value;
}

static bool has_audience(const slc_jwt *jwt, const Sluice__Snapshot__V1__Issuer *issuer)
{
    for (size_t i = 0; i < issuer->n_audiences; i++)
        if (slc_jwt_has_audience(jwt, issuer->audiences[i]))
            return true;
    return issuer->n_audiences == 0;
}

static bool lists_algorithm(const slc_jwt *jwt, const Sluice__Snapshot__V1__Issuer *issuer, slc_error *err)
{
    json_t *algorithms = json_array();
    for (size_t i = 0; i < issuer->n_algorithms; i++)
        json_array_append_new(algorithms, json_string(issuer->algorithms[i]));
    bool ok = slc_jwt_check_algorithm(jwt, algorithms, err);
    json_decref(algorithms);
    return ok;
}

bool slc_token_claims_hold(const slc_jwt *jwt, const Sluice__Snapshot__V1__Issuer *issuer, int64_t now_ms,
                           slc_error *err)
{
    slc_jwt_expect expect = {.issuer = issuer->url, .now_ms = now_ms, .skew_ms = issuer->clock_skew_ms};
    if (!lists_algorithm(jwt, issuer, err) || !slc_jwt_check_claims(jwt, &expect, err))
        return false;
    if (!has_audience(jwt, issuer))
        return slc_fail(err, SLC_UNAUTHENTICATED, "aud", "the token is for none of the audiences of issuer %s",
                        issuer->name);
    for (size_t i = 0; i < issuer->n_claims; i++) {
        const char *value = json_string_value(claim_of(jwt, issuer->claims[i]->name));
        if (value == NULL || strcmp(value, issuer->claims[i]->value) != 0)
            return slc_fail(err, SLC_UNAUTHENTICATED, "claims",
                            "the token's claim %.100s is not what issuer %s wants", issuer->claims[i]->name,
                            issuer->name);
    }
    return true;
}

slc_issuer *slc_token_issuer(const slc_jwt *jwt, const slc_snapshot *snapshot, int64_t now_ms, slc_error *err)
{
    const char *iss = slc_jwt_text(jwt, "iss");
    size_t count;
    slc_issuer *const *issuers = slc_snapshot_issuers(snapshot, &count);
    slc_fail(err, SLC_UNAUTHENTICATED, "iss", "there is no issuer \"%.150s\" here that a credential names",
             iss != NULL ? iss : "");
    for (size_t i = 0; iss != NULL && i < count; i++) {
        if (strcmp(issuers[i]->msg->url, iss) != 0)
            continue;
        slc_error_clear(err);
        if (slc_token_claims_hold(jwt, issuers[i]->msg, now_ms, err))
            return issuers[i];
    }
    return NULL;
}

/* ---- what a good one says ---- */

static void add_name(slc_token_names *names, const char *name, size_t len)
{
    if (len == 0 || len > SLC_TOKEN_NAME_MAX || names->count == SLC_TOKEN_MAX_NAMES)
        return;
    if (names->names == NULL) {
        names->names = slc_calloc(SLC_TOKEN_MAX_NAMES, sizeof *names->names);
        names->values = slc_calloc(SLC_TOKEN_MAX_NAMES, sizeof *names->values);
    }
    names->names[names->count] = slc_strndup(name, len);
    names->values[names->count] = slc_cel_string(names->names[names->count], len);
    names->count++;
}

/* A list of texts, or one text with spaces between its names (RFC 6749, section 3.3). */
static void take_names(const json_t *claim, slc_token_names *names)
{
    size_t i;
    json_t *one;
    json_array_foreach ((json_t *)claim, i, one) {
        if (json_is_string(one))
            add_name(names, json_string_value(one), json_string_length(one));
    }
    const char *text = json_string_value(claim);
    while (text != NULL && *text != '\0') {
        size_t len = strcspn(text, " ");
        add_name(names, text, len);
        text += len + (text[len] == ' ');
    }
}

/* False: the token does not have the claim, as a text. */
static bool add_lookup(const slc_jwt *jwt, const char *issuer_id, const char *claim, slc_token *token)
{
    const char *value = json_string_value(claim_of(jwt, claim));
    if (value == NULL || value[0] == '\0')
        return false;
    char *text = slc_asprintf("oidc:%s:%s=%s", issuer_id, claim, value);
    slc_lookup_key(text, token->lookups[token->lookup_count++]);
    free(text);
    return true;
}

/* By one claim alone, whether a credential names its value or not: so nobody can take or spoil the token of
 * another application by naming something else of it. */
static void take_lookups(const slc_jwt *jwt, const Sluice__Snapshot__V1__Issuer *issuer, slc_token *token)
{
    bool identified = false;
    token->lookups = slc_calloc(issuer->n_credential_claims + 1, sizeof *token->lookups);
    for (size_t i = 0; i < issuer->n_identifying_claims && !identified; i++)
        identified = add_lookup(jwt, issuer->id, issuer->identifying_claims[i], token);
    for (size_t i = 0; i < issuer->n_credential_claims && issuer->n_identifying_claims == 0; i++)
        (void)add_lookup(jwt, issuer->id, issuer->credential_claims[i], token);
}

slc_token *slc_token_good(const slc_jwt *jwt, const slc_issuer *issuer, const uint8_t digest[SLC_SHA256_BYTES])
{
    slc_token *token = new_token(SLC_TOKEN_GOOD);
    const Sluice__Snapshot__V1__Issuer *msg = issuer->msg;
    const char *subject = json_string_value(claim_of(jwt, msg->principal_claim));
    memcpy(token->digest, digest, sizeof token->digest);
    memcpy(token->issuer_digest, issuer->digest, sizeof token->issuer_digest);
    snprintf(token->issuer_id, sizeof token->issuer_id, "%s", msg->id);
    token->issuer = slc_strdup(msg->name);
    token->expires_ms =
        (int64_t)(json_number_value(json_object_get(jwt->claims, "exp")) * 1000) + msg->clock_skew_ms;
    token->verified_ms = slc_monotonic_ms();
    token->subject = slc_strdup(subject != NULL ? subject : "");
    take_names(claim_of(jwt, msg->groups_claim), &token->groups);
    take_names(claim_of(jwt, msg->scopes_claim), &token->scopes);
    take_lookups(jwt, msg, token);
    return token;
}

bool slc_token_holds(const slc_token *token, const slc_snapshot *snapshot)
{
    const slc_issuer *issuer = slc_snapshot_issuer(snapshot, token->issuer_id);
    return token->expires_ms > slc_wall_ms() && issuer != NULL &&
           memcmp(issuer->digest, token->issuer_digest, sizeof token->issuer_digest) == 0;
}
