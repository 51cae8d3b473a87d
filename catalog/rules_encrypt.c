/* Rules: encrypt policies, and the key rings that they name. */
#include <stdio.h>
#include <string.h>

#include "catalog/entity.h"
#include "catalog/kinds.h"
#include "catalog/policy_type.h"
#include "catalog/rules.h"
#include "catalog/store.h"
#include "common/cel/attributes.h"
#include "common/clock.h"
#include "common/encrypt_rule.h"

static const char *const encrypt_parts[] = {"value", "key", "fields", NULL};
static const char *const encrypt_others[] = {"refuse", "ciphertext", NULL};
static const char *const encrypt_plaintext[] = {"refuse", "pass", NULL};

const slc_field slc_encrypt_fields[] = {
    {.name = "key_ring",
     .type = SLC_F_STRING,
     .flags = SLC_F_REQUIRED,
     .format = SLC_FMT_NAME,
     .min = 1,
     .max = 63,
     .help = "Name of the key ring."},
    {.name = "key",
     .type = SLC_F_STRING,
     .min = 1,
     .max = 255,
     .help = "Name of the key-encryption key, with {topic} and {virtual_cluster}; absent: the key ring's."},
    {.name = "read_keys",
     .type = SLC_F_STRING_LIST,
     .min = 1,
     .max = 20,
     .item_max = 255,
     .help = "Other keys that records may be encrypted under: earlier ones."},
    {.name = "what",
     .type = SLC_F_ENUM_LIST,
     .values = encrypt_parts,
     .min = 1,
     .max = 3,
     .default_json = "[\"value\"]",
     .help = "What is encrypted; either value or fields."},
    {.name = "fields",
     .type = SLC_F_STRING_LIST,
     .min = 1,
     .max = 50,
     .item_max = 200,
     .help = "JSON pointers to the fields; * stands for any member or element."},
    {.name = "context",
     .type = SLC_F_STRING,
     .min = 1,
     .max = 255,
     .default_json = "\"{topic}\"",
     .help = "What a ciphertext is bound to: it opens nowhere else."},
    {.name = "bind_key",
     .type = SLC_F_BOOL,
     .default_json = "false",
     .help = "Bind values to the record's key as well?"},
    {.name = "decrypt_if",
     .type = SLC_F_STRING,
     .min = 1,
     .max = 1000,
     .help = "Condition (CEL): who reads plaintext; absent: everybody whom the policy concerns."},
    {.name = "others",
     .type = SLC_F_ENUM,
     .values = encrypt_others,
     .default_json = "\"refuse\"",
     .help = "What the others get."},
    {.name = "plaintext",
     .type = SLC_F_ENUM,
     .values = encrypt_plaintext,
     .default_json = "\"refuse\"",
     .help =
         "What becomes of records that are not encrypted, when they are read: pass is the migration window."},
    {.name = "plaintext_until",
     .type = SLC_F_STRING,
     .min = 1,
     .max = 40,
     .help = "When the window closes, as in RFC 3339; absent: it stays open."},
    SLC_FIELD_END,
};

/* Is there such a key ring, and has one of the two a key? */
static bool check_ring(slc_txn *txn, const json_t *config, slc_error *err)
{
    const char *name = slc_get_text(config, "key_ring");
    int row;
    bool has_key = slc_get_text(config, "key") != NULL;
    sqlite3_stmt *stmt = slc_txn_query(
        txn, err, "SELECT json_extract(config, '$.key') FROM key_rings WHERE name = ?", "s", name);
    if (stmt == NULL)
        return false;
    row = slc_txn_step(txn, stmt, err);
    has_key = has_key || (row == 1 && slc_column_text(stmt, 0) != NULL);
    slc_txn_finish(txn, stmt);
    if (row == 0)
        return slc_txn_problem(txn, "/key_ring", err, "there is no key ring %s", name);
    return row == 1 && (has_key || slc_txn_problem(txn, "/key", err, "is missing: the key ring names none"));
}

static bool check_encrypt_texts(slc_txn *txn, const json_t *config, slc_error *err)
{
    static const struct {
        const char *member;
        const char *(*check)(const char *text);
    } lists[] = {{"read_keys", slc_key_template_check}, {"fields", slc_field_pattern_check}},
      texts[] = {{"key", slc_key_template_check}, {"context", slc_key_template_check}};
    char pointer[64];
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *text = slc_get_text(config, texts[i].member);
        const char *wrong = text != NULL ? texts[i].check(text) : NULL;
        snprintf(pointer, sizeof pointer, "/%s", texts[i].member);
        if (wrong != NULL)
            return slc_txn_problem(txn, pointer, err, "%s", wrong);
    }
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        size_t at;
        json_t *item;
        json_array_foreach (json_object_get(config, lists[i].member), at, item) {
            const char *wrong = lists[i].check(json_string_value(item));
            snprintf(pointer, sizeof pointer, "/%s/%zu", lists[i].member, at);
            if (wrong != NULL)
                return slc_txn_problem(txn, pointer, err, "%s", wrong);
        }
    }
    return true;
}

bool slc_encrypt_check(slc_txn *txn, const json_t *config, slc_error *err)
{
    const json_t *what = json_object_get(config, "what");
    bool fields = slc_has_text(what, "fields");
    const char *condition = slc_get_text(config, "decrypt_if"),
               *until = slc_get_text(config, "plaintext_until");
    slc_error why = {0};
    int64_t until_ms;
    if (fields && slc_has_text(what, "value"))
        return slc_txn_problem(txn, "/what", err, "has either value or fields");
    if (fields != (json_array_size(json_object_get(config, "fields")) > 0))
        return slc_txn_problem(txn, "/fields", err, "go with what: fields, and only there");
    if (until != NULL && !slc_rfc3339_parse(until, strlen(until), &until_ms))
        return slc_txn_problem(txn, "/plaintext_until", err, "must be a time as in RFC 3339");
    slc_cel *compiled = condition != NULL ? slc_condition_compile(condition, &why) : NULL;
    if (condition != NULL && compiled == NULL)
        return slc_txn_problem(txn, "/decrypt_if", err, "%s", why.message);
    slc_cel_free(compiled);
    return check_encrypt_texts(txn, config, err) && check_ring(txn, config, err);
}

/* ---- key rings ---- */

struct requirement {
    const char *provider;
    const char *fields[3];
};

static const struct requirement requirements[] = {
    {"local", {"path", "passphrase"}},
    {"vault", {"url", "token"}},
    {"aws-kms", {"region"}},
};

static bool check_provider(slc_txn *txn, const slc_change *change, slc_error *err)
{
    const json_t *config = json_object_get(change->next, "config");
    const char *provider = slc_get_text(change->next, "provider"), *key = slc_get_text(config, "key");
    for (size_t i = 0; i < sizeof requirements / sizeof *requirements; i++) {
        if (strcmp(provider, requirements[i].provider) != 0)
            continue;
        for (const char *const *field = requirements[i].fields; *field != NULL; field++) {
            char place[SLC_POINTER_CHARS];
            const json_t *found = json_object_get(config, *field);
            snprintf(place, sizeof place, "/config/%s", *field);
            if (found == NULL || json_is_null(found) ||
                (json_is_string(found) && json_string_length(found) == 0))
                return slc_txn_problem(txn, place, err, "is required for %s", provider);
        }
    }
    if (strcmp(provider, "aws-kms") == 0 && (json_object_get(config, "access_key_id") != NULL) !=
                                                (json_object_get(config, "secret_access_key") != NULL))
        return slc_txn_problem(txn, "/config/secret_access_key", err, "goes with access_key_id");
    const char *wrong = key != NULL ? slc_key_template_check(key) : NULL;
    return wrong == NULL || slc_txn_problem(txn, "/config/key", err, "%s", wrong);
}

/* The first policy that names the ring and no key of its own; "" when there is none. */
static bool find_policy(slc_txn *txn, const char *ring, char key[SLC_KEY_CHARS], slc_error *err)
{
    static const char sql[] =
        "SELECT key FROM policies WHERE type = 'encrypt' AND json_extract(config, '$.key_ring') = ? "
        "AND json_extract(config, '$.key') IS NULL ORDER BY key LIMIT 1";
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "s", ring);
    if (stmt == NULL)
        return false;
    int row = slc_txn_step(txn, stmt, err);
    snprintf(key, SLC_KEY_CHARS, "%s", row == 1 ? slc_column_text(stmt, 0) : "");
    slc_txn_finish(txn, stmt);
    return row >= 0;
}

static bool check_key_ring(slc_txn *txn, slc_change *change, slc_error *err)
{
    char policy[SLC_KEY_CHARS];
    if (!check_provider(txn, change, err))
        return false;
    if (change->before == NULL || slc_get_text(json_object_get(change->next, "config"), "key") != NULL)
        return true;
    if (!find_policy(txn, slc_get_text(change->before, "name"), policy, err))
        return false;
    return policy[0] == '\0' || slc_txn_refuse(txn, SLC_CONFLICT, "/config/key", err,
                                               "the policy %s names no key of its own", policy);
}

static bool dependents(slc_txn *txn, const json_t *stored, json_t *list, slc_error *err)
{
    static const char sql[] = "SELECT id, key FROM policies WHERE type = 'encrypt' AND json_extract(config, "
                              "'$.key_ring') = ? ORDER BY key";
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "s", slc_get_text(stored, "name"));
    int row = 0;
    while (stmt != NULL && json_array_size(list) < SLC_REFERRERS_MAX &&
           (row = slc_txn_step(txn, stmt, err)) == 1)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "kind", "policies", "id",
                                              slc_column_text(stmt, 0), "key", slc_column_text(stmt, 1),
                                              "field", "/config/key_ring"));
    slc_txn_finish(txn, stmt);
    return stmt != NULL && row >= 0;
}

const struct slc_kind_rules slc_rules_key_ring = {.check = check_key_ring, .dependents = dependents};
