/* acl and what native clients may do: rules, subscriptions, scopes, conditions; and that nothing is remembered
 * for too long. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "asker.h"
#include "common/clock.h"
#include "dataplane/policy/access.h"
#include "tests/unit/common/unit.h"

#define SCOPE(name) SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_##name

static struct asker *asker;
static slc_principal principal;
static const slc_token *token; /* that the subject came by */
static slc_access *access_;
static unsigned denials;
static char reason[200];
static char *exposures[3] = {(char *)"rest", (char *)"sse", (char *)"kafka"};

static void setup(void)
{
    asker = asker_new();
    asker_send(asker, "X-API-Key", ASKER_KEY);
    for (int i = 0; i < 2; i++) {
        asker->maker->api[i].exposures = exposures;
        asker->maker->api[i].n_exposures = 3;
    }
    denials = 0;
    access_ = NULL;
    token = NULL;
}

static void teardown(void)
{
    slc_access_free(access_);
    asker_free(asker);
}

static void rules(const char *text)
{
    asker_policy(asker, "rules", "acl", text);
}

static void on_denied(void *ctx, const slc_access_denial *denial)
{
    (void)ctx;
    denials += !denial->dry_run;
    snprintf(reason, sizeof reason, "%s", denial->reason);
}

static slc_guard *guard_of(bool authenticated)
{
    if (asker->snapshot == NULL)
        asker_rebuild(asker);
    const slc_access_subject subject = {.vcluster = slc_snapshot_vclusters(asker->snapshot, &(size_t){0})[0],
                                        .listener_id = "listener-1",
                                        .client_address = "192.0.2.1",
                                        .principal = &principal,
                                        .token = token,
                                        .denied = on_denied};
    memset(&principal, 0, sizeof principal);
    if (authenticated) {
        snprintf(principal.application_id, sizeof principal.application_id, "app-1");
        snprintf(principal.application_name, sizeof principal.application_name, "app-1");
        principal.authenticated = true;
    }
    slc_access_free(access_);
    access_ = slc_access_new(&subject, asker->snapshot);
    return slc_access_guard(access_);
}

static bool may(enum slc_operation operation, enum slc_resource resource, const char *name)
{
    return slc_guard_one(slc_access_guard(access_), operation, resource, (const uint8_t *)name, strlen(name));
}

static bool may_any(enum slc_operation operation, enum slc_guard_names names)
{
    slc_guard *guard = slc_access_guard(access_);
    return guard->allows(guard, operation, SLC_RESOURCE_TOPIC, names, NULL, 0);
}

START_TEST(a_subscription_brings_its_topics_and_names_below_the_application)
{
    setup();
    ck_assert_ptr_nonnull(guard_of(true));
    ck_assert(may(SLC_OP_READ, SLC_RESOURCE_TOPIC, "orders") &&
              may(SLC_OP_WRITE, SLC_RESOURCE_TOPIC, "orders"));
    ck_assert(may(SLC_OP_DESCRIBE, SLC_RESOURCE_TOPIC, "orders"));
    ck_assert(!may(SLC_OP_DELETE, SLC_RESOURCE_TOPIC, "orders") &&
              !may(SLC_OP_READ, SLC_RESOURCE_TOPIC, "orders2"));
    ck_assert(may(SLC_OP_READ, SLC_RESOURCE_GROUP, "app-1.x") &&
              may(SLC_OP_WRITE, SLC_RESOURCE_TXN_ID, "app-1.x"));
    ck_assert(!may(SLC_OP_READ, SLC_RESOURCE_GROUP, "app-1.") &&
              !may(SLC_OP_READ, SLC_RESOURCE_GROUP, "app-12.x"));
    ck_assert(!may(SLC_OP_READ, SLC_RESOURCE_GROUP, "app-1") && !may(SLC_OP_READ, SLC_RESOURCE_GROUP, ""));
    ck_assert(slc_guard_cluster(slc_access_guard(access_), SLC_OP_IDEMPOTENT_WRITE));
    ck_assert(!slc_guard_cluster(slc_access_guard(access_), SLC_OP_DESCRIBE));
    ck_assert(may_any(SLC_OP_WRITE, SLC_GUARD_SOME) && !may_any(SLC_OP_READ, SLC_GUARD_EVERY));
    teardown();
}
END_TEST

START_TEST(an_api_that_is_not_exposed_or_an_operation_that_is_not_granted_brings_nothing)
{
    setup();
    asker->maker->api[0].n_exposures = 2;
    guard_of(true);
    ck_assert(!may(SLC_OP_READ, SLC_RESOURCE_TOPIC, "orders") && !may_any(SLC_OP_WRITE, SLC_GUARD_SOME));
    asker->maker->api[0].n_exposures = 3;
    asker->maker->plan[0].n_operations = 1; /* publish */
    asker_rebuild(asker);
    guard_of(true);
    ck_assert(!may(SLC_OP_READ, SLC_RESOURCE_TOPIC, "orders") &&
              may(SLC_OP_WRITE, SLC_RESOURCE_TOPIC, "orders"));
    teardown();
}
END_TEST

START_TEST(one_denial_outweighs_all_permissions)
{
    setup();
    rules("{\"rules\":[{\"operations\":[\"all\"],\"topics\":[\"*\"]},"
          "{\"effect\":\"deny\",\"operations\":[\"write\"],\"topics\":[\"ord*\"]}]}");
    guard_of(true);
    ck_assert(may(SLC_OP_READ, SLC_RESOURCE_TOPIC, "orders") && may(SLC_OP_WRITE, SLC_RESOURCE_TOPIC, "other"));
    ck_assert(!may(SLC_OP_WRITE, SLC_RESOURCE_TOPIC, "orders"));
    ck_assert_str_eq(reason, "acl rules: rule 2");
    ck_assert(may(SLC_OP_DESCRIBE, SLC_RESOURCE_TOPIC, "orders")); /* which was not denied */
    ck_assert(may_any(SLC_OP_READ, SLC_GUARD_EVERY) && !may_any(SLC_OP_WRITE, SLC_GUARD_EVERY));
    ck_assert(may_any(SLC_OP_WRITE, SLC_GUARD_SOME));
    teardown();
}
END_TEST

START_TEST(the_order_of_rules_does_not_matter)
{
    setup();
    rules("{\"rules\":[{\"effect\":\"deny\",\"operations\":[\"write\"],\"topics\":[\"ord*\"]},"
          "{\"operations\":[\"all\"],\"topics\":[\"*\"]}]}");
    guard_of(true);
    ck_assert(may(SLC_OP_READ, SLC_RESOURCE_TOPIC, "orders"));
    ck_assert(!may(SLC_OP_WRITE, SLC_RESOURCE_TOPIC, "orders"));
    ck_assert_str_eq(reason, "acl rules: rule 1");
    ck_assert_int_eq(asker_ask(asker, "POST"), SLC_DENY);
    teardown();
}
END_TEST

START_TEST(permissions_imply_describing_and_denials_do_not)
{
    setup();
    rules("{\"rules\":[{\"operations\":[\"alter-configs\"],\"topics\":[\"a\"]},{\"operations\":[\"delete\"],"
          "\"topics\":[\"b\"]},"
          "{\"operations\":[\"describe-configs\"],\"topics\":[\"c\"]},{\"operations\":[\"create\"],\"topics\":["
          "\"d\"]}]}");
    guard_of(true);
    ck_assert(may(SLC_OP_DESCRIBE_CONFIGS, SLC_RESOURCE_TOPIC, "a") &&
              !may(SLC_OP_DESCRIBE, SLC_RESOURCE_TOPIC, "a"));
    ck_assert(may(SLC_OP_DESCRIBE, SLC_RESOURCE_TOPIC, "b"));
    ck_assert(!may(SLC_OP_ALTER_CONFIGS, SLC_RESOURCE_TOPIC, "c") &&
              !may(SLC_OP_DESCRIBE, SLC_RESOURCE_TOPIC, "d"));
    teardown();
}
END_TEST

START_TEST(names_are_put_into_globs_and_scopes_hold)
{
    setup();
    rules("{\"rules\":[{\"operations\":[\"read\"],\"groups\":[\"${application.team}-${application.name}\"]}]}");
    asker_policy(asker, "own", "acl", "{\"rules\":[{\"operations\":[\"read\"],\"topics\":[\"own\"]}]}");
    asker->maker->policy[1].scope = SCOPE(APPLICATION);
    asker->maker->policy[1].scope_id = (char *)"app-1";
    guard_of(true);
    ck_assert(may(SLC_OP_READ, SLC_RESOURCE_GROUP, "platform-app-1") &&
              may(SLC_OP_READ, SLC_RESOURCE_TOPIC, "own"));
    asker->maker->policy[1].scope_id = (char *)"app-2";
    asker_rebuild(asker);
    ck_assert(!slc_access_apply(access_, asker->snapshot));
    guard_of(true);
    ck_assert(!may(SLC_OP_READ, SLC_RESOURCE_TOPIC, "own"));
    asker->maker->policy[1].scope = SCOPE(PLAN);
    asker->maker->policy[1].scope_id = (char *)"plan-1";
    asker_rebuild(asker);
    guard_of(true);
    ck_assert(may(SLC_OP_READ, SLC_RESOURCE_TOPIC, "own"));
    teardown();
}
END_TEST

START_TEST(without_an_application_everything_is_allowed_until_there_are_rules)
{
    setup();
    ck_assert_ptr_null(guard_of(false));
    rules("{\"rules\":[{\"operations\":[\"read\"],\"topics\":[\"open-*\",\"${application.name}*\"]}]}");
    asker_rebuild(asker);
    ck_assert_ptr_nonnull(guard_of(false));
    ck_assert(may(SLC_OP_READ, SLC_RESOURCE_TOPIC, "open-1") &&
              !may(SLC_OP_READ, SLC_RESOURCE_TOPIC, "orders"));
    asker->maker->policy[0].dry_run = true;
    asker_rebuild(asker);
    ck_assert_ptr_null(guard_of(false));
    teardown();
}
END_TEST

START_TEST(conditions_are_looked_at_each_time_and_refuse_when_they_cannot_be)
{
    setup();
    rules("{\"rules\":[{\"operations\":[\"read\"],\"topics\":[\"x\"]}]}");
    asker->maker->policy[0].condition = (char *)"request.protocol == 'kafka' && client.address == '192.0.2.1'";
    guard_of(true);
    ck_assert(may(SLC_OP_READ, SLC_RESOURCE_TOPIC, "x"));
    asker->maker->policy[0].condition = (char *)"client.address == '192.0.2.2'";
    asker_rebuild(asker);
    guard_of(true);
    ck_assert(!may(SLC_OP_READ, SLC_RESOURCE_TOPIC, "x") && may(SLC_OP_READ, SLC_RESOURCE_TOPIC, "orders"));
    asker->maker->policy[0].condition = (char *)"request.method == 'GET'"; /* which Kafka has not */
    asker_rebuild(asker);
    guard_of(true);
    ck_assert(!may(SLC_OP_READ, SLC_RESOURCE_TOPIC, "orders"));
    ck_assert_ptr_nonnull(strstr(reason, "its condition cannot be evaluated"));
    teardown();
}
END_TEST

START_TEST(a_denial_is_told_once_and_looking_is_none)
{
    char name[16];
    setup();
    slc_guard *guard = guard_of(true);
    ck_assert(!slc_guard_look(guard, SLC_OP_READ, SLC_RESOURCE_TOPIC, (const uint8_t *)"x", 1));
    ck_assert_uint_eq(denials, 0);
    ck_assert(!may(SLC_OP_READ, SLC_RESOURCE_TOPIC, "x") && !may(SLC_OP_READ, SLC_RESOURCE_TOPIC, "x"));
    ck_assert_uint_eq(denials, 1);
    ck_assert_str_eq(reason, "nothing grants it");
    for (int i = 0; i < 1000; i++) { /* more than are remembered */
        snprintf(name, sizeof name, "x%d", i);
        ck_assert(!may(SLC_OP_READ, SLC_RESOURCE_TOPIC, name));
        ck_assert(may(SLC_OP_READ, SLC_RESOURCE_TOPIC, "orders"));
    }
    ck_assert_uint_eq(denials, 1001);
    teardown();
}
END_TEST

/* Names come from clients, as bytes. */
START_TEST(a_name_with_a_nul_is_remembered_whole)
{
    static const uint8_t name[] = "x\0of a length that no text has which ends where a NUL is";
    setup();
    slc_guard *guard = guard_of(true);
    for (int i = 0; i < 3; i++)
        ck_assert(!slc_guard_one(guard, SLC_OP_READ, SLC_RESOURCE_TOPIC, name, sizeof name));
    ck_assert_uint_eq(denials, 1);
    teardown();
}
END_TEST

START_TEST(a_change_that_does_not_concern_the_subject_keeps_what_is_known)
{
    setup();
    rules("{\"rules\":[{\"operations\":[\"read\"],\"topics\":[\"x\"]}]}");
    guard_of(true);
    maker_add_application(asker->maker, 2);
    asker_rebuild(asker);
    ck_assert(slc_access_apply(access_, asker->snapshot));
    ck_assert(may(SLC_OP_READ, SLC_RESOURCE_TOPIC, "x"));
    asker->maker->policy[0].config_json =
        (char *)"{\"rules\":[{\"operations\":[\"read\"],\"topics\":[\"y\"]}]}";
    asker_rebuild(asker);
    ck_assert(!slc_access_apply(access_, asker->snapshot));
    teardown();
}
END_TEST

START_TEST(an_expired_subscription_ends_what_was_remembered)
{
    setup();
    asker->maker->subscription[0].expires_at_ms = slc_wall_ms() + 1500;
    guard_of(true);
    ck_assert(may(SLC_OP_READ, SLC_RESOURCE_TOPIC, "orders"));
    while (slc_wall_ms() <= asker->maker->subscription[0].expires_at_ms)
        ;
    ck_assert(!may(SLC_OP_READ, SLC_RESOURCE_TOPIC, "orders"));
    teardown();
}
END_TEST

/* The rules of a plan go with the subscription, also where the control plane cannot say that it has expired. */
START_TEST(an_expired_subscription_takes_the_rules_of_its_plan_along)
{
    setup();
    rules("{\"rules\":[{\"operations\":[\"read\"],\"topics\":[\"other\"]}]}");
    asker->maker->policy[0].scope = SCOPE(PLAN);
    asker->maker->policy[0].scope_id = (char *)"plan-1";
    guard_of(true);
    ck_assert(may(SLC_OP_READ, SLC_RESOURCE_TOPIC, "other"));
    asker->maker->subscription[0].expires_at_ms = slc_wall_ms() - 1;
    asker_rebuild(asker);
    guard_of(true);
    ck_assert(!may(SLC_OP_READ, SLC_RESOURCE_TOPIC, "other"));
    teardown();
}
END_TEST

/* ---- who may be here at all ---- */

START_TEST(addresses_are_let_in_or_not)
{
    static const struct {
        const char *address, *condition;
        bool stranger, known;
    } cases[] = {{"192.0.2.1", "", false, false},
                 {"192.0.2.2", "", true, true},
                 {"192.0.2.1", "application.name == 'app-1'", true, false}, /* which nobody knows before */
                 {"192.0.2.1", "application.name == 'other'", true, true},
                 {"192.0.2.2", "request.headers['x'] == 'y'", true, false}}; /* it cannot be evaluated */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char why[200];
        setup();
        asker_policy(asker, "where", "ip-restriction", "{\"deny\":[\"192.0.2.1\"]}");
        asker->maker->policy[0].condition = (char *)cases[i].condition;
        guard_of(true);
        slc_access_subject subject = {.vcluster = slc_snapshot_vclusters(asker->snapshot, &(size_t){0})[0],
                                      .listener_id = "listener-1",
                                      .client_address = cases[i].address,
                                      .principal = &principal};
        ck_assert(slc_access_admits_strangers(&subject, asker->snapshot, why) == cases[i].stranger);
        ck_assert(slc_access_admits(&subject, asker->snapshot, why) == cases[i].known);
        teardown();
    }
}
END_TEST

/* ---- HTTP ---- */

START_TEST(on_http_rules_grant_without_a_subscription_and_deny_with_one)
{
    setup();
    rules("{\"rules\":[{\"effect\":\"deny\",\"operations\":[\"write\"],\"topics\":[\"orders\"]}]}");
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    ck_assert_str_eq(asker->principal.plan_id, "plan-1");
    ck_assert_int_eq(asker_ask(asker, "POST"), SLC_DENY);
    ck_assert_int_eq(asker->denial.status, 403);
    ck_assert_ptr_null(asker->denial.detail);
    ck_assert_ptr_nonnull(strstr(asker->denial.reason, "rule 1"));
    asker->maker->plan[0].n_event_api_ids = 0;
    asker_rebuild(asker);
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_DENY);
    asker->maker->policy[0].config_json =
        (char *)"{\"rules\":[{\"operations\":[\"read\"],\"topics\":[\"orders\"]}]}";
    asker_rebuild(asker);
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    ck_assert_str_eq(asker->principal.plan_id, "");
    ck_assert_int_eq(asker_ask(asker, "POST"), SLC_DENY);
    teardown();
}
END_TEST

/* As natively: whoever the rules of a plan or of the application itself allow needs no plan that grants it. */
START_TEST(on_http_the_rules_of_plans_and_applications_grant_and_deny_as_natively)
{
    static const struct {
        enum { NOBODY, MINE, OTHER } whose;
        const char *config;
        bool granted, allowed; /* by the plan as well; in the end */
    } cases[] = {
        {MINE, "{\"rules\":[{\"operations\":[\"read\"],\"topics\":[\"orders\"]}]}", false, true},
        {MINE, "{\"rules\":[{\"operations\":[\"read\"],\"topics\":[\"others\"]}]}", false, false},
        {MINE, "{\"rules\":[{\"operations\":[\"write\"],\"topics\":[\"*\"]}]}", false, false},
        {OTHER, "{\"rules\":[{\"operations\":[\"read\"],\"topics\":[\"orders\"]}]}", false, false},
        {MINE, "{\"rules\":[{\"effect\":\"deny\",\"operations\":[\"read\"],\"topics\":[\"*\"]}]}", true, false},
        {OTHER, "{\"rules\":[{\"effect\":\"deny\",\"operations\":[\"read\"],\"topics\":[\"*\"]}]}", true, true},
    };
    static const char *const ids[2][3] = {{"", "plan-1", "plan-2"}, {"", "app-1", "app-2"}};
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        const size_t at = i / 2, kind = i % 2;
        setup();
        asker->maker->plans = 2;
        maker_add_application(asker->maker, 2);
        rules(cases[at].config);
        asker->maker->policy[0].scope = kind == 0 ? SCOPE(PLAN) : SCOPE(APPLICATION);
        asker->maker->policy[0].scope_id = (char *)ids[kind][cases[at].whose];
        asker->maker->plan[0].n_event_api_ids = cases[at].granted ? 1 : 0;
        ck_assert_msg((asker_ask(asker, "GET") == SLC_ALLOW) == cases[at].allowed, "case %zu, %zu", at, kind);
        if (cases[at].allowed && kind == 0)
            ck_assert_str_eq(asker->principal.plan_id, "plan-1"); /* its limits hold */
        if (!cases[at].granted && !cases[at].allowed)
            ck_assert_str_eq(asker->denial.type, "not-subscribed");
        const slc_event_api *api = slc_snapshot_event_api_by_id(asker->snapshot, "api-1");
        ck_assert(slc_principal_still_granted(asker->snapshot, api, READ, NULL, &asker->principal) ==
                  cases[at].allowed);
        guard_of(true);
        ck_assert(may(SLC_OP_READ, SLC_RESOURCE_TOPIC, "orders") == cases[at].allowed);
        teardown();
    }
}
END_TEST

/* Where two plans say different things, the one that denies has the say, whichever grants. */
START_TEST(on_http_all_plans_of_an_application_have_a_say)
{
    Sluice__Snapshot__V1__Subscription second = SLUICE__SNAPSHOT__V1__SUBSCRIPTION__INIT, *both[2];
    setup();
    asker->maker->plans = 2;
    second.id = (char *)"sub-2";
    second.plan_id = (char *)"plan-2";
    both[0] = &asker->maker->subscription[0];
    both[1] = &second;
    asker->maker->application[0].subscriptions = both;
    asker->maker->application[0].n_subscriptions = 2;
    asker->maker->plan[1].n_event_api_ids = 0;
    rules("{\"rules\":[{\"effect\":\"deny\",\"operations\":[\"read\"],\"topics\":[\"orders\"]}]}");
    asker->maker->policy[0].scope = SCOPE(PLAN);
    asker->maker->policy[0].scope_id = (char *)"plan-2";
    ck_assert_int_eq(asker_ask(asker, "POST"), SLC_ALLOW);
    ck_assert_str_eq(asker->principal.plan_id, "plan-1");
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_DENY);
    ck_assert_ptr_nonnull(strstr(asker->denial.reason, "rule 1"));
    second.expires_at_ms = slc_wall_ms() - 1; /* its rules go with it */
    asker_rebuild(asker);
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    teardown();
}
END_TEST

/* Also one that was configured, and comes first. */
START_TEST(on_http_a_subscription_that_is_missing_is_no_denial)
{
    setup();
    asker->maker->plan[0].n_event_api_ids = 0;
    asker_policy(asker, "a", "subscription", "");
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_DENY);
    ck_assert_str_eq(asker->denial.type, "not-subscribed");
    asker_policy(asker, "b", "acl", "{\"rules\":[{\"operations\":[\"read\"],\"topics\":[\"orders\"]}]}");
    asker_rebuild(asker);
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    teardown();
}
END_TEST

START_TEST(an_open_stream_goes_on_while_a_rule_allows_it)
{
    setup();
    asker->maker->plan[0].n_event_api_ids = 0;
    rules("{\"rules\":[{\"operations\":[\"read\"],\"topics\":[\"orders\"]}]}");
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    const slc_event_api *api = slc_snapshot_event_api_by_id(asker->snapshot, "api-1");
    ck_assert(slc_principal_still_granted(asker->snapshot, api, READ, NULL, &asker->principal));
    asker->maker->policy[0].config_json =
        (char *)"{\"rules\":[{\"operations\":[\"read\"],\"topics\":[\"orders\"]},"
                "{\"effect\":\"deny\",\"operations\":[\"all\"],\"topics\":[\"*\"]}]}";
    asker_rebuild(asker);
    api = slc_snapshot_event_api_by_id(asker->snapshot, "api-1");
    ck_assert(!slc_principal_still_granted(asker->snapshot, api, READ, NULL, &asker->principal));
    teardown();
}
END_TEST

/* Of the topic alone, of tokens alone, and one policy that takes it is enough. */
START_TEST(oidc_policies_of_an_event_api_hold_for_its_topic)
{
    static char *scopes[] = {(char *)"orders"};
    slc_token good = {.refs = 1, .state = SLC_TOKEN_GOOD, .issuer = (char *)"login"};
    setup();
    rules("{\"rules\":[{\"operations\":[\"all\"],\"topics\":[\"*\"]}]}");
    asker_policy(asker, "scoped", "oidc", "{\"scopes\":[\"orders\"]}");
    asker->maker->policy[1].scope = SCOPE(EVENT_API);
    asker->maker->policy[1].scope_id = (char *)"api-1";
    guard_of(true);
    ck_assert(may(SLC_OP_WRITE, SLC_RESOURCE_TOPIC, "orders")); /* came by a secret */
    token = &good;
    guard_of(true);
    ck_assert(!may(SLC_OP_WRITE, SLC_RESOURCE_TOPIC, "orders"));
    ck_assert_str_eq(reason, "oidc scoped: the token lacks the scope orders");
    ck_assert(may(SLC_OP_WRITE, SLC_RESOURCE_TOPIC, "other") &&
              may(SLC_OP_READ, SLC_RESOURCE_GROUP, "app-1.x"));
    ck_assert(!may_any(SLC_OP_WRITE, SLC_GUARD_EVERY) && may_any(SLC_OP_WRITE, SLC_GUARD_SOME));
    good.scopes = (slc_token_names){.names = scopes, .count = 1};
    guard_of(true);
    ck_assert(may(SLC_OP_WRITE, SLC_RESOURCE_TOPIC, "orders") && may_any(SLC_OP_WRITE, SLC_GUARD_EVERY));
    good.scopes.count = 0;
    asker->maker->policy[1].condition = (char *)"client.address == '192.0.2.9'";
    asker_rebuild(asker);
    guard_of(true);
    ck_assert(!may(SLC_OP_WRITE, SLC_RESOURCE_TOPIC, "orders")); /* takes none */
    ck_assert_str_eq(reason, "oidc scoped: its condition is false");
    teardown();
}
END_TEST

START_TEST(one_oidc_policy_that_takes_the_token_is_enough)
{
    const slc_token good = {.refs = 1, .state = SLC_TOKEN_GOOD, .issuer = (char *)"login"};
    setup();
    token = &good;
    asker_policy(asker, "scoped", "oidc", "{\"scopes\":[\"orders\"]}");
    asker_policy(asker, "wide", "oidc", "{}");
    asker->maker->policy[0].scope = SCOPE(EVENT_API);
    asker->maker->policy[0].scope_id = (char *)"api-1";
    guard_of(true);
    ck_assert(may(SLC_OP_WRITE, SLC_RESOURCE_TOPIC, "orders"));
    asker->maker->policy[1].dry_run = true;
    asker_rebuild(asker);
    guard_of(true);
    ck_assert(!may(SLC_OP_WRITE, SLC_RESOURCE_TOPIC, "orders"));
    asker->maker->policy[0].dry_run = true;
    asker_rebuild(asker);
    guard_of(true);
    ck_assert(may(SLC_OP_WRITE, SLC_RESOURCE_TOPIC, "orders"));
    teardown();
}
END_TEST

UNIT_MAIN("dataplane/policy/acl", oidc_policies_of_an_event_api_hold_for_its_topic,
          one_oidc_policy_that_takes_the_token_is_enough,
          a_subscription_brings_its_topics_and_names_below_the_application,
          an_api_that_is_not_exposed_or_an_operation_that_is_not_granted_brings_nothing,
          one_denial_outweighs_all_permissions, the_order_of_rules_does_not_matter,
          permissions_imply_describing_and_denials_do_not, names_are_put_into_globs_and_scopes_hold,
          without_an_application_everything_is_allowed_until_there_are_rules,
          conditions_are_looked_at_each_time_and_refuse_when_they_cannot_be,
          a_denial_is_told_once_and_looking_is_none, a_name_with_a_nul_is_remembered_whole,
          a_change_that_does_not_concern_the_subject_keeps_what_is_known,
          an_expired_subscription_ends_what_was_remembered,
          an_expired_subscription_takes_the_rules_of_its_plan_along, addresses_are_let_in_or_not,
          on_http_the_rules_of_plans_and_applications_grant_and_deny_as_natively,
          on_http_all_plans_of_an_application_have_a_say, on_http_a_subscription_that_is_missing_is_no_denial,
          on_http_rules_grant_without_a_subscription_and_deny_with_one,
          an_open_stream_goes_on_while_a_rule_allows_it)
