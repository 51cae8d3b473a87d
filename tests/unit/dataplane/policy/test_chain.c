/* Chains: default deny, order, dry run, and what is refused when a snapshot is built. */
#include <check.h>
#include <string.h>

#include "asker.h"
#include "common/json.h"
#include "tests/unit/common/unit.h"

static struct asker *asker;

static Sluice__Snapshot__V1__Policy policy_of(const char *name, const char *type, const char *config)
{
    Sluice__Snapshot__V1__Policy policy = SLUICE__SNAPSHOT__V1__POLICY__INIT;
    policy.name = (char *)name;
    policy.type = (char *)type;
    policy.config_json = (char *)config;
    policy.scope = SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_GROUP;
    return policy;
}

static void fails(const Sluice__Snapshot__V1__Policy *policy, enum slc_code code, const char *in_message)
{
    const Sluice__Snapshot__V1__Policy *list[] = {policy};
    slc_error err = {0};
    ck_assert_ptr_null(slc_chain_compile(list, 1, &err));
    ck_assert_int_eq(err.code, code);
    ck_assert_str_eq(err.field, "policy/house-rule");
    ck_assert_msg(strstr(err.message, in_message) != NULL, "%s", err.message);
}

START_TEST(nobody_gets_in_without_a_policy_that_says_so)
{
    static const char *const methods[] = {"GET", "POST", "HEAD", "OPTIONS", "DELETE", NULL};
    asker = asker_new();
    for (const char *const *method = methods; *method != NULL; method++) {
        ck_assert_int_eq(asker_ask(asker, *method), SLC_DENY);
        ck_assert_int_eq(asker->denial.status, 401);
        ck_assert_str_eq(asker->denial.type, "unauthenticated");
        ck_assert_uint_eq(asker_answer_count(asker, "WWW-Authenticate"), 1);
        ck_assert(!asker->principal.authenticated);
    }
    asker_free(asker);
}
END_TEST

START_TEST(an_empty_chain_has_the_built_in_policies)
{
    slc_error err = {0};
    slc_chain *chain = slc_chain_compile(NULL, 0, &err);
    ck_assert_ptr_nonnull(chain);
    slc_chain_free(chain);
    slc_chain_free(NULL);
}
END_TEST

/* What a dry run would do is logged; what happens is what would happen without it. */
START_TEST(a_dry_run_authenticates_nobody)
{
    asker = asker_new();
    asker_policy(asker, "new-header", "key-auth", "{\"header\":\"X-Shop-Key\",\"basic\":false}");
    asker->maker->policy[0].dry_run = true;
    asker_send(asker, "X-API-Key", ASKER_KEY);
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    ck_assert_str_eq(asker->principal.application_id, "app-1");
    asker_send(asker, "X-Shop-Key", "slk_cred-1_wrong");
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    ck_assert_ptr_null(asker_answer(asker, "WWW-Authenticate"));
    asker_send(asker, "X-API-Key", NULL);
    asker_send(asker, "X-Shop-Key", ASKER_KEY);
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_DENY);
    ck_assert_int_eq(asker->denial.status, 401);
    ck_assert_str_eq(asker->principal.application_id, "");
    asker_free(asker);
}
END_TEST

START_TEST(a_dry_run_answers_no_preflight)
{
    asker = asker_new();
    asker_policy(asker, "browsers", "cors", "{\"origins\":[\"*\"]}");
    asker->maker->policy[0].dry_run = true;
    asker_send(asker, "Origin", "https://shop.example");
    asker_send(asker, "Access-Control-Request-Method", "GET");
    ck_assert_int_eq(asker_ask(asker, "OPTIONS"), SLC_DENY);
    ck_assert_ptr_null(asker_answer(asker, "Access-Control-Allow-Origin"));
    asker_free(asker);
}
END_TEST

START_TEST(a_dry_run_grants_nothing)
{
    asker = asker_new();
    asker_policy(asker, "later", "subscription", "");
    asker->maker->policy[0].dry_run = true;
    asker->maker->plan[0].n_operations = 1; /* publish */
    asker_send(asker, "X-API-Key", ASKER_KEY);
    ck_assert_int_eq(asker_ask(asker, "POST"), SLC_ALLOW);
    ck_assert_str_eq(asker->principal.plan_id, "plan-1");
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_DENY);
    ck_assert_int_eq(asker->denial.status, 403);
    ck_assert_str_eq(asker->denial.type, "not-subscribed");
    asker_free(asker);
}
END_TEST

static void note_phase(void *ctx, const slc_step *step)
{
    char *phases = ctx;
    snprintf(phases + strlen(phases), 200 - strlen(phases), "%s%s ", step->phase, step->dry_run ? "?" : "");
}

/* Whoever explains hears of every phase, also of the one that refuses nothing. */
START_TEST(every_phase_is_told_by_its_name)
{
    char phases[200] = "";
    slc_trace trace = {.told = note_phase, .ctx = phases};
    asker = asker_new();
    asker_policy(asker, "stamp", "headers",
                 "{\"rules\":[{\"in\":\"response\",\"action\":\"set\",\"name\":\"X-A\",\"value\":\"b\"}]}");
    asker_send(asker, "X-API-Key", ASKER_KEY);
    asker->trace = &trace;
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    ck_assert_str_eq(phases, "authenticate authorise limit transform ");
    phases[0] = '\0';
    asker->maker->policy[0].dry_run = true;
    asker_rebuild(asker);
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    ck_assert_str_eq(phases, "authenticate authorise limit transform? ");
    asker_free(asker);
}
END_TEST

START_TEST(a_policy_holds_where_it_is_attached)
{
    asker = asker_new();
    asker->maker->apis = 2;
    asker_policy(asker, "own-header", "key-auth", "{\"header\":\"X-Shop-Key\"}");
    asker->maker->policy[0].scope = SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_EVENT_API;
    asker->maker->policy[0].scope_id = "api-2";
    asker_send(asker, "X-API-Key", ASKER_KEY);
    ck_assert_int_eq(asker_ask_api(asker, "api-1", "GET", READ), SLC_ALLOW);
    ck_assert_int_eq(asker_ask_api(asker, "api-2", "GET", READ), SLC_DENY);
    ck_assert_int_eq(asker->denial.status, 401);
    asker_free(asker);
}
END_TEST

/* Wide before narrow, then order, then name: the first preflight answer wins. */
START_TEST(order_does_not_depend_on_the_list)
{
    asker = asker_new();
    asker_policy(asker, "a", "cors", "{\"origins\":[\"*\"],\"max_age\":1}");
    asker_policy(asker, "b", "cors", "{\"origins\":[\"*\"],\"max_age\":2}");
    asker->maker->policy[0].order = 10;
    asker->maker->policy[1].order = -10;
    asker_send(asker, "Origin", "https://shop.example");
    asker_send(asker, "Access-Control-Request-Method", "GET");
    ck_assert_int_eq(asker_ask(asker, "OPTIONS"), SLC_ANSWER);
    ck_assert_str_eq(asker_answer(asker, "Access-Control-Max-Age"), "2");
    asker->maker->policy[0].order = -10;
    asker_rebuild(asker);
    ck_assert_int_eq(asker_ask(asker, "OPTIONS"), SLC_ANSWER);
    ck_assert_str_eq(asker_answer(asker, "Access-Control-Max-Age"), "1");
    asker->maker->policy[0].scope = SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_EVENT_API;
    asker->maker->policy[0].scope_id = "api-1";
    asker_rebuild(asker);
    ck_assert_int_eq(asker_ask(asker, "OPTIONS"), SLC_ANSWER);
    ck_assert_str_eq(asker_answer(asker, "Access-Control-Max-Age"), "2");
    asker_free(asker);
}
END_TEST

START_TEST(what_cannot_be_enforced_is_not_accepted)
{
    Sluice__Snapshot__V1__Policy policy = policy_of("house-rule", "magic", "{}");
    fails(&policy, SLC_UNSUPPORTED, "magic");
    policy = policy_of("house-rule", "cors", "{\"origins\":[\"*\"]}");
    policy.condition = "request.method = 'GET'";
    fails(&policy, SLC_INVALID, "/condition: at character 16: nothing begins like this");
    policy = policy_of("house-rule", "key-auth", "{");
    fails(&policy, SLC_INVALID, "line 1");
    policy = policy_of("house-rule", "key-auth", "[]");
    fails(&policy, SLC_INVALID, "object");
    policy = policy_of("house-rule", "key-auth", "{\"basic\":true,\"basic\":false}");
    fails(&policy, SLC_INVALID, "");
}
END_TEST

START_TEST(an_error_leaves_the_old_snapshot_alone)
{
    asker = asker_new();
    asker_send(asker, "X-API-Key", ASKER_KEY);
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    asker_policy(asker, "broken", "cors", "{}");
    maker_fails(asker->maker, asker->snapshot, "policy/broken");
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    asker_free(asker);
}
END_TEST

START_TEST(every_type_is_listed_and_documented)
{
    const slc_policy_type *const *types = slc_policy_types();
    size_t count = 0;
    for (; types[count] != NULL; count++) {
        const slc_policy_type *type = types[count];
        slc_error err = {0};
        json_t *schema = slc_json_parse(type->config_schema, strlen(type->config_schema), 65536, &err);
        ck_assert_msg(schema != NULL, "%s: %s", type->name, err.message);
        ck_assert_str_eq(json_string_value(json_object_get(schema, "type")), "object");
        ck_assert(json_is_false(json_object_get(schema, "additionalProperties")));
        json_decref(schema);
        ck_assert_uint_gt(strlen(type->summary), 0);
        ck_assert_ptr_eq(slc_policy_type_find(type->name), type);
    }
    ck_assert_uint_ge(count, 3);
    ck_assert_ptr_null(slc_policy_type_find("none-such"));
}
END_TEST

/* The documentation of a config and the code that reads it must name the same members. */
START_TEST(schemas_name_the_members_that_are_read)
{
    for (const slc_policy_type *const *type = slc_policy_types(); *type != NULL; type++) {
        json_t *schema = json_loads((*type)->config_schema, 0, NULL), *member;
        const char *name;
        json_object_foreach (json_object_get(schema, "properties"), name, member) {
            json_t *config = json_pack("{s:n}", name);
            void *compiled = NULL;
            slc_error err = {0};
            ck_assert(!(*type)->compile(config, &compiled, &err));
            ck_assert_msg(strstr(err.message, "not a setting") == NULL, "%s: %s", (*type)->name, err.message);
            json_decref(config);
        }
        json_decref(schema);
    }
}
END_TEST

UNIT_MAIN("chain", nobody_gets_in_without_a_policy_that_says_so, an_empty_chain_has_the_built_in_policies,
          a_dry_run_authenticates_nobody, a_dry_run_answers_no_preflight, a_dry_run_grants_nothing,
          every_phase_is_told_by_its_name, a_policy_holds_where_it_is_attached,
          order_does_not_depend_on_the_list, what_cannot_be_enforced_is_not_accepted,
          an_error_leaves_the_old_snapshot_alone, every_type_is_listed_and_documented,
          schemas_name_the_members_that_are_read)
