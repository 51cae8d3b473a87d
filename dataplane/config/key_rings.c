/* Key rings of a snapshot: checked, and made to rings that keys are asked of. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "dataplane/config/snapshot_private.h"
#include "dataplane/crypt/keys.h"
#include "dataplane/policy/encrypt.h"

static char *text_of(const char *text)
{
    return text[0] != '\0' ? slc_strdup(text) : NULL;
}

static slc_key_secret secret_of(const pb_secret *secret)
{
    slc_key_secret out = {0};

    if (secret != NULL && secret->source_case == SLUICE__SNAPSHOT__V1__SECRET__SOURCE_FILE)
        out.file = slc_strdup(secret->file);
    else if (secret != NULL && secret->source_case == SLUICE__SNAPSHOT__V1__SECRET__SOURCE_ENV)
        out.env = slc_strdup(secret->env);
    else if (secret != NULL && secret->source_case == SLUICE__SNAPSHOT__V1__SECRET__SOURCE_VALUE) {
        out.len = secret->value.len;
        out.value = slc_calloc(1, out.len + 1);
        if (out.len > 0)
            memcpy(out.value, secret->value.data, out.len);
    }
    return out;
}

static slc_key_ring_options options_of(const pb_key_ring *msg)
{
    return (slc_key_ring_options){.name = slc_strdup(msg->name),
                                  .provider = slc_strdup(msg->provider),
                                  .path = text_of(msg->path),
                                  .passphrase = secret_of(msg->passphrase),
                                  .url = text_of(msg->url),
                                  .mount = text_of(msg->mount),
                                  .namespace_name = text_of(msg->namespace_name),
                                  .ca_pem = text_of(msg->ca_pem),
                                  .token = secret_of(msg->token),
                                  .region = text_of(msg->region),
                                  .access_key_id = text_of(msg->access_key_id),
                                  .secret_access_key = secret_of(msg->secret_access_key),
                                  .session_token = secret_of(msg->session_token),
                                  .mac_key = text_of(msg->mac_key)};
}

/* Whether secrets resolve is found out when a key is asked for: a key ring that cannot be reached must not hold
 * up a configuration. */
bool slc_key_ring_check(const pb_key_ring *msg, slc_error *err)
{
    char field[160];
    slc_error cause = {0};

    snprintf(field, sizeof(field), "key-ring/%.100s", msg->name);
    if (msg->id[0] == '\0' || msg->name[0] == '\0')
        return slc_fail(err, SLC_INVALID, field, "has no id or no name");
    if (!slc_features_check(msg->required_features, msg->n_required_features, field, err))
        return false;
    slc_key_ring_options options = options_of(msg);
    bool ok = slc_key_ring_options_check(&options, &cause);
    slc_key_ring_options_release(&options);
    return ok || slc_fail(err, cause.code, field, "%s", cause.message);
}

slc_key_ring_entity *slc_key_ring_build(const pb_key_ring *msg, const uint8_t digest[SLC_SHA256_BYTES],
                                        slc_tree *leaf)
{
    slc_key_ring_entity *entity = slc_calloc(1, sizeof(*entity));

    entity->refs = 1;
    entity->msg = msg;
    memcpy(entity->digest, digest, SLC_SHA256_BYTES);
    entity->owner_private = slc_tree_ref(leaf);
    if (slc_keys_of_process() != NULL) {
        slc_key_ring_options options = options_of(msg);

        entity->ring = slc_key_ring_get(slc_keys_of_process(), &options);
        slc_key_ring_options_release(&options);
    }
    return entity;
}

bool slc_key_rings_check(const slc_snapshot *snapshot, slc_error *err)
{
    for (size_t i = 0; i < snapshot->policies.count; i++) {
        const pb_policy *policy = snapshot->policies.items[i];
        char field[160], name[SLC_ENCRYPT_RING_MAX + 1];
        bool has_key;

        if (strcmp(policy->type, "encrypt") != 0 || !slc_encrypt_names(policy->config_json, name, &has_key))
            continue;
        const slc_key_ring_entity *ring = slc_snapshot_key_ring(snapshot, name);
        snprintf(field, sizeof(field), "policy/%s", policy->name);
        if (ring == NULL)
            return slc_fail(err, SLC_INVALID, field, "refers to the key ring \"%.60s\", which is not there",
                            name);
        if (!has_key && ring->msg->key[0] == '\0')
            return slc_fail(err, SLC_INVALID, field, "names no key, and neither does the key ring \"%.60s\"",
                            name);
    }
    return true;
}
