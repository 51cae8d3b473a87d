#include "controlplane/portal/provider.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/jose/jwt.h"
#include "common/json.h"

#define WELL_KNOWN  "/.well-known/openid-configuration"
#define SUBJECT_MAX 255

/* ---- requests ---- */

struct exchange {
    const char *url;
    const char *form;   /* a POST's; NULL: a GET */
    const char *bearer; /* NULL: none */
    const char *user, *password;
};

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    slc_buf *body = arg;
    return slc_buf_add(body, data, size * count) ? size * count : 0;
}

/* No redirects: an endpoint is where the provider says that it is. */
static void set_options(CURL *curl, const slc_provider_client *client, const struct exchange *exchange,
                        slc_buf *body)
{
    curl_easy_setopt(curl, CURLOPT_URL, exchange->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)client->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "sluice");
    if (exchange->form != NULL)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, exchange->form);
    if (exchange->bearer != NULL) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, exchange->bearer);
    }
    if (exchange->user != NULL) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        curl_easy_setopt(curl, CURLOPT_USERNAME, exchange->user);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, exchange->password);
    }
    if (client->provider->ca_pem != NULL) {
        char *pem = client->provider->ca_pem;
        struct curl_blob blob = {.data = pem, .len = strlen(pem), .flags = CURL_BLOB_NOCOPY};
        curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &blob);
    }
}

/* What the provider says is wrong, if it says so (RFC 6749 section 5.2). */
static void fail_status(const struct exchange *exchange, long status, const slc_buf *body, slc_error *err)
{
    slc_error ignored;
    json_t *answer = slc_json_parse((const char *)body->data, body->len, body->len, &ignored);
    const char *error = json_string_value(json_object_get(answer, "error"));
    const char *description = json_string_value(json_object_get(answer, "error_description"));
    bool refused = status >= 400 && status < 500 && exchange->form != NULL;
    slc_fail(err, refused ? SLC_UNAUTHENTICATED : SLC_UNAVAILABLE, NULL,
             "%s answers with status %ld%s%.60s%s%.120s", exchange->url, status, error != NULL ? ": " : "",
             error != NULL ? error : "", description != NULL ? ": " : "",
             description != NULL ? description : "");
    json_decref(answer);
}

/* The JSON object that comes back: new. */
static json_t *request(const slc_provider_client *client, const struct exchange *exchange, slc_error *err)
{
    char detail[CURL_ERROR_SIZE] = "";
    long status = 0;
    json_t *object = NULL;
    slc_buf body;
    CURL *curl = curl_easy_init();
    if (curl == NULL) {
        slc_fail(err, SLC_UNAVAILABLE, NULL, "libcurl cannot be set up");
        return NULL;
    }
    slc_buf_init(&body, (size_t)client->max_bytes);
    set_options(curl, client, exchange, &body);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
    CURLcode rc = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (body.overflow)
        slc_fail(err, SLC_UNAVAILABLE, NULL, "%s sends more than %lld bytes", exchange->url,
                 (long long)client->max_bytes);
    else if (rc != CURLE_OK)
        slc_fail(err, SLC_UNAVAILABLE, NULL, "%s: %s", exchange->url,
                 detail[0] != '\0' ? detail : curl_easy_strerror(rc));
    else if (status != 200)
        fail_status(exchange, status, &body, err);
    else if ((object = slc_json_parse((const char *)body.data, body.len, body.len, err)) == NULL) {
        slc_fail_context(err, "%s", exchange->url);
        err->code = SLC_UNAVAILABLE;
    }
    slc_buf_release(&body);
    curl_easy_cleanup(curl);
    return object;
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

/* ---- discovery ---- */

static bool is_web(const char *url)
{
    return url != NULL && (strncmp(url, "https://", 8) == 0 || strncmp(url, "http://", 7) == 0);
}

json_t *slc_provider_discover(const slc_provider_client *client, slc_error *err)
{
    static const char *const needed[] = {"authorization_endpoint", "token_endpoint", "jwks_uri"};
    const char *issuer = client->provider->issuer;
    size_t len = strlen(issuer);
    while (len > 0 && issuer[len - 1] == '/')
        len--;
    char *url = slc_asprintf("%.*s%s", (int)len, issuer, WELL_KNOWN);
    struct exchange exchange = {.url = url};
    json_t *document = request(client, &exchange, err);
    bool ok = document != NULL;
    const char *said = text_of(document, "issuer");
    if (ok && (said == NULL || strcmp(said, issuer) != 0))
        ok = slc_fail(err, SLC_UNAVAILABLE, NULL, "%s is about the issuer \"%.200s\", not \"%.200s\"", url,
                      said != NULL ? said : "", issuer);
    for (size_t i = 0; ok && i < sizeof needed / sizeof *needed; i++)
        if (!is_web(text_of(document, needed[i])))
            ok = slc_fail(err, SLC_UNAVAILABLE, NULL, "%s names no %s", url, needed[i]);
    free(url);
    if (ok)
        return document;
    json_decref(document);
    return NULL;
}

/* ---- the code ---- */

static void add_pair(slc_buf *form, const char *name, const char *value)
{
    char *escaped = curl_easy_escape(NULL, value, 0);
    slc_buf_addf(form, "%s%s=%s", form->len > 0 ? "&" : "", name, escaped != NULL ? escaped : "");
    curl_free(escaped);
}

static bool lists(const json_t *array, const char *text)
{
    size_t index;
    json_t *item;
    json_array_foreach (array, index, item) {
        if (json_is_string(item) && strcmp(json_string_value(item), text) == 0)
            return true;
    }
    return false;
}

/* Basic authentication unless the provider offers the form alone. Both parts are form-encoded first (RFC 6749
 * section 2.3.1). */
static json_t *redeem(const slc_provider_client *client, const json_t *discovered,
                      const slc_provider_code *code, slc_error *err)
{
    const slc_provider *provider = client->provider;
    const json_t *methods = json_object_get(discovered, "token_endpoint_auth_methods_supported");
    bool basic = provider->client_secret != NULL && (methods == NULL || lists(methods, "client_secret_basic") ||
                                                     !lists(methods, "client_secret_post"));
    slc_buf form;
    slc_buf_init(&form, 65536);
    add_pair(&form, "grant_type", "authorization_code");
    add_pair(&form, "code", code->code);
    add_pair(&form, "redirect_uri", code->redirect_uri);
    add_pair(&form, "code_verifier", code->verifier);
    if (!basic)
        add_pair(&form, "client_id", provider->client_id);
    if (!basic && provider->client_secret != NULL)
        add_pair(&form, "client_secret", provider->client_secret);
    char *user = basic ? curl_easy_escape(NULL, provider->client_id, 0) : NULL;
    char *password = basic ? curl_easy_escape(NULL, provider->client_secret, 0) : NULL;
    struct exchange exchange = {.url = text_of(discovered, "token_endpoint"),
                                .form = (const char *)form.data,
                                .user = user,
                                .password = password};
    json_t *tokens = form.overflow ? NULL : request(client, &exchange, err);
    if (form.overflow)
        slc_fail(err, SLC_UNAUTHENTICATED, NULL, "the code is too long");
    curl_free(password);
    curl_free(user);
    slc_buf_release(&form);
    return tokens;
}

/* ---- what it proves ---- */

static bool check_id_token(const slc_provider_client *client, const slc_provider_code *code, const slc_jwt *jwt,
                           slc_error *err)
{
    const slc_provider *provider = client->provider;
    slc_jwt_expect expect = {.issuer = provider->issuer,
                             .audience = provider->client_id,
                             .now_ms = slc_wall_ms(),
                             .skew_ms = client->skew_ms};
    const char *party = slc_jwt_text(jwt, "azp"), *nonce = slc_jwt_text(jwt, "nonce");
    const char *subject = slc_jwt_text(jwt, "sub");
    if (!slc_jwt_check_claims(jwt, &expect, err))
        return false;
    if (party != NULL && strcmp(party, provider->client_id) != 0)
        return slc_fail(err, SLC_UNAUTHENTICATED, NULL, "the ID token was made for another client (azp)");
    if (nonce == NULL || strcmp(nonce, code->nonce) != 0)
        return slc_fail(err, SLC_UNAUTHENTICATED, NULL, "the ID token belongs to another sign-in (nonce)");
    if (subject == NULL || subject[0] == '\0' || strlen(subject) > SUBJECT_MAX)
        return slc_fail(err, SLC_UNAUTHENTICATED, NULL, "the ID token names nobody (sub)");
    return true;
}

static json_t *algorithms(void)
{
    return json_pack("[s,s,s,s,s,s,s,s,s,s]", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256",
                     "ES384", "ES512", "EdDSA");
}

/* The claims of the ID token: new. */
static json_t *verify(const slc_provider_client *client, const json_t *discovered,
                      const slc_provider_code *code, const char *id_token, slc_error *err)
{
    slc_jwt jwt;
    bool unknown_key;
    struct exchange exchange = {.url = text_of(discovered, "jwks_uri")};
    json_t *allowed = algorithms(), *keys = NULL, *claims = NULL;
    bool ok = slc_jwt_parse(id_token, &jwt, err) && slc_jwt_check_algorithm(&jwt, allowed, err) &&
              (keys = request(client, &exchange, err)) != NULL &&
              slc_jwt_verify(&jwt, keys, &unknown_key, err) && check_id_token(client, code, &jwt, err);
    if (ok)
        claims = json_deep_copy(jwt.claims);
    slc_jwt_release(&jwt);
    json_decref(keys);
    json_decref(allowed);
    return claims;
}

/* Many providers put groups and addresses there alone. What the ID token says is not replaced. */
static bool add_user_info(const slc_provider_client *client, const json_t *discovered, const json_t *tokens,
                          json_t *claims, slc_error *err)
{
    struct exchange exchange = {.url = text_of(discovered, "userinfo_endpoint"),
                                .bearer = text_of(tokens, "access_token")};
    if (exchange.url == NULL || exchange.bearer == NULL)
        return true;
    json_t *info = request(client, &exchange, err);
    if (info == NULL)
        return false;
    const char *subject = text_of(info, "sub");
    bool same = subject != NULL && strcmp(subject, text_of(claims, "sub")) == 0;
    if (same)
        json_object_update_missing(claims, info);
    json_decref(info);
    return same || slc_fail(err, SLC_UNAUTHENTICATED, NULL, "%s is about somebody else (sub)", exchange.url);
}

json_t *slc_provider_exchange(const slc_provider_client *client, const json_t *discovered,
                              const slc_provider_code *code, slc_error *err)
{
    json_t *tokens = redeem(client, discovered, code, err);
    const char *id_token = text_of(tokens, "id_token");
    json_t *claims = NULL;
    if (tokens != NULL && id_token == NULL)
        slc_fail(err, SLC_UNAUTHENTICATED, NULL, "the provider gave no ID token");
    else if (tokens != NULL)
        claims = verify(client, discovered, code, id_token, err);
    if (claims != NULL && !add_user_info(client, discovered, tokens, claims, err)) {
        json_decref(claims);
        claims = NULL;
    }
    json_decref(tokens);
    return claims;
}
