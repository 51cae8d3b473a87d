/* Sign-in by an OpenID provider: authorization code with PKCE (RFC 7636), state and nonce.
 *
 * What belongs to one sign-in travels in a cookie that only this process can read: nothing is kept for somebody
 * who never comes back, and only the browser that began can end it. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/json.h"
#include "common/log.h"
#include "controlplane/portal/portal_private.h"

#define FLOW_LIFE_MS   600000
#define FLOW_PURPOSE   "sluice portal: sign-in under way"
#define RANDOM_BYTES   32
#define RANDOM_CHARS   43   /* base64url */
#define PATH_MAX_CHARS 1000 /* taken; a longer path than fits into the answer leads to the start */
#define LOCATION_CHARS (sizeof((slc_call *)0)->location)
#define ANSWER_BYTES   (1 << 20)
#define SKEW_MS        60000
#define GROUPS_MAX     1000

/* ---- the flow ---- */

static json_t *random_text(void)
{
    uint8_t bytes[RANDOM_BYTES];
    char text[RANDOM_CHARS + 1];
    slc_random(bytes, sizeof bytes);
    slc_base64url_encode(bytes, sizeof bytes, text);
    return json_string(text);
}

static void seal_flow(slc_call *call, const json_t *flow)
{
    const slc_portal *portal = slc_portal_of(call);
    size_t len;
    char *text = slc_json_print(flow, &len);
    uint8_t *sealed = slc_malloc(len + SLC_SEAL_OVERHEAD);
    slc_seal(portal->flow_key, text, len, FLOW_PURPOSE, strlen(FLOW_PURPOSE), sealed);
    char *cookie = slc_malloc(4 * ((len + SLC_SEAL_OVERHEAD + 2) / 3) + 1);
    slc_base64url_encode(sealed, len + SLC_SEAL_OVERHEAD, cookie);
    slc_portal_set_flow(call, cookie, FLOW_LIFE_MS / 1000);
    free(cookie);
    free(sealed);
    slc_free_secret(text, len);
}

/* New; NULL when there is none, or it is not ours, or too old. */
static json_t *open_flow(const slc_call *call)
{
    const slc_portal *portal = slc_portal_of(call);
    const char *cookie = call->browser.flow;
    slc_error ignored;
    json_t *flow = NULL;
    size_t room = cookie != NULL ? strlen(cookie) : 0;
    uint8_t *sealed = slc_malloc(room + 1), *text = slc_malloc(room + 1);
    long len = cookie != NULL ? slc_base64url_decode(cookie, room, sealed, room) : -1;
    if (len > SLC_SEAL_OVERHEAD &&
        slc_unseal(portal->flow_key, sealed, (size_t)len, FLOW_PURPOSE, strlen(FLOW_PURPOSE), text, &ignored))
        flow = slc_json_parse((const char *)text, (size_t)len - SLC_SEAL_OVERHEAD, room, &ignored);
    OPENSSL_cleanse(text, room);
    free(text);
    free(sealed);
    if (flow != NULL && json_integer_value(json_object_get(flow, "until")) > slc_wall_ms())
        return flow;
    json_decref(flow);
    return NULL;
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

/* ---- what both ends share ---- */

struct sign_in {
    slc_call *call;
    slc_provider provider;
    slc_provider_client client;
    json_t *flow, *discovered, *claims;
    char *redirect_uri;
    char secret[SLC_SESSION_SECRET_CHARS + 1];
};

static bool load(slc_txn *txn, void *arg, slc_error *err)
{
    struct sign_in *in = arg;
    return slc_provider_load(txn, in->call->target.key, &in->provider, err);
}

static bool prepare(struct sign_in *in, slc_error *err)
{
    slc_portal *portal = slc_portal_of(in->call);
    in->client = (slc_provider_client){.provider = &in->provider,
                                       .timeout_ms = portal->options.provider_timeout_ms,
                                       .max_bytes = ANSWER_BYTES,
                                       .skew_ms = SKEW_MS};
    if (!slc_catalog_read_sync(portal->catalog, load, in, err))
        return false;
    in->redirect_uri =
        slc_asprintf("%s/auth/providers/%s/callback", slc_admin_portal_url(portal->admin), in->provider.name);
    in->discovered = slc_discoveries_get(portal->discoveries, &in->client, err);
    return in->discovered != NULL;
}

static void release(struct sign_in *in)
{
    slc_provider_release(&in->provider);
    json_decref(in->flow);
    json_decref(in->discovered);
    json_decref(in->claims);
    free(in->redirect_uri);
    OPENSSL_cleanse(in->secret, sizeof in->secret);
}

/* ---- to the provider ---- */

static void add_parameter(slc_buf *url, char *separator, const char *name, const char *value)
{
    slc_buf_addf(url, "%c%s=", *separator, name);
    *separator = '&';
    for (const unsigned char *p = (const unsigned char *)value; *p != '\0'; p++) {
        bool plain = (*p >= '0' && *p <= '9') || ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z') ||
                     strchr("-._~", *p) != NULL;
        if (plain)
            slc_buf_addc(url, (char)*p);
        else
            slc_buf_addf(url, "%%%02X", *p);
    }
}

static void add_scope(slc_buf *url, char *separator, const json_t *scopes)
{
    slc_buf all;
    size_t index;
    json_t *scope;
    slc_buf_init(&all, 4096);
    slc_buf_addf(&all, "openid");
    json_array_foreach (scopes, index, scope) {
        if (strcmp(json_string_value(scope), "openid") != 0)
            slc_buf_addf(&all, " %s", json_string_value(scope));
    }
    add_parameter(url, separator, "scope", (const char *)all.data);
    slc_buf_release(&all);
}

static void challenge_of(const char *verifier, char out[RANDOM_CHARS + 1])
{
    uint8_t sha256[SLC_SHA256_BYTES];
    slc_sha256(verifier, strlen(verifier), sha256);
    slc_base64url_encode(sha256, sizeof sha256, out);
}

/* Where the browser goes: new text. */
static char *authorization_url(const struct sign_in *in)
{
    const char *endpoint = text_of(in->discovered, "authorization_endpoint");
    char separator = strchr(endpoint, '?') != NULL ? '&' : '?', challenge[RANDOM_CHARS + 1];
    slc_buf url;
    size_t len;
    challenge_of(text_of(in->flow, "verifier"), challenge);
    slc_buf_init(&url, 16384);
    slc_buf_addf(&url, "%s", endpoint);
    add_parameter(&url, &separator, "response_type", "code");
    add_parameter(&url, &separator, "client_id", in->provider.client_id);
    add_parameter(&url, &separator, "redirect_uri", in->redirect_uri);
    add_scope(&url, &separator, in->provider.scopes);
    add_parameter(&url, &separator, "state", text_of(in->flow, "state"));
    add_parameter(&url, &separator, "nonce", text_of(in->flow, "nonce"));
    add_parameter(&url, &separator, "code_challenge", challenge);
    add_parameter(&url, &separator, "code_challenge_method", "S256");
    return slc_buf_steal(&url, &len);
}

/* A path of this host: "//host" and "/\host" are others to a browser. */
static const char *safe_path(const char *path)
{
    bool own = strlen(path) < LOCATION_CHARS && path[0] == '/' && path[1] != '/' && path[1] != '\\';
    for (const unsigned char *p = (const unsigned char *)path; own && *p != '\0'; p++)
        own = *p > 0x20 && *p < 0x7f && *p != '\\';
    return own ? path : "/";
}

bool slc_portal_start(slc_txn *txn, slc_call *call, slc_error *err)
{
    static const char *const fields[] = {"to", "invitation", NULL};
    struct sign_in in = {.call = call};
    const char *to, *invitation;
    char *url = NULL;
    (void)txn;
    if (!slc_portal_fields(call, fields, err) ||
        (to = slc_portal_text(call, "to", 0, PATH_MAX_CHARS, err)) == NULL ||
        (invitation = slc_portal_text(call, "invitation", 0, 100, err)) == NULL)
        return false;
    bool ok = prepare(&in, err);
    if (ok) {
        in.flow =
            json_pack("{s:s, s:o, s:o, s:o, s:s, s:s, s:I}", "provider", in.provider.id, "state", random_text(),
                      "nonce", random_text(), "verifier", random_text(), "to", safe_path(to), "invitation",
                      invitation, "until", (json_int_t)(slc_wall_ms() + FLOW_LIFE_MS));
        url = authorization_url(&in);
        call->answer = json_pack("{s:s}", "location", url);
        seal_flow(call, in.flow);
    }
    free(url);
    release(&in);
    return ok;
}

/* ---- and back ---- */

static bool is_same(const char *a, const char *b)
{
    size_t len = a != NULL ? strlen(a) : 0;
    return len > 0 && b != NULL && strlen(b) == len && slc_equal_secret(a, b, len);
}

static bool check_answer(struct sign_in *in, slc_error *err)
{
    const slc_call *call = in->call;
    const char *error = slc_call_query(call, "error"), *issuer = slc_call_query(call, "iss");
    in->flow = open_flow(call);
    if (in->flow == NULL || !is_same(text_of(in->flow, "state"), slc_call_query(call, "state")))
        return slc_fail(err, SLC_STALE, NULL,
                        "the sign-in was begun by another browser, or too long ago (state)");
    if (error != NULL)
        return slc_fail(err, SLC_UNAUTHENTICATED, NULL, "the provider refuses: %.100s", error);
    if (slc_call_query(call, "code") == NULL)
        return slc_fail(err, SLC_UNAUTHENTICATED, NULL, "the provider gave no code");
    if (!prepare(in, err))
        return false;
    if (strcmp(text_of(in->flow, "provider"), in->provider.id) != 0 ||
        (issuer != NULL && strcmp(issuer, in->provider.issuer) != 0))
        return slc_fail(err, SLC_STALE, NULL, "the sign-in was begun with another provider"); /* RFC 9207 */
    return true;
}

/* The claim's strings, or its one string, as an array: new. */
static json_t *groups_of(const json_t *claims, const char *name)
{
    const json_t *claim = json_object_get(claims, name);
    json_t *groups = json_array(), *item;
    size_t index;
    if (json_is_string(claim))
        json_array_append_new(groups, json_string(json_string_value(claim)));
    json_array_foreach (claim, index, item) {
        if (json_is_string(item) && json_array_size(groups) < GROUPS_MAX)
            json_array_append(groups, item);
    }
    return groups;
}

/* Text that may become an account's: what does not fit is left out, so that nobody stays outside for it. */
static const char *fitting(const json_t *claims, const char *name, size_t max)
{
    const char *text = text_of(claims, name);
    bool fits = text != NULL && text[0] != '\0' && strlen(text) <= max;
    for (const unsigned char *p = (const unsigned char *)text; fits && *p != '\0'; p++)
        fits = *p >= 0x20 && *p != 0x7f;
    return fits ? text : NULL;
}

static bool admit(slc_txn *txn, void *arg, slc_error *err)
{
    static const enum slc_admission admissions[] = {[SLC_SIGN_UP_OFF] = SLC_ADMIT_KNOWN,
                                                    [SLC_SIGN_UP_INVITATION] = SLC_ADMIT_RULES,
                                                    [SLC_SIGN_UP_DOMAIN] = SLC_ADMIT_DOMAINS,
                                                    [SLC_SIGN_UP_OPEN] = SLC_ADMIT_ALL};
    struct sign_in *in = arg;
    const slc_portal_options *options = &slc_portal_of(in->call)->options;
    const char *invitation = text_of(in->flow, "invitation");
    bool verified = json_is_true(json_object_get(in->claims, "email_verified"));
    json_t *groups = groups_of(in->claims, in->provider.groups_claim);
    slc_vouched who = {.subject = text_of(in->claims, "sub"),
                       .email = verified ? fitting(in->claims, "email", 254) : NULL,
                       .name = fitting(in->claims, in->provider.name_claim, 254),
                       .title = fitting(in->claims, "name", 200),
                       .groups = groups};
    bool invited = invitation[0] != '\0' && options->sign_up != SLC_SIGN_UP_OFF;
    char user_id[SLC_TOKEN_ID_CHARS + 1];
    bool ok = slc_federation_admit(txn, &in->provider, &who, admissions[options->sign_up],
                                   options->sign_up_role, invited ? invitation : NULL, user_id, err) &&
              slc_portal_begin(txn, in->call, user_id, in->provider.name, in->secret, err);
    json_decref(groups);
    return ok;
}

static bool come_back(struct sign_in *in, slc_error *err)
{
    slc_call *call = in->call;
    slc_portal *portal = slc_portal_of(call);
    if (!check_answer(in, err))
        return false;
    slc_provider_code code = {.code = slc_call_query(call, "code"),
                              .redirect_uri = in->redirect_uri,
                              .verifier = text_of(in->flow, "verifier"),
                              .nonce = text_of(in->flow, "nonce")};
    in->claims = slc_provider_exchange(&in->client, in->discovered, &code, err);
    if (in->claims == NULL)
        return false;
    slc_actor actor = {.kind = "system",
                       .id = "system",
                       .name = in->provider.name,
                       .request_id = call->request_id,
                       .manager = "portal"};
    return slc_catalog_write_sync(portal->catalog, &actor, admit, in, err);
}

/* The page has a text for each: none is taken from the address, which anybody can make. */
static const char *why(const slc_error *err)
{
    switch (err->code) {
    case SLC_STALE:
        return "expired";
    case SLC_DENIED:
        return "denied";
    case SLC_NOT_FOUND:
        return "invitation";
    case SLC_UNAUTHENTICATED:
    case SLC_INVALID:
        return "refused";
    default:
        return "unavailable";
    }
}

bool slc_portal_callback(slc_txn *txn, slc_call *call, slc_error *err)
{
    struct sign_in in = {.call = call};
    slc_error failure = {0};
    (void)txn, (void)err;
    bool ok = come_back(&in, &failure);
    json_decref(call->answer);
    call->answer = NULL;
    slc_portal_set_flow(call, NULL, 0);
    slc_portal_count_sign_in("provider", ok                                          ? "ok"
                                         : strcmp(why(&failure), "unavailable") == 0 ? "failed"
                                                                                     : "refused");
    if (ok) {
        slc_portal_set_session(call, in.secret);
        snprintf(call->location, sizeof call->location, "%s", text_of(in.flow, "to"));
    } else {
        slc_log(SLC_LOG_WARN, "sign-in by a provider failed", LS("provider", call->target.key),
                LS("error", failure.message), LS("address", call->browser.address),
                LS("request_id", call->request_id));
        snprintf(call->location, sizeof call->location, "/sign-in?failed=%s&request=%s", why(&failure),
                 call->request_id);
    }
    release(&in);
    return true;
}
