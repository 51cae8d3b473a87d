/* oidc: authenticates by an access token that an issuer of the catalog has signed (RFC 6750). The token was
 * looked at before policies are asked (identity/); here it is only told whose it is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/alloc.h"
#include "common/http_text.h"
#include "dataplane/policy/credential.h"
#include "dataplane/policy/types.h"

#define MAX_ISSUERS    50
#define MAX_SCOPES     20
#define SCOPE_CHARS    100
#define RETRY_AFTER_MS 2000

struct oidc {
    char **issuers, **scopes;
    size_t issuer_count, scope_count;
};

static bool is_name(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((text[i] < 'a' || text[i] > 'z') && (text[i] < '0' || text[i] > '9') && text[i] != '-')
            return false;
    return text[0] != '-' && text[len - 1] != '-';
}

static char **copy_list(const json_t *list, size_t *count)
{
    char **copy = slc_calloc(json_array_size(list) + 1, sizeof *copy);
    for (*count = 0; *count < json_array_size(list); (*count)++)
        copy[*count] = slc_strdup(json_string_value(json_array_get(list, *count)));
    return copy;
}

static bool compile(const json_t *config, void **compiled, slc_error *err)
{
    static const char *const known[] = {"issuers", "scopes", NULL};
    static const slc_policy_list issuers = {1, MAX_ISSUERS, 63, is_name},
                                 scopes = {1, MAX_SCOPES, SCOPE_CHARS, slc_oauth_is_scope};
    const json_t *issuer_list, *scope_list;
    if (!slc_policy_config_known(config, known, err) ||
        !slc_policy_config_strings(config, "issuers", &issuers, &issuer_list, err) ||
        !slc_policy_config_strings(config, "scopes", &scopes, &scope_list, err))
        return false;
    struct oidc *oidc = slc_calloc(1, sizeof *oidc);
    oidc->issuers = copy_list(issuer_list, &oidc->issuer_count);
    oidc->scopes = copy_list(scope_list, &oidc->scope_count);
    *compiled = oidc;
    return true;
}

static void free_list(char **list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(list[i]);
    free(list);
}

static void release(void *compiled)
{
    struct oidc *oidc = compiled;
    free_list(oidc->issuers, oidc->issuer_count);
    free_list(oidc->scopes, oidc->scope_count);
    free(oidc);
}

/* A good token cannot be guessed, so it is looked at first: whoever has one gets in. */
static enum slc_verdict refuse(slc_policy_request *request, slc_denial *denial, const char *why)
{
    if (slc_policy_attempt(request, NULL, denial) == SLC_DENY)
        return SLC_DENY;
    slc_policy_failed(request, NULL);
    request->add_header(request->protocol, "WWW-Authenticate",
                        "Bearer realm=\"sluice\", error=\"invalid_token\"");
    return slc_deny(denial, 401, "invalid-token", "The access token is not valid",
                    "It has expired, is for something else, or no application has it: get a new one.",
                    "oidc: %s", why);
}

static enum slc_verdict refuse_scope(slc_policy_request *request, slc_denial *denial, const struct oidc *oidc,
                                     const char *missing)
{
    char challenge[64 + MAX_SCOPES * (SCOPE_CHARS + 1)];
    size_t len = (size_t)snprintf(challenge, sizeof challenge,
                                  "Bearer realm=\"sluice\", error=\"insufficient_scope\", scope=\"");
    for (size_t i = 0; i < oidc->scope_count; i++)
        len += (size_t)snprintf(challenge + len, sizeof challenge - len, "%s%s", i > 0 ? " " : "",
                                oidc->scopes[i]);
    snprintf(challenge + len, sizeof challenge - len, "\"");
    request->add_header(request->protocol, "WWW-Authenticate", challenge);
    return slc_deny(denial, 403, "insufficient-scope", "The access token has too few scopes",
                    "Get a token with the scopes that WWW-Authenticate lists.",
                    "oidc: the token lacks the scope %s", missing);
}

static bool takes_issuer(const struct oidc *oidc, const char *issuer)
{
    for (size_t i = 0; i < oidc->issuer_count; i++)
        if (strcmp(oidc->issuers[i], issuer) == 0)
            return true;
    return oidc->issuer_count == 0;
}

bool slc_oidc_takes(const void *compiled, const slc_token *token, char why[160])
{
    const struct oidc *oidc = compiled;
    if (!takes_issuer(oidc, token->issuer)) {
        snprintf(why, 160, "the token is of the issuer %.63s", token->issuer);
        return false;
    }
    for (size_t i = 0; i < oidc->scope_count; i++)
        if (!slc_token_has(&token->scopes, oidc->scopes[i])) {
            snprintf(why, 160, "the token lacks the scope %.100s", oidc->scopes[i]);
            return false;
        }
    return true;
}

static enum slc_verdict authenticate(void *compiled, slc_policy_request *request, slc_denial *denial)
{
    const struct oidc *oidc = compiled;
    const slc_token *token = request->token;
    if (token == NULL)
        return SLC_PASS;
    if (token->state == SLC_TOKEN_UNAVAILABLE) {
        slc_deny(denial, 503, "identity-unavailable", "The access token cannot be verified now",
                 "The keys of its issuer are not to be had; retry later.", "oidc: %s", token->reason);
        denial->retry_after_ms = RETRY_AFTER_MS;
        return SLC_DENY;
    }
    if (token->state != SLC_TOKEN_GOOD)
        return refuse(request, denial, token->reason);
    if (!takes_issuer(oidc, token->issuer))
        return SLC_PASS; /* another policy may */
    for (size_t i = 0; i < oidc->scope_count; i++)
        if (!slc_token_has(&token->scopes, oidc->scopes[i]))
            return refuse_scope(request, denial, oidc, oidc->scopes[i]);
    enum slc_credential_answer answer = slc_credential_of_token(request->snapshot, token, request->principal);
    if (answer == SLC_CREDENTIAL_UNSUBSCRIBED)
        return slc_deny(denial, 403, "not-subscribed", "Not subscribed",
                        "The application has no subscription in this environment.",
                        "oidc: the application of subject %.100s has no subscriptions here", token->subject);
    if (answer != SLC_CREDENTIAL_GOOD)
        return refuse(request, denial, slc_credential_reason(answer));
    request->principal->token = token;
    return SLC_ALLOW;
}

static bool keeps(const void *compiled, const slc_principal *principal)
{
    char why[160];
    return principal->token != NULL && slc_oidc_takes(compiled, principal->token, why);
}

static bool way(const void *compiled, const slc_policy_request *request, slc_way *out)
{
    size_t issuers;
    (void)compiled;
    (void)slc_snapshot_issuers(request->snapshot, &issuers);
    snprintf(out->text, sizeof out->text, "an access token as Bearer");
    out->challenge = "Bearer realm=\"sluice\"";
    return issuers > 0;
}

const slc_policy_type slc_policy_oidc = {
    .name = "oidc",
    .summary =
        "Authenticates by an access token (Bearer) of an issuer: the application is the one whose credential "
        "matches a claim of it.\nOn native Kafka (OAUTHBEARER) the virtual cluster says which ways in there "
        "are, and "
        "policies of the group, the listener and the virtual\ncluster which tokens are good: where there are "
        "any, "
        "one of them must take it. Those of an event API are asked when a client that came by a token wants "
        "its topic:\none of them, or of the wider ones, must take the token. One whose condition is false "
        "takes none. A change reaches open\nsessions.",
    .config_schema =
        "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
        "\"issuers\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":50,\"items\":{\"type\":\"string\","
        "\"minLength\":1,\"maxLength\":63},"
        "\"description\":\"Names of the issuers whose tokens are taken; absent: all that credentials name.\"},"
        "\"scopes\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":20,\"items\":{\"type\":\"string\","
        "\"minLength\":1,\"maxLength\":100},"
        "\"description\":\"Scopes that a token must have, all of them.\"}}}",
    .compile = compile,
    .release = release,
    .authenticate = authenticate,
    .keeps = keeps,
    .way = way,
};
