#include "controlplane/ctl/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "common/json.h"
#include "controlplane/ctl/check.h"
#include "controlplane/ctl/suggest.h"

#define SCHEMA_MAX_BYTES (16u << 20)

static json_t *loaded;

static const json_t *part(const char *name)
{
    if (loaded == NULL) {
        slc_error err = {0};
        loaded = slc_json_parse(slc_schema_text, strlen(slc_schema_text), SCHEMA_MAX_BYTES, &err);
        SLC_BUG_ON(loaded == NULL);
    }
    return json_object_get(loaded, name);
}

void slc_schema_forget(void)
{
    json_decref(loaded);
    loaded = NULL;
}

const json_t *slc_schema_kinds(void)
{
    return part("kinds");
}

const json_t *slc_schema_kind(const char *name)
{
    return json_object_get(slc_schema_kinds(), name);
}

/* ---- keys ---- */

static const char *text_of(const json_t *item, const char *field)
{
    const char *text = json_string_value(json_object_get(item, field));
    return text != NULL ? text : "?";
}

static void identity_key(const json_t *known, const json_t *item, char *out, size_t size)
{
    size_t i, used = 0;
    json_t *field;
    out[0] = '\0';
    json_array_foreach (json_object_get(known, "identity"), i, field) {
        if (used < size)
            used += (size_t)snprintf(out + used, size - used, "%s%s", used > 0 ? "/" : "",
                                     text_of(item, json_string_value(field)));
    }
    if (used == 0)
        snprintf(out, size, "%s", text_of(item, "id"));
}

void slc_schema_key(const char *kind, const json_t *item, char *out, size_t size)
{
    const json_t *known = slc_schema_kind(kind);
    const char *rule = json_string_value(json_object_get(known, "key"));
    if (rule == NULL || strcmp(rule, "name") == 0)
        snprintf(out, size, "%s", text_of(item, json_object_get(item, "name") != NULL ? "name" : "id"));
    else if (strcmp(rule, "event-api") == 0)
        snprintf(out, size, "%s.v%" JSON_INTEGER_FORMAT, text_of(item, "name"),
                 json_integer_value(json_object_get(item, "major")));
    else if (strcmp(rule, "plan") == 0)
        snprintf(out, size, "%s.%s", text_of(item, "product"), text_of(item, "name"));
    else if (strcmp(rule, "deployment") == 0)
        snprintf(out, size, "%s@%s", text_of(item, "event_api"), text_of(item, "gateway_group"));
    else if (json_object_get(item, "id") != NULL)
        snprintf(out, size, "%s", text_of(item, "id"));
    else
        identity_key(known, item, out, size);
}

/* ---- documents ---- */

static void check_policy_config(slc_check *check, const json_t *item)
{
    const json_t *config = json_object_get(item, "config");
    const char *type = json_string_value(json_object_get(item, "type"));
    const json_t *schema = type != NULL ? json_object_get(part("policies"), type) : NULL;
    size_t here = strlen(check->pointer);
    if (schema == NULL || config == NULL)
        return;
    slc_json_pointer_push(check->pointer, sizeof check->pointer, "config");
    slc_check_value(check, schema, config);
    check->pointer[here] = '\0';
}

/* Two of a list that are the same object. */
static void check_twice(slc_check *check, const char *kind, json_t *seen, const json_t *item)
{
    char key[700];
    slc_schema_key(kind, item, key, sizeof key);
    if (strchr(key, '?') == NULL && json_object_get(seen, key) != NULL)
        slc_check_problem(check, "%s/%s is declared twice", kind, key);
    json_object_set_new(seen, key, json_true());
}

static void check_items(slc_check *check, const char *kind, const json_t *items)
{
    const json_t *schema = json_object_get(slc_schema_kind(kind), "schema");
    size_t i, here = strlen(check->pointer);
    json_t *item, *seen = json_object();
    if (!json_is_array(items) && !json_is_null(items))
        slc_check_problem(check, "must be a list");
    json_array_foreach ((json_t *)items, i, item) {
        slc_json_pointer_push_index(check->pointer, sizeof check->pointer, i);
        if (json_is_object(item)) {
            slc_check_value(check, schema, item);
            check_twice(check, kind, seen, item);
            if (strcmp(kind, "policies") == 0)
                check_policy_config(check, item);
        } else {
            slc_check_problem(check, "must be an object");
        }
        check->pointer[here] = '\0';
    }
    json_decref(seen);
}

static void check_kind_name(slc_check *check, const char *name)
{
    slc_suggestion near = slc_suggestion_for(name);
    const char *known;
    json_t *kind;
    if (slc_schema_kind(name) != NULL) {
        slc_check_problem(check, "%s cannot be declared: make them by sluicectl create", name);
        return;
    }
    json_object_foreach ((json_t *)slc_schema_kinds(), known, kind)
        if (json_is_true(json_object_get(kind, "declarative")))
            slc_suggest(&near, known);
    slc_check_problem(check, "there is no kind \"%s\"%s%s%s", name,
                      near.best != NULL ? ": did you mean \"" : "", near.best != NULL ? near.best : "",
                      near.best != NULL ? "\"?" : "");
}

static void check_resources(slc_check *check, const json_t *resources)
{
    const char *kind;
    json_t *items;
    size_t here = strlen(check->pointer);
    if (!json_is_object(resources)) {
        slc_check_problem(check, "must be an object by kind");
        return;
    }
    json_object_foreach ((json_t *)resources, kind, items) {
        slc_json_pointer_push(check->pointer, sizeof check->pointer, kind);
        if (json_is_true(json_object_get(slc_schema_kind(kind), "declarative")))
            check_items(check, kind, items);
        else
            check_kind_name(check, kind);
        check->pointer[here] = '\0';
    }
}

void slc_schema_check(const json_t *document, json_t *problems)
{
    slc_check check = {.forms = part("forms"), .problems = problems};
    const json_t *resources = json_object_get(document, "resources");
    if (!json_is_string(json_object_get(document, "manager")))
        slc_check_problem(&check,
                          "the field \"manager\" is missing: who looks after these objects (or --manager)");
    if (resources != NULL) {
        snprintf(check.pointer, sizeof check.pointer, "/resources");
        check_resources(&check, resources);
    }
}

/* ---- suggestions ---- */

/* The schema of what `pointer` leads to within an item, walking along the document; NULL: not known. */
static const json_t *schema_below(const json_t *schema, char *rest)
{
    for (char *token = strtok_r(NULL, "/", &rest); token != NULL && schema != NULL;
         token = strtok_r(NULL, "/", &rest)) {
        const json_t *items = json_object_get(schema, "items");
        schema = items != NULL ? items : json_object_get(json_object_get(schema, "properties"), token);
    }
    return schema;
}

static const char *nearest(const json_t *properties, const char *typed)
{
    slc_suggestion near = slc_suggestion_for(typed);
    const char *known;
    json_t *schema;
    json_object_foreach ((json_t *)properties, known, schema)
        slc_suggest(&near, known);
    return near.best;
}

static const json_t *policy_config(const json_t *document, const char *index)
{
    const json_t *list = json_object_get(json_object_get(document, "resources"), "policies");
    const json_t *item = json_array_get(list, strtoul(index, NULL, 10));
    const char *type = json_string_value(json_object_get(item, "type"));
    return type != NULL ? json_object_get(part("policies"), type) : NULL;
}

const char *slc_schema_meant(const json_t *document, const char *pointer)
{
    char path[512], typed[160], *rest, *last;
    snprintf(path, sizeof path, "%s", pointer);
    last = strrchr(path, '/');
    if (last == NULL || strlen(pointer) >= sizeof path)
        return NULL;
    snprintf(typed, sizeof typed, "%s", last + 1);
    *last = '\0';
    char *top = strtok_r(path, "/", &rest);
    if (top == NULL || strcmp(top, "resources") != 0)
        return NULL;
    char *kind = strtok_r(NULL, "/", &rest), *index = kind != NULL ? strtok_r(NULL, "/", &rest) : NULL;
    if (kind == NULL)
        return nearest(slc_schema_kinds(), typed);
    if (index == NULL)
        return NULL;
    const json_t *schema = json_object_get(slc_schema_kind(kind), "schema");
    if (strcmp(kind, "policies") == 0 && rest != NULL && strncmp(rest, "config", 6) == 0) {
        strtok_r(NULL, "/", &rest);
        schema = policy_config(document, index);
    }
    return nearest(json_object_get(schema_below(schema, rest), "properties"), typed);
}
