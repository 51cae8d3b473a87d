/* The OpenAPI document's part about the configuration as a whole. */
#include <stdio.h>
#include <string.h>

#include "controlplane/admin/handlers.h"
#include "controlplane/admin/openapi_schema.h"

static json_t *ref(const char *name)
{
    return json_pack("{s:s+}", "$ref", "#/components/schemas/", name);
}

static void add_query(json_t *operation, const char *name, const char *description, const char *type)
{
    json_array_append_new(json_object_get(operation, "parameters"),
                          json_pack("{s:s, s:s, s:b, s:s, s:{s:s}}", "name", name, "in", "query", "required", 0,
                                    "description", description, "schema", "type", type));
}

static void drop_response(json_t *operation, const char *status)
{
    json_object_del(json_object_get(operation, "responses"), status);
}

static void set_response(json_t *operation, const char *status, const char *description)
{
    json_object_set_new(json_object_get(operation, "responses"), status,
                        json_pack("{s:s, s:{s:{s:o}}}", "description", description, "content",
                                  "application/problem+json", "schema", ref("Problem")));
}

static void set_answer(json_t *operation, const char *schema, bool yaml)
{
    json_t *answer = json_object_get(json_object_get(operation, "responses"), "200");
    json_object_set_new(answer, "content", json_pack("{s:{s:o}}", "application/json", "schema", ref(schema)));
    if (yaml)
        json_object_set_new(json_object_get(answer, "content"), "application/yaml",
                            json_pack("{s:o}", "schema", ref(schema)));
}

static void set_body(json_t *operation, const char *schema, bool required)
{
    json_object_set_new(operation, "requestBody",
                        json_pack("{s:b, s:{s:{s:o}, s:{s:o}}}", "required", required ? 1 : 0, "content",
                                  "application/json", "schema", ref(schema), "application/yaml", "schema",
                                  ref(schema)));
}

static void describe_dump(json_t *operation)
{
    add_query(operation, "manager",
              "Only what this manager owns. Absent: everything but what the program itself made.", "string");
    set_answer(operation, "ConfigDocument", true);
}

static void describe_apply(json_t *operation)
{
    add_query(operation, "dry_run", "Work everything out and change nothing.", "boolean");
    add_query(operation, "prune", "Delete what the manager owns and the document does not have.", "boolean");
    add_query(operation, "adopt", "Take over objects of other managers instead of refusing them.", "boolean");
    set_body(operation, "ConfigDocument", true);
    set_answer(operation, "ConfigChanges", false);
    drop_response(operation, "428");
    set_response(
        operation, "403",
        "The token lacks config:apply or the write permission of a kind that changes, or a grant is missing.");
    set_response(operation, "409",
                 "An object belongs to another manager, or what should go is still referred to (`referrers`).");
    set_response(operation, "412", "The catalog has another revision than base_revision or If-Match say.");
    set_response(operation, "422", "Something in the document is wrong; `errors` points to each place.");
}

static void describe_diff(json_t *operation)
{
    add_query(operation, "to", "The version to compare with, or `current` (the default).", "string");
    set_answer(operation, "ConfigDiff", false);
    set_response(operation, "410", "The version is older than the history of the catalog.");
}

static void describe_rollback(json_t *operation)
{
    add_query(operation, "dry_run", "Work everything out and change nothing.", "boolean");
    set_body(operation, "ConfigRollback", false);
    set_answer(operation, "ConfigChanges", false);
    set_response(operation, "409",
                 "Something that never rolls back refers to what would vanish (`referrers`), or what "
                 "is there now does not allow it (`errors`).");
    set_response(operation, "410", "The version is older than the history of the catalog.");
    set_response(operation, "422", "Secrets must be supplied; `errors` points to each.");
}

static void describe_promote(json_t *operation)
{
    add_query(operation, "dry_run", "Work everything out and change nothing.", "boolean");
    set_body(operation, "DeploymentPromotion", true);
    set_answer(operation, "ConfigChanges", false);
    drop_response(operation, "428");
    set_response(operation, "412",
                 "One of the deployments has changed since the answer whose ETag If-Match has.");
}

void slc_openapi_config(const slc_route *route, json_t *operation)
{
    static const struct {
        bool (*run)(slc_txn *txn, slc_call *call, slc_error *err);
        void (*describe)(json_t *operation);
    } routes[] = {{slc_route_config_dump, describe_dump},
                  {slc_route_config_apply, describe_apply},
                  {slc_route_version_diff, describe_diff},
                  {slc_route_version_rollback, describe_rollback},
                  {slc_route_promote, describe_promote}};
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (routes[i].run == route->run)
            routes[i].describe(operation);
}

/* ---- schemas ---- */

/* Objects in the form of a patch: what is required of a new object (a secret, say) may be left out for one that
 * exists, and a dump never has sealed secrets. */
static json_t *resources_schema(void)
{
    json_t *properties = json_object();
    for (const slc_kind *const *kind = slc_kinds(); *kind != NULL; kind++) {
        char name[80];
        snprintf(name, sizeof name, "%sPatch", (*kind)->schema);
        if (((*kind)->flags & SLC_KIND_DECLARATIVE) != 0)
            json_object_set_new(properties, (*kind)->name,
                                json_pack("{s:s, s:o}", "type", "array", "items", ref(name)));
    }
    return json_pack("{s:s, s:o, s:b}", "type", "object", "properties", properties, "additionalProperties", 0);
}

static json_t *change_schema(void)
{
    return json_pack("{s:s, s:[s,s,s,s], s:{s:{s:s, s:[s,s,s,s]}, s:{s:s}, s:{s:s}, s:{s:s, s:s}}}", "type",
                     "object", "required", "action", "kind", "key", "changes", "properties", "action", "type",
                     "string", "enum", "create", "update", "adopt", "delete", "kind", "type", "string", "key",
                     "type", "string", "changes", "type", "object", "description",
                     "{field: {from, to}}; of a secret only that it changed");
}

static json_t *list_of(const char *schema)
{
    return json_pack("{s:s, s:o}", "type", "array", "items", ref(schema));
}

static json_t *place_schema(const char *description)
{
    return json_pack("{s:s, s:i, s:i, s:s}", "type", "string", "minLength", 1, "maxLength", 249, "description",
                     description);
}

void slc_openapi_config_schemas(json_t *schemas)
{
    json_object_set_new(schemas, "ConfigDocument",
                        json_pack("{s:s, s:[s,s], s:{s:{s:s, s:s}, s:{s:s, s:s}, s:o}, s:b}", "type", "object",
                                  "required", "manager", "resources", "properties", "manager", "type", "string",
                                  "description", "Who looks after these objects.", "base_revision", "type",
                                  "integer", "description", "Apply only if the catalog is at this revision.",
                                  "resources", resources_schema(), "additionalProperties", 0));
    json_object_set_new(schemas, "ConfigChange", change_schema());
    json_object_set_new(schemas, "ConfigChanges",
                        json_pack("{s:s, s:[s,s,s], s:{s:{s:s}, s:{s:s}, s:o, s:{s:s}, s:{s:s, s:{s:s}}}}",
                                  "type", "object", "required", "revision", "dry_run", "changes", "properties",
                                  "revision", "type", "integer", "dry_run", "type", "boolean", "changes",
                                  list_of("ConfigChange"), "to", "type", "object", "skipped", "type", "array",
                                  "items", "type", "object"));
    json_object_set_new(schemas, "ConfigDiff",
                        json_pack("{s:s, s:[s,s,s], s:{s:{s:s}, s:{s:s}, s:o}}", "type", "object", "required",
                                  "from", "to", "changes", "properties", "from", "type", "object", "to", "type",
                                  "object", "changes", list_of("ConfigChange")));
    json_object_set_new(
        schemas, "DeploymentPromotion",
        json_pack("{s:s, s:[s], s:{s:o, s:o, s:o, s:o}, s:b}", "type", "object", "required", "gateway_group",
                  "properties", "gateway_group", place_schema("Where to."), "virtual_cluster",
                  place_schema("The virtual cluster there; absent: as it is deployed there already."), "topic",
                  place_schema("The topic there; absent: as it is deployed there already, else the same."),
                  "listener", place_schema("The listener there; absent: as it is deployed there already."),
                  "additionalProperties", 0));
    json_object_set_new(schemas, "ConfigRollback",
                        json_pack("{s:s, s:{s:{s:s, s:i}, s:{s:s, s:s, s:{s:s}}}, s:b}", "type", "object",
                                  "properties", "reason", "type", "string", "maxLength", 300, "secrets", "type",
                                  "object", "description",
                                  "By kind/key: the secrets that must be supplied, in the shape of the entity.",
                                  "additionalProperties", "type", "object", "additionalProperties", 0));
}
