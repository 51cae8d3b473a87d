/* Rules: policies. The settings of each type and where it may be attached; the gateway checks them again when
 * it compiles a chain (dataplane/policy/). */
#include <stdio.h>
#include <string.h>

#include "catalog/entity.h"
#include "catalog/kinds.h"
#include "catalog/policy_record_types.h"
#include "catalog/policy_type.h"
#include "catalog/store.h"
#include "common/acl_glob.h"
#include "common/cel/attributes.h"
#include "common/header_rule.h"
#include "common/kafka_config_rule.h"
#include "common/re2/re2_face.h"

static const slc_field key_auth_fields[] = {
    {.name = "header",
     .type = SLC_F_STRING,
     .format = SLC_FMT_HEADER,
     .min = 1,
     .max = 64,
     .default_json = "\"X-API-Key\"",
     .help = "Request header that carries the API key."},
    {.name = "basic",
     .type = SLC_F_BOOL,
     .default_json = "true",
     .help = "Accept HTTP Basic with the credential's id and secret too."},
    SLC_FIELD_END,
};

static const slc_field basic_auth_fields[] = {SLC_FIELD_END};

static const slc_field oidc_fields[] = {
    {.name = "issuers",
     .type = SLC_F_STRING_LIST,
     .format = SLC_FMT_NAME,
     .min = 1,
     .max = 50,
     .item_max = 63,
     .help = "Names of the issuers whose tokens are taken; absent: all that credentials name."},
    {.name = "scopes",
     .type = SLC_F_STRING_LIST,
     .format = SLC_FMT_SCOPE,
     .min = 1,
     .max = 20,
     .item_max = 100,
     .help = "Scopes that a token must have, all of them."},
    SLC_FIELD_END,
};

static const slc_field mtls_fields[] = {SLC_FIELD_END};

static const slc_field subscription_fields[] = {SLC_FIELD_END};

static const slc_field cors_fields[] = {
    {.name = "origins",
     .type = SLC_F_STRING_LIST,
     .flags = SLC_F_REQUIRED,
     .format = SLC_FMT_ORIGIN,
     .min = 1,
     .max = 100,
     .item_max = 300,
     .help = "Origins such as https://shop.example, or * for all."},
    {.name = "methods",
     .type = SLC_F_STRING_LIST,
     .format = SLC_FMT_HEADER,
     .max = 20,
     .item_max = 32,
     .help = "Methods of requests."},
    {.name = "headers",
     .type = SLC_F_STRING_LIST,
     .format = SLC_FMT_HEADER,
     .max = 50,
     .item_max = 64,
     .help = "Request headers that a page may send."},
    {.name = "exposed_headers",
     .type = SLC_F_STRING_LIST,
     .format = SLC_FMT_HEADER,
     .max = 50,
     .item_max = 64,
     .help = "Response headers that a page may see."},
    {.name = "credentials", .type = SLC_F_BOOL, .help = "May pages send cookies and HTTP authentication?"},
    {.name = "max_age",
     .type = SLC_F_INT,
     .max = 86400,
     .help = "Seconds that a browser may keep a preflight's answer."},
    SLC_FIELD_END,
};

static const char *const rate_limit_subjects[] = {"application", "credential", "plan", "event-api",
                                                  "address",     "all",        NULL};

#define RATE(field, text)                                                                                      \
    {                                                                                                          \
        .name = field, .type = SLC_F_INT, .min = 1, .max = 1000000000000, .help = text                         \
    }
static const char *const rate_limit_stores[] = {"local", "redis", NULL};
static const char *const rate_limit_fallbacks[] = {"local", "allow", "refuse", NULL};
static const slc_field rate_limit_fields[] = {
    RATE("requests_per_second", "Requests, and openings of streams."),
    RATE("events_per_second", "Events that are published or delivered."),
    RATE("bytes_per_second", "Bytes of bodies, both ways."),
    {.name = "streams", .type = SLC_F_INT, .min = 1, .max = 1000000, .help = "Event streams open at once."},
    {.name = "connections", .type = SLC_F_INT, .min = 1, .max = 1000000, .help = "Connections open at once."},
    {.name = "burst",
     .type = SLC_F_INT,
     .min = 1,
     .max = 3600,
     .default_json = "1",
     .help = "Seconds whose worth may be taken at once."},
    {.name = "per",
     .type = SLC_F_ENUM,
     .values = rate_limit_subjects,
     .default_json = "\"application\"",
     .help = "Whom it is counted for, each on its own."},
    {.name = "store",
     .type = SLC_F_ENUM,
     .values = rate_limit_stores,
     .default_json = "\"local\"",
     .help = "Who counts requests, events and bytes: each gateway at its share, or Redis for all of them."},
    {.name = "if_unavailable",
     .type = SLC_F_ENUM,
     .values = rate_limit_fallbacks,
     .default_json = "\"local\"",
     .help = "While there is no Redis: each gateway counts for itself, nothing is limited, or nothing is let "
             "through."},
    SLC_FIELD_END,
};

#define RANGES(field, text)                                                                                    \
    {                                                                                                          \
        .name = field, .type = SLC_F_STRING_LIST, .format = SLC_FMT_NETWORK, .min = 1, .max = 500,             \
        .item_max = 49, .help = text                                                                           \
    }
static const slc_field ip_restriction_fields[] = {
    RANGES("allow", "Only from these addresses and ranges."),
    RANGES("deny", "Not from these, also when they are allowed."),
    SLC_FIELD_END,
};

static bool check_ip_restriction(slc_txn *txn, const json_t *config, slc_error *err)
{
    if (json_is_array(json_object_get(config, "allow")) || json_is_array(json_object_get(config, "deny")))
        return true;
    return slc_txn_problem(txn, "", err, "allow or deny must be set");
}

static const slc_field request_size_fields[] = {
    {.name = "max_bytes",
     .type = SLC_F_INT,
     .flags = SLC_F_REQUIRED,
     .min = 1,
     .max = 1073741824,
     .help = "Bytes of a body."},
    SLC_FIELD_END,
};

static const char *const acl_effects[] = {"allow", "deny", NULL};
static const char *const acl_operations[] = {"all",
                                             "read",
                                             "write",
                                             "create",
                                             "delete",
                                             "alter",
                                             "describe",
                                             "cluster-action",
                                             "describe-configs",
                                             "alter-configs",
                                             "idempotent-write",
                                             NULL};

#define GLOBS(field, text)                                                                                     \
    {                                                                                                          \
        .name = field, .type = SLC_F_STRING_LIST, .min = 1, .max = 100, .item_max = SLC_ACL_GLOB_MAX,          \
        .help = text                                                                                           \
    }
static const slc_field acl_rule_fields[] = {
    {.name = "effect",
     .type = SLC_F_ENUM,
     .values = acl_effects,
     .default_json = "\"allow\"",
     .help = "allow or deny; one denial outweighs all that allow."},
    {.name = "operations",
     .type = SLC_F_ENUM_LIST,
     .flags = SLC_F_REQUIRED,
     .values = acl_operations,
     .min = 1,
     .max = 13,
     .help = "As Kafka's."},
    GLOBS("topics", "Globs over topics, as clients name them."),
    GLOBS("groups", "Globs over groups."),
    GLOBS("transactional_ids", "Globs over transactional ids."),
    {.name = "cluster", .type = SLC_F_BOOL, .default_json = "false", .help = "The virtual cluster itself."},
    SLC_FIELD_END,
};

static const slc_field acl_fields[] = {
    {.name = "rules",
     .type = SLC_F_OBJECT_LIST,
     .flags = SLC_F_REQUIRED,
     .fields = acl_rule_fields,
     .min = 1,
     .max = 100,
     .help = "Rules, in any order."},
    SLC_FIELD_END,
};

/* Every glob of a rule; a rule that names nothing would never hold. */
static bool check_acl_rule(slc_txn *txn, const json_t *rule, size_t number, slc_error *err)
{
    static const char *const variables[] = {"application.id", "application.name", "application.team",
                                            "credential.id", NULL};
    static const char *const kinds[] = {"topics", "groups", "transactional_ids"};
    bool names = json_is_true(json_object_get(rule, "cluster"));
    char pointer[64];
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const json_t *globs = json_object_get(rule, kinds[i]);
        size_t at;
        json_t *glob;
        names = names || json_array_size(globs) > 0;
        json_array_foreach ((json_t *)globs, at, glob) {
            snprintf(pointer, sizeof pointer, "/rules/%zu/%s/%zu", number, kinds[i], at);
            if (!slc_acl_glob_check(json_string_value(glob), json_string_length(glob), variables))
                return slc_txn_problem(
                    txn, pointer, err,
                    "must be a glob; what may be put in is application.id, application.name, "
                    "application.team and credential.id");
        }
    }
    snprintf(pointer, sizeof pointer, "/rules/%zu", number);
    return names ||
           slc_txn_problem(txn, pointer, err, "must name topics, groups, transactional_ids or the cluster");
}

static bool check_acl(slc_txn *txn, const json_t *config, slc_error *err)
{
    size_t number;
    json_t *rule;
    json_array_foreach (json_object_get(config, "rules"), number, rule) {
        if (!check_acl_rule(txn, rule, number, err))
            return false;
    }
    return true;
}

static const slc_field header_rule_fields[] = {
    {.name = "in",
     .type = SLC_F_ENUM,
     .flags = SLC_F_REQUIRED,
     .values = slc_header_place_names,
     .help = "Where: fields of the HTTP request or answer, or headers of records that are published or read."},
    {.name = "action",
     .type = SLC_F_ENUM,
     .flags = SLC_F_REQUIRED,
     .values = slc_header_action_names,
     .help = "What is done to the headers of that name."},
    {.name = "name",
     .type = SLC_F_STRING,
     .flags = SLC_F_REQUIRED,
     .min = 1,
     .max = SLC_HEADER_NAME_MAX,
     .help = "Name of the header."},
    {.name = "value",
     .type = SLC_F_STRING,
     .min = 1,
     .max = SLC_HEADER_VALUE_MAX,
     .help = "For set and add; names in ${...} are put in."},
    {.name = "to", .type = SLC_F_STRING, .min = 1, .max = SLC_HEADER_NAME_MAX, .help = "For rename."},
    SLC_FIELD_END,
};

static const slc_field headers_fields[] = {
    {.name = "rules",
     .type = SLC_F_OBJECT_LIST,
     .flags = SLC_F_REQUIRED,
     .fields = header_rule_fields,
     .min = 1,
     .max = SLC_HEADER_RULES,
     .help = "Rules, applied in their order."},
    SLC_FIELD_END,
};

static int index_of(const char *const *names, const char *name)
{
    int at = 0;
    while (strcmp(names[at], name) != 0) /* the field's own check has seen to it */
        at++;
    return at;
}

static bool check_headers(slc_txn *txn, const json_t *config, slc_error *err)
{
    size_t number;
    json_t *item;
    char pointer[64];
    json_array_foreach (json_object_get(config, "rules"), number, item) {
        const slc_header_rule rule = {
            .place = (enum slc_header_place)index_of(slc_header_place_names, slc_get_text(item, "in")),
            .action = (enum slc_header_action)index_of(slc_header_action_names, slc_get_text(item, "action")),
            .name = slc_get_text(item, "name"),
            .value = slc_get_text(item, "value"),
            .to = slc_get_text(item, "to")};
        const char *member;
        const char *wrong = slc_header_rule_check(&rule, &member);
        snprintf(pointer, sizeof pointer, "/rules/%zu/%s", number, member);
        if (wrong != NULL)
            return slc_txn_problem(txn, pointer, err, "%s", wrong);
    }
    return true;
}

static const slc_field topic_config_fields[] = {
    {.name = "name",
     .type = SLC_F_STRING,
     .flags = SLC_F_REQUIRED,
     .min = 1,
     .max = SLC_KAFKA_CONFIG_NAME_MAX,
     .help = "Name of a topic configuration, such as cleanup.policy."},
    {.name = "values",
     .type = SLC_F_STRING_LIST,
     .min = 1,
     .max = SLC_KAFKA_CONFIG_VALUES,
     .item_max = SLC_KAFKA_CONFIG_VALUE_MAX,
     .help = "What it may be set to; absent: it may not be set."},
    {.name = "required",
     .type = SLC_F_BOOL,
     .default_json = "false",
     .help = "Must it be set when a topic is made?"},
    SLC_FIELD_END,
};

static const char *const codecs[] = {"none", "gzip", "snappy", "lz4", "zstd", NULL};

static const slc_field kafka_requests_fields[] = {
    {.name = "max_partitions",
     .type = SLC_F_INT,
     .min = 1,
     .max = 1000000,
     .help = "Partitions that a topic may be made with, or get."},
    {.name = "min_replication_factor",
     .type = SLC_F_INT,
     .min = 1,
     .max = 32767,
     .help = "Of topics that are made."},
    {.name = "max_replication_factor",
     .type = SLC_F_INT,
     .min = 1,
     .max = 32767,
     .help = "Of topics that are made."},
    {.name = "topic_configs",
     .type = SLC_F_OBJECT_LIST,
     .fields = topic_config_fields,
     .min = 1,
     .max = SLC_KAFKA_CONFIG_RULES,
     .help = "Rules for configurations of topics."},
    {.name = "compression",
     .type = SLC_F_ENUM_LIST,
     .values = codecs,
     .min = 1,
     .max = 5,
     .help = "Compression of batches that are taken."},
    {.name = "acks_all", .type = SLC_F_BOOL, .default_json = "false", .help = "Only acks=all?"},
    {.name = "idempotent", .type = SLC_F_BOOL, .default_json = "false", .help = "Only idempotent producers?"},
    {.name = "client_id",
     .type = SLC_F_STRING,
     .min = 1,
     .max = 1000,
     .help = "Regular expression (RE2) that the whole client.id must match."},
    SLC_FIELD_END,
};

static bool check_topic_config(slc_txn *txn, const json_t *rule, size_t number, slc_error *err)
{
    const char *name = slc_get_text(rule, "name");
    const json_t *values = json_object_get(rule, "values");
    char pointer[64];
    size_t at;
    json_t *value;
    snprintf(pointer, sizeof pointer, "/topic_configs/%zu/name", number);
    if (!slc_kafka_config_is_name(name, strlen(name)))
        return slc_txn_problem(txn, pointer, err, "must be the name of a configuration of Kafka topics");
    json_array_foreach ((json_t *)values, at, value) {
        snprintf(pointer, sizeof pointer, "/topic_configs/%zu/values/%zu", number, at);
        if (!slc_kafka_config_is_value(json_string_value(value), json_string_length(value)))
            return slc_txn_problem(txn, pointer, err,
                                   "must have neither control characters nor spaces around it");
    }
    snprintf(pointer, sizeof pointer, "/topic_configs/%zu/required", number);
    return !json_is_true(json_object_get(rule, "required")) || json_array_size(values) > 0 ||
           slc_txn_problem(txn, pointer, err, "what is required needs values");
}

static bool check_client_id(slc_txn *txn, const char *pattern, slc_error *err)
{
    char reason[128];
    slc_re2 *re2 = pattern != NULL ? slc_re2_new(pattern, strlen(pattern), reason, sizeof reason) : NULL;
    if (pattern != NULL && re2 == NULL)
        return slc_txn_problem(txn, "/client_id", err, "is no regular expression of RE2: %s", reason);
    slc_re2_free(re2);
    return true;
}

static bool check_kafka_requests(slc_txn *txn, const json_t *config, slc_error *err)
{
    static const char *const rules[] = {
        "max_partitions", "min_replication_factor", "max_replication_factor", "topic_configs", "compression",
        "client_id"};
    bool any = json_is_true(json_object_get(config, "acks_all")) ||
               json_is_true(json_object_get(config, "idempotent"));
    const json_t *min = json_object_get(config, rules[1]), *max = json_object_get(config, rules[2]);
    size_t number;
    json_t *rule;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        any = any ||
              (json_object_get(config, rules[i]) != NULL && !json_is_null(json_object_get(config, rules[i])));
    if (!any)
        return slc_txn_problem(txn, "", err, "at least one rule must be set");
    if (json_is_integer(min) && json_is_integer(max) && json_integer_value(min) > json_integer_value(max))
        return slc_txn_problem(txn, "/max_replication_factor", err, "is below min_replication_factor");
    json_array_foreach (json_object_get(config, "topic_configs"), number, rule) {
        if (!check_topic_config(txn, rule, number, err))
            return false;
    }
    return check_client_id(txn, slc_get_text(config, "client_id"), err);
}

static bool check_rate_limit(slc_txn *txn, const json_t *config, slc_error *err)
{
    static const char *const limits[] = {"requests_per_second", "events_per_second", "bytes_per_second",
                                         "streams", "connections"};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        if (json_is_integer(json_object_get(config, limits[i])))
            return true;
    return slc_txn_problem(txn, "", err, "at least one limit must be set");
}

/* The Fetch standard forbids it, and browsers ignore such an answer. */
static bool check_cors(slc_txn *txn, const json_t *config, slc_error *err)
{
    if (!json_is_true(json_object_get(config, "credentials")) ||
        !slc_has_text(json_object_get(config, "origins"), "*"))
        return true;
    return slc_txn_problem(txn, "/credentials", err, "cannot be allowed to every origin: list the origins");
}

#define WIDE SLC_SCOPE_GROUP | SLC_SCOPE_LISTENER | SLC_SCOPE_VIRTUAL_CLUSTER | SLC_SCOPE_EVENT_API

static const slc_policy_kind policy_kinds[] = {
    /* Who asks is not known yet, so these cannot hang on a plan or an application. */
    {.name = "key-auth", .help = "Authenticates by API key.", .scopes = WIDE, .fields = key_auth_fields},
    {.name = "basic-auth", .help = "Authenticates by HTTP Basic.", .scopes = WIDE, .fields = basic_auth_fields},
    {.name = "oidc", .help = "Authenticates by access token.", .scopes = WIDE, .fields = oidc_fields},
    {.name = "mtls", .help = "Authenticates by client certificate.", .scopes = WIDE, .fields = mtls_fields},
    {.name = "subscription", .help = "Asks for a subscription.", .scopes = WIDE, .fields = subscription_fields},
    {.name = "cors",
     .help = "Lets pages of other origins in.",
     .scopes = SLC_SCOPE_GROUP | SLC_SCOPE_LISTENER | SLC_SCOPE_EVENT_API,
     .fields = cors_fields,
     .check = check_cors},
    {.name = "rate-limit",
     .help = "Limits requests, events, bytes and streams.",
     .scopes = WIDE | SLC_SCOPE_PLAN | SLC_SCOPE_APPLICATION,
     .fields = rate_limit_fields,
     .check = check_rate_limit},
    {.name = "ip-restriction",
     .help = "Lets requests in by the client's IP address.",
     .scopes = WIDE | SLC_SCOPE_PLAN | SLC_SCOPE_APPLICATION,
     .fields = ip_restriction_fields,
     .check = check_ip_restriction},
    {.name = "request-size",
     .help = "Limits the size of bodies.",
     .scopes = WIDE | SLC_SCOPE_PLAN | SLC_SCOPE_APPLICATION,
     .fields = request_size_fields},
    {.name = "acl",
     .help = "Allows and denies operations on topics, groups, transactional ids and the cluster.",
     .scopes = WIDE | SLC_SCOPE_PLAN | SLC_SCOPE_APPLICATION,
     .fields = acl_fields,
     .check = check_acl},
    {.name = "headers",
     .help = "Changes HTTP fields and record headers.",
     .scopes = WIDE | SLC_SCOPE_PLAN | SLC_SCOPE_APPLICATION,
     .fields = headers_fields,
     .check = check_headers},
    {.name = "kafka-requests",
     .help = "Rules for requests of native Kafka clients.",
     .scopes = WIDE | SLC_SCOPE_PLAN | SLC_SCOPE_APPLICATION,
     .fields = kafka_requests_fields,
     .check = check_kafka_requests},
    {.name = "filter",
     .help = "Shows records for which an expression is true.",
     .scopes = WIDE | SLC_SCOPE_PLAN | SLC_SCOPE_APPLICATION,
     .fields = slc_filter_fields,
     .check = slc_filter_check},
    {.name = "mask",
     .help = "Hides fields of JSON values, or all but some.",
     .scopes = WIDE | SLC_SCOPE_PLAN | SLC_SCOPE_APPLICATION,
     .fields = slc_mask_fields,
     .check = slc_mask_check},
    {.name = "encrypt",
     .help = "Encrypts records for the broker, and decrypts them for readers.",
     .scopes = WIDE | SLC_SCOPE_PLAN | SLC_SCOPE_APPLICATION,
     .fields = slc_encrypt_fields,
     .check = slc_encrypt_check},
    {.name = "schema",
     .help = "Checks values by schemas, and turns JSON into Avro and back.",
     .scopes = WIDE | SLC_SCOPE_PLAN | SLC_SCOPE_APPLICATION,
     .fields = slc_schema_fields,
     .check = slc_schema_check},
    {.name = NULL},
};

const slc_policy_kind *slc_policy_kinds(void)
{
    return policy_kinds;
}

static const slc_policy_kind *find(const char *name)
{
    const slc_policy_kind *kind = policy_kinds;
    while (kind->name != NULL && strcmp(kind->name, name) != 0)
        kind++;
    return kind->name != NULL ? kind : NULL;
}

static unsigned scope_bit(const char *kind)
{
    static const char *const names[] = {"group",     "listener", "virtual-cluster",
                                        "event-api", "plan",     "application"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], kind) == 0)
            return 1u << i;
    return 0;
}

/* Pointers of the settings' problems are below /config. */
static bool check_config(slc_txn *txn, const slc_policy_kind *kind, const json_t *next, slc_error *err)
{
    const json_t *config = json_object_get(next, "config");
    if (slc_body_check(txn, kind->fields, config, err) &&
        (kind->check == NULL || kind->check(txn, config, err)))
        return true;
    char inner[sizeof(err->field)];
    size_t index;
    json_t *problem;
    json_array_foreach ((json_t *)slc_txn_problems(txn), index, problem) {
        json_object_set_new(problem, "pointer", json_sprintf("/config%s", slc_get_text(problem, "pointer")));
    }
    if (err != NULL) {
        snprintf(inner, sizeof(inner), "%s", err->field);
        snprintf(err->field, sizeof(err->field), "/config%.*s", (int)sizeof(err->field) - 8, inner);
    }
    return false;
}

/* As the gateway will compile it. */
static bool check_condition(slc_txn *txn, const json_t *next, slc_error *err)
{
    const char *condition = slc_get_text(next, "condition");
    slc_error why = {0};
    if (condition == NULL || condition[0] == '\0')
        return true;
    slc_cel *compiled = slc_condition_compile(condition, &why);
    if (compiled == NULL)
        return slc_txn_problem(txn, "/condition", err, "%s", why.message);
    size_t len;
    const char *zone = slc_cel_unknown_zone(compiled, &len);
    bool ok =
        zone == NULL || slc_txn_problem(txn, "/condition", err, "there is no time zone %.*s", (int)len, zone);
    slc_cel_free(compiled);
    return ok;
}

static bool check_policy(slc_txn *txn, slc_change *change, slc_error *err)
{
    const slc_policy_kind *kind = find(slc_get_text(change->next, "type"));
    if (kind == NULL)
        return slc_txn_problem(txn, "/type", err, "there is no policy type %s",
                               slc_get_text(change->next, "type"));
    const char *scope = slc_get_text(json_object_get(change->next, "scope"), "kind");
    if ((kind->scopes & scope_bit(scope)) == 0)
        return slc_txn_problem(txn, "/scope/kind", err, "a policy of type %s cannot be attached to a %s",
                               kind->name, scope);
    return check_condition(txn, change->next, err) && check_config(txn, kind, change->next, err);
}

const struct slc_kind_rules slc_rules_policy = {.check = check_policy};
