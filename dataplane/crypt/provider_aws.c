/* aws-kms: GenerateDataKey, Decrypt and GenerateMac of AWS's key management service, signed by libcurl. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/crypto.h"
#include "dataplane/crypt/aws_credentials.h"
#include "dataplane/crypt/provider.h"

#define FIXED_INPUT "sluice 1 fixed key "

static void *open_aws(const slc_key_ring_options *options)
{
    return (void *)options;
}

static void close_aws(void *provider)
{
    (void)provider;
}

/* By the service's own names, with or without what stands before a '#'. */
static enum slc_code code_of(const json_t *answer, const char **name)
{
    static const struct {
        const char *name;
        enum slc_code code;
    } codes[] = {{"NotFoundException", SLC_NOT_FOUND},        {"DisabledException", SLC_NOT_FOUND},
                 {"KMSInvalidStateException", SLC_NOT_FOUND}, /* is to be deleted */
                 {"InvalidKeyUsageException", SLC_NOT_FOUND}, {"InvalidArnException", SLC_NOT_FOUND},
                 {"InvalidCiphertextException", SLC_CORRUPT}, {"IncorrectKeyException", SLC_CORRUPT}};
    const char *type = json_string_value(json_object_get(answer, "__type"));
    const char *hash = type != NULL ? strrchr(type, '#') : NULL;
    *name = hash != NULL ? hash + 1 : type != NULL ? type : "no reason is given";
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(codes[i].name, *name) == 0)
            return codes[i].code;
    return SLC_UNAVAILABLE;
}

static json_t *post(const slc_key_ring_options *options, const slc_key_call *call, const char *operation,
                    const json_t *body, const slc_aws_credentials *credentials, long *status, slc_error *err)
{
    char *url = options->url != NULL ? slc_strdup(options->url)
                                     : slc_asprintf("https://kms.%s.amazonaws.com/", options->region);
    char *target = slc_asprintf("X-Amz-Target: TrentService.%s", operation);
    char *session = slc_asprintf("X-Amz-Security-Token: %s",
                                 credentials->session_token != NULL ? credentials->session_token : "");
    char *sigv4 = slc_asprintf("aws:amz:%s:kms", options->region);
    char *who = slc_asprintf("%s:%s", credentials->id, credentials->secret);
    const char *headers[] = {"Content-Type: application/x-amz-json-1.1", target,
                             credentials->session_token != NULL ? session : NULL, NULL};
    const slc_http_call request = {.url = url,
                                   .headers = headers,
                                   .ca_pem = options->ca_pem,
                                   .body = body,
                                   .timeout_ms = call->timeout_ms,
                                   .sigv4 = sigv4,
                                   .credentials = who};
    json_t *answer = slc_http_post(call->http, &request, status, err);
    slc_free_secret(who, strlen(who));
    slc_free_secret(session, strlen(session));
    free(sigv4);
    free(target);
    free(url);
    return answer;
}

/* New. `body`: stolen. */
static json_t *ask(const slc_key_ring_options *options, const slc_key_call *call, const char *operation,
                   const char *kek, json_t *body, slc_error *err)
{
    slc_aws_credentials credentials;
    long status = 0;
    json_t *answer = NULL;
    if (slc_aws_credentials_find(options, &credentials, err)) {
        answer = post(options, call, operation, body, &credentials, &status, err);
        slc_aws_credentials_release(&credentials);
    }
    json_decref(body);
    if (answer == NULL || status == 200)
        return answer;
    const char *name;
    enum slc_code code = code_of(answer, &name);
    slc_fail(err, code, NULL, "AWS KMS answers %ld to %s about the key %s: %.100s", status, operation, kek,
             name);
    json_decref(answer);
    return NULL;
}

static bool strange(const char *what, slc_error *err)
{
    return slc_fail(err, SLC_UNAVAILABLE, NULL, "AWS KMS's answer to %s has not what it should have", what);
}

static bool generate(void *provider, const slc_key_call *call, const char *kek,
                     uint8_t secret[SLC_DATA_KEY_BYTES], slc_edek *edek, slc_error *err)
{
    json_t *answer = ask(provider, call, "GenerateDataKey", kek,
                         json_pack("{s:s, s:s}", "KeyId", kek, "KeySpec", "AES_256"), err);
    if (answer == NULL)
        return false;
    const json_t *blob = json_object_get(answer, "CiphertextBlob");
    long len = json_is_string(blob) ? slc_base64_decode(json_string_value(blob), json_string_length(blob),
                                                        edek->bytes, sizeof edek->bytes)
                                    : -1;
    edek->len = len > 0 ? (size_t)len : 0;
    bool ok = (len > 0 && slc_provider_secret(answer, "Plaintext", secret, SLC_DATA_KEY_BYTES)) ||
              strange("GenerateDataKey", err);
    slc_json_wipe(answer);
    json_decref(answer);
    return ok;
}

static bool unwrap(void *provider, const slc_key_call *call, const char *kek, const uint8_t *edek,
                   size_t edek_len, uint8_t secret[SLC_DATA_KEY_BYTES], slc_error *err)
{
    char text[(SLC_EDEK_MAX + 2) / 3 * 4 + 1];
    if (edek_len > SLC_EDEK_MAX)
        return slc_fail(err, SLC_CORRUPT, NULL, "The data key is too long.");
    slc_base64_encode(edek, edek_len, text);
    json_t *answer =
        ask(provider, call, "Decrypt", kek, json_pack("{s:s, s:s}", "KeyId", kek, "CiphertextBlob", text), err);
    if (answer == NULL)
        return false;
    bool ok = slc_provider_secret(answer, "Plaintext", secret, SLC_DATA_KEY_BYTES) || strange("Decrypt", err);
    slc_json_wipe(answer);
    json_decref(answer);
    return ok;
}

/* `{key}` in it stands for the KEK: so that each KEK's keys of records can be destroyed on their own. New. */
static char *mac_key_of(const char *mac_key, const char *kek)
{
    static const char word[] = "{key}";
    const char *at = strstr(mac_key, word);
    return at == NULL ? slc_strdup(mac_key)
                      : slc_asprintf("%.*s%s%s", (int)(at - mac_key), mac_key, kek, at + strlen(word));
}

/* Keys that encrypt cannot make MACs there: it takes a key of its own, whose MAC of the KEK's name it is. */
static bool fixed(void *provider, const slc_key_call *call, const char *kek,
                  uint8_t secret[SLC_FIXED_KEY_BYTES], slc_error *err)
{
    const slc_key_ring_options *options = provider;
    if (options->mac_key == NULL)
        return slc_fail(err, SLC_NOT_FOUND, NULL,
                        "The key ring has no mac_key (an HMAC_512 key of AWS KMS), which encrypting keys of "
                        "records needs.");
    char input[sizeof FIXED_INPUT + SLC_KEK_NAME_MAX], text[(sizeof input + 2) / 3 * 4 + 1];
    size_t len = (size_t)snprintf(input, sizeof input, FIXED_INPUT "%s", kek);
    slc_base64_encode(input, len, text);
    char *mac_key = mac_key_of(options->mac_key, kek);
    json_t *answer = ask(
        provider, call, "GenerateMac", mac_key,
        json_pack("{s:s, s:s, s:s}", "KeyId", mac_key, "MacAlgorithm", "HMAC_SHA_512", "Message", text), err);
    free(mac_key);
    if (answer == NULL)
        return false;
    bool ok = slc_provider_secret(answer, "Mac", secret, SLC_FIXED_KEY_BYTES) || strange("GenerateMac", err);
    slc_json_wipe(answer);
    json_decref(answer);
    return ok;
}

const slc_key_provider_ops slc_provider_aws = {
    .name = "aws-kms",
    .open = open_aws,
    .close = close_aws,
    .generate = generate,
    .unwrap = unwrap,
    .fixed = fixed,
};
