/* vault: the transit engine of HashiCorp Vault. Its HTTP API: datakey, decrypt, hmac. */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/alloc.h"
#include "common/crypto.h"
#include "dataplane/crypt/provider.h"

#define FIXED_INPUT "sluice 1 fixed key"
#define PREFIX      "vault:v" /* of ciphertexts, then a version and a colon */

static void *open_vault(const slc_key_ring_options *options)
{
    return (void *)options;
}

static void close_vault(void *provider)
{
    (void)provider;
}

/* What Vault says went wrong; never what was sent. */
static const char *message_of(const json_t *answer)
{
    const char *text = json_string_value(json_array_get(json_object_get(answer, "errors"), 0));
    return text != NULL ? text : "no reason is given";
}

/* Vault answers 400 for whatever it does not like about a request. */
static enum slc_code code_of(long status, const char *message)
{
    bool missing = strcasestr(message, "not found") != NULL || strcasestr(message, "no existing key") != NULL;
    if (status == 404 || (status == 400 && missing))
        return SLC_NOT_FOUND;
    return status == 400 ? SLC_CORRUPT : SLC_UNAVAILABLE;
}

/* Names and mounts become parts of a path. */
static char *path_of(const slc_key_ring_options *options, const char *what, const char *kek, slc_error *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    const char *mount = options->mount != NULL ? options->mount : "transit";
    size_t len = strlen(options->url);
    if (kek[0] == '\0' || kek[0] == '.' || strspn(kek, letters) != strlen(kek)) {
        slc_fail(err, SLC_NOT_FOUND, NULL, "\"%.200s\" cannot be a key of Vault's", kek);
        return NULL;
    }
    while (len > 0 && options->url[len - 1] == '/')
        len--;
    return slc_asprintf("%.*s/v1/%s/%s/%s", (int)len, options->url, mount, what, kek);
}

/* The answer's data: new. `body`: stolen. */
static json_t *ask(const slc_key_ring_options *options, const slc_key_call *call, const char *what,
                   const char *kek, json_t *body, slc_error *err)
{
    size_t len;
    long status = 0;
    json_t *data = NULL, *answer = NULL;
    char *url = path_of(options, what, kek, err);
    char *token = url != NULL ? slc_key_secret_read(&options->token, "Vault's token", &len, err) : NULL;
    if (token != NULL) {
        char *token_line = slc_asprintf("X-Vault-Token: %s", token);
        char *namespace_line = slc_asprintf("X-Vault-Namespace: %s",
                                            options->namespace_name != NULL ? options->namespace_name : "");
        const char *headers[] = {"Content-Type: application/json", "X-Vault-Request: true", token_line,
                                 options->namespace_name != NULL ? namespace_line : NULL, NULL};
        const slc_http_call post = {.url = url,
                                    .headers = headers,
                                    .ca_pem = options->ca_pem,
                                    .body = body,
                                    .timeout_ms = call->timeout_ms};
        answer = slc_http_post(call->http, &post, &status, err);
        slc_free_secret(token_line, strlen(token_line));
        free(namespace_line);
        slc_free_secret(token, len);
    } else if (url != NULL && err != NULL) {
        err->code = SLC_UNAVAILABLE;
    }
    if (answer != NULL && status == 200)
        data = json_incref(json_object_get(answer, "data"));
    if (answer != NULL && data == NULL) {
        const char *message = message_of(answer);
        slc_fail(err, code_of(status, message), NULL, "Vault answers %ld about the key %s: %.150s", status, kek,
                 message);
    }
    json_decref(answer);
    json_decref(body);
    free(url);
    return data;
}

static bool strange(const char *what, slc_error *err)
{
    return slc_fail(err, SLC_UNAVAILABLE, NULL, "Vault's answer to %s has not what it should have", what);
}

static bool generate(void *provider, const slc_key_call *call, const char *kek,
                     uint8_t secret[SLC_DATA_KEY_BYTES], slc_edek *edek, slc_error *err)
{
    json_t *data = ask(provider, call, "datakey/plaintext", kek, json_pack("{s:i}", "bits", 256), err);
    if (data == NULL)
        return false;
    const json_t *ciphertext = json_object_get(data, "ciphertext");
    size_t len = json_string_length(ciphertext);
    bool ok =
        len > 0 && len <= SLC_EDEK_MAX && slc_provider_secret(data, "plaintext", secret, SLC_DATA_KEY_BYTES);
    if (ok) {
        memcpy(edek->bytes, json_string_value(ciphertext), len);
        edek->len = len;
    } else {
        strange("datakey", err);
    }
    slc_json_wipe(data);
    json_decref(data);
    return ok;
}

static bool unwrap(void *provider, const slc_key_call *call, const char *kek, const uint8_t *edek,
                   size_t edek_len, uint8_t secret[SLC_DATA_KEY_BYTES], slc_error *err)
{
    json_t *text = json_stringn((const char *)edek, edek_len);
    if (text == NULL || edek_len < strlen(PREFIX) || memcmp(edek, PREFIX, strlen(PREFIX)) != 0) {
        json_decref(text);
        return slc_fail(err, SLC_CORRUPT, NULL, "The data key is not one of Vault's.");
    }
    json_t *data = ask(provider, call, "decrypt", kek, json_pack("{s:o}", "ciphertext", text), err);
    if (data == NULL)
        return false;
    bool ok = slc_provider_secret(data, "plaintext", secret, SLC_DATA_KEY_BYTES) || strange("decrypt", err);
    slc_json_wipe(data);
    json_decref(data);
    return ok;
}

/* The HMAC of a fixed text by the first version of the key: the same whatever is rotated. */
static bool fixed(void *provider, const slc_key_call *call, const char *kek,
                  uint8_t secret[SLC_FIXED_KEY_BYTES], slc_error *err)
{
    char input[64];
    slc_base64_encode(FIXED_INPUT, strlen(FIXED_INPUT), input);
    json_t *data =
        ask(provider, call, "hmac", kek,
            json_pack("{s:s, s:s, s:i}", "input", input, "algorithm", "sha2-512", "key_version", 1), err);
    if (data == NULL)
        return false;
    const char *text = json_string_value(json_object_get(data, "hmac"));
    const char *digits = text != NULL && strncmp(text, PREFIX, strlen(PREFIX)) == 0 ? strrchr(text, ':') : NULL;
    bool ok = digits != NULL && slc_base64_decode(digits + 1, strlen(digits + 1), secret,
                                                  SLC_FIXED_KEY_BYTES) == SLC_FIXED_KEY_BYTES;
    slc_json_wipe(data);
    json_decref(data);
    return ok || strange("hmac", err);
}

const slc_key_provider_ops slc_provider_vault = {
    .name = "vault",
    .open = open_vault,
    .close = close_vault,
    .generate = generate,
    .unwrap = unwrap,
    .fixed = fixed,
};
