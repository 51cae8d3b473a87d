/* What the OpenAPI document says of the routes about what gateways report. */
#include <string.h>

#include "controlplane/admin/handlers.h"
#include "controlplane/admin/openapi_schema.h"

static void add_parameter(json_t *operation, const char *name, const char *description, json_t *schema)
{
    json_array_append_new(json_object_get(operation, "parameters"),
                          json_pack("{s:s, s:s, s:b, s:s, s:o}", "name", name, "in", "query", "required", 0,
                                    "description", description, "schema", schema));
}

static json_t *text_schema(void)
{
    return json_pack("{s:s, s:i, s:i}", "type", "string", "minLength", 1, "maxLength", 200);
}

static void add_page(json_t *operation)
{
    add_parameter(
        operation, "limit", "Rows on a page.",
        json_pack("{s:s, s:i, s:i, s:i}", "type", "integer", "minimum", 1, "maximum", 1000, "default", 100));
    add_parameter(operation, "cursor", "`next` of the page before.",
                  json_pack("{s:s, s:s}", "type", "string", "pattern", "^[A-Za-z0-9_-]+$"));
}

static json_t *list_schema(json_t *item)
{
    return json_pack("{s:s, s:[s,s], s:{s:{s:s, s:o}, s:{s:[s,s]}}}", "type", "object", "required", "items",
                     "next", "properties", "items", "type", "array", "items", item, "next", "type", "string",
                     "null");
}

/* ---- usage ---- */

static json_t *usage_schema(void)
{
    static const char *const numbers[] = {"requests", "events", "bytes", "errors", "throttled"};
    json_t *properties =
        json_pack("{s:{s:s, s:s}, s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s, s:[s,s,s,s,s]}}", "at", "type", "string",
                  "format", "date-time", "application", "type", "string", "event_api", "type", "string",
                  "virtual_cluster", "type", "string", "operation", "type", "string", "enum", "publish", "read",
                  "stream", "kafka-produce", "kafka-fetch");
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        json_object_set_new(properties, numbers[i], json_pack("{s:s, s:i}", "type", "integer", "minimum", 0));
    return json_pack("{s:s, s:b, s:[s,s,s,s,s,s,s], s:o}", "type", "object", "additionalProperties", 0,
                     "required", "at", "operation", "requests", "events", "bytes", "errors", "throttled",
                     "properties", properties);
}

static void describe_usage(json_t *operation)
{
    json_t *content =
        json_object_get(json_object_get(json_object_get(operation, "responses"), "200"), "content");
    add_parameter(
        operation, "by", "What is added up.",
        json_pack("{s:s, s:[s,s,s], s:s}", "type", "string", "enum", "hour", "day", "month", "default", "day"));
    add_parameter(operation, "application", "Only of this application.", text_schema());
    add_parameter(operation, "event_api", "Only of this event API.", text_schema());
    add_parameter(operation, "virtual_cluster", "Only of this virtual cluster, by native Kafka.",
                  text_schema());
    add_parameter(operation, "operation", "Only of this operation.",
                  json_pack("{s:s, s:[s,s,s,s,s]}", "type", "string", "enum", "publish", "read", "stream",
                            "kafka-produce", "kafka-fetch"));
    add_parameter(operation, "from", "Of what began then or later.",
                  json_pack("{s:s, s:s}", "type", "string", "format", "date-time"));
    add_parameter(operation, "to", "Of what began before.",
                  json_pack("{s:s, s:s}", "type", "string", "format", "date-time"));
    add_parameter(operation, "format", "csv: all of it as one file; limit and page do not count then.",
                  json_pack("{s:s, s:[s,s], s:s}", "type", "string", "enum", "json", "csv", "default", "json"));
    add_page(operation);
    json_object_set_new(content, "application/json", json_pack("{s:o}", "schema", list_schema(usage_schema())));
    json_object_set_new(content, "text/csv", json_pack("{s:{s:s}}", "schema", "type", "string"));
    json_object_set_new(json_object_get(operation, "responses"), "413",
                        json_pack("{s:s}", "$ref", "#/components/responses/Problem413"));
}

/* ---- deliveries of webhooks ---- */

static json_t *delivery_schema(void)
{
    json_t *properties =
        json_pack("{s:{s:s}, s:{s:s}, s:{s:s, s:[s,s,s]}, s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}}", "id", "type",
                  "string", "event", "type", "string", "state", "type", "string", "enum", "pending",
                  "delivered", "dead", "attempts", "type", "integer", "status", "type", "integer", "error",
                  "type", "string", "body", "type", "object");
    static const char *const times[] = {"created_at", "attempted_at", "next_at"};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        json_object_set_new(properties, times[i],
                            json_pack("{s:s, s:s}", "type", "string", "format", "date-time"));
    return json_pack("{s:s, s:b, s:[s,s,s,s,s,s], s:o}", "type", "object", "additionalProperties", 0,
                     "required", "id", "event", "state", "attempts", "created_at", "body", "properties",
                     properties);
}

static void describe_deliveries(json_t *operation)
{
    json_t *content =
        json_object_get(json_object_get(json_object_get(operation, "responses"), "200"), "content");
    add_parameter(operation, "state", "Only those in this state.",
                  json_pack("{s:s, s:[s,s,s]}", "type", "string", "enum", "pending", "delivered", "dead"));
    add_page(operation);
    json_object_set_new(content, "application/json",
                        json_pack("{s:o}", "schema", list_schema(delivery_schema())));
}

/* ---- inventory ---- */

static json_t *time_schema(void)
{
    return json_pack("{s:s, s:s}", "type", "string", "format", "date-time");
}

static json_t *plain_schema(const char *type)
{
    return json_pack("{s:s}", "type", type);
}

static json_t *texts_schema(void)
{
    return json_pack("{s:s, s:o}", "type", "array", "items", plain_schema("string"));
}

static json_t *found_topic_schema(void)
{
    json_t *properties =
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name", plain_schema("string"),
                  "partitions", plain_schema("integer"), "replication", plain_schema("integer"), "retention_ms",
                  plain_schema("integer"), "cleanup_policy", plain_schema("string"), "managed",
                  plain_schema("boolean"), "internal", plain_schema("boolean"), "deployments", texts_schema(),
                  "teams", texts_schema(), "seen_at", time_schema());
    return json_pack("{s:s, s:b, s:[s,s,s,s,s,s,s], s:o}", "type", "object", "additionalProperties", 0,
                     "required", "name", "partitions", "replication", "managed", "deployments", "teams",
                     "seen_at", "properties", properties);
}

static json_t *found_group_schema(void)
{
    json_t *lag = json_pack("{s:s, s:{s:o, s:o}}", "type", "object", "properties", "topic",
                            plain_schema("string"), "lag", plain_schema("integer"));
    json_t *properties =
        json_pack("{s:o, s:o, s:o, s:o, s:{s:s, s:o}, s:o}", "id", plain_schema("string"), "state",
                  plain_schema("string"), "members", plain_schema("integer"), "lag", plain_schema("integer"),
                  "topics", "type", "array", "items", lag, "seen_at", time_schema());
    return json_pack("{s:s, s:b, s:[s,s,s,s], s:o}", "type", "object", "additionalProperties", 0, "required",
                     "id", "state", "topics", "seen_at", "properties", properties);
}

static void describe_inventory(json_t *operation, bool topics)
{
    json_t *content =
        json_object_get(json_object_get(json_object_get(operation, "responses"), "200"), "content");
    json_t *schema = list_schema(topics ? found_topic_schema() : found_group_schema());
    json_t *properties = json_object_get(schema, "properties");
    static const char *const texts[] = {"backend", "node", "error", "groups_error"};
    add_parameter(operation, "search", "Only names that contain it, in any case.", text_schema());
    if (topics)
        add_parameter(operation, "managed", "Only those that a deployment uses, or that none does.",
                      plain_schema("boolean"));
    add_page(operation);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        json_object_set_new(properties, texts[i], plain_schema("string"));
    json_object_set_new(properties, "reachable", plain_schema("boolean"));
    json_object_set_new(properties, "group_total", plain_schema("integer"));
    json_object_set_new(properties, "seen_at", time_schema());
    json_object_set_new(properties, "error_since", time_schema());
    json_object_set_new(content, "application/json", json_pack("{s:o}", "schema", schema));
}

void slc_openapi_usage(const slc_route *route, json_t *operation)
{
    if (route->run == slc_route_usage)
        describe_usage(operation);
    if (route->run == slc_route_deliveries)
        describe_deliveries(operation);
    if (route->run == slc_route_inventory_topics || route->run == slc_route_inventory_groups)
        describe_inventory(operation, route->run == slc_route_inventory_topics);
}
