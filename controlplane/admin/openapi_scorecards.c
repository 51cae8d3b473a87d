/* What the OpenAPI document says of scorecards. */
#include "controlplane/admin/handlers.h"
#include "controlplane/admin/openapi_schema.h"

static json_t *plain(void)
{
    return json_pack("{s:s}", "type", "string");
}

static json_t *nullable(const char *type)
{
    return json_pack("{s:[s,s]}", "type", type, "null");
}

static json_t *list_of(json_t *item)
{
    return json_pack("{s:s, s:o}", "type", "array", "items", item);
}

static json_t *typed(const char *type)
{
    return json_pack("{s:s}", "type", type);
}

/* Takes the properties over. */
static json_t *object(json_t *properties)
{
    json_t *required = json_array();
    const char *name;
    json_t *value;
    json_object_foreach (properties, name, value)
        json_array_append_new(required, json_string(name));
    return json_pack("{s:s, s:o, s:o}", "type", "object", "required", required, "properties", properties);
}

static void add_parameter(json_t *operation, const char *name, const char *description, json_t *schema)
{
    json_array_append_new(json_object_get(operation, "parameters"),
                          json_pack("{s:s, s:s, s:b, s:s, s:o}", "name", name, "in", "query", "required", 0,
                                    "description", description, "schema", schema));
}

static void add_paging(json_t *operation, const char *limit)
{
    add_parameter(
        operation, "limit", limit,
        json_pack("{s:s, s:i, s:i, s:i}", "type", "integer", "minimum", 1, "maximum", 1000, "default", 100));
    add_parameter(operation, "cursor", "`next` of the page before.",
                  json_pack("{s:s, s:s}", "type", "string", "pattern", "^[A-Za-z0-9_-]+$"));
}

static void set_answer(json_t *operation, json_t *schema)
{
    json_t *good = json_object_get(json_object_get(operation, "responses"), "200");
    json_object_set_new(good, "content", json_pack("{s:{s:o}}", "application/json", "schema", schema));
}

static json_t *head(void)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "kind", plain(), "key", plain(), "title", nullable("string"),
                     "team", plain(), "lifecycle", plain());
}

static json_t *with_score(json_t *properties)
{
    json_object_set_new(
        properties, "score",
        json_pack("{s:[s,s], s:i, s:i}", "type", "integer", "null", "minimum", 0, "maximum", 100));
    json_object_set_new(properties, "level", nullable("string"));
    return properties;
}

static json_t *rule(void)
{
    return object(json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name", plain(), "title",
                            nullable("string"), "level", plain(), "points", typed("integer"), "blocking",
                            typed("boolean"), "met", typed("boolean"), "hint", plain(), "detail",
                            nullable("string")));
}

static void describe_one(json_t *operation)
{
    json_t *properties = with_score(head());
    json_t *blocked = list_of(rule());
    json_object_set_new(blocked, "type", json_pack("[s,s]", "array", "null"));
    json_object_set_new(properties, "rules", list_of(rule()));
    json_object_set_new(properties, "blocked_by", blocked);
    set_answer(operation, object(properties));
}

static void describe_list(json_t *operation)
{
    json_t *item = with_score(head());
    json_object_set_new(item, "met", typed("integer"));
    json_object_set_new(item, "failed", list_of(plain()));
    json_object_set_new(item, "blocked_by", list_of(plain()));
    add_parameter(operation, "team", "Only of this team.", plain());
    add_parameter(operation, "lifecycle", "Only in this state.",
                  json_pack("{s:s, s:[s,s,s,s]}", "type", "string", "enum", "draft", "published", "deprecated",
                            "retired"));
    add_paging(operation, "Scorecards on a page.");
    set_answer(operation, object(json_pack("{s:o, s:o, s:o}", "rules", typed("integer"), "items",
                                           list_of(object(item)), "next", nullable("string"))));
}

static void describe_preview(json_t *operation)
{
    json_t *item = head();
    json_object_set_new(item, "detail", nullable("string"));
    json_object_set_new(item, "blocked", typed("boolean"));
    add_paging(operation, "How many event APIs are looked at.");
    json_object_set_new(
        operation, "requestBody",
        json_pack("{s:b, s:{s:{s:o}}}", "required", 1, "content", "application/json", "schema",
                  slc_openapi_kind_schema(slc_kind_find("scorecard-rules"), SLC_OPENAPI_CREATE)));
    set_answer(operation,
               object(json_pack("{s:o, s:o, s:o, s:o}", "checked", typed("integer"), "applies",
                                typed("integer"), "items", list_of(object(item)), "next", nullable("string"))));
}

void slc_openapi_scorecards(const slc_route *route, json_t *operation)
{
    if (route->run == slc_route_scorecard)
        describe_one(operation);
    if (route->run == slc_route_scorecards)
        describe_list(operation);
    if (route->run == slc_route_scorecard_preview)
        describe_preview(operation);
}
