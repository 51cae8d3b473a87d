/* key-auth: the application's generated secret, as an API key in a header or as HTTP Basic; and basic-auth: as
 * HTTP Basic alone.
 *
 * An API key is "slk_<credential id>_<secret>"; Basic carries the same as user name and password (RFC 7617).
 * An unknown id gets the same answer as a wrong secret.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/alloc.h"
#include "common/crypto.h"
#include "common/http_text.h"
#include "dataplane/policy/credential.h"
#include "dataplane/policy/failures.h"
#include "dataplane/policy/types.h"

#define KEY_PREFIX     "slk_"
#define DEFAULT_HEADER "X-API-Key"

struct key_auth {
    char *header; /* NULL: no API key is taken */
    bool basic;
};

/* What the client sent, not yet believed. */
struct presented {
    char id[SLC_CREDENTIAL_ID_MAX + 1];
    char secret[SLC_CREDENTIAL_SECRET_MAX + 1];
    bool basic; /* as HTTP Basic */
};

static bool compile(const json_t *config, void **compiled, slc_error *err)
{
    static const char *const known[] = {"header", "basic", NULL};
    struct key_auth key_auth = {.basic = true};
    if (!slc_policy_config_known(config, known, err))
        return false;
    const char *header = slc_policy_config_string(config, "header", DEFAULT_HEADER, 64, err);
    if (header == NULL || !slc_policy_config_bool(config, "basic", true, &key_auth.basic, err))
        return false;
    /* A header of another name could never be sent, and nobody would get in. */
    if (!slc_http_is_token(header, strlen(header)))
        return slc_fail(err, SLC_INVALID, "/config/header", "header must be the name of a request header");
    key_auth.header = slc_strdup(header);
    *compiled = slc_memdup(&key_auth, sizeof key_auth);
    return true;
}

static void release(void *compiled)
{
    struct key_auth *key_auth = compiled;
    free(key_auth->header);
    free(key_auth);
}

static bool present(struct presented *out, const char *id, size_t id_len, const char *secret, size_t secret_len)
{
    if (id_len == 0 || id_len > SLC_CREDENTIAL_ID_MAX || secret_len == 0 ||
        secret_len > SLC_CREDENTIAL_SECRET_MAX)
        return false;
    memcpy(out->id, id, id_len);
    out->id[id_len] = '\0';
    memcpy(out->secret, secret, secret_len);
    out->secret[secret_len] = '\0';
    return true;
}

static bool parse_key(const char *text, struct presented *out)
{
    if (strncmp(text, KEY_PREFIX, strlen(KEY_PREFIX)) != 0)
        return false;
    const char *id = text + strlen(KEY_PREFIX), *separator = strchr(id, '_');
    return separator != NULL &&
           present(out, id, (size_t)(separator - id), separator + 1, strlen(separator + 1));
}

static bool parse_basic(const char *text, struct presented *out)
{
    char decoded[SLC_CREDENTIAL_ID_MAX + SLC_CREDENTIAL_SECRET_MAX + 2];
    text += strspn(text, " ");
    long len = slc_base64_decode(text, strlen(text), (uint8_t *)decoded, sizeof decoded);
    if (len > 0 && memchr(decoded, '\0', (size_t)len) != NULL)
        len = -1; /* what follows a NUL would not be compared */
    const char *colon = len > 0 ? memchr(decoded, ':', (size_t)len) : NULL;
    bool ok = colon != NULL && present(out, decoded, (size_t)(colon - decoded), colon + 1,
                                       (size_t)(decoded + len - (colon + 1)));
    explicit_bzero(decoded, sizeof decoded);
    return ok;
}

/* 1: something to check; 0: nothing was sent; -1: it cannot be ours. */
static int read_credential(const struct key_auth *key_auth, const slc_policy_request *request,
                           struct presented *out)
{
    const char *key = key_auth->header != NULL ? request->header(request->protocol, key_auth->header) : NULL;
    if (key != NULL)
        return parse_key(key, out) ? 1 : -1;
    const char *authorization = key_auth->basic ? request->header(request->protocol, "Authorization") : NULL;
    out->basic = authorization != NULL && strncasecmp(authorization, "Basic ", 6) == 0;
    return !out->basic ? 0 : parse_basic(authorization + 6, out) ? 1 : -1;
}

static bool keeps(const void *compiled, const slc_principal *principal)
{
    const struct key_auth *key_auth = compiled;
    bool by_secret = strcmp(principal->by, slc_policy_key_auth.name) == 0 ||
                     strcmp(principal->by, slc_policy_basic_auth.name) == 0;
    return by_secret && (principal->basic ? key_auth->basic : key_auth->header != NULL);
}

static bool way(const void *compiled, const slc_policy_request *request, slc_way *out)
{
    const struct key_auth *key_auth = compiled;
    (void)request;
    if (key_auth->header != NULL)
        snprintf(out->text, sizeof out->text, "the application's API key in %s%s", key_auth->header,
                 key_auth->basic ? ", or its id and secret as HTTP Basic" : "");
    else
        snprintf(out->text, sizeof out->text,
                 "the id and secret of the application's credential as HTTP Basic");
    out->challenge = key_auth->basic ? "Basic realm=\"sluice\", charset=\"UTF-8\"" : "ApiKey realm=\"sluice\"";
    return true;
}

static enum slc_verdict refuse(const struct key_auth *key_auth, slc_policy_request *request, slc_denial *denial,
                               const char *why, const char *id)
{
    slc_way how = {0};
    (void)way(key_auth, request, &how);
    request->add_header(request->protocol, "WWW-Authenticate", how.challenge);
    slc_deny(denial, 401, "unauthenticated", "Authentication failed", denial->text, "%s: %s%s%s",
             key_auth->header != NULL ? "key-auth" : "basic-auth", why, id[0] != '\0' ? ", credential " : "",
             id);
    snprintf(denial->text, sizeof denial->text, "Send %s.", how.text);
    return SLC_DENY;
}

#define REFUSED_UNHEARD (-2)

/* 1: whose it is, and `answer`; REFUSED_UNHEARD with `denial`; else as read_credential. */
static int check_credential(const struct key_auth *key_auth, slc_policy_request *request,
                            struct presented *presented, enum slc_credential_answer *answer, slc_denial *denial)
{
    if (request->proved != NULL) {
        snprintf(presented->id, sizeof presented->id, "%s", request->proved);
        *answer = slc_credential_proved(request->snapshot, presented->id, request->principal);
        return 1;
    }
    int found = read_credential(key_auth, request, presented);
    if (found != 0 && slc_policy_attempt(request, found > 0 ? presented->id : NULL, denial) == SLC_DENY)
        found = REFUSED_UNHEARD;
    else if (found > 0)
        *answer = slc_credential_check(request->snapshot, presented->id, presented->secret, request->principal);
    explicit_bzero(presented->secret, sizeof presented->secret);
    return found;
}

static void count(slc_policy_request *request, const char *id, enum slc_credential_answer answer)
{
    if (answer == SLC_CREDENTIAL_GOOD || answer == SLC_CREDENTIAL_UNSUBSCRIBED)
        slc_failures_passed(request->failures, request->client_address, id);
    else
        slc_policy_failed(request, id);
}

static enum slc_verdict authenticate(void *compiled, slc_policy_request *request, slc_denial *denial)
{
    struct presented presented = {.id = ""};
    enum slc_credential_answer answer = SLC_CREDENTIAL_UNKNOWN;
    int found = check_credential(compiled, request, &presented, &answer, denial);
    if (found == 0)
        return SLC_PASS;
    if (found == REFUSED_UNHEARD)
        return SLC_DENY;
    if (found < 0) {
        slc_policy_failed(request, NULL);
        return refuse(compiled, request, denial, "not a key of this gateway", "");
    }
    count(request, presented.id, answer);
    if (answer == SLC_CREDENTIAL_UNSUBSCRIBED)
        return slc_deny(denial, 403, "not-subscribed", "Not subscribed",
                        "The application has no subscription in this environment.",
                        "key-auth: credential %s has an application without subscriptions here", presented.id);
    if (answer != SLC_CREDENTIAL_GOOD)
        return refuse(compiled, request, denial, slc_credential_reason(answer), presented.id);
    request->principal->basic = presented.basic;
    return SLC_ALLOW;
}

const slc_policy_type slc_policy_key_auth = {
    .name = "key-auth",
    .summary = "Authenticates by the application's generated secret: an API key header or HTTP Basic.",
    .config_schema =
        "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
        "\"header\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":64,\"default\":\"X-API-Key\","
        "\"description\":\"Request header that carries the API key.\"},"
        "\"basic\":{\"type\":\"boolean\",\"default\":true,"
        "\"description\":\"Accept HTTP Basic with the credential's id and secret too.\"}}}",
    .compile = compile,
    .release = release,
    .authenticate = authenticate,
    .keeps = keeps,
    .way = way,
};

/* ---- basic-auth ---- */

static bool compile_basic(const json_t *config, void **compiled, slc_error *err)
{
    static const char *const known[] = {NULL};
    struct key_auth basic = {.basic = true};
    if (!slc_policy_config_known(config, known, err))
        return false;
    *compiled = slc_memdup(&basic, sizeof basic);
    return true;
}

const slc_policy_type slc_policy_basic_auth = {
    .name = "basic-auth",
    .summary = "Authenticates by HTTP Basic with the credential's id and secret, and takes no API key.",
    .config_schema = "{\"type\":\"object\",\"additionalProperties\":false}",
    .compile = compile_basic,
    .release = release,
    .authenticate = authenticate,
    .keeps = keeps,
    .way = way,
};
