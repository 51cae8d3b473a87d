#include "controlplane/ctl/output.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/json.h"
#include "controlplane/ctl/schema.h"

#define COLUMNS_MAX    9
#define YAML_MAX_BYTES (1u << 30)
#define VALUE_CHARS    100 /* of a changed value */

/* What a table shows beside the key. Of a kind that is not here: title, or nothing. */
static const struct columns {
    const char *kind, *fields[COLUMNS_MAX];
} kinds_columns[] = {
    {"gateway-groups", {"environment", "rest_url", "kafka_url", "manager"}},
    {"gateway-nodes",
     {"name", "group", "state", "version", "applied_version", "connections", "draining", "last_seen",
      "problem"}},
    {"enrolment-tokens", {"group", "uses_left", "expires_at"}},
    {"backend-clusters", {"bootstrap_servers", "authentication.mechanism", "manager"}},
    {"virtual-clusters", {"backend_cluster", "namespace.mode", "namespace.prefix", "manager"}},
    {"listeners", {"gateway_group", "protocol", "address", "advertised_host", "manager"}},
    {"event-apis", {"team", "lifecycle", "operations", "exposures", "manager"}},
    {"deployments", {"virtual_cluster", "topic", "listener", "manager"}},
    {"products", {"team", "visibility", "lifecycle", "event_apis", "manager"}},
    {"plans", {"operations", "approval", "manager"}},
    {"policies", {"type", "scope.kind", "scope.ref", "order", "manager"}},
    {"applications", {"team", "title", "manager"}},
    {"credentials", {"application", "type", "disabled", "expires_at", "revoked_at"}},
    {"subscriptions", {"application", "plan", "environment", "state", "expires_at"}},
    {"grants", {"team", "virtual_cluster", "topic", "operations", "manager"}},
    {"users", {"email", "teams", "roles", "disabled", "manager"}},
    {"roles", {"title", "built_in", "manager"}},
    {"api-tokens", {"name", "owner", "scopes", "expires_at"}},
    {"audit-events", {"at", "actor.name", "action", "kind", "ref"}},
    {"config-versions", {"group", "created_at", "by", "reason"}},
    {"issuers", {"url", "audiences", "manager"}},
    {"enrolment-rules", {"group", "issuer", "namespace", "service_account", "manager"}},
};

/* ---- cells ---- */

static void add_text(char *out, size_t size, const char *text)
{
    size_t used = strlen(out);
    snprintf(out + used, size - used, "%s", text);
}

static void value_text(const json_t *value, char *out, size_t size)
{
    size_t i, len;
    json_t *one;
    out[0] = '\0';
    if (value == NULL || json_is_null(value))
        return;
    if (json_is_string(value)) {
        snprintf(out, size, "%s", json_string_value(value));
        return;
    }
    json_array_foreach ((json_t *)value, i, one) {
        if (i > 0)
            add_text(out, size, ",");
        if (json_is_string(one))
            add_text(out, size, json_string_value(one));
        else
            add_text(out, size, "...");
    }
    if (json_is_array(value))
        return;
    char *text = slc_json_print(value, &len);
    snprintf(out, size, "%s", text);
    free(text);
}

/* "scope.kind" looks into objects. */
static const json_t *member(const json_t *item, const char *path)
{
    char name[64];
    for (const json_t *value = item;;) {
        size_t len = strcspn(path, ".");
        snprintf(name, sizeof name, "%.*s", (int)len, path);
        value = json_object_get(value, name);
        if (path[len] == '\0' || value == NULL)
            return value;
        path += len + 1;
    }
}

static const char *const *fields_of(const char *kind)
{
    static const char *const others[] = {"title", "manager", NULL};
    for (size_t i = 0; i < sizeof kinds_columns / sizeof *kinds_columns; i++)
        if (strcmp(kinds_columns[i].kind, kind) == 0)
            return kinds_columns[i].fields;
    return others;
}

static void head_of(const char *field, char *out, size_t size)
{
    const char *last = strrchr(field, '.');
    snprintf(out, size, "%s", last != NULL ? last + 1 : field);
    for (char *c = out; *c != '\0'; c++)
        *c = *c == '_' ? ' ' : (char)toupper((unsigned char)*c);
}

static void print_table(const char *kind, const json_t *items)
{
    const char *const *fields = fields_of(kind);
    char texts[COLUMNS_MAX + 1][256];
    const char *cells[COLUMNS_MAX + 2] = {NULL};
    size_t count = 0, i;
    json_t *item;
    slc_table table;
    snprintf(texts[0], sizeof texts[0], "KEY");
    cells[0] = texts[0];
    for (; count < COLUMNS_MAX && fields[count] != NULL; count++) {
        head_of(fields[count], texts[count + 1], sizeof texts[0]);
        cells[count + 1] = texts[count + 1];
    }
    slc_table_init(&table, cells);
    json_array_foreach ((json_t *)items, i, item) {
        slc_schema_key(kind, item, texts[0], sizeof texts[0]);
        for (size_t column = 0; column < count; column++)
            value_text(member(item, fields[column]), texts[column + 1], sizeof texts[0]);
        slc_table_add(&table, cells);
    }
    slc_table_print(&table);
}

static void print_names(const char *kind, const json_t *items)
{
    size_t i;
    json_t *item;
    char key[700];
    json_array_foreach ((json_t *)items, i, item) {
        slc_schema_key(kind, item, key, sizeof key);
        printf("%s/%s\n", kind, key);
    }
}

/* ---- values ---- */

/* Why a large text cannot be written is known now, and not any more at the end. */
static int print(const char *text, size_t len)
{
    bool written = fwrite(text, 1, len, stdout) == len;
    return written || slc_ctl_end_output(errno) ? SLC_EXIT_OK : SLC_EXIT_FAILED;
}

int slc_output_json(const json_t *value)
{
    char *text = json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY);
    if (text == NULL)
        return slc_ctl_fail("the answer cannot be printed");
    int status = print(text, strlen(text));
    putchar('\n');
    free(text);
    return status;
}

int slc_output_yaml(const json_t *value)
{
    slc_error err = {0};
    size_t len = 0;
    char *text = slc_yaml_print(value, YAML_MAX_BYTES, &len, &err);
    if (text == NULL)
        return slc_ctl_fail("%s", err.message);
    int status = print(text, len);
    free(text);
    return status;
}

int slc_output_value(const slc_ctl *ctl, const json_t *value)
{
    return ctl->output_given && ctl->output == SLC_OUTPUT_JSON ? slc_output_json(value)
                                                               : slc_output_yaml(value);
}

int slc_output_list(const slc_ctl *ctl, const char *kind, const json_t *items)
{
    switch (ctl->output) {
    case SLC_OUTPUT_JSON:
        return slc_output_json(items);
    case SLC_OUTPUT_YAML:
        return slc_output_yaml(items);
    case SLC_OUTPUT_NAME:
        print_names(kind, items);
        return SLC_EXIT_OK;
    case SLC_OUTPUT_TABLE:
        break;
    }
    if (json_array_size(items) == 0)
        fprintf(stderr, "No %s.\n", kind);
    else
        print_table(kind, items);
    return SLC_EXIT_OK;
}

int slc_output_item(const slc_ctl *ctl, const char *kind, const json_t *item)
{
    if (!ctl->output_given || ctl->output == SLC_OUTPUT_YAML)
        return slc_output_yaml(item);
    if (ctl->output == SLC_OUTPUT_JSON)
        return slc_output_json(item);
    json_t *items = json_pack("[O]", item);
    int status = slc_output_list(ctl, kind, items);
    json_decref(items);
    return status;
}

/* ---- changes ---- */

static void short_value(const json_t *value, char *out, size_t size)
{
    size_t len;
    if (value == NULL || json_is_null(value)) {
        snprintf(out, size, "(none)");
        return;
    }
    char *text = slc_json_print(value, &len);
    snprintf(out, size, "%.*s%s", VALUE_CHARS, text, len > VALUE_CHARS ? "..." : "");
    free(text);
}

static void print_fields(const json_t *fields)
{
    const char *name;
    json_t *change;
    char from[VALUE_CHARS + 8], to[VALUE_CHARS + 8];
    json_object_foreach ((json_t *)fields, name, change) {
        short_value(json_object_get(change, "from"), from, sizeof from);
        short_value(json_object_get(change, "to"), to, sizeof to);
        if (!json_is_object(change) ||
            (json_object_get(change, "from") == NULL && json_object_get(change, "to") == NULL))
            printf("    %s: changed\n", name);
        else if (json_object_get(change, "from") == NULL || json_is_null(json_object_get(change, "from")))
            printf("    %s: %s\n", name, to);
        else
            printf("    %s: %s -> %s\n", name, from, to);
    }
}

void slc_output_changes(const json_t *changes, bool fields)
{
    size_t i;
    json_t *change;
    json_array_foreach ((json_t *)changes, i, change) {
        const char *action = json_string_value(json_object_get(change, "action"));
        const char *kind = json_string_value(json_object_get(change, "kind"));
        const char *key = json_string_value(json_object_get(change, "key"));
        if (action == NULL || kind == NULL || key == NULL)
            continue;
        printf("%-6s  %s/%s\n", action, kind, key);
        if (fields && strcmp(action, "delete") != 0)
            print_fields(json_object_get(change, "changes"));
    }
}

void slc_output_count(const json_t *changes, char *out, size_t size)
{
    static const struct {
        const char *action, *done;
    } actions[] = {{"create", "created"}, {"update", "changed"}, {"adopt", "adopted"}, {"delete", "deleted"}};
    size_t i, used = 0;
    json_t *change;
    snprintf(out, size, "no changes");
    for (size_t action = 0; action < sizeof actions / sizeof *actions; action++) {
        size_t count = 0;
        json_array_foreach ((json_t *)changes, i, change) {
            const char *name = json_string_value(json_object_get(change, "action"));
            count += name != NULL && strcmp(name, actions[action].action) == 0;
        }
        if (count > 0 && used < size)
            used += (size_t)snprintf(out + used, size - used, "%s%zu %s", used > 0 ? ", " : "", count,
                                     actions[action].done);
    }
}
