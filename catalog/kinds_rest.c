/* The table of kinds: REST APIs that others serve, imported from their OpenAPI documents. */
#include "catalog/discover_private.h"
#include "catalog/kinds.h"
#include "catalog/rules.h"

static const char *const visibility_values[] = {"public", "signed-in", "teams", NULL};
static const char *const method_values[] = {"get",  "put",   "post",  "delete", "options",
                                            "head", "patch", "trace", NULL};

static const slc_field server_fields[] = {
    {.name = "url", .type = SLC_F_STRING, .flags = SLC_F_REQUIRED, .max = 1024, .help = "Where it is served."},
    {.name = "description", .type = SLC_F_STRING, .max = 1024, .help = "What the document says of it."},
    SLC_FIELD_END,
};

static const slc_field operation_fields[] = {
    {.name = "method",
     .type = SLC_F_ENUM,
     .flags = SLC_F_REQUIRED,
     .values = method_values,
     .help = "HTTP method."},
    {.name = "path", .type = SLC_F_STRING, .flags = SLC_F_REQUIRED, .max = 2000, .help = "Path."},
    {.name = "summary", .type = SLC_F_STRING, .max = 1024, .help = "What it does."},
    {.name = "operation_id", .type = SLC_F_STRING, .max = 1024, .help = "Its name in the document."},
    {.name = "deprecated", .type = SLC_F_BOOL, .help = "Does the document say that it is deprecated?"},
    SLC_FIELD_END,
};

static const slc_field rest_api_fields[] = {
    SLC_FIELD_NAME,
    {.name = "title",
     .type = SLC_F_STRING,
     .max = 200,
     .help = "Title for people; absent: the document's, whenever that changes."},
    {.name = "description",
     .type = SLC_F_TEXT,
     .max = 65536,
     .help = "Documentation in Markdown; absent: the document's, whenever that changes."},
    SLC_FIELD_TEAM,
    SLC_FIELD_LIFECYCLE("the catalog has what is published or deprecated."),
    SLC_FIELD_SUNSET_AT,
    SLC_FIELD_DEPRECATED_AT,
    {.name = "visibility",
     .type = SLC_F_ENUM,
     .flags = SLC_F_FILTERABLE,
     .values = visibility_values,
     .default_json = "\"signed-in\"",
     .help = "Who may see it."},
    {.name = "visible_to",
     .type = SLC_F_REF_LIST,
     .ref = "teams",
     .max = 200,
     .help = "teams: which ones, beside the owner."},
    {.name = "tags",
     .type = SLC_F_STRING_LIST,
     .format = SLC_FMT_NAME,
     .max = 50,
     .item_max = 63,
     .help = "For search."},
    {.name = "changelog", .type = SLC_F_TEXT, .max = 65536, .help = "What changed, in Markdown."},
    {.name = "document",
     .type = SLC_F_TEXT,
     .flags = SLC_F_BULKY,
     .max = 8388608,
     .help = "The OpenAPI document (3.0 or 3.1), JSON or YAML, as it is; an update without it keeps it, and "
             "lists do not show it. The "
             "setting imports.document says how long it may be."},
    {.name = "version",
     .type = SLC_F_STRING,
     .flags = SLC_F_READ_ONLY | SLC_F_VOLATILE,
     .help = "The API's version, by its document."},
    {.name = "openapi",
     .type = SLC_F_STRING,
     .flags = SLC_F_READ_ONLY | SLC_F_VOLATILE,
     .help = "The version of OpenAPI that the document is of."},
    {.name = "servers",
     .type = SLC_F_OBJECT_LIST,
     .fields = server_fields,
     .flags = SLC_F_READ_ONLY | SLC_F_VOLATILE,
     .max = 20,
     .help = "Where it is served, by its document."},
    {.name = "operations",
     .type = SLC_F_OBJECT_LIST,
     .fields = operation_fields,
     .flags = SLC_F_READ_ONLY | SLC_F_VOLATILE | SLC_F_BULKY,
     .max = 5000,
     .help = "What it does, by its document; not shown in lists."},
    {.name = "operation_count",
     .type = SLC_F_INT,
     .flags = SLC_F_READ_ONLY | SLC_F_VOLATILE,
     .max = 5000,
     .help = "How many operations it has."},
    {.name = "from_document",
     .type = SLC_F_STRING_LIST,
     .flags = SLC_F_HIDDEN,
     .max = 2,
     .help = "Which of title and description the document gave."},
    SLC_FIELD_END,
};

const slc_kind slc_kind_rest_api = {
    .name = "rest-apis",
    .singular = "REST API",
    .schema = "RestApi",
    .table = "rest_apis",
    .help = "An API that is served elsewhere, by its OpenAPI document: found in the catalog, not served by "
            "gateways.",
    .flags = SLC_KIND_CRUD | SLC_KIND_DECLARATIVE,
    .team_through = "team",
    .fields = rest_api_fields,
    .rules = &slc_rules_rest_api,
    .visible = SLC_DISCOVER_REST("t", "?40", "0"),
};
