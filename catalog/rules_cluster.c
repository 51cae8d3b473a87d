/* Rules: backend clusters, virtual clusters and what else holds credentials of other systems. */
#include <stdio.h>
#include <string.h>

#include "catalog/entity.h"
#include "catalog/store.h"

struct requirement {
    const char *when;      /* the mechanism or provider */
    const char *fields[4]; /* that must be there then */
};

/* `object` at `pointer` must have what its `selector` value requires. */
static bool check_required(slc_txn *txn, const json_t *object, const char *value, const char *pointer,
                           const struct requirement *requirements, slc_error *err)
{
    for (const struct requirement *rule = requirements; rule->when != NULL; rule++) {
        if (value == NULL || strcmp(rule->when, value) != 0)
            continue;
        for (const char *const *field = rule->fields; *field != NULL; field++) {
            char place[SLC_POINTER_CHARS];
            snprintf(place, sizeof(place), "%s/%s", pointer, *field);
            const json_t *found = json_object_get(object, *field);
            if (found == NULL || (json_is_string(found) && json_string_length(found) == 0))
                return slc_txn_problem(txn, place, err, "is required for %s", value);
        }
    }
    return true;
}

static const struct requirement mechanism_requirements[] = {
    {"PLAIN", {"username", "password"}},
    {"SCRAM-SHA-256", {"username", "password"}},
    {"SCRAM-SHA-512", {"username", "password"}},
    {"OAUTHBEARER", {"token_url", "client_id", "client_secret"}},
    {NULL, {NULL}},
};

static bool check_backend(slc_txn *txn, slc_change *change, slc_error *err)
{
    const json_t *authentication = json_object_get(change->next, "authentication");
    if (!check_required(txn, authentication, slc_get_text(authentication, "mechanism"), "/authentication",
                        mechanism_requirements, err))
        return false;
    const json_t *tls = json_object_get(change->next, "tls");
    bool certificate = json_object_get(tls, "client_certificate_pem") != NULL;
    bool key = json_object_get(tls, "client_key_pem") != NULL;
    if (certificate != key)
        return slc_txn_problem(txn, key ? "/tls/client_certificate_pem" : "/tls/client_key_pem", err,
                               "is required: a certificate and its key come together");
    return true;
}

const struct slc_kind_rules slc_rules_backend_cluster = {.check = check_backend};

static const struct requirement registry_requirements[] = {
    {"basic", {"username", "password"}},
    {"bearer", {"token"}},
    {NULL, {NULL}},
};

static bool check_registry(slc_txn *txn, slc_change *change, slc_error *err)
{
    const json_t *authentication = json_object_get(change->next, "authentication");
    return check_required(txn, authentication, slc_get_text(authentication, "mechanism"), "/authentication",
                          registry_requirements, err);
}

const struct slc_kind_rules slc_rules_schema_registry = {.check = check_registry};

static const struct requirement provider_requirements[] = {
    {"local", {"path"}},
    {"vault", {"url", "token", "key"}},
    {"aws-kms", {"region", "key"}},
    {NULL, {NULL}},
};

static bool check_key_ring(slc_txn *txn, slc_change *change, slc_error *err)
{
    return check_required(txn, json_object_get(change->next, "config"), slc_get_text(change->next, "provider"),
                          "/config", provider_requirements, err);
}

const struct slc_kind_rules slc_rules_key_ring = {.check = check_key_ring};

/* ---- virtual clusters ---- */

static bool check_virtual_cluster(slc_txn *txn, slc_change *change, slc_error *err)
{
    const json_t *namespace = json_object_get(change->next, "namespace");
    bool none = strcmp(slc_get_text(namespace, "mode"), "none") == 0;
    bool prefix = json_object_get(namespace, "prefix") != NULL;
    if (none && prefix)
        return slc_txn_problem(txn, "/namespace/prefix", err, "has no meaning with mode none");
    if (!none && !prefix)
        return slc_txn_problem(txn, "/namespace/prefix", err, "is required for mode %s",
                               slc_get_text(namespace, "mode"));
    if (none && json_array_size(json_object_get(change->next, "extra_topics")) > 0)
        return slc_txn_problem(txn, "/extra_topics", err,
                               "has no meaning with mode none: every topic is visible");
    const json_t *accepted = json_object_get(change->next, "client_authentication");
    if (slc_has_text(accepted, "passthrough") && json_array_size(accepted) > 1)
        return slc_txn_problem(txn, "/client_authentication", err,
                               "passthrough cannot be combined with others");
    return true;
}

const struct slc_kind_rules slc_rules_virtual_cluster = {.check = check_virtual_cluster};
