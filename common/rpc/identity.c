/* A server's certificate, key and client CA, asked for again at every handshake. */
#include <grpc/grpc_security.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/log.h"
#include "common/rpc/internal.h"

struct texts {
    char *chain, *key, *ca;
};

struct slc_rpc_identity {
    slc_rpc_server_identity source;
    pthread_mutex_t lock;
    struct texts seen; /* the last that were looked at, good or bad: the same ones are not looked at again */
};

static void texts_release(struct texts *texts)
{
    free(texts->chain);
    if (texts->key != NULL)
        slc_free_secret(texts->key, strlen(texts->key));
    free(texts->ca);
    *texts = (struct texts){NULL, NULL, NULL};
}

static bool same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool texts_equal(const struct texts *a, const struct texts *b)
{
    return same(a->chain, b->chain) && same(a->key, b->key) && same(a->ca, b->ca);
}

static bool texts_check(const struct texts *texts, bool require_client_cert, slc_error *err)
{
    if (texts->chain == NULL || texts->key == NULL)
        return slc_fail(err, SLC_INVALID, NULL, "a server needs a certificate and its key");
    if (require_client_cert && texts->ca == NULL)
        return slc_fail(err, SLC_INVALID, NULL,
                        "client certificates are required, but no CA to verify them is given");
    return slc_rpc_check_pem(texts->chain, texts->key, texts->ca, err);
}

static grpc_ssl_server_certificate_config *texts_config(const struct texts *texts)
{
    grpc_ssl_pem_key_cert_pair pair = {.private_key = texts->key, .cert_chain = texts->chain};
    return grpc_ssl_server_certificate_config_create(texts->ca, &pair, 1);
}

/* Asks the source. NEW fills `config`; FAIL fills `err`. Under the lock. */
static grpc_ssl_certificate_config_reload_status
refresh(slc_rpc_identity *identity, grpc_ssl_server_certificate_config **config, slc_error *err)
{
    struct texts texts = {NULL, NULL, NULL};
    if (!identity->source.fetch(identity->source.arg, &texts.chain, &texts.key, &texts.ca)) {
        texts_release(&texts);
        return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    }
    if (texts_equal(&texts, &identity->seen)) {
        texts_release(&texts);
        return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    }
    texts_release(&identity->seen);
    identity->seen = texts;
    if (!texts_check(&texts, identity->source.require_client_cert, err))
        return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_FAIL;
    *config = texts_config(&texts);
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
}

/* On gRPC's threads, at each handshake; at first within grpc_server_add_http2_port. */
static grpc_ssl_certificate_config_reload_status on_handshake(void *arg,
                                                              grpc_ssl_server_certificate_config **config)
{
    slc_rpc_identity *identity = arg;
    slc_error err;
    pthread_mutex_lock(&identity->lock);
    grpc_ssl_certificate_config_reload_status status = refresh(identity, config, &err);
    pthread_mutex_unlock(&identity->lock);
    if (status == GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_FAIL) {
        slc_log_error(SLC_LOG_WARN, "the new server certificate is not used, the old one stays", &err);
        return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    }
    return status;
}

slc_rpc_identity *slc_rpc_identity_new(const slc_rpc_server_identity *source)
{
    slc_rpc_identity *identity = slc_calloc(1, sizeof(*identity));
    identity->source = *source;
    pthread_mutex_init(&identity->lock, NULL);
    return identity;
}

void slc_rpc_identity_free(slc_rpc_identity *identity)
{
    texts_release(&identity->seen);
    pthread_mutex_destroy(&identity->lock);
    free(identity);
}

/* A look ahead: forgotten again, so that gRPC's own first question is answered with NEW. */
static bool check_first(slc_rpc_identity *identity, slc_error *err)
{
    grpc_ssl_server_certificate_config *config = NULL;
    grpc_ssl_certificate_config_reload_status status = refresh(identity, &config, err);
    texts_release(&identity->seen);
    if (status == GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED)
        return slc_fail(err, SLC_UNAVAILABLE, NULL, "there is no server certificate yet");
    if (status == GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_FAIL)
        return false;
    grpc_ssl_server_certificate_config_destroy(config);
    return true;
}

grpc_server_credentials *slc_rpc_identity_credentials(slc_rpc_identity *identity, slc_error *err)
{
    if (!check_first(identity, err))
        return NULL;
    grpc_ssl_client_certificate_request_type request =
        identity->source.require_client_cert ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                             : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE;
    return grpc_ssl_server_credentials_create_with_options(
        grpc_ssl_server_credentials_create_options_using_config_fetcher(request, on_handshake, identity));
}
