/* What one entity of the configuration says, checked before anything is built from it. */
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/json.h"
#include "common/network.h"
#include "common/settings.h"
#include "common/tls.h"
#include "dataplane/config/secret.h"
#include "dataplane/config/snapshot_private.h"

#define CONFIG_JSON_MAX_BYTES (256 * 1024)
#define SKEW_MAX_MS           3600000

bool slc_features_check(char *const *required, size_t count, const char *field, slc_error *err)
{
    for (size_t i = 0; i < count; i++) {
        const char *const *known = slc_config_features();

        while (*known != NULL && strcmp(*known, required[i]) != 0)
            known++;
        if (*known == NULL)
            return slc_fail(err, SLC_UNSUPPORTED, field,
                            "requires the feature \"%s\", which this gateway lacks", required[i]);
    }
    return true;
}

/* ---- addresses, certificates, secrets ---- */

static bool check_named(const char *id, const char *name, const char *field, slc_error *err)
{
    if (id[0] == '\0' || name[0] == '\0')
        return slc_fail(err, SLC_INVALID, field, "has no id or no name");
    return true;
}

static bool check_address(const char *address, bool to_dial, const char *field, slc_error *err)
{
    char host[256];
    uint16_t port;
    slc_error cause;

    if (!slc_address_split(address, host, sizeof(host), &port, &cause))
        return slc_fail(err, SLC_INVALID, field, "the address \"%.200s\" is not HOST:PORT", address);
    if (to_dial && (host[0] == '\0' || port == 0))
        return slc_fail(err, SLC_INVALID, field, "the address \"%.200s\" lacks a host or a port", address);
    return true;
}

static bool check_certificates(const char *pem, const char *what, const char *field, slc_error *err)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    bool ok = certificate != NULL;

    X509_free(certificate);
    BIO_free(bio);
    return ok ? true : slc_fail(err, SLC_INVALID, field, "%s holds no PEM certificate", what);
}

/* A value that came with the configuration is as wrong later as it is now. What it only refers to is this
 * node's, and may be put right: then the configuration is worth another try. */
static enum slc_code code_of(const pb_secret *secret)
{
    bool here = secret != NULL && (secret->source_case == SLUICE__SNAPSHOT__V1__SECRET__SOURCE_FILE ||
                                   secret->source_case == SLUICE__SNAPSHOT__V1__SECRET__SOURCE_ENV);
    return here ? SLC_UNAVAILABLE : SLC_INVALID;
}

static _Thread_local bool elsewhere;

void slc_validate_elsewhere(bool is_elsewhere)
{
    elsewhere = is_elsewhere;
}

/* Only a gateway can tell. */
static bool is_out_of_reach(const pb_secret *secret)
{
    return elsewhere && code_of(secret) == SLC_UNAVAILABLE;
}

/* The key, chain and client CA load and belong together. The chain is a file's where that is not empty;
 * `min_version` may be. */
static bool check_tls(const char *certificate_pem, const char *certificate_file, const pb_secret *key,
                      const char *client_ca_pem, const char *min_version, const char *field, slc_error *err)
{
    bool by_file = certificate_file[0] != '\0';
    slc_tls_options options = {.cert_pem = by_file ? NULL : certificate_pem,
                               .cert_file = by_file ? certificate_file : NULL};
    slc_error cause;
    size_t len;
    slc_tls *tls;

    if (is_out_of_reach(key))
        return true;
    char *key_pem = slc_secret_resolve(key, &len, &cause);
    if (key_pem == NULL)
        return slc_fail(err, code_of(key), field, "its TLS key: %s", cause.message);
    options.key_pem = key_pem;
    options.client_ca_pem = client_ca_pem != NULL && client_ca_pem[0] != '\0' ? client_ca_pem : NULL;
    options.min_version = min_version != NULL && min_version[0] != '\0' ? min_version : NULL;
    tls = slc_tls_server_new(&options, &cause);
    slc_free_secret(key_pem, len);
    if (tls == NULL)
        return slc_fail(err, code_of(key), field, "its TLS certificate: %s", cause.message);
    slc_tls_unref(tls);
    return true;
}

static bool check_secret(const pb_secret *secret, const char *what, const char *field, slc_error *err)
{
    slc_error cause;
    size_t len;

    if (is_out_of_reach(secret))
        return true;
    char *value = slc_secret_resolve(secret, &len, &cause);
    if (value == NULL)
        return slc_fail(err, code_of(secret), field, "%s: %s", what, cause.message);
    slc_free_secret(value, len);
    return true;
}

static bool one_of(const char *value, const char *const *allowed)
{
    for (; *allowed != NULL; allowed++)
        if (strcmp(*allowed, value) == 0)
            return true;
    return false;
}

/* ---- entities ---- */

static bool check_backend_tls(const Sluice__Snapshot__V1__ClientTls *tls, const char *field, slc_error *err)
{
    if (tls == NULL || !tls->enabled)
        return true;
    if (tls->ca_pem[0] != '\0' && !check_certificates(tls->ca_pem, "its CA", field, err))
        return false;
    return tls->certificate_pem[0] == '\0' ||
           check_tls(tls->certificate_pem, "", tls->key, NULL, NULL, field, err);
}

static bool check_backend_login(const pb_backend *msg, const char *field, slc_error *err)
{
    static const char *const passwords[] = {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", NULL};

    if (msg->mechanism[0] == '\0')
        return true;
    if (strcmp(msg->mechanism, "OAUTHBEARER") == 0) {
        if (msg->token_url[0] == '\0' || msg->client_id[0] == '\0')
            return slc_fail(err, SLC_INVALID, field, "OAUTHBEARER needs a token URL and a client id");
        return check_secret(msg->client_secret, "its client secret", field, err);
    }
    if (!one_of(msg->mechanism, passwords))
        return slc_fail(err, SLC_UNSUPPORTED, field, "the SASL mechanism \"%s\" is not known", msg->mechanism);
    if (msg->username[0] == '\0')
        return slc_fail(err, SLC_INVALID, field, "%s needs a user name", msg->mechanism);
    return check_secret(msg->password, "its password", field, err);
}

bool slc_backend_check(const pb_backend *msg, slc_error *err)
{
    char field[160];

    snprintf(field, sizeof(field), "backend/%s", msg->name);
    if (!check_named(msg->id, msg->name, field, err) ||
        !slc_features_check(msg->required_features, msg->n_required_features, field, err))
        return false;
    if (msg->n_bootstrap_servers == 0)
        return slc_fail(err, SLC_INVALID, field, "has no bootstrap servers");
    for (size_t i = 0; i < msg->n_bootstrap_servers; i++)
        if (!check_address(msg->bootstrap_servers[i], true, field, err))
            return false;
    return check_backend_tls(msg->tls, field, err) && check_backend_login(msg, field, err);
}

bool slc_vcluster_check(const pb_vcluster *msg, slc_error *err)
{
    char field[160];

    snprintf(field, sizeof(field), "virtual-cluster/%s", msg->name);
    if (!check_named(msg->id, msg->name, field, err) ||
        !slc_features_check(msg->required_features, msg->n_required_features, field, err))
        return false;
    if (msg->mode > SLUICE__SNAPSHOT__V1__NAMESPACE_MODE__NAMESPACE_MODE_ENFORCE)
        return slc_fail(err, SLC_UNSUPPORTED, field, "the namespace mode %d is not known", (int)msg->mode);
    if (msg->mode != SLUICE__SNAPSHOT__V1__NAMESPACE_MODE__NAMESPACE_MODE_NONE && msg->prefix[0] == '\0')
        return slc_fail(err, SLC_INVALID, field, "its namespace has no prefix");
    return true;
}

static bool check_networks(const pb_listener *msg, const char *field, slc_error *err)
{
    slc_network network;

    for (size_t i = 0; i < msg->n_proxy_protocol_from; i++)
        if (!slc_network_parse(msg->proxy_protocol_from[i], &network))
            return slc_fail(err, SLC_INVALID, field, "proxy_protocol_from: \"%s\" is no network",
                            msg->proxy_protocol_from[i]);
    return true;
}

bool slc_listener_check(const pb_listener *msg, const pb_listener *before, slc_error *err)
{
    static const char *const protocols[] = {"http", "kafka", NULL};
    static const char *const client_auths[] = {"", "none", "request", "require", NULL};
    char field[160];

    snprintf(field, sizeof(field), "listener/%s", msg->name);
    if (!check_named(msg->id, msg->name, field, err) ||
        !slc_features_check(msg->required_features, msg->n_required_features, field, err) ||
        !check_address(msg->address, false, field, err) || !check_networks(msg, field, err))
        return false;
    if (!one_of(msg->protocol, protocols))
        return slc_fail(err, SLC_UNSUPPORTED, field, "the protocol \"%s\" is not known", msg->protocol);
    if (!one_of(msg->client_auth, client_auths))
        return slc_fail(err, SLC_UNSUPPORTED, field, "the client authentication \"%s\" is not known",
                        msg->client_auth);
    if (!msg->tls)
        return true;
    if (strcmp(msg->client_auth, "require") == 0 && msg->client_ca_pem[0] == '\0')
        return slc_fail(err, SLC_INVALID, field, "requires client certificates but has no CA to check them");
    return (before != NULL && slc_listener_same_tls(msg, before)) ||
           check_tls(msg->certificate_pem, msg->certificate_file, msg->key, msg->client_ca_pem,
                     msg->min_tls_version, field, err);
}

static bool check_cursor_keys(const pb_event_api *msg, const char *field, slc_error *err)
{
    if (msg->n_cursor_keys == 0)
        return slc_fail(err, SLC_INVALID, field, "has no cursor key");
    for (size_t i = 0; i < msg->n_cursor_keys; i++)
        if (msg->cursor_keys[i]->key.len != 32)
            return slc_fail(err, SLC_INVALID, field, "a cursor key has %zu bytes instead of 32",
                            msg->cursor_keys[i]->key.len);
    return true;
}

bool slc_event_api_check(const pb_event_api *msg, slc_error *err)
{
    char field[160];

    snprintf(field, sizeof(field), "event-api/%s.v%u", msg->name, msg->major);
    if (!check_named(msg->id, msg->name, field, err) ||
        !slc_features_check(msg->required_features, msg->n_required_features, field, err))
        return false;
    if (msg->major == 0 || strlen(msg->name) > 63)
        return slc_fail(err, SLC_INVALID, field, "its name or major version is out of range");
    if (msg->topic[0] == '\0' || strlen(msg->topic) > 249)
        return slc_fail(err, SLC_INVALID, field, "its topic is empty or too long");
    if (msg->n_operations == 0)
        return slc_fail(err, SLC_INVALID, field, "allows no operation");
    if (msg->key_source > SLUICE__SNAPSHOT__V1__KEY_SOURCE__KEY_SOURCE_CLOUDEVENTS)
        return slc_fail(err, SLC_UNSUPPORTED, field, "the key source %d is not known", (int)msg->key_source);
    return check_cursor_keys(msg, field, err);
}

bool slc_policy_check(const pb_policy *msg, slc_error *err)
{
    const slc_policy_type *type;
    slc_error cause;
    void *compiled = NULL;
    char field[160];
    json_t *config;
    bool ok = true;

    snprintf(field, sizeof(field), "policy/%s", msg->name);
    if (!check_named(msg->id, msg->name, field, err) ||
        !slc_features_check(msg->required_features, msg->n_required_features, field, err))
        return false;
    type = slc_policy_type_find(msg->type);
    if (type == NULL)
        return slc_fail(err, SLC_UNSUPPORTED, field, "the policy type \"%s\" is not known to this gateway",
                        msg->type);
    config = msg->config_json[0] != '\0'
                 ? slc_json_parse(msg->config_json, strlen(msg->config_json), CONFIG_JSON_MAX_BYTES, &cause)
                 : json_object();
    if (config == NULL)
        return slc_fail(err, SLC_INVALID, field, "its config: %s", cause.message);
    slc_error_clear(&cause);
    if (type->compile != NULL)
        ok = type->compile(config, &compiled, &cause);
    if (ok && type->release != NULL && compiled != NULL)
        type->release(compiled);
    json_decref(config);
    return ok ? true
              : slc_fail(err, SLC_INVALID, field, "its config at \"%s\": %s", cause.field, cause.message);
}

bool slc_issuer_check(const pb_issuer *msg, slc_error *err)
{
    char field[160];

    snprintf(field, sizeof(field), "issuer/%.100s", msg->name);
    if (!check_named(msg->id, msg->name, field, err) ||
        !slc_features_check(msg->required_features, msg->n_required_features, field, err))
        return false;
    if (msg->url[0] == '\0' || msg->n_algorithms == 0)
        return slc_fail(err, SLC_INVALID, field, "has no URL or no algorithms");
    if (msg->clock_skew_ms < 0 || msg->clock_skew_ms > SKEW_MAX_MS)
        return slc_fail(err, SLC_INVALID, field, "allows an impossible difference between clocks");
    return msg->ca_pem[0] == '\0' || check_certificates(msg->ca_pem, "its CA", field, err);
}
