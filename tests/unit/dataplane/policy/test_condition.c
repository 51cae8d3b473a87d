/* Conditions: a policy takes part while its condition is true; one that cannot be evaluated refuses. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "asker.h"
#include "tests/unit/common/unit.h"

/* A key-auth policy of the group that is there when `condition` is true: the request has its key in
 * X-Other-Key, which only this policy reads. */
static struct asker *asker_with(const char *condition)
{
    struct asker *asker = asker_new();
    asker_policy(asker, "other-key", "key-auth", "{\"header\":\"X-Other-Key\"}");
    asker->maker->policy[0].condition = (char *)condition;
    asker_send(asker, "X-Other-Key", ASKER_KEY);
    return asker;
}

static const struct {
    const char *condition;
    int taken; /* 1: true, 0: false, -1: cannot be evaluated */
} at_authentication[] = {
    {"request.protocol == 'http'", 1},
    {"request.method == 'GET'", 1},
    {"request.method in ['POST', 'HEAD']", 0},
    {"request.path.startsWith('/orders/')", 1},
    {"request.path.matches('^/orders/v[0-9]+/events$')", 1},
    {"request.headers['X-Tenant'] == 'shop'", 1},
    {"request.headers.`x-tenant` == 'shop'", 1},
    {"request.headers['x-empty'] == ''", 1},
    {"request.headers['x-none'] == ''", -1},
    {"has(request.headers.accept)", 0},
    {"request.query.from == 'earliest'", 1},
    {"client.address == '192.0.2.1'", 1},
    {"operation == 'read' && !stream", 1},
    {"api.name == 'orders' && api.version == 1", 1},
    {"api.lifecycle == 'published'", 1},
    {"group.name == 'test' || true", 1},
    {"time > timestamp('2026-01-01T00:00:00Z')", 1},
    {"has(application.id)", 0},
    {"application.id == 'app-1'", -1},
    {"has(plan.name) || has(subscription.id) || has(credential.id) || has(credential.expires)", 0},
    {"1 / (api.version - 1) == 1", -1},
    {"request.headers['x-none'] == 'a' || true", 1},
};

START_TEST(a_policy_takes_part_while_its_condition_is_true)
{
    for (size_t i = 0; i < sizeof at_authentication / sizeof *at_authentication; i++) {
        const char *condition = at_authentication[i].condition;
        struct asker *asker = asker_with(condition);
        asker_send(asker, "X-Tenant", "shop");
        asker_send(asker, "X-Empty", "");
        asker_send(asker, "?from", "earliest");
        enum slc_verdict verdict = asker_ask(asker, "GET");
        int taken = verdict == SLC_ALLOW ? 1 : asker->denial.status == 401 ? 0 : -1;
        ck_assert_msg(taken == at_authentication[i].taken, "%s: %d, %s", condition, taken,
                      asker->denial.reason);
        ck_assert_msg((asker->denial.unevaluated != NULL) == (taken == -1), "%s", condition);
        asker_free(asker);
    }
}
END_TEST

START_TEST(one_that_cannot_be_evaluated_refuses_and_says_why)
{
    struct asker *asker = asker_with("request.headers['x-none'] == ''");
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_DENY);
    ck_assert_int_eq(asker->denial.status, 403);
    ck_assert_str_eq(asker->denial.type, "denied");
    ck_assert_ptr_null(asker->denial.detail);
    ck_assert_str_eq(asker->denial.unevaluated, "other-key");
    ck_assert_str_eq(asker->denial.reason, "other-key: its condition cannot be evaluated, at character 16: the "
                                           "map has no such key");
    asker_free(asker);
}
END_TEST

/* A subscription policy that is not there grants nothing, and nothing built in takes its place. */
START_TEST(a_condition_sees_who_asks_once_that_is_known)
{
    static const struct {
        const char *condition;
        enum slc_verdict verdict;
    } cases[] = {{"application.id == 'app-1'", SLC_ALLOW},
                 {"application.team == 'platform'", SLC_ALLOW},
                 {"credential.id == 'cred-1'", SLC_ALLOW},
                 {"credential.expires > time", SLC_ALLOW},
                 {"credential.expires - time < duration('1h')", SLC_DENY},
                 {"application.id == 'app-2'", SLC_DENY},
                 {"plan.name == 'free'", SLC_DENY}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct asker *asker = asker_new();
        asker_policy(asker, "rule", "subscription", "");
        asker->maker->policy[0].condition = (char *)cases[i].condition;
        asker->maker->credential[0].expires_at_ms = 4102444800000; /* 2100 */
        asker_send(asker, "X-API-Key", ASKER_KEY);
        ck_assert_msg(asker_ask(asker, "GET") == cases[i].verdict, "%s: %s", cases[i].condition,
                      asker->denial.reason);
        asker_free(asker);
    }
}
END_TEST

START_TEST(a_dry_run_with_a_condition_changes_nothing)
{
    static const char *const conditions[] = {"true", "false", "request.headers['x-none'] == ''"};
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
        struct asker *asker = asker_with(conditions[i]);
        asker->maker->policy[0].dry_run = true;
        ck_assert_int_eq(asker_ask(asker, "GET"), SLC_DENY);
        ck_assert_int_eq(asker->denial.status, 401);
        ck_assert_ptr_null(asker->denial.unevaluated);
        asker_send(asker, "X-API-Key", ASKER_KEY);
        ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
        asker_free(asker);
    }
}
END_TEST

/* No header has such a name, and none is asked for. */
START_TEST(odd_names_are_looked_for_in_vain)
{
    static char condition[800];
    snprintf(condition, sizeof condition, "'a\\x00b' in request.headers || '%0*d' in request.query", 600, 0);
    struct asker *asker = asker_with(condition);
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_DENY);
    ck_assert_int_eq(asker->denial.status, 401);
    asker_free(asker);
}
END_TEST

UNIT_MAIN("condition", a_policy_takes_part_while_its_condition_is_true,
          one_that_cannot_be_evaluated_refuses_and_says_why, a_condition_sees_who_asks_once_that_is_known,
          a_dry_run_with_a_condition_changes_nothing, odd_names_are_looked_for_in_vain)
