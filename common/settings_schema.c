/* The settings file as a JSON Schema (draft-07), so that whoever writes one, such as a Helm chart, is held to
 * the same table as the program. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/settings_private.h"

static json_t *section_schema(void)
{
    return json_pack("{s:s, s:b, s:{}}", "type", "object", "additionalProperties", 0, "properties");
}

static json_t *typed_default(const slc_setting *setting)
{
    if (setting->type == SLC_SET_BOOL)
        return json_boolean(strcmp(setting->default_value, "true") == 0);
    if (setting->type == SLC_SET_INT)
        return json_integer(strtoll(setting->default_value, NULL, 10));
    return json_string(setting->default_value);
}

static json_t *value_schema(const slc_setting *setting)
{
    switch (setting->type) {
    case SLC_SET_BOOL:
        return json_pack("{s:s}", "type", "boolean");
    case SLC_SET_INT:
        return setting->min == 0 && setting->max == 0
                   ? json_pack("{s:s}", "type", "integer")
                   : json_pack("{s:s, s:I, s:I}", "type", "integer", "minimum", (json_int_t)setting->min,
                               "maximum", (json_int_t)setting->max);
    case SLC_SET_DURATION:
        return json_pack("{s:s, s:s}", "type", "string", "pattern", "^[0-9]+(ms|s|m|h|d)$");
    case SLC_SET_SIZE:
        return json_pack("{s:[s,s], s:s}", "type", "string", "integer", "pattern", "^[0-9]+(B|KiB|MiB|GiB)?$");
    case SLC_SET_STRING:
    case SLC_SET_ADDRESS:
    case SLC_SET_SECRET:
        break;
    }
    return json_pack("{s:s}", "type", "string");
}

/* The section's own, made when it is not there yet. Borrowed. */
static json_t *section_of(json_t *parent, const char *name, size_t len)
{
    json_t *properties = json_object_get(parent, "properties");
    char *key = slc_strndup(name, len);
    json_t *section = json_object_get(properties, key);
    if (section == NULL) {
        section = section_schema();
        json_object_set_new(properties, key, section);
    }
    free(key);
    return section;
}

json_t *slc_settings_schema(const slc_setting *table)
{
    json_t *root = section_schema();
    for (const slc_setting *setting = table; setting->name != NULL; setting++) {
        json_t *section = root;
        const char *name = setting->name;
        for (const char *dot; (dot = strchr(name, '.')) != NULL; name = dot + 1)
            section = section_of(section, name, (size_t)(dot - name));
        json_t *value = value_schema(setting);
        json_object_set_new(value, "description", json_string(setting->help));
        if (setting->default_value != NULL && setting->type != SLC_SET_SECRET)
            json_object_set_new(value, "default", typed_default(setting));
        SLC_BUG_ON(json_object_get(json_object_get(section, "properties"), name) != NULL);
        json_object_set_new(json_object_get(section, "properties"), name, value);
    }
    return root;
}
