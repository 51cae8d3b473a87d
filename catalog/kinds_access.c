/* The table of kinds: who administers, and what was done. */
#include "catalog/kinds.h"
#include "catalog/rules.h"

const char *const slc_operation_values[] = {"publish", "read", NULL};
const char *const slc_lifecycle_values[] = {"draft", "published", "deprecated", "retired", NULL};

static const slc_field team_fields[] = {SLC_FIELD_NAME, SLC_FIELD_TITLE, SLC_FIELD_END};

static const slc_field member_fields[] = {
    {.name = "user", .type = SLC_F_REF, .flags = SLC_F_REQUIRED, .ref = "users", .help = "Who."},
    SLC_FIELD_END,
};

static const slc_field new_member_fields[] = {
    {.name = "user", .type = SLC_F_REF, .flags = SLC_F_REQUIRED, .ref = "users", .help = "Who."},
    {.name = "owner",
     .type = SLC_F_BOOL,
     .default_json = "false",
     .help = "Whether they manage its members too. Of who is a member already: from now on."},
    SLC_FIELD_END,
};

/* For owners of the team. */
static const slc_action team_actions[] = {
    {.name = "add-member",
     .permission = "teams:members",
     .help = "Take a user into the team",
     .fields = new_member_fields},
    {.name = "remove-member",
     .permission = "teams:members",
     .help = "Put a user out of the team",
     .fields = member_fields},
    {.name = NULL},
};

const slc_kind slc_kind_team = {
    .name = "teams",
    .singular = "team",
    .schema = "Team",
    .table = "teams",
    .help = "People who own event APIs, products and applications together.",
    .flags = SLC_KIND_CRUD | SLC_KIND_DECLARATIVE,
    .fields = team_fields,
    .actions = team_actions,
    .rules = &slc_rules_team,
};

static const slc_field role_fields[] = {
    SLC_FIELD_NAME,
    SLC_FIELD_TITLE,
    {.name = "permissions",
     .type = SLC_F_STRING_LIST,
     .flags = SLC_F_REQUIRED,
     .format = SLC_FMT_PERMISSION,
     .max = 200,
     .item_max = 80,
     .help = "What holders of the role may do: \"kind:verb\", \"kind:*\" or \"*\"."},
    {.name = "built_in",
     .type = SLC_F_BOOL,
     .flags = SLC_F_READ_ONLY,
     .default_json = "false",
     .help = "Comes with the program; cannot be changed or deleted."},
    SLC_FIELD_END,
};

const slc_kind slc_kind_role = {
    .name = "roles",
    .singular = "role",
    .schema = "Role",
    .table = "roles",
    .help = "A named set of permissions.",
    .flags = SLC_KIND_CRUD | SLC_KIND_DECLARATIVE,
    .fields = role_fields,
    .rules = &slc_rules_role,
};

static const slc_field user_fields[] = {
    SLC_FIELD_NAME,
    {.name = "email",
     .type = SLC_F_STRING,
     .flags = SLC_F_UNIQUE | SLC_F_FILTERABLE,
     .format = SLC_FMT_EMAIL,
     .max = 254,
     .help = "Address for notifications."},
    SLC_FIELD_TITLE,
    {.name = "disabled",
     .type = SLC_F_BOOL,
     .flags = SLC_F_FILTERABLE,
     .default_json = "false",
     .help = "A disabled user and the tokens that they own are refused."},
    {.name = "teams", .type = SLC_F_REF_LIST, .ref = "teams", .max = 100, .help = "Teams that they belong to."},
    {.name = "owned_teams",
     .type = SLC_F_REF_LIST,
     .ref = "teams",
     .max = 100,
     .help = "Teams of theirs whose members they manage."},
    {.name = "roles", .type = SLC_F_REF_LIST, .ref = "roles", .max = 50, .help = "Roles that they hold."},
    {.name = "token",
     .type = SLC_F_STRING,
     .flags = SLC_F_READ_ONLY | SLC_F_ONCE,
     .help = "After reset-password: what the link carries, shown once: slp_<id>_<secret>."},
    {.name = "link",
     .type = SLC_F_STRING,
     .flags = SLC_F_READ_ONLY | SLC_F_ONCE,
     .help = "After reset-password: the link to send them, shown once. It works once."},
    SLC_FIELD_END,
};

static const slc_field reset_fields[] = {
    {.name = "expires_in",
     .type = SLC_F_DURATION,
     .min = 60000,
     .max = 30LL * 86400000,
     .help = "How long the link can be used; absent: 24h."},
    SLC_FIELD_END,
};

static const slc_action user_actions[] = {
    {.name = "reset-password",
     .permission = "users:reset-password",
     .help =
         "Makes a link by which the user sets a new password. The password that they have, and their sessions, "
         "end at once.",
     .fields = reset_fields},
    {.name = NULL},
};

const slc_kind slc_kind_user = {
    .name = "users",
    .singular = "user",
    .schema = "User",
    .table = "users",
    .help = "A person.",
    .flags = SLC_KIND_CRUD | SLC_KIND_DECLARATIVE,
    .fields = user_fields,
    .actions = user_actions,
    .rules = &slc_rules_user,
};

static const slc_field api_token_fields[] = {
    {.name = "name",
     .type = SLC_F_STRING,
     .flags = SLC_F_REQUIRED | SLC_F_FILTERABLE,
     .min = 1,
     .max = 100,
     .help = "What it is for."},
    {.name = "owner",
     .type = SLC_F_REF,
     .flags = SLC_F_IMMUTABLE | SLC_F_FILTERABLE,
     .ref = "users",
     .help = "The user whose rights bound the token's; without one it is a machine's."},
    {.name = "scopes",
     .type = SLC_F_STRING_LIST,
     .flags = SLC_F_REQUIRED,
     .format = SLC_FMT_PERMISSION,
     .min = 1,
     .max = 200,
     .item_max = 80,
     .help = "Permissions of the token."},
    {.name = "expires_at", .type = SLC_F_TIMESTAMP, .help = "When it stops being accepted; absent: never."},
    {.name = "last_used_at",
     .type = SLC_F_TIMESTAMP,
     .flags = SLC_F_READ_ONLY | SLC_F_VOLATILE,
     .help = "When it was last used, to a minute; absent: never."},
    {.name = "token",
     .type = SLC_F_STRING,
     .flags = SLC_F_READ_ONLY | SLC_F_ONCE,
     .help = "The token, shown once: sla_<id>_<secret>."},
    SLC_FIELD_END,
};

const slc_kind slc_kind_api_token = {
    .name = "api-tokens",
    .singular = "API token",
    .schema = "ApiToken",
    .table = "api_tokens",
    .help = "A bearer token for the admin API.",
    .flags = SLC_KIND_CRUD,
    .key = SLC_KEY_ID,
    .fields = api_token_fields,
    .rules = &slc_rules_api_token,
};

static const slc_field grant_fields[] = {
    {.name = "team",
     .type = SLC_F_REF,
     .flags = SLC_F_REQUIRED | SLC_F_IMMUTABLE | SLC_F_FILTERABLE,
     .ref = "teams",
     .help = "Who may expose the topics."},
    {.name = "virtual_cluster",
     .type = SLC_F_REF,
     .flags = SLC_F_REQUIRED | SLC_F_IMMUTABLE | SLC_F_FILTERABLE,
     .ref = "virtual-clusters",
     .help = "Where the topics are."},
    {.name = "topic",
     .type = SLC_F_STRING,
     .flags = SLC_F_REQUIRED | SLC_F_IMMUTABLE,
     .format = SLC_FMT_GLOB,
     .min = 1,
     .max = 249,
     .help = "Topics: a name with * and ?."},
    {.name = "operations",
     .type = SLC_F_ENUM_LIST,
     .flags = SLC_F_REQUIRED,
     .values = slc_operation_values,
     .min = 1,
     .max = 2,
     .help = "What may be exposed."},
    SLC_FIELD_END,
};

static const char *const grant_identity[] = {"team", "virtual_cluster", "topic", NULL};

const slc_kind slc_kind_grant = {
    .name = "grants",
    .singular = "grant",
    .schema = "Grant",
    .table = "grants",
    .help = "What a team may expose at all: topics of a virtual cluster.",
    .flags = SLC_KIND_CRUD | SLC_KIND_DECLARATIVE | SLC_KIND_ROLLBACK,
    .key = SLC_KEY_ID,
    .identity = grant_identity,
    .fields = grant_fields,
    .rules = &slc_rules_grant,
};

static const slc_field audit_event_fields[] = {
    {.name = "at",
     .type = SLC_F_TIMESTAMP,
     .flags = SLC_F_READ_ONLY,
     .column = "created_at",
     .help = "When it was done."},
    {.name = "actor",
     .type = SLC_F_JSON,
     .flags = SLC_F_READ_ONLY,
     .max = 4096,
     .help = "Who did it: {kind, id, name}."},
    {.name = "action",
     .type = SLC_F_STRING,
     .flags = SLC_F_READ_ONLY | SLC_F_FILTERABLE,
     .max = 64,
     .help = "create, update, delete, or an action's name."},
    {.name = "kind",
     .type = SLC_F_STRING,
     .flags = SLC_F_READ_ONLY | SLC_F_FILTERABLE,
     .max = 64,
     .help = "The kind of what was changed."},
    {.name = "ref",
     .type = SLC_F_STRING,
     .flags = SLC_F_READ_ONLY | SLC_F_FILTERABLE,
     .max = 200,
     .help = "Its key at that time."},
    {.name = "entity_id",
     .type = SLC_F_STRING,
     .flags = SLC_F_READ_ONLY | SLC_F_FILTERABLE,
     .max = 64,
     .help = "Its id."},
    {.name = "revision",
     .type = SLC_F_INT,
     .flags = SLC_F_READ_ONLY,
     .help = "The catalog's revision afterwards."},
    {.name = "request_id",
     .type = SLC_F_STRING,
     .flags = SLC_F_READ_ONLY | SLC_F_FILTERABLE,
     .max = 64,
     .help = "The request that did it."},
    {.name = "changes",
     .type = SLC_F_JSON,
     .flags = SLC_F_READ_ONLY,
     .max = 1 << 20,
     .help = "What changed, by field: {from, to}; secrets are left out."},
    SLC_FIELD_END,
};

const slc_kind slc_kind_audit_event = {
    .name = "audit-events",
    .singular = "audit event",
    .schema = "AuditEvent",
    .table = "audit_events",
    .help = "Who changed what, newest first.",
    .flags = SLC_KIND_LOG,
    .key = SLC_KEY_ID,
    .fields = audit_event_fields,
};
