/* The identity file. */
#include "dataplane/config/identity.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/json.h"
#include "dataplane/config/keys.h"

#define FILE_MAX_BYTES (256 * 1024)
#define WRAP_INFO      "sluice-cache-key-v1"
#define WRAPPED_BYTES  (SLC_SEAL_KEY_BYTES + SLC_SEAL_OVERHEAD)

/* Text members, in the file by these names. */
static const struct member {
    const char *name;
    size_t offset;
} members[] = {
    {"node_id", offsetof(slc_identity, node_id)},
    {"group", offsetof(slc_identity, group)},
    {"key_pem", offsetof(slc_identity, key_pem)},
    {"certificate_pem", offsetof(slc_identity, certificate_pem)},
    {"bundle_pem", offsetof(slc_identity, bundle_pem)},
    {"config_endpoint", offsetof(slc_identity, config_endpoint)},
    {"enrolment_endpoint", offsetof(slc_identity, enrolment_endpoint)},
    {"server_name", offsetof(slc_identity, server_name)},
};
#define MEMBERS (sizeof(members) / sizeof(members[0]))

static char **text_of(slc_identity *identity, const struct member *member)
{
    return (char **)((char *)identity + member->offset);
}

void slc_identity_free(slc_identity *identity)
{
    if (identity == NULL)
        return;
    for (size_t i = 0; i < MEMBERS; i++) {
        char *text = *text_of(identity, &members[i]);

        slc_free_secret(text, text != NULL ? strlen(text) : 0);
    }
    slc_free_secret(identity, sizeof(*identity));
}

/* ---- the cache key, wrapped ---- */

static bool wrap(const slc_identity *identity, char out[2 * WRAPPED_BYTES + 1], slc_error *err)
{
    uint8_t kek[SLC_SEAL_KEY_BYTES], sealed[WRAPPED_BYTES];

    if (!slc_key_derive(identity->key_pem, WRAP_INFO, kek, err))
        return false;
    slc_seal(kek, identity->cache_key, SLC_SEAL_KEY_BYTES, WRAP_INFO, strlen(WRAP_INFO), sealed);
    slc_hex_encode(sealed, sizeof(sealed), out);
    explicit_bzero(kek, sizeof(kek));
    return true;
}

static bool unwrap(slc_identity *identity, const char *hex, slc_error *err)
{
    uint8_t kek[SLC_SEAL_KEY_BYTES], sealed[WRAPPED_BYTES];
    bool ok;

    if (hex == NULL || !slc_hex_decode(hex, strlen(hex), sealed, sizeof(sealed)))
        return slc_fail(err, SLC_CORRUPT, NULL, "its cache key is missing or malformed");
    if (!slc_key_derive(identity->key_pem, WRAP_INFO, kek, err))
        return false;
    ok = slc_unseal(kek, sealed, sizeof(sealed), WRAP_INFO, strlen(WRAP_INFO), identity->cache_key, err);
    explicit_bzero(kek, sizeof(kek));
    return ok;
}

/* ---- the file ---- */

static char *path_of(const char *state_dir)
{
    return slc_asprintf("%s/%s", state_dir, SLC_IDENTITY_FILE);
}

static slc_identity *parse(const json_t *object, slc_error *err)
{
    slc_identity *identity = slc_calloc(1, sizeof(*identity));

    for (size_t i = 0; i < MEMBERS; i++) {
        const char *value = json_string_value(json_object_get(object, members[i].name));

        if (value == NULL) {
            slc_fail(err, SLC_CORRUPT, NULL, "\"%s\" is missing", members[i].name);
            goto failed;
        }
        *text_of(identity, &members[i]) = slc_strdup(value);
    }
    identity->obtained_ms = json_integer_value(json_object_get(object, "obtained_ms"));
    if (!slc_key_check_certificate(identity->key_pem, identity->certificate_pem, &identity->not_before_ms,
                                   &identity->not_after_ms, err) ||
        !unwrap(identity, json_string_value(json_object_get(object, "wrapped_cache_key")), err))
        goto failed;
    return identity;
failed:
    slc_identity_free(identity);
    return NULL;
}

slc_identity *slc_identity_load(const char *state_dir, slc_error *err)
{
    char *path = path_of(state_dir), *text;
    slc_identity *identity = NULL;
    json_t *object = NULL;
    size_t len = 0;

    text = slc_file_read(path, FILE_MAX_BYTES, &len, err);
    if (text == NULL)
        goto done;
    object = slc_json_parse(text, len, FILE_MAX_BYTES, err);
    slc_free_secret(text, len);
    if (object != NULL)
        identity = parse(object, err);
    if (identity == NULL) {
        slc_fail_context(err, "%s cannot be used (restore it, or remove it and enrol again with a join string)",
                         path);
        err->code = SLC_CORRUPT;
    }
done:
    json_decref(object);
    free(path);
    return identity;
}

bool slc_identity_save(const slc_identity *identity, const char *state_dir, slc_error *err)
{
    char wrapped[2 * WRAPPED_BYTES + 1];
    char *path, *text;
    json_t *object;
    size_t len;
    bool ok;

    if (!wrap(identity, wrapped, err))
        return false;
    object = json_object();
    for (size_t i = 0; i < MEMBERS; i++)
        json_object_set_new(object, members[i].name,
                            json_string(*text_of((slc_identity *)identity, &members[i])));
    json_object_set_new(object, "obtained_ms", json_integer(identity->obtained_ms));
    json_object_set_new(object, "wrapped_cache_key", json_string(wrapped));
    text = slc_json_print(object, &len);
    json_decref(object);
    path = path_of(state_dir);
    ok = slc_file_write_atomic(path, text, len, 0600, err);
    free(path);
    slc_free_secret(text, len);
    return ok;
}

slc_identity *slc_identity_from_answer(const Sluice__Enrolment__V1__Identity *answer, const char *key_pem,
                                       const char *enrolment_endpoint, const slc_identity *previous,
                                       slc_error *err)
{
    slc_identity *identity;

    if (answer == NULL || answer->node_id[0] == '\0' || answer->group[0] == '\0' ||
        answer->trust_bundle_pem[0] == '\0' || answer->config_endpoint[0] == '\0') {
        slc_fail(err, SLC_CORRUPT, NULL, "the control plane's answer lacks a part of the identity");
        return NULL;
    }
    identity = slc_calloc(1, sizeof(*identity));
    identity->node_id = slc_strdup(answer->node_id);
    identity->group = slc_strdup(answer->group);
    identity->key_pem = slc_strdup(key_pem);
    identity->certificate_pem = slc_strdup(answer->certificate_pem);
    identity->bundle_pem = slc_strdup(answer->trust_bundle_pem);
    identity->config_endpoint = slc_strdup(answer->config_endpoint);
    identity->enrolment_endpoint = slc_strdup(enrolment_endpoint);
    identity->server_name =
        slc_strdup(answer->server_name[0] != '\0' ? answer->server_name : SLC_CONTROL_SERVER_NAME);
    identity->obtained_ms = slc_wall_ms();
    if (previous != NULL)
        memcpy(identity->cache_key, previous->cache_key, sizeof(identity->cache_key));
    else
        slc_random(identity->cache_key, sizeof(identity->cache_key));
    if (!slc_key_check_certificate(key_pem, identity->certificate_pem, &identity->not_before_ms,
                                   &identity->not_after_ms, err)) {
        slc_identity_free(identity);
        return NULL;
    }
    return identity;
}
