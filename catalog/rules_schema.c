/* Rules: schema registries, and the policies that check by schemas. */
#include <stdio.h>
#include <string.h>

#include "catalog/entity.h"
#include "catalog/kinds.h"
#include "catalog/policy_type.h"
#include "catalog/rules.h"
#include "catalog/store.h"
#include "common/schema_rule.h"

static const char *const sources[] = {"registry", "event-api", NULL};
static const char *const formats[] = {"any", "json_schema", "avro", NULL};
static const char *const publish_values[] = {"reject", "mark", "pass", NULL};
static const char *const read_values[] = {"fail", "skip", "mark", "pass", NULL};
static const char *const id_places[] = {"value", "header", NULL};
static const char *const union_values[] = {"plain", "tagged", NULL};

const slc_field slc_schema_fields[] = {
    {.name = "source",
     .type = SLC_F_ENUM,
     .flags = SLC_F_REQUIRED,
     .values = sources,
     .help = "Where schemas come from: a registry, by what records say, or the event API's own."},
    {.name = "registry",
     .type = SLC_F_STRING,
     .format = SLC_FMT_NAME,
     .min = 1,
     .max = 63,
     .help = "registry: its name."},
    {.name = "format",
     .type = SLC_F_ENUM,
     .values = formats,
     .default_json = "\"any\"",
     .help = "Of what language the schema must be."},
    {.name = "subject",
     .type = SLC_F_STRING,
     .min = 1,
     .max = SLC_SUBJECT_TEMPLATE_MAX,
     .default_json = "\"{topic}-value\"",
     .help = "registry: the subject, with {topic}, as clients name it, and {backend_topic}."},
    {.name = "check_subject",
     .type = SLC_F_BOOL,
     .default_json = "true",
     .help = "registry: must the schema of what is published be one of the subject's?"},
    {.name = "publish",
     .type = SLC_F_ENUM,
     .values = publish_values,
     .default_json = "\"reject\"",
     .help = "What becomes of published values that are not as the schema says."},
    {.name = "read",
     .type = SLC_F_ENUM,
     .values = read_values,
     .default_json = "\"pass\"",
     .help = "What becomes of values that are read."},
    {.name = "convert",
     .type = SLC_F_BOOL,
     .default_json = "true",
     .help = "Do HTTP clients write and read JSON, whatever is stored?"},
    {.name = "id_in",
     .type = SLC_F_ENUM,
     .values = id_places,
     .default_json = "\"value\"",
     .help = "registry: where converted values say which schema they are of."},
    {.name = "unions",
     .type = SLC_F_ENUM,
     .values = union_values,
     .default_json = "\"plain\"",
     .help = "avro: how values of unions are read, by themselves or as {\"type\": value}."},
    {.name = "mark_header",
     .type = SLC_F_STRING,
     .min = 1,
     .max = 100,
     .default_json = "\"sluice.schema-error\"",
     .help = "mark: the header that says what is wrong."},
    {.name = "dead_letter_topic",
     .type = SLC_F_STRING,
     .format = SLC_FMT_TOPIC,
     .min = 1,
     .max = 249,
     .help = "Topic of the same backend where rejected records go as well."},
    SLC_FIELD_END,
};

bool slc_schema_check(slc_txn *txn, const json_t *config, slc_error *err)
{
    const char *name = slc_get_text(config, "registry"), *subject = slc_get_text(config, "subject");
    bool registry = strcmp(slc_get_text(config, "source"), "registry") == 0;
    if (registry != (name != NULL))
        return slc_txn_problem(txn, "/registry", err, "goes with the source registry, and is required there");
    const char *wrong = subject != NULL ? slc_subject_template_check(subject) : NULL;
    if (wrong != NULL)
        return slc_txn_problem(txn, "/subject", err, "%s", wrong);
    if (!registry)
        return true;
    sqlite3_stmt *stmt = slc_txn_query(txn, err, "SELECT 1 FROM schema_registries WHERE name = ?", "s", name);
    int row = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    slc_txn_finish(txn, stmt);
    return row == 1 ||
           (row == 0 && slc_txn_problem(txn, "/registry", err, "there is no schema registry %s", name));
}

/* ---- registries ---- */

static bool check_authentication(slc_txn *txn, const json_t *authentication, slc_error *err)
{
    static const struct {
        const char *mechanism, *field;
    } required[] = {{"basic", "username"}, {"basic", "password"}, {"bearer", "token"}};
    const char *mechanism = slc_get_text(authentication, "mechanism");
    for (size_t i = 0; mechanism != NULL && i < sizeof required / sizeof *required; i++) {
        char place[SLC_POINTER_CHARS];
        const json_t *found = json_object_get(authentication, required[i].field);
        snprintf(place, sizeof place, "/authentication/%s", required[i].field);
        if (strcmp(mechanism, required[i].mechanism) == 0 &&
            (found == NULL || (json_is_string(found) && json_string_length(found) == 0)))
            return slc_txn_problem(txn, place, err, "is required for %s", mechanism);
    }
    return true;
}

static const char policies_of[] = "SELECT id, key FROM policies WHERE type = 'schema' AND json_extract(config, "
                                  "'$.registry') = ? ORDER BY key";

/* Policies know it by its name. */
static bool check_rename(slc_txn *txn, const slc_change *change, slc_error *err)
{
    const char *before = slc_get_text(change->before, "name"), *after = slc_get_text(change->next, "name");
    if (before == NULL || strcmp(before, after) == 0)
        return true;
    sqlite3_stmt *stmt = slc_txn_query(txn, err, policies_of, "s", before);
    int row = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    if (row == 1)
        slc_txn_refuse(txn, SLC_CONFLICT, "/name", err, "the policy %s refers to it", slc_column_text(stmt, 1));
    slc_txn_finish(txn, stmt);
    return row == 0;
}

static bool check_registry(slc_txn *txn, slc_change *change, slc_error *err)
{
    const json_t *tls = json_object_get(change->next, "tls");
    bool certificate = json_object_get(tls, "client_certificate_pem") != NULL;
    bool key = json_object_get(tls, "client_key_pem") != NULL;
    if (certificate != key)
        return slc_txn_problem(txn, key ? "/tls/client_certificate_pem" : "/tls/client_key_pem", err,
                               "is required: a certificate and its key come together");
    return check_authentication(txn, json_object_get(change->next, "authentication"), err) &&
           check_rename(txn, change, err);
}

static bool dependents(slc_txn *txn, const json_t *stored, json_t *list, slc_error *err)
{
    sqlite3_stmt *stmt = slc_txn_query(txn, err, policies_of, "s", slc_get_text(stored, "name"));
    int row = 0;
    while (stmt != NULL && json_array_size(list) < SLC_REFERRERS_MAX &&
           (row = slc_txn_step(txn, stmt, err)) == 1)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "kind", "policies", "id",
                                              slc_column_text(stmt, 0), "key", slc_column_text(stmt, 1),
                                              "field", "/config/registry"));
    slc_txn_finish(txn, stmt);
    return stmt != NULL && row >= 0;
}

const struct slc_kind_rules slc_rules_schema_registry = {.check = check_registry, .dependents = dependents};
