/* mask: hides fields of JSON values, or shows some of them alone. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/crypto.h"
#include "common/mask_rule.h"
#include "dataplane/config/secret.h"
#include "dataplane/mediation/json_scan.h"
#include "dataplane/policy/mask_json.h"
#include "dataplane/policy/record_chain.h"
#include "dataplane/policy/types.h"

#define KEY_MIN 16 /* bytes of a hash key */

enum unmaskable { WITHHOLD, REFUSE, PASS };
static const char *const unmaskable_names[] = {"withhold", "refuse", "pass", NULL};

struct mask {
    enum slc_record_direction direction;
    enum unmaskable not_json;
    char *dead_letter_topic;
    slc_mask rules;
    bool hashes;
    char *key_file, *key_env;
    pthread_mutex_t lock; /* of what follows: chains are bound on every worker */
    char *key;
    size_t key_len;
};

/* ---- the configuration ---- */

static void release(void *compiled)
{
    struct mask *mask = compiled;
    for (size_t i = 0; i < mask->rules.field_count; i++)
        free(mask->rules.fields[i].replacement);
    if (mask->key != NULL)
        slc_free_secret(mask->key, mask->key_len);
    pthread_mutex_destroy(&mask->lock);
    free(mask->dead_letter_topic);
    free(mask->key_file);
    free(mask->key_env);
    free(mask);
}

static int choice(const json_t *config, const char *member, const char *fallback, const char *const *names,
                  slc_error *err)
{
    const char *text = slc_policy_config_string(config, member, fallback, 20, err);
    for (int i = 0; text != NULL && names[i] != NULL; i++)
        if (strcmp(names[i], text) == 0)
            return i;
    slc_fail(err, SLC_INVALID, "/config", "%s is none of those that there are", member);
    return -1;
}

static bool compile_field(const json_t *config, slc_mask_field *field, slc_error *err)
{
    static const char *const known[] = {"path", "action", "keep", "replacement", NULL};
    int64_t keep;
    if (!json_is_object(config))
        return slc_fail(err, SLC_INVALID, "/config/fields", "a field must be an object");
    if (!slc_policy_config_known(config, known, err))
        return false;
    const char *path = json_string_value(json_object_get(config, "path"));
    if (path == NULL || !slc_json_path_parse(&field->path, path, strlen(path)))
        return slc_fail(err, SLC_INVALID, "/config/fields",
                        "path must be one like /customer/email or /items/*/price");
    int action = choice(config, "action", "redact", slc_mask_action_names, err);
    const char *replacement = slc_policy_config_string(config, "replacement", SLC_MASK_REPLACEMENT,
                                                       4 * SLC_MASK_REPLACEMENT_MAX, err);
    if (action < 0 || replacement == NULL ||
        !slc_policy_config_int(config, "keep", SLC_MASK_KEEP, 1, SLC_MASK_KEEP_MAX, &keep, err))
        return false;
    for (const char *at = replacement; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return slc_fail(err, SLC_INVALID, "/config/fields", "replacement must be one line");
    slc_buf text;
    size_t len;
    slc_buf_init(&text, 24 * SLC_MASK_REPLACEMENT_MAX + 2);
    slc_buf_addc(&text, '"');
    slc_buf_add_json_string(&text, replacement, strlen(replacement));
    slc_buf_addc(&text, '"');
    field->replacement = slc_buf_steal(&text, &len);
    field->action = (enum slc_mask_action)action;
    field->keep = (unsigned)keep;
    return true;
}

static bool is_path(const char *text, size_t len)
{
    slc_json_path path;
    return slc_json_path_parse(&path, text, len);
}

static bool compile_fields(const json_t *config, struct mask *mask, slc_error *err)
{
    static const slc_policy_list paths = {1, SLC_MASK_PATHS, SLC_JSON_PATH_MAX, is_path};
    const json_t *fields = json_object_get(config, "fields"), *keep;
    size_t i;
    json_t *item;
    if (fields != NULL &&
        (!json_is_array(fields) || json_array_size(fields) == 0 || json_array_size(fields) > SLC_MASK_PATHS))
        return slc_fail(err, SLC_INVALID, "/config/fields", "must be a list of 1 to %d", SLC_MASK_PATHS);
    if (!slc_policy_config_strings(config, "keep_only", &paths, &keep, err))
        return false;
    if (fields == NULL && keep == NULL)
        return slc_fail(err, SLC_INVALID, "/config", "fields or keep_only must be set");
    json_array_foreach ((json_t *)fields, i, item) {
        if (!compile_field(item, &mask->rules.fields[i], err))
            return false;
        mask->rules.field_count++;
        mask->hashes = mask->hashes || mask->rules.fields[i].action == SLC_MASK_HASH;
    }
    json_array_foreach ((json_t *)keep, i, item)
        (void)slc_json_path_parse(&mask->rules.keep[mask->rules.keep_count++], json_string_value(item),
                                  json_string_length(item));
    return true;
}

/* Where the key is found; it is read when it is needed first, on the gateway. */
static bool compile_key(const json_t *config, struct mask *mask, slc_error *err)
{
    static const char *const known[] = {"file", "env", NULL};
    const json_t *key = json_object_get(config, "hash_key");
    if (key != NULL && (!json_is_object(key) || !slc_policy_config_known(key, known, err)))
        return slc_fail(err, SLC_INVALID, "/config/hash_key", "must be {\"file\": path} or {\"env\": name}");
    const char *file = json_string_value(json_object_get(key, "file"));
    const char *env = json_string_value(json_object_get(key, "env"));
    if ((file != NULL && env != NULL) || (mask->hashes && file == NULL && env == NULL))
        return slc_fail(err, SLC_INVALID, "/config/hash_key", "what is hashed needs a key: a file, or env");
    mask->key_file = file != NULL ? slc_strdup(file) : NULL;
    mask->key_env = env != NULL ? slc_strdup(env) : NULL;
    return true;
}

static bool fill(const json_t *config, struct mask *mask, slc_error *err)
{
    static const char *const known[] = {
        "on", "fields", "keep_only", "hash_key", "not_json", "dead_letter_topic", NULL};
    if (!slc_policy_config_known(config, known, err))
        return false;
    int direction = choice(config, "on", "read", slc_mask_direction_names, err);
    int not_json = direction >= 0 ? choice(config, "not_json", "withhold", unmaskable_names, err) : -1;
    if (not_json < 0 || !slc_policy_config_topic(config, "dead_letter_topic", &mask->dead_letter_topic, err))
        return false;
    mask->direction = direction == 0 ? SLC_RECORDS_CONSUME : SLC_RECORDS_PRODUCE;
    mask->not_json = (enum unmaskable)not_json;
    return compile_fields(config, mask, err) && compile_key(config, mask, err);
}

static bool compile(const json_t *config, void **compiled, slc_error *err)
{
    struct mask *mask = slc_calloc(1, sizeof *mask);
    pthread_mutex_init(&mask->lock, NULL);
    if (!fill(config, mask, err)) {
        release(mask);
        return false;
    }
    *compiled = mask;
    return true;
}

/* ---- at work ---- */

static bool acts(const void *compiled, enum slc_record_direction direction)
{
    return ((const struct mask *)compiled)->direction == direction;
}

/* Once it was read it stays: a hash must not change while the policy does not. */
static bool read_key(struct mask *mask, slc_error *err)
{
    Sluice__Snapshot__V1__Secret secret = SLUICE__SNAPSHOT__V1__SECRET__INIT;
    secret.source_case = mask->key_file != NULL ? SLUICE__SNAPSHOT__V1__SECRET__SOURCE_FILE
                                                : SLUICE__SNAPSHOT__V1__SECRET__SOURCE_ENV;
    if (mask->key_file != NULL)
        secret.file = mask->key_file;
    else
        secret.env = mask->key_env;
    if (mask->key != NULL)
        return true;
    size_t len;
    char *key = slc_secret_resolve(&secret, &len, err);
    if (key == NULL) {
        err->code = SLC_UNAVAILABLE; /* who puts it there need not configure anything */
        return slc_fail_context(err, "the hash key");
    }
    if (len < KEY_MIN) {
        slc_free_secret(key, len);
        return slc_fail(err, SLC_UNAVAILABLE, NULL, "the hash key has %zu bytes; at least %d are needed", len,
                        KEY_MIN);
    }
    mask->key = key;
    mask->key_len = len;
    return true;
}

static bool bind_mask(const void *compiled, const slc_record_subject *subject, void **bound, slc_error *err)
{
    struct mask *mask = (struct mask *)compiled;
    bool there = true;
    (void)subject;
    if (mask->hashes) {
        pthread_mutex_lock(&mask->lock);
        there = read_key(mask, err);
        pthread_mutex_unlock(&mask->lock);
    }
    *bound = mask;
    return there;
}

static enum slc_record_verdict unmaskable(const struct mask *mask, slc_record_problem *problem)
{
    if (mask->not_json == PASS)
        return SLC_RECORD_KEEP;
    (void)slc_record_reject(problem, SLC_INVALID, "the value is not JSON, so that nothing can be hidden in it");
    return mask->not_json == WITHHOLD && mask->direction == SLC_RECORDS_CONSUME ? SLC_RECORD_DROP
                                                                                : SLC_RECORD_REJECT;
}

static enum slc_record_verdict hide(void *bound, slc_record_turn *turn, slc_policy_record *record,
                                    slc_record_problem *problem)
{
    const struct mask *mask = bound;
    slc_json_info info;
    bool changed;
    if (record->value == NULL)
        return SLC_RECORD_KEEP;
    if (!slc_json_scan((const char *)record->value, record->value_len, &info))
        return unmaskable(mask, problem);
    slc_buf *text = slc_record_scratch_buf(turn->scratch), *out = slc_record_scratch_buf(turn->scratch);
    if (!slc_mask_json(&mask->rules, (const uint8_t *)mask->key, mask->key_len, (const char *)record->value,
                       record->value_len, text, out, &changed))
        return slc_record_reject(problem, SLC_TOO_LARGE, "the value is too large to hide anything in it");
    if (!changed)
        return SLC_RECORD_KEEP;
    record->value = out->data;
    record->value_len = out->len;
    return SLC_RECORD_CHANGE;
}

static const char *dead_letter_topic(const void *compiled)
{
    return ((const struct mask *)compiled)->dead_letter_topic;
}

static const slc_record_ops on_records = {
    .rank = SLC_RANK_MASK,
    .acts = acts,
    .bind = bind_mask,
    .on_produce_record = hide,
    .on_consume_record = hide,
    .dead_letter_topic = dead_letter_topic,
};

const slc_policy_type slc_policy_mask = {
    .name = "mask",
    .summary =
        "Hides fields of JSON values, or shows some of them alone, on REST, SSE and native Kafka alike: by "
        "default in "
        "what is read,\nso that applications, plans and callers with some claim see different views of one "
        "topic "
        "(`scope`, `condition`). Paths are JSON pointers in which `*`\nstands for every element or member: "
        "`/customer/email`, `/items/*/price`. Tombstones stay. A value that is not JSON is not "
        "shown\n(`withhold`), "
        "refused as a record that fails (`refuse`), or passed as it is (`pass`); what is published is refused "
        "unless "
        "it passes. Keys and\nheaders are not changed; see `headers`, and [records](records.md).",
    .config_schema =
        "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
        "\"on\":{\"type\":\"string\",\"enum\":[\"read\",\"publish\"],\"default\":\"read\",\"description\":\"In "
        "what is "
        "read, or before it is stored.\"},"
        "\"fields\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":32,\"description\":\"Fields to hide; of "
        "several for "
        "one place the first counts.\",\"items\":{\"type\":\"object\",\"additionalProperties\":false,"
        "\"required\":[\"path\"],\"properties\":{"
        "\"path\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":300,\"description\":\"Where; at most 16 "
        "tokens.\"},"
        "\"action\":{\"type\":\"string\",\"enum\":[\"redact\",\"keep-last\",\"hash\",\"remove\"],\"default\":"
        "\"redact\","
        "\"description\":\"`redact`: the replacement in its place. `keep-last`: asterisks and the last "
        "characters; "
        "none of them where that would be all. `hash`: HMAC-SHA-256 in hexadecimal, the same for the same "
        "text. "
        "`remove`: it is not there.\"},"
        "\"keep\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":100,\"default\":4,\"description\":\"For "
        "`keep-last`: characters.\"},"
        "\"replacement\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":100,\"default\":\"***\","
        "\"description\":\"For `redact`.\"}}}},"
        "\"keep_only\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":32,\"description\":\"Paths of what is "
        "shown, "
        "with all that is in it; nothing else is.\",\"items\":{\"type\":\"string\",\"maxLength\":300}},"
        "\"hash_key\":{\"type\":\"object\",\"description\":\"`{\\\"file\\\": path}` or `{\\\"env\\\": name}`, "
        "on the "
        "gateway, at least 16 bytes: it never reaches the control plane. While it cannot be read, nothing that "
        "would be "
        "hashed goes through, with retriable errors.\"},"
        "\"not_json\":{\"type\":\"string\",\"enum\":[\"withhold\",\"refuse\",\"pass\"],\"default\":"
        "\"withhold\","
        "\"description\":\"Values that are not JSON.\"},"
        "\"dead_letter_topic\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":249,\"description\":\"Topic "
        "of the "
        "same backend, by its name there, for records that were refused or withheld.\"}}}",
    .compile = compile,
    .release = release,
    .records = &on_records,
    .access = slc_record_access,
};
