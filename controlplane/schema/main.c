/* Writes what sluicectl knows about kinds without a control plane: names, keys and JSON Schemas, from the
 * tables of the catalog. Run by the build; sluicectl has the result in itself, so that it depends on common/
 * alone.
 *
 * usage: sluice-schema FILE */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/kind.h"
#include "catalog/policy_type.h"
#include "common/file.h"
#include "common/json.h"
#include "common/version.h"
#include "controlplane/admin/openapi_schema.h"

static const char *key_rule(const slc_kind *kind)
{
    static const char *const rules[] = {[SLC_KEY_NAME] = "name",
                                        [SLC_KEY_ID] = "id",
                                        [SLC_KEY_EVENT_API] = "event-api",
                                        [SLC_KEY_PLAN] = "plan",
                                        [SLC_KEY_DEPLOYMENT] = "deployment"};
    return rules[kind->key];
}

static json_t *strings(const char *const *values)
{
    json_t *list = json_array();
    for (; values != NULL && *values != NULL; values++)
        json_array_append_new(list, json_string(*values));
    return list;
}

static bool is_identity(const slc_kind *kind, const char *name)
{
    for (const char *const *field = kind->identity; field != NULL && *field != NULL; field++)
        if (strcmp(*field, name) == 0)
            return true;
    return kind->key != SLC_KEY_ID;
}

/* A document need not repeat a secret, nor what cannot change and does not say which object is meant. */
static json_t *required_of(const slc_kind *kind)
{
    json_t *required = json_array();
    const unsigned never = SLC_F_SECRET | SLC_F_READ_ONLY | SLC_F_WRITE_ONLY | SLC_F_HIDDEN;
    for (const slc_field *field = kind->fields; field->name != NULL; field++) {
        bool fixed = (field->flags & SLC_F_IMMUTABLE) != 0 && !is_identity(kind, field->name);
        if ((field->flags & SLC_F_REQUIRED) != 0 && (field->flags & never) == 0 && !fixed)
            json_array_append_new(required, json_string(field->name));
    }
    return required;
}

static json_t *actions_of(const slc_kind *kind)
{
    json_t *actions = json_array();
    for (const slc_action *action = kind->actions; action != NULL && action->name != NULL; action++)
        json_array_append_new(actions, json_string(action->name));
    return actions;
}

static json_t *kind_json(const slc_kind *kind)
{
    json_t *schema = slc_openapi_kind_schema(kind, SLC_OPENAPI_PATCH);
    json_object_set_new(schema, "required", required_of(kind));
    return json_pack(
        "{s:s, s:s, s:s?, s:b, s:b, s:b, s:o, s:o, s:o}", "singular", kind->singular, "key", key_rule(kind),
        "help", kind->help, "declarative", (int)((kind->flags & SLC_KIND_DECLARATIVE) != 0), "create",
        (int)((kind->flags & SLC_KIND_CREATE) != 0), "log", (int)((kind->flags & SLC_KIND_LOG) != 0),
        "identity", strings(kind->identity), "actions", actions_of(kind), "schema", schema);
}

static json_t *policies_json(void)
{
    json_t *policies = json_object();
    for (const slc_policy_kind *kind = slc_policy_kinds(); kind->name != NULL; kind++)
        json_object_set_new(policies, kind->name, slc_openapi_object_schema(kind->fields, SLC_OPENAPI_PATCH));
    return policies;
}

/* What patterns mean, for messages. */
static json_t *forms_json(void)
{
    json_t *forms = json_object();
    for (int id = 0; id < SLC_FMT_COUNT; id++) {
        const slc_format *format = slc_format_get((enum slc_format_id)id);
        if (format->pattern != NULL && format->name != NULL)
            json_object_set_new(forms, format->pattern, json_string(format->name));
    }
    return forms;
}

int main(int argc, char **argv)
{
    slc_error err = {0};
    size_t len;
    json_t *kinds = json_object();
    if (argc != 2) {
        fprintf(stderr, "usage: sluice-schema FILE\n");
        return 2;
    }
    for (const slc_kind *const *kind = slc_kinds(); *kind != NULL; kind++)
        json_object_set_new(kinds, (*kind)->name, kind_json(*kind));
    json_t *all = json_pack("{s:s, s:o, s:o, s:o}", "version", SLC_VERSION, "kinds", kinds, "policies",
                            policies_json(), "forms", forms_json());
    char *text = slc_json_print(all, &len);
    bool ok = slc_file_write_atomic(argv[1], text, len, 0644, &err);
    if (!ok)
        fprintf(stderr, "sluice-schema: %s\n", err.message);
    free(text);
    json_decref(all);
    return ok ? 0 : 1;
}
