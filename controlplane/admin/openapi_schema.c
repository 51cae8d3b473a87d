/* JSON Schemas (2020-12, as OpenAPI 3.1 uses them) of the entities, from the table of kinds. */
#include "controlplane/admin/openapi_schema.h"

#include <stdio.h>
#include <string.h>

#include "common/json.h"

static json_t *field_schema(const slc_field *field, enum slc_openapi_use use);

/* An optional text that has a form may be empty too, which is the same as absent. */
static json_t *string_schema(const slc_field *field)
{
    const slc_format *format = slc_format_get(field->format);
    bool may_be_empty = (field->flags & SLC_F_REQUIRED) == 0 && field->type != SLC_F_STRING_LIST;
    json_t *schema = json_pack("{s:s}", "type", "string");
    if (format->pattern != NULL)
        json_object_set_new(schema, "pattern",
                            json_sprintf("%s%s", may_be_empty ? "^$|" : "", format->pattern));
    return schema;
}

static void add_bounds(json_t *schema, const slc_field *field, const char *min_name, const char *max_name)
{
    int64_t min = 0, max = 0;
    slc_field_bounds(field, &min, &max);
    if (min != 0)
        json_object_set_new(schema, min_name, json_integer(min));
    if (max != 0)
        json_object_set_new(schema, max_name, json_integer(max));
}

static json_t *enum_schema(const slc_field *field)
{
    json_t *values = json_array();
    for (const char *const *value = field->values; *value != NULL; value++)
        json_array_append_new(values, json_string(*value));
    return json_pack("{s:s, s:o}", "type", "string", "enum", values);
}

static json_t *list_schema(const slc_field *field, json_t *items)
{
    json_t *schema = json_pack("{s:s, s:o, s:b}", "type", "array", "items", items, "uniqueItems", 1);
    add_bounds(schema, field, "minItems", "maxItems");
    return schema;
}

static json_t *item_string_schema(const slc_field *field)
{
    json_t *schema = string_schema(field);
    if (field->item_max != 0)
        json_object_set_new(schema, "maxLength", json_integer(field->item_max));
    return schema;
}

static json_t *bounded_string_schema(const slc_field *field)
{
    json_t *schema = string_schema(field);
    add_bounds(schema, field, "minLength", "maxLength");
    return schema;
}

/* {"name": <schema>} and nothing else. */
static json_t *only_member(const char *name, json_t *schema)
{
    return json_pack("{s:s, s:b, s:[s], s:{s:o}}", "type", "object", "additionalProperties", 0, "required",
                     name, "properties", name, schema);
}

static json_t *text_of(int min, int max)
{
    return json_pack("{s:s, s:i, s:i}", "type", "string", "minLength", min, "maxLength", max);
}

/* A value to set, or where the gateway finds it; reading shows only that there is one (false: it was lost). */
static json_t *secret_schema(const slc_field *field)
{
    json_t *value = bounded_string_schema(field);
    json_object_set_new(value, "writeOnly", json_true());
    json_t *file = json_pack("{s:s, s:s, s:i}", "type", "string", "pattern", "^/[^\\x00-\\x1f\\x7f]*$",
                             "maxLength", SLC_SECRET_REFERENCE_MAX);
    json_t *variable = json_pack("{s:s, s:s, s:i}", "type", "string", "pattern", "^[A-Za-z_][A-Za-z0-9_]*$",
                                 "maxLength", SLC_SECRET_REFERENCE_MAX);
    return json_pack("{s:[o, o, o, o]}", "anyOf", value, only_member("file", file),
                     only_member("env", variable), only_member("set", json_pack("{s:s}", "type", "boolean")));
}

json_t *slc_openapi_ref_schema(const char *kind)
{
    json_t *schema = text_of(1, SLC_KEY_CHARS - 1);
    char text[128];
    snprintf(text, sizeof text, "Id or key of one of %s.", kind != NULL ? kind : "the kind's");
    json_object_set_new(schema, "$comment", json_string(text));
    return schema;
}

json_t *slc_openapi_filter_schema(const slc_field *field)
{
    switch (field->type) {
    case SLC_F_REF:
        return slc_openapi_ref_schema(field->ref);
    case SLC_F_ENUM:
        return enum_schema(field);
    case SLC_F_BOOL:
        return json_pack("{s:s}", "type", "boolean");
    case SLC_F_INT:
        return json_pack("{s:s}", "type", "integer");
    default:
        return json_pack("{s:s}", "type", "string");
    }
}

static json_t *map_schema(const slc_field *field)
{
    json_t *schema =
        json_pack("{s:s, s:o, s:o}", "type", "object", "propertyNames", text_of(1, SLC_MAP_KEY_MAX),
                  "additionalProperties", text_of(0, SLC_MAP_VALUE_MAX));
    add_bounds(schema, field, "minProperties", "maxProperties");
    return schema;
}

static json_t *typed_schema(const slc_field *field, enum slc_openapi_use use)
{
    json_t *schema = NULL;
    switch (field->type) {
    case SLC_F_STRING:
    case SLC_F_TEXT:
        return bounded_string_schema(field);
    case SLC_F_INT:
        schema = json_pack("{s:s}", "type", "integer");
        add_bounds(schema, field, "minimum", "maximum");
        return schema;
    case SLC_F_BOOL:
        return json_pack("{s:s}", "type", "boolean");
    case SLC_F_ENUM:
        return enum_schema(field);
    case SLC_F_DURATION:
        return json_pack("{s:s, s:s}", "type", "string", "pattern", "^([0-9]+(ms|s|m|h|d))?$");
    case SLC_F_TIMESTAMP:
        return json_pack("{s:s, s:s}", "type", "string", "format", "date-time");
    case SLC_F_REF:
        return slc_openapi_ref_schema(field->ref);
    case SLC_F_REF_LIST:
        return list_schema(field, slc_openapi_ref_schema(field->ref));
    case SLC_F_STRING_LIST:
        return list_schema(field, item_string_schema(field));
    case SLC_F_ENUM_LIST:
        return list_schema(field, enum_schema(field));
    case SLC_F_OBJECT:
        return slc_openapi_object_schema(field->fields, use);
    case SLC_F_OBJECT_LIST:
        return list_schema(field, slc_openapi_object_schema(field->fields, use));
    case SLC_F_MAP:
        return map_schema(field);
    case SLC_F_JSON:
        return json_pack("{s:s}", "type", "object");
    }
    return json_object();
}

/* Optional fields may be null, which is the same as absent. */
static json_t *nullable(json_t *schema)
{
    json_t *type = json_object_get(schema, "type"), *values = json_object_get(schema, "enum");
    if (json_is_string(type))
        json_object_set_new(schema, "type", json_pack("[O, s]", type, "null"));
    if (json_is_array(values))
        json_array_append_new(values, json_null());
    if (json_object_get(schema, "anyOf") != NULL)
        json_array_append_new(json_object_get(schema, "anyOf"), json_pack("{s:s}", "type", "null"));
    return schema;
}

/* Must it be there? A patch leaves out what it likes, but cannot set to null what must not be absent. */
static bool may_be_absent(const slc_field *field, enum slc_openapi_use use)
{
    return (field->flags & SLC_F_REQUIRED) == 0 ||
           (use == SLC_OPENAPI_REPLACE && (field->flags & SLC_F_IMMUTABLE) != 0);
}

static json_t *field_schema(const slc_field *field, enum slc_openapi_use use)
{
    json_t *schema = (field->flags & SLC_F_SECRET) != 0 ? secret_schema(field) : typed_schema(field, use);
    if (may_be_absent(field, use))
        nullable(schema);
    if (field->help != NULL)
        json_object_set_new(schema, "description", json_string(field->help));
    if ((field->flags & (SLC_F_READ_ONLY | SLC_F_ONCE | SLC_F_COMPUTED)) != 0)
        json_object_set_new(schema, "readOnly", json_true());
    if ((field->flags & SLC_F_WRITE_ONLY) != 0)
        json_object_set_new(schema, "writeOnly", json_true());
    if (field->default_json != NULL) {
        slc_error err = {0};
        json_t *value = slc_json_parse(field->default_json, strlen(field->default_json), 65536, &err);
        if (value != NULL)
            json_object_set_new(schema, "default", value);
    }
    return schema;
}

static void add_fields(json_t *properties, json_t *required, const slc_field *fields, enum slc_openapi_use use)
{
    for (const slc_field *field = fields; field->name != NULL; field++) {
        if ((field->flags & SLC_F_HIDDEN) != 0)
            continue;
        json_object_set_new(properties, field->name, field_schema(field, use));
        if (use != SLC_OPENAPI_PATCH && !may_be_absent(field, use) && (field->flags & SLC_F_WRITE_ONLY) == 0)
            json_array_append_new(required, json_string(field->name));
    }
}

static json_t *finish_object(json_t *properties, json_t *required)
{
    json_t *schema =
        json_pack("{s:s, s:b, s:o}", "type", "object", "additionalProperties", 0, "properties", properties);
    if (json_array_size(required) > 0)
        json_object_set(schema, "required", required);
    json_decref(required);
    return schema;
}

json_t *slc_openapi_object_schema(const slc_field *fields, enum slc_openapi_use use)
{
    json_t *properties = json_object(), *required = json_array();
    add_fields(properties, required, fields, use);
    return finish_object(properties, required);
}

json_t *slc_openapi_kind_schema(const slc_kind *kind, enum slc_openapi_use use)
{
    json_t *properties = json_object(), *required = json_array();
    add_fields(properties, required, slc_kind_common_fields(kind), use);
    add_fields(properties, required, kind->fields, use);
    json_t *schema = finish_object(properties, required);
    if (kind->help != NULL)
        json_object_set_new(schema, "description", json_string(kind->help));
    return schema;
}
