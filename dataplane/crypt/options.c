#include "dataplane/crypt/options.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/file.h"

#define SECRET_MAX_BYTES 65536

enum { TEXTS = 10, SECRETS = 4 };

static void texts_of(const slc_key_ring_options *options, char *const *out[TEXTS])
{
    char *const *all[TEXTS] = {&options->name,   &options->provider, &options->path,
                               &options->url,    &options->mount,    &options->namespace_name,
                               &options->ca_pem, &options->region,   &options->access_key_id,
                               &options->mac_key};
    memcpy(out, all, sizeof all);
}

static void secrets_of(const slc_key_ring_options *options, const slc_key_secret *out[SECRETS])
{
    const slc_key_secret *all[SECRETS] = {&options->passphrase, &options->token, &options->secret_access_key,
                                          &options->session_token};
    memcpy(out, all, sizeof all);
}

void slc_key_ring_options_release(slc_key_ring_options *options)
{
    char *const *texts[TEXTS];
    const slc_key_secret *secrets[SECRETS];
    texts_of(options, texts);
    secrets_of(options, secrets);
    for (size_t i = 0; i < TEXTS; i++)
        free(*texts[i]);
    for (size_t i = 0; i < SECRETS; i++) {
        slc_free_secret(secrets[i]->value, secrets[i]->len);
        free(secrets[i]->file);
        free(secrets[i]->env);
    }
    *options = (slc_key_ring_options){0};
}

static char *copy(const char *text)
{
    return text != NULL ? slc_strdup(text) : NULL;
}

void slc_key_ring_options_copy(slc_key_ring_options *to, const slc_key_ring_options *from)
{
    char *const *old[TEXTS], *const *texts[TEXTS];
    const slc_key_secret *old_secrets[SECRETS], *secrets[SECRETS];
    *to = (slc_key_ring_options){0};
    texts_of(from, old);
    texts_of(to, texts);
    secrets_of(from, old_secrets);
    secrets_of(to, secrets);
    for (size_t i = 0; i < TEXTS; i++)
        *(char **)texts[i] = copy(*old[i]);
    for (size_t i = 0; i < SECRETS; i++) {
        slc_key_secret *secret = (slc_key_secret *)secrets[i];
        if (old_secrets[i]->value != NULL) {
            secret->value = slc_malloc(old_secrets[i]->len + 1);
            memcpy(secret->value, old_secrets[i]->value, old_secrets[i]->len);
            secret->value[old_secrets[i]->len] = '\0';
            secret->len = old_secrets[i]->len;
        }
        secret->file = copy(old_secrets[i]->file);
        secret->env = copy(old_secrets[i]->env);
    }
}

/* With its length, so that nothing runs into what follows. */
static void add(slc_buf *out, const void *data, size_t len)
{
    slc_buf_addf(out, data != NULL ? "%zu:" : "-", len);
    if (len > 0)
        slc_buf_add(out, data, len);
}

void slc_key_ring_options_digest(const slc_key_ring_options *options, uint8_t out[SLC_SHA256_BYTES])
{
    char *const *texts[TEXTS];
    const slc_key_secret *secrets[SECRETS];
    slc_buf all;
    slc_buf_init(&all, SIZE_MAX);
    texts_of(options, texts);
    secrets_of(options, secrets);
    for (size_t i = 0; i < TEXTS; i++)
        add(&all, *texts[i], *texts[i] != NULL ? strlen(*texts[i]) : 0);
    for (size_t i = 0; i < SECRETS; i++) {
        add(&all, secrets[i]->value, secrets[i]->len);
        add(&all, secrets[i]->file, secrets[i]->file != NULL ? strlen(secrets[i]->file) : 0);
        add(&all, secrets[i]->env, secrets[i]->env != NULL ? strlen(secrets[i]->env) : 0);
    }
    slc_sha256(all.data, all.len, out);
    OPENSSL_cleanse(all.data, all.len);
    slc_buf_release(&all);
}

static bool needs(bool there, const char *field, const char *what, slc_error *err)
{
    return there || slc_fail(err, SLC_INVALID, field, "%s is missing", what);
}

bool slc_key_ring_options_check(const slc_key_ring_options *options, slc_error *err)
{
    const char *provider = options->provider != NULL ? options->provider : "";
    if (strcmp(provider, "local") == 0)
        return needs(options->path != NULL, "/config/path", "the path of the keystore", err) &&
               needs(slc_key_secret_given(&options->passphrase), "/config/passphrase", "the passphrase", err);
    if (strcmp(provider, "vault") == 0)
        return needs(options->url != NULL, "/config/url", "the URL", err) &&
               needs(slc_key_secret_given(&options->token), "/config/token", "the token", err);
    if (strcmp(provider, "aws-kms") == 0)
        return needs(options->region != NULL, "/config/region", "the region", err) &&
               needs((options->access_key_id != NULL) == slc_key_secret_given(&options->secret_access_key),
                     "/config/secret_access_key", "one of access_key_id and secret_access_key", err);
    return slc_fail(err, SLC_UNSUPPORTED, "/provider", "the provider \"%.40s\" is not known", provider);
}

/* ---- secrets ---- */

bool slc_key_secret_given(const slc_key_secret *secret)
{
    return secret->value != NULL || secret->file != NULL || secret->env != NULL;
}

static char *from_file(const char *path, const char *what, size_t *len, slc_error *err)
{
    char *value = slc_file_read(path, SECRET_MAX_BYTES, len, err);
    if (value == NULL)
        slc_fail_context(err, "%s", what);
    else if (*len > 0 && value[*len - 1] == '\n')
        value[--*len] = '\0';
    return value;
}

char *slc_key_secret_read(const slc_key_secret *secret, const char *what, size_t *len, slc_error *err)
{
    const char *value = secret->value;
    *len = secret->len;
    if (secret->file != NULL)
        return from_file(secret->file, what, len, err);
    if (secret->env != NULL) {
        value = getenv(secret->env);
        *len = value != NULL ? strlen(value) : 0;
    }
    if (value == NULL) {
        slc_fail(err, SLC_UNAVAILABLE, NULL, "%s: %s%s", what,
                 secret->env != NULL ? "there is no environment variable " : "it is not given",
                 secret->env != NULL ? secret->env : "");
        return NULL;
    }
    char *own = slc_malloc(*len + 1);
    memcpy(own, value, *len);
    own[*len] = '\0';
    return own;
}
