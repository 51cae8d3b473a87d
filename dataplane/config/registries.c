/* Schema registries of a snapshot, and the schemas of its event APIs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/log.h"
#include "dataplane/config/secret.h"
#include "dataplane/config/snapshot_private.h"
#include "dataplane/policy/schema.h"
#include "dataplane/schema/registry.h"

bool slc_registry_check(const pb_registry *msg, slc_error *err)
{
    char field[160];

    snprintf(field, sizeof(field), "schema-registry/%.100s", msg->name);
    if (msg->id[0] == '\0' || msg->name[0] == '\0' || msg->url[0] == '\0')
        return slc_fail(err, SLC_INVALID, field, "has no id, no name or no address");
    if (msg->timeout_ms <= 0 || msg->cache_schemas == 0 || msg->ttl_ms <= 0 || msg->latest_ttl_ms <= 0 ||
        msg->missing_ttl_ms <= 0 || msg->stale_ms < 0)
        return slc_fail(err, SLC_INVALID, field, "has a time limit or a size that is out of range");
    return slc_features_check(msg->required_features, msg->n_required_features, field, err);
}

struct secrets {
    char *password, *token, *key;
    size_t password_len, token_len, key_len;
};

static bool resolve(const pb_secret *secret, const char *what, char **out, size_t *len, slc_error *err)
{
    slc_error cause = {0};
    if (secret == NULL)
        return true;
    *out = slc_secret_resolve(secret, len, &cause);
    return *out != NULL || slc_fail(err, SLC_UNAVAILABLE, NULL, "its %s: %s", what, cause.message);
}

static void get_registry(slc_registry_entity *entity)
{
    const pb_registry *msg = entity->msg;
    struct secrets secrets = {0};
    slc_error err = {0};
    if (resolve(msg->password, "password", &secrets.password, &secrets.password_len, &err) &&
        resolve(msg->token, "token", &secrets.token, &secrets.token_len, &err) &&
        resolve(msg->tls != NULL ? msg->tls->key : NULL, "TLS key", &secrets.key, &secrets.key_len, &err)) {
        const slc_registry_options options = {.name = msg->name,
                                              .url = msg->url,
                                              .username = msg->username,
                                              .password = secrets.password,
                                              .token = secrets.token,
                                              .ca_pem = msg->tls != NULL ? msg->tls->ca_pem : NULL,
                                              .certificate_pem =
                                                  msg->tls != NULL ? msg->tls->certificate_pem : NULL,
                                              .key_pem = secrets.key,
                                              .timeout_ms = msg->timeout_ms,
                                              .cache_schemas = msg->cache_schemas,
                                              .ttl_ms = msg->ttl_ms,
                                              .latest_ttl_ms = msg->latest_ttl_ms,
                                              .missing_ttl_ms = msg->missing_ttl_ms,
                                              .stale_ms = msg->stale_ms};
        entity->registry = slc_registry_get(slc_schemas_of_process(), &options);
    } else {
        snprintf(entity->unusable, sizeof(entity->unusable), "%.*s", (int)sizeof(entity->unusable) - 1,
                 err.message);
        slc_log(SLC_LOG_WARN, "a schema registry cannot be used", LS("registry", msg->name),
                LS("error", err.message));
    }
    slc_free_secret(secrets.password, secrets.password_len);
    slc_free_secret(secrets.token, secrets.token_len);
    slc_free_secret(secrets.key, secrets.key_len);
}

/* Secrets that cannot be had make the registry unusable: they must not hold up a configuration. */
slc_registry_entity *slc_registry_build(const pb_registry *msg, const uint8_t digest[SLC_SHA256_BYTES],
                                        slc_tree *leaf)
{
    slc_registry_entity *entity = slc_calloc(1, sizeof(*entity));

    entity->refs = 1;
    entity->msg = msg;
    memcpy(entity->digest, digest, SLC_SHA256_BYTES);
    entity->owner_private = slc_tree_ref(leaf);
    if (slc_schemas_of_process() != NULL)
        get_registry(entity);
    return entity;
}

void slc_registries_compile_schema(slc_event_api *api)
{
    const Sluice__Snapshot__V1__Schema *schema = api->msg->schema;
    enum slc_schema_format format;
    slc_error err = {0};

    if (schema == NULL || schema->definition[0] == '\0')
        return;
    if (!slc_schema_format_read(schema->format, &format))
        slc_fail(&err, SLC_UNSUPPORTED, NULL, "its format %.40s is not known", schema->format);
    else
        api->schema = slc_schema_new(format, schema->definition, strlen(schema->definition), NULL, 0, &err);
    if (api->schema != NULL)
        return;
    snprintf(api->schema_error, sizeof(api->schema_error), "%.*s", (int)sizeof(api->schema_error) - 1,
             err.message);
    slc_log(SLC_LOG_WARN, "the schema of an event API is of no use", LS("event_api", api->msg->name),
            LS("error", err.message));
}

static bool check_name(const slc_snapshot *snapshot, const char *name, const char *field, slc_error *err)
{
    return slc_snapshot_registry(snapshot, name) != NULL ||
           slc_fail(err, SLC_INVALID, field, "refers to the schema registry \"%.60s\", which is not there",
                    name);
}

bool slc_registries_check(const slc_snapshot *snapshot, slc_error *err)
{
    char field[160], name[SLC_REGISTRY_NAME_MAX + 1];
    bool ok = true;

    for (size_t i = 0; ok && i < snapshot->policies.count; i++) {
        const pb_policy *policy = snapshot->policies.items[i];

        snprintf(field, sizeof(field), "policy/%s", policy->name);
        if (strcmp(policy->type, "schema") == 0 && slc_schema_names(policy->config_json, name))
            ok = check_name(snapshot, name, field, err);
    }
    for (size_t i = 0; ok && i < snapshot->event_apis.count; i++) {
        const pb_event_api *api = ((const slc_event_api *)snapshot->event_apis.items[i])->msg;

        snprintf(field, sizeof(field), "event-api/%.80s.v%u", api->name, api->major);
        if (api->schema != NULL && api->schema->registry[0] != '\0')
            ok = check_name(snapshot, api->schema->registry, field, err);
    }
    return ok;
}
