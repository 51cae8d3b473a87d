/* The OpenAPI 3.1 document, from the tables of routes and kinds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/version.h"
#include "controlplane/admin/admin.h"
#include "controlplane/admin/download.h"
#include "controlplane/admin/handlers.h"
#include "controlplane/admin/openapi_schema.h"
#include "controlplane/admin/route.h"

static json_t *schema_ref(const char *name, const char *suffix)
{
    char ref[128];
    snprintf(ref, sizeof ref, "#/components/schemas/%s%s", name, suffix);
    return json_pack("{s:s}", "$ref", ref);
}

static json_t *json_content(json_t *schema)
{
    return json_pack("{s:{s:o}}", "application/json", "schema", schema);
}

static json_t *parameter(const char *name, const char *in, bool required, const char *description,
                         json_t *schema)
{
    return json_pack("{s:s, s:s, s:b, s:s, s:o}", "name", name, "in", in, "required", required ? 1 : 0,
                     "description", description, "schema", schema);
}

static json_t *string_type(void)
{
    return json_pack("{s:s}", "type", "string");
}

/* "/v1/{kind}/{key}/{action}" with kind and action spelt out; {key} stays. */
static char *spell_path(const char *pattern, const slc_kind *kind, const slc_action *action)
{
    if (kind == NULL)
        return slc_strdup(pattern);
    const char *key = strstr(pattern, "{key}") != NULL ? "/{key}" : "";
    return slc_asprintf("/v1/%s%s%s%s", kind->name, key, action != NULL ? "/" : "",
                        action != NULL ? action->name : "");
}

static void add_filters(json_t *parameters, const slc_kind *kind)
{
    json_array_append_new(parameters, parameter("limit", "query", false, "Entities on a page.",
                                                json_pack("{s:s, s:i, s:i, s:i}", "type", "integer", "minimum",
                                                          1, "maximum", 1000, "default", 100)));
    json_array_append_new(parameters,
                          parameter("cursor", "query", false, "`next` of the page before.", string_type()));
    for (const slc_field *field = kind->fields; field->name != NULL; field++)
        if ((field->flags & SLC_F_FILTERABLE) != 0)
            json_array_append_new(parameters, parameter(field->name, "query", false,
                                                        "Only those with this value.", string_type()));
}

static json_t *parameters_of(const slc_route *route, const slc_kind *kind)
{
    json_t *parameters = json_array();
    bool update = strcmp(route->method, "PUT") == 0 || strcmp(route->method, "PATCH") == 0;
    if (strstr(route->pattern, "{key}") != NULL)
        json_array_append_new(parameters, parameter("key", "path", true, "Id or key.", string_type()));
    if (kind != NULL && strcmp(route->pattern, "/v1/{kind}") == 0 && strcmp(route->method, "GET") == 0)
        add_filters(parameters, kind);
    if (route->run == slc_route_node_connections)
        json_array_append_new(parameters, parameter("limit", "query", false, "How many are listed at most.",
                                                    json_pack("{s:s, s:i, s:i}", "type", "integer", "minimum",
                                                              1, "maximum", 1000)));
    if (update || strcmp(route->method, "DELETE") == 0)
        json_array_append_new(parameters,
                              parameter("If-Match", "header", false,
                                        "The ETag that the change is based on, or *.", string_type()));
    if (route->access == SLC_ROUTE_WRITE)
        json_array_append_new(
            parameters,
            parameter("Idempotency-Key", "header", false,
                      "Sent again with the same key, a request answers as it first did.",
                      json_pack("{s:s, s:i, s:i}", "type", "string", "minLength", 1, "maxLength", 128)));
    return parameters;
}

static json_t *body_of(const slc_route *route, const slc_kind *kind, const slc_action *action)
{
    bool patch = strcmp(route->method, "PATCH") == 0;
    if (action != NULL) {
        json_t *schema = action->fields != NULL ? slc_openapi_object_schema(action->fields, true)
                                                : json_pack("{s:s}", "type", "object");
        return json_pack("{s:b, s:o}", "required", 0, "content", json_content(schema));
    }
    json_t *schema =
        kind != NULL ? schema_ref(kind->schema, patch ? "Patch" : "") : json_pack("{s:s}", "type", "object");
    return json_pack("{s:b, s:o}", "required", 1, "content", json_content(schema));
}

static json_t *good_answer(const slc_route *route, const slc_kind *kind)
{
    json_t *answer = json_pack("{s:s}", "description", route->summary);
    if (route->success == 204)
        return answer;
    if (route->access == SLC_ROUTE_FILE) {
        json_object_set_new(answer, "content", json_pack("{s:{}}", SLC_DOWNLOAD_TYPE));
        return answer;
    }
    json_t *schema = json_object();
    if (kind != NULL && strcmp(route->pattern, "/v1/{kind}") == 0 && strcmp(route->method, "GET") == 0) {
        json_decref(schema);
        schema = json_pack("{s:s, s:[s,s], s:{s:{s:s, s:o}, s:{s:[s,s]}}}", "type", "object", "required",
                           "items", "next", "properties", "items", "type", "array", "items",
                           schema_ref(kind->schema, ""), "next", "type", "string", "null");
    } else if (kind != NULL) {
        json_decref(schema);
        schema = schema_ref(kind->schema, "");
    }
    json_object_set_new(answer, "content", json_content(schema));
    return answer;
}

static void add_problem(json_t *responses, const char *status, const char *description)
{
    json_object_set_new(responses, status,
                        json_pack("{s:s, s:{s:{s:o}}}", "description", description, "content",
                                  "application/problem+json", "schema", schema_ref("Problem", "")));
}

static json_t *responses_of(const slc_route *route, const slc_kind *kind)
{
    json_t *responses = json_object();
    char status[8];
    bool update = strcmp(route->method, "PUT") == 0 || strcmp(route->method, "PATCH") == 0;
    snprintf(status, sizeof status, "%d", route->success);
    json_object_set_new(responses, status, good_answer(route, kind));
    add_problem(responses, "400", "The request is wrong; `errors` points to each place.");
    if (strcmp(route->permission, SLC_PERMISSION_OPEN) != 0) {
        add_problem(responses, "401", "No token, or not a valid one.");
        add_problem(responses, "403", "The token lacks the permission.");
    }
    if (strstr(route->pattern, "{key}") != NULL)
        add_problem(responses, "404", "There is no such entity.");
    if (route->run == slc_route_node_connections) {
        add_problem(responses, "409", "The node is not connected.");
        add_problem(responses, "429", "Too many wait for this node's answer.");
        add_problem(responses, "504", "The node did not answer in time.");
    }
    if (route->access == SLC_ROUTE_WRITE) {
        add_problem(responses, "409", "It exists already, is referred to, or another manager owns it.");
        add_problem(responses, "413", "The body is too large.");
        add_problem(responses, "415", "The body is neither JSON nor YAML.");
        add_problem(responses, "422", "The Idempotency-Key was used for another request.");
        add_problem(responses, "507", "The disk is full; nothing was changed.");
    }
    if (route->access == SLC_ROUTE_TASK && strcmp(route->method, "POST") == 0) {
        add_problem(responses, "409", "Another one is under way.");
        add_problem(responses, "507", "The disk is full; nothing was changed.");
    }
    if (strcmp(route->permission, SLC_PERMISSION_OPEN) != 0)
        add_problem(responses, "503", "Too much waits for the catalog; try again after `Retry-After`.");
    if (update || strcmp(route->method, "DELETE") == 0)
        add_problem(responses, "412", "The entity has changed since.");
    if (update)
        add_problem(responses, "428", "If-Match is missing.");
    return responses;
}

static json_t *operation_of(const slc_route *route, const slc_kind *kind, const slc_action *action)
{
    char id[128], permission[96];
    slc_route_target target = {.kind = kind};
    if (action != NULL)
        snprintf(target.action, sizeof target.action, "%s", action->name);
    slc_route_permission(route, &target, permission, sizeof permission);
    const char *verb = action != NULL ? action->name : route->summary;
    snprintf(id, sizeof id, "%.*s%s", (int)strcspn(verb, ", "), verb,
             kind != NULL ? kind->schema : route->pattern);
    json_t *operation =
        json_pack("{s:s, s:s, s:s, s:o, s:o}", "operationId", id, "summary",
                  action != NULL ? action->help : route->summary, "x-permission", permission, "parameters",
                  parameters_of(route, kind), "responses", responses_of(route, kind));
    if (kind != NULL)
        json_object_set_new(operation, "tags", json_pack("[s]", kind->name));
    if (route->has_body)
        json_object_set_new(operation, "requestBody", body_of(route, kind, action));
    if (strcmp(route->permission, SLC_PERMISSION_OPEN) == 0)
        json_object_set_new(operation, "security", json_array());
    return operation;
}

static void add_operation(json_t *paths, const slc_route *route, const slc_kind *kind, const slc_action *action)
{
    char method[16] = "";
    char *path = spell_path(route->pattern, kind, action);
    json_t *item = json_object_get(paths, path);
    for (size_t i = 0; route->method[i] != '\0' && i < sizeof method - 1; i++)
        method[i] = (char)(route->method[i] | 0x20);
    if (item == NULL) {
        item = json_object();
        json_object_set_new(paths, path, item);
    }
    json_object_set_new(item, method, operation_of(route, kind, action));
    free(path);
}

static void add_kind_operations(json_t *paths, const slc_route *route)
{
    for (const slc_kind *const *kind = slc_kinds(); *kind != NULL; kind++) {
        if (strstr(route->pattern, "{action}") != NULL) {
            for (const slc_action *action = (*kind)->actions; action != NULL && action->name != NULL; action++)
                add_operation(paths, route, *kind, action);
        } else if (slc_route_serves(route, *kind)) {
            add_operation(paths, route, *kind, NULL);
        }
    }
}

static json_t *problem_schema(void)
{
    return json_pack("{s:s, s:[s,s,s], s:{s:{s:s,s:s}, s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}, "
                     "s:{s:s, s:{s:s, s:{s:{s:s}, s:{s:s}}}}}}",
                     "type", "object", "required", "type", "title", "status", "properties", "type", "type",
                     "string", "format", "uri", "title", "type", "string", "status", "type", "integer",
                     "detail", "type", "string", "instance", "type", "string", "errors", "type", "array",
                     "items", "type", "object", "properties", "pointer", "type", "string", "detail", "type",
                     "string");
}

static json_t *schemas(void)
{
    json_t *all = json_object();
    char name[128];
    json_object_set_new(all, "Problem", problem_schema());
    for (const slc_kind *const *kind = slc_kinds(); *kind != NULL; kind++) {
        json_object_set_new(all, (*kind)->schema, slc_openapi_kind_schema(*kind, true));
        snprintf(name, sizeof name, "%sPatch", (*kind)->schema);
        if (((*kind)->flags & SLC_KIND_UPDATE) != 0)
            json_object_set_new(all, name, slc_openapi_kind_schema(*kind, false));
    }
    return all;
}

json_t *slc_openapi_document(void)
{
    json_t *paths = json_object();
    for (const slc_route *route = slc_routes; route->method != NULL; route++) {
        if (strstr(route->pattern, "{kind}") != NULL)
            add_kind_operations(paths, route);
        else
            add_operation(paths, route, NULL, NULL);
    }
    return json_pack("{s:s, s:{s:s, s:s, s:s}, s:[{s:[]}], s:o, s:{s:o, s:{s:{s:s, s:s, s:s}}}}", "openapi",
                     "3.1.0", "info", "title", "Sluice admin API", "version", SLC_VERSION, "description",
                     "The catalog of event APIs, who may use them, and the gateways that serve them.",
                     "security", "token", "paths", paths, "components", "schemas", schemas(), "securitySchemes",
                     "token", "type", "http", "scheme", "bearer", "description", "An API token: sla_...");
}
