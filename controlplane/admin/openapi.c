/* The OpenAPI 3.1 document, from the tables of routes and kinds. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/question.h"
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

static bool is_list(const slc_route *route)
{
    return strcmp(route->pattern, "/v1/{kind}") == 0 && strcmp(route->method, "GET") == 0;
}

static bool is_update(const slc_route *route)
{
    return strcmp(route->method, "PUT") == 0 || strcmp(route->method, "PATCH") == 0;
}

static bool is_delete(const slc_route *route)
{
    return strcmp(route->method, "DELETE") == 0;
}

/* Entries of a log have no revision, so they have no ETag. */
static bool has_etag(const slc_route *route, const slc_kind *kind)
{
    return kind != NULL && (kind->flags & SLC_KIND_LOG) == 0 && !is_list(route) && !is_delete(route);
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
    const slc_field *const groups[] = {slc_kind_common_fields(kind), kind->fields};
    json_array_append_new(parameters, parameter("limit", "query", false, "Entities on a page.",
                                                json_pack("{s:s, s:i, s:i, s:i}", "type", "integer", "minimum",
                                                          1, "maximum", 1000, "default", 100)));
    json_array_append_new(parameters,
                          parameter("cursor", "query", false, "`next` of the page before.",
                                    json_pack("{s:s, s:s}", "type", "string", "pattern", "^[A-Za-z0-9_-]+$")));
    if (slc_kind_has_labels(kind))
        json_array_append_new(parameters,
                              parameter("label", "query", false,
                                        "Only those with these labels, KEY=VALUE with commas between them.",
                                        json_pack("{s:s, s:s}", "type", "string", "pattern",
                                                  "^[^=,]+=[^,]*(,[^=,]+=[^,]*){0,7}$")));
    for (size_t i = 0; i < 2; i++)
        for (const slc_field *field = groups[i]; field->name != NULL; field++)
            if ((field->flags & SLC_F_FILTERABLE) != 0)
                json_array_append_new(parameters,
                                      parameter(field->name, "query", false, "Only those with this value.",
                                                slc_openapi_filter_schema(field)));
}

static json_t *parameters_of(const slc_route *route, const slc_kind *kind)
{
    json_t *parameters = json_array();
    if (strstr(route->pattern, "{key}") != NULL)
        json_array_append_new(parameters, parameter("key", "path", true, "Id or key.",
                                                    slc_openapi_ref_schema(kind != NULL ? kind->name : NULL)));
    if (kind != NULL && is_list(route))
        add_filters(parameters, kind);
    if (route->run == slc_route_node_connections)
        json_array_append_new(parameters, parameter("limit", "query", false, "How many are listed at most.",
                                                    json_pack("{s:s, s:i, s:i}", "type", "integer", "minimum",
                                                              1, "maximum", 1000)));
    if (route->run == slc_route_members) {
        json_array_append_new(parameters, parameter("limit", "query", false, "Members on a page.",
                                                    json_pack("{s:s, s:i, s:i, s:i}", "type", "integer",
                                                              "minimum", 1, "maximum", 1000, "default", 100)));
        json_array_append_new(parameters,
                              parameter("cursor", "query", false, "`next` of the page before.", string_type()));
    }
    if (route->run == slc_route_node_ca_retire)
        json_array_append_new(parameters,
                              parameter("force", "query", false,
                                        "Although nodes hold certificates of it, which must then enrol again.",
                                        json_pack("{s:s}", "type", "boolean")));
    if (is_update(route) || is_delete(route))
        json_array_append_new(parameters, parameter("If-Match", "header", false,
                                                    "The ETag that the change is based on, or *.",
                                                    json_pack("{s:s, s:s}", "type", "string", "pattern",
                                                              "^(\\*|\"(0|[1-9][0-9]{0,17})\")$")));
    if (route->access == SLC_ROUTE_WRITE || route->access == SLC_ROUTE_WORK)
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
    const char *suffix = patch ? "Patch" : is_update(route) ? "Update" : "";
    json_t *schema;
    if (route->run == slc_route_explain)
        schema = slc_openapi_object_schema(slc_question_fields, SLC_OPENAPI_CREATE);
    else if (action != NULL && action->fields != NULL)
        schema = slc_openapi_object_schema(action->fields, SLC_OPENAPI_CREATE);
    else if (action != NULL)
        schema = json_pack("{s:s, s:b}", "type", "object", "additionalProperties", 0);
    else if (kind != NULL)
        schema = schema_ref(kind->schema, suffix);
    else
        schema = json_pack("{s:s}", "type", "object");
    json_t *content = json_content(schema);
    json_t *media = json_object_get(content, "application/json");
    json_object_set(content, "application/yaml", media);
    if (patch)
        json_object_set(content, "application/merge-patch+json", media);
    return json_pack("{s:b, s:o}", "required", action == NULL, "content", content);
}

static json_t *page_schema(const slc_kind *kind)
{
    return json_pack("{s:s, s:b, s:[s,s], s:{s:{s:s, s:o}, s:{s:[s,s]}}}", "type", "object",
                     "additionalProperties", 0, "required", "items", "next", "properties", "items", "type",
                     "array", "items", schema_ref(kind->schema, ""), "next", "type", "string", "null");
}

static void add_header(json_t *answer, const char *name, const char *description)
{
    json_t *headers = json_object_get(answer, "headers");
    if (headers == NULL) {
        headers = json_object();
        json_object_set_new(answer, "headers", headers);
    }
    json_object_set_new(
        headers, name,
        json_pack("{s:s, s:b, s:o}", "description", description, "required", 1, "schema", string_type()));
}

/* "getSelf" of GET /v1/self, "createTeam" of a kind's. */
static void make_operation_id(const slc_route *route, const slc_kind *kind, const slc_action *action, char *out,
                              size_t size)
{
    const char *word = action != NULL ? action->name : kind != NULL ? route->summary : route->method;
    const char *rest = strncmp(route->pattern, "/v1/", 4) == 0 ? route->pattern + 3 : route->pattern;
    bool upper = false;
    size_t used = 0;
    for (; *word != '\0' && *word != ' ' && *word != ',' && used + 1 < size; word++)
        out[used++] = (char)tolower((unsigned char)*word);
    for (rest = kind != NULL ? "" : rest; *rest != '\0' && used + 1 < size; rest++) {
        if (isalnum((unsigned char)*rest))
            out[used++] = upper ? (char)toupper((unsigned char)*rest) : *rest;
        upper = !isalnum((unsigned char)*rest);
    }
    out[used] = '\0';
    if (kind != NULL)
        snprintf(out + used, size - used, "%s", kind->schema);
}

static void add_link(json_t *links, const slc_route *route, const slc_kind *kind, const slc_action *action)
{
    char id[128];
    make_operation_id(route, kind, action, id, sizeof id);
    json_t *parameters = json_pack("{s:s}", "key", "$response.body#/id");
    if (is_update(route))
        json_object_set_new(parameters, "If-Match", json_string("$response.header.ETag"));
    json_object_set_new(links, id, json_pack("{s:s, s:o}", "operationId", id, "parameters", parameters));
}

/* What can be done with what was just created. */
static json_t *links_of(const slc_kind *kind)
{
    json_t *links = json_object();
    for (const slc_route *route = slc_routes; route->method != NULL; route++) {
        if (strncmp(route->pattern, "/v1/{kind}/{key}", 16) != 0)
            continue;
        if (strstr(route->pattern, "{action}") != NULL) {
            for (const slc_action *action = kind->actions; action != NULL && action->name != NULL; action++)
                add_link(links, route, kind, action);
        } else if (slc_route_serves(route, kind)) {
            add_link(links, route, kind, NULL);
        }
    }
    return links;
}

/* A decision (dataplane/explain/). */
static json_t *explanation_schema(void)
{
    static const char *const objects[] = {"told",       "decided_by",   "application",
                                          "credential", "subscription", "plan"};
    json_t *properties =
        json_pack("{s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s, s:{s:s}}, s:{s:s, s:{s:s}}}", "allowed", "type",
                  "boolean", "reason", "type", "string", "version", "type", "integer", "trail", "type", "array",
                  "items", "type", "object", "subscriptions", "type", "array", "items", "type", "object");
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++)
        json_object_set_new(properties, objects[i], json_pack("{s:s}", "type", "object"));
    return json_pack("{s:s, s:b, s:[s,s,s,s], s:o}", "type", "object", "additionalProperties", 0, "required",
                     "allowed", "reason", "trail", "version", "properties", properties);
}

static json_t *good_answer(const slc_route *route, const slc_kind *kind)
{
    json_t *answer = json_pack("{s:s}", "description", route->summary);
    if (has_etag(route, kind))
        add_header(answer, "ETag", "The revision; send it back as If-Match.");
    if (route->success == 201)
        add_header(answer, "Location", "The path of what was created.");
    if (route->success == 201 && kind != NULL)
        json_object_set_new(answer, "links", links_of(kind));
    if (route->success == 204)
        return answer;
    if (route->access == SLC_ROUTE_FILE) {
        json_object_set_new(answer, "content", json_pack("{s:{}}", SLC_DOWNLOAD_TYPE));
        return answer;
    }
    if (route->run == slc_route_metrics) {
        json_object_set_new(answer, "content", json_pack("{s:{s:o}}", "text/plain", "schema", string_type()));
        return answer;
    }
    json_t *schema = route->run == slc_route_explain ? explanation_schema()
                     : kind == NULL                  ? json_object()
                     : is_list(route)                ? page_schema(kind)
                                                     : schema_ref(kind->schema, "");
    json_object_set_new(answer, "content", json_content(schema));
    return answer;
}

/* The answers that are problems; each is written once and referred to. */
static const struct {
    int status;
    const char *description;
} problems[] = {
    {400, "The request is wrong; `errors` points to each place."},
    {401, "No token, or not a valid one."},
    {403, "The token lacks the permission."},
    {404, "There is no such entity."},
    {409, "It exists already, is referred to, is not possible in this state, or another manager owns it."},
    {412, "The entity has changed since."},
    {413, "The body is too large."},
    {415, "The body is of a media type that is not taken here."},
    {422, "The Idempotency-Key was used for another request."},
    {428, "If-Match is missing."},
    {429, "Too many wait for this node's answer."},
    {500, "A fault of the control plane; its log has the cause under the request's id."},
    {503, "The catalog cannot be used now, or too much waits for it; try again after `Retry-After`."},
    {504, "The node did not answer in time."},
    {507, "The disk is full; nothing was changed."},
};

static json_t *problem_responses(void)
{
    json_t *all = json_object();
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
        char name[16];
        json_t *answer = json_pack("{s:s, s:{s:{s:o}}}", "description", problems[i].description, "content",
                                   "application/problem+json", "schema", schema_ref("Problem", ""));
        if (problems[i].status == 401)
            add_header(answer, "WWW-Authenticate", "Bearer.");
        if (problems[i].status == 503)
            add_header(answer, "Retry-After", "Seconds.");
        snprintf(name, sizeof name, "Problem%d", problems[i].status);
        json_object_set_new(all, name, answer);
    }
    return all;
}

static bool has_problem(const slc_route *route, int status)
{
    bool open = strcmp(route->permission, SLC_PERMISSION_OPEN) == 0;
    bool write = route->access == SLC_ROUTE_WRITE;
    bool work = route->access == SLC_ROUTE_WORK;
    bool asks_node = route->run == slc_route_node_connections;
    switch (status) {
    case 401:
        return !open;
    case 403:
        return !open && strcmp(route->permission, SLC_PERMISSION_ANY) != 0;
    case 404:
        return strstr(route->pattern, "{key}") != NULL;
    case 409:
        return write || work || asks_node;
    case 412:
        return is_update(route) || is_delete(route);
    case 413:
    case 415:
        return route->has_body;
    case 422:
        return write || work;
    case 428:
        return is_update(route);
    case 429:
    case 504:
        return asks_node;
    case 507:
        return write || work;
    default:
        return true;
    }
}

static json_t *responses_of(const slc_route *route, const slc_kind *kind)
{
    json_t *responses = json_object();
    char status[16], ref[64];
    snprintf(status, sizeof status, "%d", route->success);
    json_object_set_new(responses, status, good_answer(route, kind));
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
        if (!has_problem(route, problems[i].status))
            continue;
        snprintf(status, sizeof status, "%d", problems[i].status);
        snprintf(ref, sizeof ref, "#/components/responses/Problem%d", problems[i].status);
        json_object_set_new(responses, status, json_pack("{s:s}", "$ref", ref));
    }
    return responses;
}

static json_t *operation_of(const slc_route *route, const slc_kind *kind, const slc_action *action)
{
    char id[128], permission[96];
    slc_route_target target = {.kind = kind};
    if (action != NULL)
        snprintf(target.action, sizeof target.action, "%s", action->name);
    slc_route_permission(route, &target, permission, sizeof permission);
    make_operation_id(route, kind, action, id, sizeof id);
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
    slc_openapi_config(route, operation);
    slc_openapi_usage(route, operation);
    slc_openapi_catalog(route, operation);
    slc_openapi_scorecards(route, operation);
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

static json_t *list_of(json_t *properties)
{
    return json_pack("{s:s, s:{s:s, s:o}}", "type", "array", "items", "type", "object", "properties",
                     properties);
}

static json_t *problem_schema(void)
{
    json_t *errors = list_of(json_pack("{s:o, s:o, s:o}", "pointer", string_type(), "parameter", string_type(),
                                       "detail", string_type()));
    json_t *referrers = list_of(
        json_pack("{s:o, s:o, s:o}", "kind", string_type(), "key", string_type(), "field", string_type()));
    json_t *missing = json_pack("{s:s, s:o}", "type", "array", "items", string_type());
    return json_pack("{s:s, s:[s,s,s], s:{s:{s:s,s:s}, s:o, s:{s:s}, s:o, s:o, s:o, s:o, s:o}}", "type",
                     "object", "required", "type", "title", "status", "properties", "type", "type", "string",
                     "format", "uri", "title", string_type(), "status", "type", "integer", "detail",
                     string_type(), "instance", string_type(), "errors", errors, "referrers", referrers,
                     "missing", missing);
}

static json_t *schemas(void)
{
    static const struct {
        const char *suffix;
        enum slc_openapi_use use;
        unsigned flags; /* that the kind must have */
    } forms[] = {{"", SLC_OPENAPI_CREATE, 0},
                 {"Update", SLC_OPENAPI_REPLACE, SLC_KIND_UPDATE},
                 {"Patch", SLC_OPENAPI_PATCH, SLC_KIND_UPDATE}};
    json_t *all = json_object();
    char name[128];
    json_object_set_new(all, "Problem", problem_schema());
    slc_openapi_config_schemas(all);
    for (const slc_kind *const *kind = slc_kinds(); *kind != NULL; kind++) {
        for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
            if (((*kind)->flags & forms[i].flags) != forms[i].flags)
                continue;
            snprintf(name, sizeof name, "%s%s", (*kind)->schema, forms[i].suffix);
            json_object_set_new(all, name, slc_openapi_kind_schema(*kind, forms[i].use));
        }
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
    json_t *token = json_pack("{s:s, s:s, s:s}", "type", "http", "scheme", "bearer", "description",
                              "An API token: sla_...");
    return json_pack("{s:s, s:{s:s, s:s, s:s}, s:[{s:[]}], s:o, s:{s:o, s:o, s:{s:o}}}", "openapi", "3.1.0",
                     "info", "title", "Sluice admin API", "version", SLC_VERSION, "description",
                     "The catalog of event APIs, who may use them, and the gateways that serve them.",
                     "security", "token", "paths", paths, "components", "schemas", schemas(), "responses",
                     problem_responses(), "securitySchemes", "token", token);
}
