/* What the OpenAPI document says of the catalog as people look through it. */
#include "controlplane/admin/handlers.h"
#include "controlplane/admin/openapi_schema.h"

static void add_parameter(json_t *operation, const char *name, const char *description, json_t *schema)
{
    json_array_append_new(json_object_get(operation, "parameters"),
                          json_pack("{s:s, s:s, s:b, s:s, s:o}", "name", name, "in", "query", "required", 0,
                                    "description", description, "schema", schema));
}

static json_t *text(int max)
{
    return json_pack("{s:s, s:i, s:i}", "type", "string", "minLength", 1, "maxLength", max);
}

static json_t *list_of(json_t *item)
{
    return json_pack("{s:s, s:o}", "type", "array", "items", item);
}

static json_t *nullable(void)
{
    return json_pack("{s:[s,s]}", "type", "string", "null");
}

static json_t *plain(void)
{
    return json_pack("{s:s}", "type", "string");
}

static json_t *kinds(void)
{
    return json_pack("{s:s, s:[s,s]}", "type", "string", "enum", "event-apis", "rest-apis");
}

static json_t *item_schema(void)
{
    return json_pack(
        "{s:s, s:[s,s,s,s,s,s], s:{s:o, s:o, s:o, s:{s:s}, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
        "s:o, s:o, s:{s:s}, s:{s:s, s:s}}}",
        "type", "object", "required", "kind", "key", "name", "team", "lifecycle", "served", "properties",
        "kind", kinds(), "key", plain(), "name", plain(), "major", "type", "integer", "title", nullable(),
        "summary", nullable(), "team", plain(), "team_title", nullable(), "lifecycle", plain(), "sunset_at",
        nullable(), "operations", list_of(plain()), "exposures", list_of(plain()), "tags", list_of(plain()),
        "environments", list_of(plain()), "version", nullable(), "operation_count", "type", "integer", "served",
        "type", "boolean", "description", "Do gateways serve it? REST APIs are served elsewhere.");
}

static void set_answer(json_t *operation, json_t *schema)
{
    json_t *good = json_object_get(json_object_get(operation, "responses"), "200");
    json_object_set_new(good, "content", json_pack("{s:{s:o}}", "application/json", "schema", schema));
}

static void describe_list(json_t *operation)
{
    add_parameter(operation, "q",
                  "Words that must all be found, each as the beginning of a word; the best first.", text(400));
    add_parameter(operation, "kind", "Only of this kind.", kinds());
    add_parameter(operation, "tag", "Only with this tag.", text(63));
    add_parameter(operation, "team", "Only of this team.", text(200));
    add_parameter(operation, "lifecycle", "Only in this state.",
                  json_pack("{s:s, s:[s,s,s,s]}", "type", "string", "enum", "draft", "published", "deprecated",
                            "retired"));
    add_parameter(operation, "protocol", "Only what is reached this way; REST APIs are of rest too.",
                  json_pack("{s:s, s:[s,s,s]}", "type", "string", "enum", "rest", "sse", "kafka"));
    add_parameter(operation, "environment", "Only what is deployed there.", text(63));
    add_parameter(
        operation, "limit", "How many on a page.",
        json_pack("{s:s, s:i, s:i, s:i}", "type", "integer", "minimum", 1, "maximum", 1000, "default", 100));
    add_parameter(operation, "cursor", "`next` of the page before.",
                  json_pack("{s:s, s:s}", "type", "string", "pattern", "^[A-Za-z0-9_-]+$"));
    set_answer(operation, json_pack("{s:s, s:[s,s], s:{s:o, s:o}}", "type", "object", "required", "items",
                                    "next", "properties", "items", list_of(item_schema()), "next", nullable()));
}

static json_t *one_of_kind(const char *kind)
{
    json_t *schema = slc_openapi_kind_schema(slc_kind_find(kind), SLC_OPENAPI_CREATE);
    json_t *properties = json_object_get(schema, "properties");
    json_object_set_new(properties, "description_html", plain());
    json_object_set_new(properties, "changelog_html", plain());
    json_object_set_new(properties, "kind", json_pack("{s:s, s:[s]}", "type", "string", "enum", kind));
    json_array_append_new(json_object_get(schema, "required"), json_string("kind"));
    return schema;
}

static void describe_one(json_t *operation)
{
    static const char *const lists[] = {"deployments", "products", "versions"};
    json_t *events = one_of_kind("event-apis"), *rest = one_of_kind("rest-apis");
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        json_object_set_new(json_object_get(events, "properties"), lists[i],
                            list_of(json_pack("{s:s}", "type", "object")));
    json_object_del(json_object_get(rest, "properties"), "document");
    json_object_set_new(
        json_object_get(rest, "properties"), "served",
        json_pack("{s:s, s:s}", "type", "boolean", "description", "false: it is served elsewhere."));
    set_answer(operation, json_pack("{s:[o,o]}", "oneOf", events, rest));
}

static void describe_document(json_t *operation)
{
    json_t *good = json_object_get(json_object_get(operation, "responses"), "200");
    json_object_set_new(good, "content",
                        json_pack("{s:{s:{}}, s:{s:{s:s}}}", "application/json", "schema", "application/yaml",
                                  "schema", "type", "string"));
}

static void describe_asyncapi(json_t *operation)
{
    json_t *good = json_object_get(json_object_get(operation, "responses"), "200");
    json_array_append_new(json_object_get(operation, "parameters"),
                          json_pack("{s:s, s:s, s:b, s:s, s:o}", "name", "gateway_group", "in", "query",
                                    "required", 1, "description",
                                    "The group that it is deployed on: key or id.", "schema", text(200)));
    json_object_set_new(
        good, "content",
        json_pack("{s:{s:{s:s}}}", "application/vnd.aai.asyncapi+json", "schema", "type", "object"));
}

void slc_openapi_catalog(const slc_route *route, json_t *operation)
{
    if (route->run == slc_route_catalog)
        describe_list(operation);
    if (route->run == slc_route_catalog_one)
        describe_one(operation);
    if (route->run == slc_route_catalog_asyncapi)
        describe_asyncapi(operation);
    if (route->run == slc_route_catalog_document)
        describe_document(operation);
}
