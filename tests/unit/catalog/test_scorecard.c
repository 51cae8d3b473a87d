/* Scorecards: what rules say of event APIs, what that comes to, and what may be published. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/declare.h"
#include "catalog/kind.h"
#include "catalog/scorecard.h"
#include "common/file.h"
#include "fixture.h"

static json_t *answer;
static const char *wanted;
static slc_scorecard_query query;

static bool get(slc_txn *txn, void *arg, slc_error *err)
{
    (void)arg;
    answer = slc_scorecard_get(txn, slc_kind_find("event-apis"), wanted, t_actor.identity, err);
    return answer != NULL;
}

static bool list(slc_txn *txn, void *arg, slc_error *err)
{
    (void)arg;
    answer = slc_scorecard_list(txn, &query, t_actor.identity, err);
    return answer != NULL;
}

static bool preview(slc_txn *txn, void *arg, slc_error *err)
{
    answer = slc_scorecard_preview(txn, arg, &query, t_actor.identity, err);
    return answer != NULL;
}

static bool apply(slc_txn *txn, void *arg, slc_error *err)
{
    const slc_declare_options options = {.dry_run = false};
    answer = slc_catalog_apply(txn, arg, &options, err);
    return answer != NULL;
}

/* The answer in static memory, with ' for ". */
static const char *told(void)
{
    static char text[4000];
    char *dumped = json_dumps(answer, JSON_COMPACT);
    snprintf(text, sizeof text, "%s", dumped);
    for (char *p = text; *p != '\0'; p++)
        *p = *p == '"' ? '\'' : *p;
    free(dumped);
    json_decref(answer);
    return text;
}

static const char *card_of(const char *key)
{
    wanted = key;
    ck_assert_msg(t_read(get, NULL, &t_error), "%s", t_error.message);
    return told();
}

static void make_api(const char *name, const char *more)
{
    char body[2000];
    snprintf(body, sizeof body,
             "{'name': '%s', 'major': 1, 'team': 'shop', 'operations': ['read'], 'exposures': ['rest']%s}",
             name, more);
    t_make("event-apis", body);
}

static bool create_rule(slc_txn *txn, void *arg, slc_error *err)
{
    answer = slc_entity_create(txn, slc_kind_find("scorecard-rules"), arg, err);
    return answer != NULL;
}

/* The condition is taken as it is: it has quotes of its own. */
static void make_rule(const char *name, const char *condition, const char *more)
{
    char hint[100];
    snprintf(hint, sizeof hint, "Do %s.", name);
    json_t *rule = t_json(more);
    json_object_update_new(rule,
                           json_pack("{s:s, s:s, s:s}", "name", name, "condition", condition, "hint", hint));
    ck_assert_msg(t_write(create_rule, rule, &t_error), "%s: %s", condition, t_error.message);
    json_decref(answer);
    json_decref(rule);
}

/* Score and level of orders.v1 with these rules: "80 silver". */
static const char *score(void)
{
    static char text[64];
    wanted = "orders.v1";
    ck_assert_msg(t_read(get, NULL, &t_error), "%s", t_error.message);
    const json_t *points = json_object_get(answer, "score");
    snprintf(text, sizeof text, "%s%lld %s", json_is_null(points) ? "no " : "",
             (long long)json_integer_value(points), t_text(answer, "level"));
    json_decref(answer);
    return text;
}

static bool has(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

static void setup(void)
{
    t_setup();
    query = (slc_scorecard_query){0};
    t_make("teams", "{'name': 'shop', 'title': 'The shop'}");
    t_make("teams", "{'name': 'bank'}");
    t_make("users", "{'name': 'ann', 'teams': ['shop'], 'roles': ['viewer']}");
    t_make("users", "{'name': 'bob', 'teams': ['bank'], 'roles': ['viewer']}");
}

START_TEST(without_rules_there_is_no_score)
{
    make_api("orders", ", 'lifecycle': 'published'");
    ck_assert_str_eq(score(), "no 0 ");
    ck_assert(has(card_of("orders.v1"), "'blocked_by':null"));
}
END_TEST

START_TEST(points_and_levels_follow_from_rules)
{
    make_api("orders", ", 'description': 'Long enough.', 'tags': ['retail']");
    make_rule("docs", "size(api.description) > 5", "{'points': 3}");
    ck_assert_str_eq(score(), "100 bronze");
    make_rule("tags", "size(api.tags) > 0", "{'level': 'gold', 'points': 1}");
    ck_assert_str_eq(score(), "100 gold");
    make_rule("schema", "api.schema != 'none'", "{'level': 'silver', 'points': 4}");
    ck_assert_str_eq(score(), "50 bronze");
    json_decref(t_patch("scorecard-rules", "schema", "{'level': 'bronze', 'points': 0}"));
    ck_assert_str_eq(score(), "100 ");
    json_decref(t_patch("scorecard-rules", "schema", "{'enabled': false}"));
    ck_assert_str_eq(score(), "100 gold");
    /* Nothing is asked for bronze: it is not reached by that. */
    json_decref(t_patch("scorecard-rules", "docs", "{'level': 'gold', 'condition': 'false'}"));
    ck_assert_str_eq(score(), "25 ");
}
END_TEST

START_TEST(rules_speak_of_everything_that_an_owner_writes)
{
    static const char *const true_ones[] = {
        "api.kind == 'event-api' && api.name == 'orders' && api.version == 1",
        "api.title == 'Orders' && api.description == '' && api.changelog.startsWith('##')",
        "api.lifecycle == 'published' && 'retail' in api.tags",
        "api.labels['cost'] == '7' && !('other' in api.labels)",
        "'read' in api.operations && !('kafka' in api.exposures)",
        "api.key == 'none' && api.schema == 'json_schema'",
        "size(api.examples) == 2 && api.examples[1] == '{}'",
        "api.max_event_bytes == 1048576 && !has(api.deprecated_at)",
        "api.sunset_at > now && api.sunset_at - now > duration('24h')",
        "api.environments == ['dev'] && api.products == ['orders'] && api.plans == ['orders.free']",
        "api.policies == ['cors']",
        "team.name == 'shop' && team.title == 'The shop' && team.owners == 1",
    };
    make_api("orders",
             ", 'title': 'Orders', 'lifecycle': 'published', 'tags': ['retail'], 'labels': {'cost': '7'}, "
             "'changelog': '## 1', 'sunset_at': '2099-01-01T00:00:00Z', 'examples': [{'value': '1'}, "
             "{'value': '{}'}], 'schema': {'format': 'json_schema', 'definition': '{}'}");
    t_make("gateway-groups", "{'name': 'dev', 'environment': 'dev'}");
    t_make("backend-clusters", "{'name': 'local', 'bootstrap_servers': ['127.0.0.1:1']}");
    t_make("virtual-clusters", "{'name': 'local', 'backend_cluster': 'local', 'namespace': {'mode': 'none'}}");
    t_make("listeners",
           "{'name': 'http', 'gateway_group': 'dev', 'protocol': 'http', 'address': '127.0.0.1:8000'}");
    t_make("deployments",
           "{'event_api': 'orders.v1', 'gateway_group': 'dev', 'virtual_cluster': 'local', 'topic': "
           "'orders', 'listener': 'http'}");
    t_make("products", "{'name': 'orders', 'team': 'shop', 'event_apis': ['orders.v1']}");
    t_make("products",
           "{'name': 'former', 'team': 'shop', 'event_apis': ['orders.v1'], 'lifecycle': 'retired'}");
    t_make("plans", "{'product': 'orders', 'name': 'free', 'operations': ['read']}");
    t_make("policies", "{'name': 'pages', 'type': 'cors', 'scope': {'kind': 'event-api', 'ref': 'orders.v1'}, "
                       "'config': {'origins': ['https://shop.example']}}");
    json_decref(t_patch("users", "ann", "{'owned_teams': ['shop']}"));
    for (size_t i = 0; i < sizeof true_ones / sizeof *true_ones; i++) {
        char name[32];
        snprintf(name, sizeof name, "rule%zu", i);
        make_rule(name, true_ones[i], "{}");
    }
    const char *text = card_of("orders.v1");
    ck_assert_msg(has(text, "'score':100,"), "%s", text);
}
END_TEST

START_TEST(a_condition_must_be_one)
{
    t_create_fails("scorecard-rules", "{'name': 'a', 'hint': 'x', 'condition': 'api.nothing'}", SLC_INVALID,
                   "/condition");
    t_create_fails("scorecard-rules", "{'name': 'a', 'hint': 'x', 'condition': 'size(api.tags)'}", SLC_INVALID,
                   "/condition");
    t_create_fails("scorecard-rules", "{'name': 'a', 'hint': 'x', 'condition': 'api.tags.all(t, true)'}",
                   SLC_INVALID, "/condition");
    t_create_fails("scorecard-rules", "{'name': 'a', 'condition': 'true'}", SLC_INVALID, "/hint");
    t_create_fails("scorecard-rules", "{'name': 'a', 'hint': 'x', 'condition': 'true', 'level': 'lead'}",
                   SLC_INVALID, "/level");
    make_rule("a", "true", "{}");
    t_patch_fails("scorecard-rules", "a", "{'condition': '1'}", SLC_INVALID, "/condition");
}
END_TEST

START_TEST(what_cannot_be_evaluated_is_not_met)
{
    make_api("orders", "");
    make_rule("sunset", "api.sunset_at > now", "{'blocking': true}");
    const char *text = card_of("orders.v1");
    ck_assert_msg(has(text, "'met':false") && has(text, "cannot be evaluated"), "%s", text);
    t_patch_fails("event-apis", "orders.v1", "{'lifecycle': 'published'}", SLC_CONFLICT, "/lifecycle");
}
END_TEST

START_TEST(there_are_no_more_rules_than_fit)
{
    char name[32];
    for (int i = 0; i < SLC_SCORECARD_RULES_MAX; i++) {
        snprintf(name, sizeof name, "r%d", i);
        make_rule(name, "true", "{}");
    }
    t_create_fails("scorecard-rules", "{'name': 'one-more', 'hint': 'x', 'condition': 'true'}", SLC_CONFLICT,
                   NULL);
    json_decref(t_patch("scorecard-rules", "r1", "{'points': 2}"));
    t_delete("scorecard-rules", "r1");
    make_rule("one-more", "true", "{}");
}
END_TEST

START_TEST(rules_are_about_what_they_say)
{
    make_api("orders", ", 'tags': ['retail', 'eu']");
    make_rule("all", "false", "{'kinds': ['event-apis']}");
    make_rule("tagged", "false", "{'tags': ['us', 'eu']}");
    make_rule("elsewhere", "false", "{'tags': ['us']}");
    make_rule("theirs", "false", "{'teams': ['shop']}");
    make_rule("of-others", "false", "{'teams': ['bank']}");
    make_rule("drafts", "false", "{'lifecycles': ['draft']}");
    make_rule("public", "false", "{'lifecycles': ['published'], 'blocking': true}");
    make_rule("deployed", "false", "{'environments': ['prod']}");
    ck_assert(t_read(list, NULL, &t_error));
    const char *text = told();
    ck_assert_msg(has(text, "'failed':['all','drafts','tagged','theirs']"), "%s", text);
    /* What is about to be published counts as published. */
    ck_assert_msg(has(text, "'blocked_by':['public']") && has(text, "'rules':8,"), "%s", text);
}
END_TEST

START_TEST(a_blocking_rule_refuses_to_publish_until_it_is_met)
{
    make_rule("docs", "size(api.description) >= 10", "{'blocking': true}");
    make_rule("tags", "size(api.tags) > 0", "{'blocking': true}");
    make_rule("wish", "api.title != ''", "{}");
    make_api("orders", "");
    t_patch_fails("event-apis", "orders.v1", "{'lifecycle': 'published'}", SLC_CONFLICT, "/lifecycle");
    ck_assert_str_eq(t_error.message, "2 scorecard rules must be met before it is published: docs, tags");
    t_patch_fails("event-apis", "orders.v1", "{'lifecycle': 'deprecated'}", SLC_CONFLICT, "/lifecycle");
    t_create_fails(
        "event-apis",
        "{'name': 'other', 'major': 1, 'team': 'shop', 'operations': ['read'], 'exposures': ['rest'], "
        "'lifecycle': 'published', 'tags': ['a']}",
        SLC_CONFLICT, "/lifecycle");
    ck_assert_str_eq(t_error.message, "1 scorecard rule must be met before it is published: docs");
    json_decref(t_patch("event-apis", "orders.v1", "{'tags': ['retail']}"));
    json_decref(t_patch("event-apis", "orders.v1",
                        "{'lifecycle': 'published', 'description': 'Long enough.'}")); /* in one change */
    ck_assert_str_eq(t_sql("SELECT lifecycle FROM event_apis"), "published");
    /* What is published may change, whatever rules say. */
    json_decref(t_patch("event-apis", "orders.v1", "{'description': null}"));
    json_decref(t_patch("event-apis", "orders.v1", "{'lifecycle': 'deprecated'}"));
}
END_TEST

START_TEST(retiring_and_drafts_are_not_blocked)
{
    make_rule("never", "false", "{'blocking': true}");
    make_api("orders", "");
    json_decref(t_patch("event-apis", "orders.v1", "{'title': 'Orders'}"));
    json_decref(t_patch("event-apis", "orders.v1", "{'lifecycle': 'retired'}"));
}
END_TEST

START_TEST(a_disabled_or_foreign_rule_blocks_nothing)
{
    make_rule("never", "false", "{'blocking': true, 'enabled': false}");
    make_rule("bank", "false", "{'blocking': true, 'teams': ['bank']}");
    make_rule("drafts", "false", "{'blocking': true, 'lifecycles': ['draft']}");
    make_api("orders", ", 'lifecycle': 'published'");
}
END_TEST

/* A plan is there only after the event API that it is about. */
#define DOCUMENT(plans)                                                                                        \
    "{'manager': 'ci', 'resources': {'event-apis': [{'name': 'orders', 'major': 1, 'team': 'shop', "           \
    "'operations': ['read'], 'exposures': ['rest'], 'lifecycle': 'published'}], 'products': [{'name': "        \
    "'orders', 'team': 'shop', 'event_apis': ['orders.v1']}]" plans "}}"

static bool problems(slc_txn *txn, void *arg, slc_error *err)
{
    bool ok = apply(txn, arg, err);
    if (!ok)
        answer = json_deep_copy(slc_txn_problems(txn));
    return ok;
}

START_TEST(a_document_is_looked_at_as_a_whole)
{
    make_rule("plan", "size(api.plans) > 0", "{'blocking': true}");
    json_t *document = t_json(DOCUMENT(""));
    ck_assert(!t_write(problems, document, &t_error));
    ck_assert_int_eq(t_error.code, SLC_CONFLICT);
    const char *text = told();
    ck_assert_msg(has(text, "'pointer':'/resources/event-apis/0/lifecycle'") && has(text, "'rule':'plan'") &&
                      has(text, "Do plan."),
                  "%s", text);
    json_decref(document);
    document = t_json(DOCUMENT(", 'plans': [{'product': 'orders', 'name': 'free', 'operations': ['read']}]"));
    ck_assert_msg(t_write(apply, document, &t_error), "%s", t_error.message);
    json_decref(answer);
    json_decref(document);
}
END_TEST

START_TEST(lists_come_a_page_at_a_time_and_filtered)
{
    make_rule("docs", "api.description != ''", "{}");
    for (int i = 0; i < 5; i++) {
        char name[16];
        snprintf(name, sizeof name, "api%d", i);
        make_api(name, i % 2 == 0 ? ", 'lifecycle': 'published'" : "");
    }
    char cursor[200] = "";
    query.limit = 2;
    for (int page = 0; page < 3; page++) {
        ck_assert_msg(t_read(list, NULL, &t_error), "%s", t_error.message);
        ck_assert_uint_eq(json_array_size(json_object_get(answer, "items")), page < 2 ? 2 : 1);
        snprintf(cursor, sizeof cursor, "%s", t_text(answer, "next"));
        ck_assert_int_eq(cursor[0] == '\0', page == 2);
        query.cursor = cursor;
        json_decref(answer);
    }
    query = (slc_scorecard_query){.lifecycle = "published"};
    ck_assert(t_read(list, NULL, &t_error));
    ck_assert_uint_eq(json_array_size(json_object_get(answer, "items")), 3);
    json_decref(answer);
    query = (slc_scorecard_query){.team = "bank"};
    ck_assert(t_read(list, NULL, &t_error));
    ck_assert_uint_eq(json_array_size(json_object_get(answer, "items")), 0);
    json_decref(answer);
    query = (slc_scorecard_query){.lifecycle = "gone"};
    ck_assert(!t_read(list, NULL, &t_error));
    ck_assert_str_eq(t_error.field, "lifecycle");
    query = (slc_scorecard_query){.cursor = "nonsense"};
    ck_assert(!t_read(list, NULL, &t_error));
    ck_assert_str_eq(t_error.field, "cursor");
}
END_TEST

START_TEST(what_is_not_visible_has_no_card)
{
    make_api("orders", "");
    make_rule("docs", "api.description != ''", "{}");
    t_act_as("bob", "['*']");
    wanted = "orders.v1";
    ck_assert(!t_read(get, NULL, &t_error));
    ck_assert_int_eq(t_error.code, SLC_NOT_FOUND);
    ck_assert(t_read(list, NULL, &t_error));
    ck_assert(has(told(), "'items':[]"));
    t_act_unbound();
    t_act_as("ann", "['*']");
    ck_assert(t_read(get, NULL, &t_error));
    json_decref(answer);
    t_act_unbound();
    wanted = "nothing.v1";
    ck_assert(!t_read(get, NULL, &t_error));
    ck_assert_int_eq(t_error.code, SLC_NOT_FOUND);
}
END_TEST

START_TEST(a_rule_is_tried_before_it_is_made)
{
    make_api("bad", "");
    make_api("good", ", 'lifecycle': 'published', 'description': 'x'");
    make_api("worse", ", 'lifecycle': 'published', 'title': 'Worse'");
    json_t *rule =
        t_json("{'name': 'docs', 'condition': 'size(api.description) > 0', 'hint': 'x', 'blocking': true}");
    ck_assert_msg(t_read(preview, rule, &t_error), "%s", t_error.message);
    const char *text = told();
    ck_assert_msg(has(text, "'checked':3,'applies':3") && has(text, "'key':'bad.v1'") &&
                      has(text, "'blocked':true") && has(text, "'key':'worse.v1'") && !has(text, "good.v1"),
                  "%s", text);
    query.limit = 1;
    ck_assert(t_read(preview, rule, &t_error));
    text = told();
    ck_assert_msg(has(text, "'checked':1,") && !has(text, "'next':null"), "%s", text);
    json_decref(rule);
    rule = t_json("{'name': 'docs', 'condition': 'no', 'hint': 'x'}");
    ck_assert(!t_read(preview, rule, &t_error));
    ck_assert_str_eq(t_error.field, "/condition");
    json_decref(rule);
    ck_assert_str_eq(t_sql("SELECT count(*) FROM scorecard_rules"), "0");
}
END_TEST

START_TEST(the_documentation_lists_what_conditions_may_speak_of)
{
    slc_error err;
    char *text = slc_file_read(SLC_SOURCE_DIR "/docs/scorecards.md", 1 << 20, NULL, &err);
    ck_assert_msg(text != NULL, "%s", err.message);
    for (const slc_cel_variable *variable = slc_scorecard_attributes; variable->name != NULL; variable++) {
        char row[400];
        snprintf(row, sizeof row, "| `%s` | %s | %s |\n", variable->name, slc_cel_kind_name(variable->kind),
                 variable->help);
        ck_assert_msg(strstr(text, row) != NULL, "docs/scorecards.md lacks: %s", row);
    }
    free(text);
}
END_TEST

static bool get_rest(slc_txn *txn, void *arg, slc_error *err)
{
    (void)arg;
    answer = slc_scorecard_get(txn, slc_kind_find("rest-apis"), wanted, t_actor.identity, err);
    return answer != NULL;
}

START_TEST(rest_apis_are_held_to_the_same_rules)
{
    make_api("orders", "");
    make_rule("docs", "size(api.description) > 5 && 'get /a' in api.operations",
              "{'blocking': true, 'kinds': ['rest-apis']}");
    make_rule("both", "api.kind == 'rest-api' && api.version == 2 && api.schema == 'openapi'", "{}");
    t_make("rest-apis",
           "{'name': 'stock', 'team': 'shop', 'document': 'openapi: 3.1.0\\ninfo: {title: a, version: "
           "v2.1}\\npaths: {/a: {get: {}}}\\n'}");
    wanted = "stock";
    ck_assert_msg(t_read(get_rest, NULL, &t_error), "%s", t_error.message);
    const char *card = told();
    ck_assert_msg(has(card, "'kind':'rest-apis','key':'stock'") && has(card, "'score':50"), "%s", card);
    t_patch_fails("rest-apis", "stock", "{'lifecycle': 'published'}", SLC_CONFLICT, "/lifecycle");
    json_decref(t_patch("rest-apis", "stock", "{'lifecycle': 'published', 'description': 'Long enough.'}"));
    query = (slc_scorecard_query){0};
    ck_assert_msg(t_read(list, NULL, &t_error), "%s", t_error.message);
    const char *lines = told();
    ck_assert_msg(has(lines, "'key':'orders.v1'") && has(lines, "'key':'stock'"), "%s", lines);
    ck_assert_msg(has(lines, "'failed':['both']") && has(lines, "'score':100"), "%s", lines);
    t_act_as("bob", "['event-apis:read']");
    ck_assert(t_read(list, NULL, &t_error));
    ck_assert(has(told(), "'items':[]"));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("catalog/scorecard");
    TCase *tc = tcase_create("cards");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, t_teardown);
    tcase_add_test(tc, without_rules_there_is_no_score);
    tcase_add_test(tc, points_and_levels_follow_from_rules);
    tcase_add_test(tc, rules_speak_of_everything_that_an_owner_writes);
    tcase_add_test(tc, a_condition_must_be_one);
    tcase_add_test(tc, what_cannot_be_evaluated_is_not_met);
    tcase_add_test(tc, there_are_no_more_rules_than_fit);
    tcase_add_test(tc, rules_are_about_what_they_say);
    tcase_add_test(tc, a_blocking_rule_refuses_to_publish_until_it_is_met);
    tcase_add_test(tc, retiring_and_drafts_are_not_blocked);
    tcase_add_test(tc, a_disabled_or_foreign_rule_blocks_nothing);
    tcase_add_test(tc, a_document_is_looked_at_as_a_whole);
    tcase_add_test(tc, lists_come_a_page_at_a_time_and_filtered);
    tcase_add_test(tc, what_is_not_visible_has_no_card);
    tcase_add_test(tc, a_rule_is_tried_before_it_is_made);
    tcase_add_test(tc, the_documentation_lists_what_conditions_may_speak_of);
    tcase_add_test(tc, rest_apis_are_held_to_the_same_rules);
    suite_add_tcase(s, tc);
    return s;
}

TEST_MAIN(suite)
