/* The table of kinds put together, and look-ups in it. */
#include "catalog/kind.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/kinds.h"

static const slc_kind *const kinds[] = {
    &slc_kind_team,
    &slc_kind_role,
    &slc_kind_user,
    &slc_kind_api_token,
    &slc_kind_invitation,
    &slc_kind_sign_in_provider,
    &slc_kind_sign_in_rule,
    &slc_kind_gateway_group,
    &slc_kind_gateway_node,
    &slc_kind_enrolment_token,
    &slc_kind_backend_cluster,
    &slc_kind_virtual_cluster,
    &slc_kind_listener,
    &slc_kind_issuer,
    &slc_kind_enrolment_rule,
    &slc_kind_schema_registry,
    &slc_kind_key_ring,
    &slc_kind_trust_bundle,
    &slc_kind_grant,
    &slc_kind_event_api,
    &slc_kind_deployment,
    &slc_kind_product,
    &slc_kind_plan,
    &slc_kind_rest_api,
    &slc_kind_application,
    &slc_kind_credential,
    &slc_kind_subscription,
    &slc_kind_policy,
    &slc_kind_webhook,
    &slc_kind_scorecard_rule,
    &slc_kind_audit_event,
    &slc_kind_config_version,
    NULL,
};

const slc_kind *const *slc_kinds(void)
{
    return kinds;
}

const slc_kind *slc_kind_find(const char *name)
{
    for (const slc_kind *const *kind = kinds; *kind != NULL; kind++)
        if (strcmp((*kind)->name, name) == 0)
            return *kind;
    return NULL;
}

static const slc_field common_fields[] = {
    {.name = "id", .type = SLC_F_STRING, .flags = SLC_F_READ_ONLY, .max = 64, .help = "Made by the catalog."},
    {.name = "revision",
     .type = SLC_F_INT,
     .flags = SLC_F_READ_ONLY | SLC_F_VOLATILE,
     .help = "The catalog's revision when it last changed; its ETag."},
    {.name = "manager",
     .type = SLC_F_STRING,
     .flags = SLC_F_READ_ONLY | SLC_F_FILTERABLE,
     .max = 100,
     .help = "Who looks after it: api, portal, or the manager of a declarative document."},
    {.name = "labels", .type = SLC_F_MAP, .max = 50, .help = "Free labels."},
    {.name = "created_at", .type = SLC_F_TIMESTAMP, .flags = SLC_F_READ_ONLY, .help = "When it was made."},
    {.name = "updated_at",
     .type = SLC_F_TIMESTAMP,
     .flags = SLC_F_READ_ONLY | SLC_F_VOLATILE,
     .help = "When it last changed."},
    SLC_FIELD_END,
};

static const slc_field log_common_fields[] = {
    {.name = "id", .type = SLC_F_STRING, .flags = SLC_F_READ_ONLY, .max = 64, .help = "Grows with time."},
    {.name = "created_at", .type = SLC_F_TIMESTAMP, .flags = SLC_F_READ_ONLY, .help = "When it was written."},
    SLC_FIELD_END,
};

const slc_field *slc_kind_common_fields(const slc_kind *kind)
{
    return (kind->flags & SLC_KIND_LOG) != 0 ? log_common_fields : common_fields;
}

bool slc_kind_has_labels(const slc_kind *kind)
{
    return slc_field_find(slc_kind_common_fields(kind), "labels") != NULL;
}

const slc_field *slc_field_find(const slc_field *fields, const char *name)
{
    for (const slc_field *field = fields; field->name != NULL; field++)
        if (strcmp(field->name, name) == 0)
            return field;
    return NULL;
}

const slc_action *slc_kind_action(const slc_kind *kind, const char *name)
{
    for (const slc_action *action = kind->actions; action != NULL && action->name != NULL; action++)
        if (strcmp(action->name, name) == 0)
            return action;
    return NULL;
}

void slc_field_bounds(const slc_field *field, int64_t *min, int64_t *max)
{
    static const struct {
        int64_t min, max;
    } bounds[] = {
        [SLC_F_STRING] = {0, 1024},
        [SLC_F_TEXT] = {0, 65536},
        /* What a JSON number holds exactly in every language. */
        [SLC_F_INT] = {-9007199254740991, 9007199254740991},
        [SLC_F_DURATION] = {0, 3650LL * 86400000},
        [SLC_F_TIMESTAMP] = {0, 253402300799999}, /* the year 9999 */
        [SLC_F_REF_LIST] = {0, 1000},
        [SLC_F_STRING_LIST] = {0, 1000},
        [SLC_F_ENUM_LIST] = {0, 100},
        [SLC_F_OBJECT_LIST] = {0, 100},
        [SLC_F_MAP] = {0, 50},
        [SLC_F_JSON] = {0, 65536},
    };
    bool own = field->min == 0 && field->max == 0;
    bool known = (size_t)field->type < sizeof(bounds) / sizeof(bounds[0]);
    *min = own && known ? bounds[field->type].min : field->min;
    *max = own && known ? bounds[field->type].max : field->max;
}

/* ---- permissions ---- */

/* Of routes that belong to no kind. */
static const char *const other_permissions[] = {
    "config:apply",
    "config:read",
    "config:rollback",
    "backups:read",
    "backups:write",
    "master-key:rotate",
    "node-ca:rotate",
    "node-ca:read",
    SLC_PERMISSION_ALL_TEAMS,
    "nodes:drain",
    "usage:read",
    "topics:read",
    NULL,
};

static void add_kind_permissions(json_t *list, const slc_kind *kind)
{
    json_array_append_new(list, json_sprintf("%s:read", kind->name));
    if ((kind->flags & SLC_KIND_CRUD) != 0)
        json_array_append_new(list, json_sprintf("%s:write", kind->name));
    for (const slc_action *action = kind->actions; action != NULL && action->name != NULL; action++) {
        bool twice = action > kind->actions && strcmp(action->permission, action[-1].permission) == 0;
        if (!twice)
            json_array_append_new(list, json_string(action->permission));
    }
}

json_t *slc_permissions(void)
{
    json_t *list = json_array();
    for (const slc_kind *const *kind = kinds; *kind != NULL; kind++)
        add_kind_permissions(list, *kind);
    for (const char *const *other = other_permissions; *other != NULL; other++)
        json_array_append_new(list, json_string(*other));
    return list;
}

bool slc_permission_known(const char *permission)
{
    if (strcmp(permission, "*") == 0)
        return true;
    json_t *all = slc_permissions();
    bool known = false;
    size_t index;
    json_t *entry;
    json_array_foreach (all, index, entry) {
        const char *text = json_string_value(entry);
        known = known || strcmp(text, permission) == 0 || slc_permission_covers(permission, text);
    }
    json_decref(all);
    return known;
}

bool slc_permission_covers(const char *scope, const char *permission)
{
    if (strcmp(scope, "*") == 0 || strcmp(scope, permission) == 0)
        return true;
    const char *colon = strchr(scope, ':');
    if (colon == NULL || strcmp(colon, ":*") != 0)
        return false;
    return strncmp(scope, permission, (size_t)(colon - scope) + 1) == 0;
}

bool slc_permission_granted(const json_t *scopes, const char *permission)
{
    size_t index;
    json_t *scope;
    json_array_foreach (scopes, index, scope) {
        if (json_is_string(scope) && slc_permission_covers(json_string_value(scope), permission))
            return true;
    }
    return false;
}

/* ---- durations ---- */

static const struct {
    const char *suffix;
    int64_t ms;
} duration_units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

#define DURATION_UNITS (sizeof(duration_units) / sizeof(duration_units[0]))

bool slc_duration_parse(const char *text, int64_t *ms)
{
    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    char *end;
    long long count = strtoll(text, &end, 10);
    if (errno != 0)
        return false;
    for (size_t i = 0; i < DURATION_UNITS; i++)
        if (strcmp(end, duration_units[i].suffix) == 0)
            return !__builtin_mul_overflow(count, duration_units[i].ms, ms);
    return false;
}

void slc_duration_format(int64_t ms, char out[SLC_DURATION_CHARS])
{
    size_t unit = 0;
    while (unit < DURATION_UNITS - 1 && (ms == 0 || ms % duration_units[unit].ms != 0))
        unit++;
    if (ms == 0)
        unit = DURATION_UNITS - 2; /* "0s" */
    snprintf(out, SLC_DURATION_CHARS, "%" PRId64 "%s", ms / duration_units[unit].ms,
             duration_units[unit].suffix);
}
