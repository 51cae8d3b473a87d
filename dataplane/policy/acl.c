/* acl: rules that allow or deny operations on topics, groups, transactional ids and the cluster, beside what
 * subscriptions grant. A rule that denies outweighs all that allow, wherever they are; as Kafka has it, who may
 * read, write, delete or alter may describe, and who may alter configurations may describe them.
 *
 * On HTTP an event API is its topic: publishing writes, reading reads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/acl_glob.h"
#include "common/alloc.h"
#include "dataplane/policy/access.h"
#include "dataplane/policy/types.h"

#define MAX_RULES 100
#define MAX_GLOBS 100

#define BIT(operation) (1u << (operation))

struct globs {
    char **list;
    size_t count;
};

struct rule {
    bool deny;
    bool cluster;
    unsigned operations; /* bits */
    struct globs names[SLC_RESOURCES];
};

struct acl {
    struct rule *rules;
    size_t count;
};

static const char *const operation_names[SLC_OPERATIONS] = {
    [SLC_OP_ALL] = "all",
    [SLC_OP_READ] = "read",
    [SLC_OP_WRITE] = "write",
    [SLC_OP_CREATE] = "create",
    [SLC_OP_DELETE] = "delete",
    [SLC_OP_ALTER] = "alter",
    [SLC_OP_DESCRIBE] = "describe",
    [SLC_OP_CLUSTER_ACTION] = "cluster-action",
    [SLC_OP_DESCRIBE_CONFIGS] = "describe-configs",
    [SLC_OP_ALTER_CONFIGS] = "alter-configs",
    [SLC_OP_IDEMPOTENT_WRITE] = "idempotent-write",
};

const char *slc_operation_name(enum slc_operation operation)
{
    return operation_names[operation];
}

const char *slc_resource_name(enum slc_resource resource)
{
    static const char *const names[SLC_RESOURCES] = {[SLC_RESOURCE_TOPIC] = "topic",
                                                     [SLC_RESOURCE_GROUP] = "group",
                                                     [SLC_RESOURCE_CLUSTER] = "cluster",
                                                     [SLC_RESOURCE_TXN_ID] = "transactional id"};
    return names[resource];
}

/* ---- the configuration ---- */

static void release(void *compiled)
{
    struct acl *acl = compiled;
    for (size_t i = 0; i < acl->count; i++)
        for (size_t kind = 0; kind < SLC_RESOURCES; kind++) {
            struct globs *globs = &acl->rules[i].names[kind];
            for (size_t j = 0; j < globs->count; j++)
                free(globs->list[j]);
            free(globs->list);
        }
    free(acl->rules);
    free(acl);
}

static unsigned operation_of(const char *name)
{
    for (unsigned i = 0; i < SLC_OPERATIONS; i++)
        if (operation_names[i] != NULL && strcmp(operation_names[i], name) == 0)
            return i;
    return 0;
}

static bool is_operation(const char *text, size_t len)
{
    return strlen(text) == len && operation_of(text) != 0;
}

static const char *const variables[] = {"application.id", "application.name", "application.team",
                                        "credential.id", NULL};

static bool is_glob(const char *text, size_t len)
{
    return slc_acl_glob_check(text, len, variables);
}

static bool compile_operations(const json_t *config, struct rule *rule, slc_error *err)
{
    static const slc_policy_list list = {1, SLC_OPERATIONS, 20, is_operation};
    const json_t *names = NULL;
    size_t i;
    json_t *item;
    if (!slc_policy_config_strings(config, "operations", &list, &names, err))
        return false;
    if (names == NULL)
        return slc_fail(err, SLC_INVALID, "/config/rules", "a rule needs operations");
    json_array_foreach ((json_t *)names, i, item) {
        rule->operations |= BIT(operation_of(json_string_value(item)));
    }
    return true;
}

static bool compile_globs(const json_t *config, const char *name, struct globs *globs, slc_error *err)
{
    static const slc_policy_list list = {1, MAX_GLOBS, SLC_ACL_GLOB_MAX, is_glob};
    const json_t *items = NULL;
    size_t i;
    json_t *item;
    if (!slc_policy_config_strings(config, name, &list, &items, err))
        return false;
    if (items == NULL)
        return true;
    globs->list = slc_calloc(json_array_size(items), sizeof *globs->list);
    json_array_foreach ((json_t *)items, i, item) {
        globs->list[globs->count++] = slc_strdup(json_string_value(item));
    }
    return true;
}

static bool compile_rule(const json_t *config, struct rule *rule, slc_error *err)
{
    static const char *const known[] = {"effect",  "operations", "topics", "groups", "transactional_ids",
                                        "cluster", NULL};
    if (!json_is_object(config))
        return slc_fail(err, SLC_INVALID, "/config/rules", "a rule must be an object");
    const char *effect = slc_policy_config_string(config, "effect", "allow", 5, err);
    if (effect == NULL || !slc_policy_config_known(config, known, err))
        return false;
    rule->deny = strcmp(effect, "deny") == 0;
    if (!rule->deny && strcmp(effect, "allow") != 0)
        return slc_fail(err, SLC_INVALID, "/config/rules", "effect must be allow or deny");
    if (!compile_operations(config, rule, err) ||
        !compile_globs(config, "topics", &rule->names[SLC_RESOURCE_TOPIC], err) ||
        !compile_globs(config, "groups", &rule->names[SLC_RESOURCE_GROUP], err) ||
        !compile_globs(config, "transactional_ids", &rule->names[SLC_RESOURCE_TXN_ID], err) ||
        !slc_policy_config_bool(config, "cluster", false, &rule->cluster, err))
        return false;
    size_t names = 0;
    for (size_t kind = 0; kind < SLC_RESOURCES; kind++)
        names += rule->names[kind].count;
    return names > 0 || rule->cluster ||
           slc_fail(err, SLC_INVALID, "/config/rules",
                    "a rule must name topics, groups, transactional ids or the cluster");
}

static bool compile(const json_t *config, void **compiled, slc_error *err)
{
    static const char *const known[] = {"rules", NULL};
    const json_t *rules = json_object_get(config, "rules");
    size_t i;
    json_t *rule;
    if (!slc_policy_config_known(config, known, err))
        return false;
    if (!json_is_array(rules) || json_array_size(rules) == 0 || json_array_size(rules) > MAX_RULES)
        return slc_fail(err, SLC_INVALID, "/config/rules", "rules must be a list of 1 to %d rules", MAX_RULES);
    struct acl *acl = slc_calloc(1, sizeof *acl);
    acl->rules = slc_calloc(json_array_size(rules), sizeof *acl->rules);
    json_array_foreach ((json_t *)rules, i, rule) {
        acl->count++;
        if (!compile_rule(rule, &acl->rules[i], err)) {
            release(acl);
            return false;
        }
    }
    *compiled = acl;
    return true;
}

/* ---- rules against a question ---- */

/* What else an allowed operation allows. */
static unsigned implied_by(enum slc_operation operation)
{
    if (operation == SLC_OP_DESCRIBE)
        return BIT(SLC_OP_READ) | BIT(SLC_OP_WRITE) | BIT(SLC_OP_DELETE) | BIT(SLC_OP_ALTER);
    return operation == SLC_OP_DESCRIBE_CONFIGS ? BIT(SLC_OP_ALTER_CONFIGS) : 0;
}

static bool is(const char *name, size_t len, const char *text)
{
    return strlen(text) == len && memcmp(name, text, len) == 0;
}

static const char *value_of(void *ctx, const char *name, size_t len)
{
    const slc_access_question *question = ctx;
    const slc_principal *principal = question->request->principal;
    const Sluice__Snapshot__V1__Application *application;
    if (is(name, len, "application.id"))
        return principal->application_id;
    if (is(name, len, "application.name"))
        return principal->application_name;
    if (is(name, len, "credential.id"))
        return principal->credential_id;
    application = slc_snapshot_application(question->request->snapshot, principal->application_id);
    return application != NULL ? application->team : NULL;
}

static bool matches(const struct rule *rule, const slc_access_question *question)
{
    const struct globs *globs = &rule->names[question->resource];
    if (question->resource == SLC_RESOURCE_CLUSTER)
        return rule->cluster;
    for (size_t i = 0; i < globs->count; i++) {
        bool any = slc_acl_glob_is_any(globs->list[i]);
        /* SOME: whatever may be allowed, unless everything is denied; EVERY: the other way round. */
        if (question->names != SLC_GUARD_ONE
                ? any || rule->deny == (question->names == SLC_GUARD_EVERY)
                : any || slc_acl_glob_match(globs->list[i], value_of, (void *)question,
                                            (const char *)question->name, question->len))
            return true;
    }
    return false;
}

static enum slc_verdict ask(const struct acl *acl, const slc_access_question *question, size_t *rule)
{
    unsigned asked = BIT(question->operation) | BIT(SLC_OP_ALL),
             allowing = asked | implied_by(question->operation);
    enum slc_verdict verdict = SLC_PASS;
    for (size_t i = 0; i < acl->count; i++) {
        unsigned operations = acl->rules[i].deny ? asked : allowing;
        if ((acl->rules[i].operations & operations) == 0 || !matches(&acl->rules[i], question))
            continue;
        *rule = i + 1;
        if (acl->rules[i].deny)
            return SLC_DENY;
        verdict = SLC_ALLOW;
    }
    return verdict;
}

static enum slc_verdict access_native(void *compiled, const slc_access_question *question, slc_denial *denial)
{
    size_t rule = 0;
    enum slc_verdict verdict = ask(compiled, question, &rule);
    if (verdict == SLC_DENY)
        (void)slc_deny(denial, 403, "denied", "Denied", NULL, "acl %s: rule %zu", question->request->policy_id,
                       rule);
    else if (verdict == SLC_ALLOW)
        slc_policy_why(question->request, "rule %zu allows it", rule);
    return verdict;
}

/* ---- HTTP ---- */

static enum slc_verdict ask_http(const struct acl *acl, slc_policy_request *request, size_t *rule)
{
    const char *topic = request->api->msg->topic;
    const slc_access_question question = {
        .request = request,
        .vcluster = request->api->vcluster,
        .operation = request->operation == SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_PUBLISH ? SLC_OP_WRITE
                                                                                              : SLC_OP_READ,
        .resource = SLC_RESOURCE_TOPIC,
        .names = SLC_GUARD_ONE,
        .name = (const uint8_t *)topic,
        .len = strlen(topic)};
    return ask(acl, &question, rule);
}

static enum slc_verdict refuse(slc_policy_request *request, size_t rule, slc_denial *denial)
{
    return slc_deny(denial, 403, "denied", "Denied", NULL, "acl %s: rule %zu denies %s to the topic %s",
                    request->policy_id, rule, request->principal->application_name, request->api->msg->topic);
}

/* A subscription that grants it too is looked for, since its plan's limits hold then. */
static enum slc_verdict authorise(void *compiled, slc_policy_request *request, slc_denial *denial)
{
    size_t rule = 0;
    enum slc_verdict verdict = ask_http(compiled, request, &rule);
    if (verdict == SLC_DENY)
        return refuse(request, rule, denial);
    if (verdict == SLC_ALLOW) {
        (void)slc_subscription_grant(request->snapshot, request->api, request->operation, request->principal);
        slc_policy_why(request, "rule %zu allows it", rule);
    }
    return verdict;
}

/* What another policy has granted may be denied here. */
static enum slc_verdict limit(void *compiled, slc_policy_request *request, slc_denial *denial)
{
    size_t rule = 0;
    return ask_http(compiled, request, &rule) == SLC_DENY ? refuse(request, rule, denial) : SLC_PASS;
}

static enum slc_verdict recheck(void *compiled, slc_policy_request *request)
{
    size_t rule = 0;
    return ask_http(compiled, request, &rule);
}

#define GLOBS(name, text)                                                                                      \
    "\"" name "\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":100,\"uniqueItems\":true,"                   \
    "\"items\":{\"type\":\"string\",\"maxLength\":300},\"description\":\"" text "\"}"

const slc_policy_type slc_policy_acl = {
    .name = "acl",
    .summary =
        "Allows and denies operations on topics, groups, transactional ids and the cluster. A rule that denies "
        "outweighs all that allow.\nOn HTTP an event API is its topic: publishing is `write`, reading is "
        "`read`. "
        "Whoever a rule\nallows needs no subscription that grants it. A policy of a plan holds for the "
        "applications that subscribe to the plan,\nwhatever the plan itself grants; a request that its rules "
        "alone allow is made under that plan.\nIn a native virtual cluster that takes anonymous "
        "clients, one such policy ends their being allowed everything.",
    .config_schema =
        "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"rules\"],\"properties\":{"
        "\"rules\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":100,"
        "\"description\":\"In any order. In globs * stands for any number of characters, ? for one, and \\\\ "
        "takes the "
        "next as it is; ${application.name}, ${application.id}, ${application.team} and ${credential.id} are "
        "put in as "
        "text.\","
        "\"items\":{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"operations\"],"
        "\"properties\":{"
        "\"effect\":{\"type\":\"string\",\"enum\":[\"allow\",\"deny\"],\"default\":\"allow\"},"
        "\"operations\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":13,\"uniqueItems\":true,"
        "\"items\":{\"type\":\"string\",\"enum\":[\"all\",\"read\",\"write\",\"create\",\"delete\",\"alter\","
        "\"describe\",\"cluster-action\",\"describe-configs\",\"alter-configs\",\"idempotent-write\"]},"
        "\"description\":\"As Kafka's; read, write, delete and alter bring describe.\"}," GLOBS(
            "topics", "Globs.") "," GLOBS("groups",
                                          "Globs.") "," GLOBS("transactional_ids",
                                                              "Globs.") ","
                                                                        "\"cluster\":{\"type\":\"boolean\","
                                                                        "\"default\":false,\"description\":"
                                                                        "\"The virtual cluster itself.\"}}}}}}",
    .compile = compile,
    .release = release,
    .authorise = authorise,
    .limit = limit,
    .access = access_native,
    .recheck = recheck,
};
