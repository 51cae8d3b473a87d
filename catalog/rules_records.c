/* Rules: settings of policies on records. The gateway checks them again (dataplane/policy/filter.c, mask.c). */
#include <stdio.h>
#include <string.h>

#include "catalog/kinds.h"
#include "catalog/policy_record_types.h"
#include "catalog/store.h"
#include "common/cel/record_attributes.h"
#include "common/json_path.h"
#include "common/mask_rule.h"

#define DEAD_LETTER_TOPIC                                                                                      \
    {                                                                                                          \
        .name = "dead_letter_topic", .type = SLC_F_STRING, .format = SLC_FMT_TOPIC, .min = 1, .max = 249,      \
        .help = "Topic of the same backend, by its name there, for what is not let through."                   \
    }

/* ---- filter ---- */

const slc_field slc_filter_fields[] = {
    {.name = "expression",
     .type = SLC_F_STRING,
     .flags = SLC_F_REQUIRED,
     .min = 1,
     .max = SLC_CEL_MAX_CHARS,
     .help = "True for the records that are shown."},
    DEAD_LETTER_TOPIC,
    SLC_FIELD_END,
};

bool slc_filter_check(slc_txn *txn, const json_t *config, slc_error *err)
{
    slc_error why = {0};
    slc_cel *cel = slc_record_expression_compile(slc_get_text(config, "expression"), NULL, &why);
    if (cel == NULL)
        return slc_txn_problem(txn, "/expression", err, "%s", why.message);
    size_t len;
    const char *zone = slc_cel_unknown_zone(cel, &len);
    bool ok =
        zone == NULL || slc_txn_problem(txn, "/expression", err, "there is no time zone %.*s", (int)len, zone);
    slc_cel_free(cel);
    return ok;
}

/* ---- mask ---- */

static const slc_field mask_field_fields[] = {
    {.name = "path",
     .type = SLC_F_STRING,
     .flags = SLC_F_REQUIRED,
     .min = 1,
     .max = SLC_JSON_PATH_MAX,
     .help = "JSON pointer in which * stands for every element or member."},
    {.name = "action",
     .type = SLC_F_ENUM,
     .values = slc_mask_action_names,
     .default_json = "\"redact\"",
     .help = "What becomes of it."},
    {.name = "keep",
     .type = SLC_F_INT,
     .min = 1,
     .max = SLC_MASK_KEEP_MAX,
     .default_json = "4",
     .help = "For keep-last: characters."},
    {.name = "replacement",
     .type = SLC_F_STRING,
     .min = 1,
     .max = SLC_MASK_REPLACEMENT_MAX,
     .default_json = "\"***\"",
     .help = "For redact."},
    SLC_FIELD_END,
};

static const slc_field hash_key_fields[] = {
    {.name = "file", .type = SLC_F_STRING, .min = 1, .max = 500, .help = "Path on the gateway."},
    {.name = "env", .type = SLC_F_STRING, .min = 1, .max = 500, .help = "Environment variable of the gateway."},
    SLC_FIELD_END,
};

static const char *const not_json_names[] = {"withhold", "refuse", "pass", NULL};

const slc_field slc_mask_fields[] = {
    {.name = "on",
     .type = SLC_F_ENUM,
     .values = slc_mask_direction_names,
     .default_json = "\"read\"",
     .help = "In what is read, or before it is stored."},
    {.name = "fields",
     .type = SLC_F_OBJECT_LIST,
     .fields = mask_field_fields,
     .min = 1,
     .max = SLC_MASK_RULES,
     .help = "Fields to hide; of several for one place the first counts."},
    {.name = "keep_only",
     .type = SLC_F_STRING_LIST,
     .min = 1,
     .max = SLC_MASK_RULES,
     .item_max = SLC_JSON_PATH_MAX,
     .help = "Paths of what is shown; nothing else is."},
    {.name = "hash_key",
     .type = SLC_F_OBJECT,
     .fields = hash_key_fields,
     .help = "Where the gateway finds the key of what is hashed."},
    {.name = "not_json",
     .type = SLC_F_ENUM,
     .values = not_json_names,
     .default_json = "\"withhold\"",
     .help = "Values that are not JSON."},
    DEAD_LETTER_TOPIC,
    SLC_FIELD_END,
};

static bool is_path(const json_t *text)
{
    slc_json_path path;
    return slc_json_path_parse(&path, json_string_value(text), json_string_length(text));
}

static bool has(const json_t *config, const char *name)
{
    return json_object_get(config, name) != NULL && !json_is_null(json_object_get(config, name));
}

bool slc_mask_check(slc_txn *txn, const json_t *config, slc_error *err)
{
    const json_t *key = json_object_get(config, "hash_key");
    bool hashes = false;
    char pointer[64];
    size_t i;
    json_t *item;
    if (!has(config, "fields") && !has(config, "keep_only"))
        return slc_txn_problem(txn, "", err, "fields or keep_only must be set");
    json_array_foreach (json_object_get(config, "fields"), i, item) {
        snprintf(pointer, sizeof pointer, "/fields/%zu/path", i);
        if (!is_path(json_object_get(item, "path")))
            return slc_txn_problem(txn, pointer, err, "must be a path like /customer/email or /items/*/price");
        const char *action = slc_get_text(item, "action");
        hashes = hashes || (action != NULL && strcmp(action, "hash") == 0);
    }
    json_array_foreach (json_object_get(config, "keep_only"), i, item) {
        snprintf(pointer, sizeof pointer, "/keep_only/%zu", i);
        if (!is_path(item))
            return slc_txn_problem(txn, pointer, err, "must be a path like /customer/email or /items/*/price");
    }
    if (has(key, "file") && has(key, "env"))
        return slc_txn_problem(txn, "/hash_key", err, "is a file or env, not both");
    return !hashes || has(key, "file") || has(key, "env") ||
           slc_txn_problem(txn, "/hash_key", err, "what is hashed needs a key: a file, or env");
}
