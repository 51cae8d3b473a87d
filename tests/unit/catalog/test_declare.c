/* Declarative configuration and dumps. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/declare.h"
#include "common/alloc.h"
#include "common/clock.h"
#include "fixture.h"

#define DRY_RUN (1 << 0)
#define PRUNE   (1 << 1)
#define ADOPT   (1 << 2)

struct applied {
    json_t *document;
    slc_declare_options options;
    json_t *answer;
    char pointer[160]; /* of the first problem */
};

static bool apply(slc_txn *txn, void *arg, slc_error *err)
{
    struct applied *a = arg;
    a->answer = slc_catalog_apply(txn, a->document, &a->options, err);
    snprintf(a->pointer, sizeof(a->pointer), "%s", t_text(json_array_get(slc_txn_problems(txn), 0), "pointer"));
    return a->answer != NULL;
}

static bool try_apply(struct applied *a, json_t *document, unsigned flags)
{
    *a = (struct applied){.document = document,
                          .options = {.dry_run = (flags & DRY_RUN) != 0,
                                      .prune = (flags & PRUNE) != 0,
                                      .adopt = (flags & ADOPT) != 0}};
    bool ok = t_write(apply, a, &t_error);
    json_decref(document);
    return ok;
}

/* Applies and returns "action kind/key" of each change, comma separated. */
static const char *changes_of(json_t *document, unsigned flags)
{
    static char text[4096];
    struct applied a;
    size_t index, len = 0;
    json_t *change;
    bool ok = try_apply(&a, document, flags);
    ck_assert_msg(ok, "%s at %s", t_error.message, t_error.field);
    text[0] = '\0';
    json_array_foreach (json_object_get(a.answer, "changes"), index, change) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s %s/%s", len > 0 ? ", " : "",
                                t_text(change, "action"), t_text(change, "kind"), t_text(change, "key"));
        ck_assert_uint_lt(len, sizeof(text));
    }
    json_decref(a.answer);
    return text;
}

static void fails(const char *document, unsigned flags, enum slc_code code, const char *field)
{
    struct applied a;
    ck_assert(!try_apply(&a, t_json(document), flags));
    ck_assert_msg(t_error.code == code, "%s: %s", document, t_error.message);
    ck_assert_msg(strcmp(t_error.field, field) == 0, "%s: %s at %s", document, t_error.message, t_error.field);
    if (a.pointer[0] != '\0')
        ck_assert_str_eq(a.pointer, field);
}

static json_t *one_kind(const char *kind, const char *list)
{
    return json_pack("{s:s, s:{s:o}}", "manager", "gitops", "resources", kind, t_json(list));
}

START_TEST(a_document_makes_what_it_says)
{
    /* Kinds in the wrong order on purpose. */
    const char *document =
        "{'manager': 'gitops', 'resources': {'event-apis': [{'name': 'orders', 'major': 1, 'team': "
        "'a', 'operations': ['read'], 'exposures': ['rest']}], 'teams': [{'name': 'a'}]}}";
    ck_assert_str_eq(changes_of(t_json(document), 0), "create teams/a, create event-apis/orders.v1");
    ck_assert_str_eq(changes_of(t_json(document), 0), "");
    json_t *api = t_get("event-apis", "orders.v1");
    ck_assert_str_eq(t_text(api, "manager"), "gitops");
    json_decref(api);
    ck_assert_str_eq(changes_of(one_kind("teams", "[{'name': 'a', 'title': 'A'}]"), 0), "update teams/a");
    ck_assert_str_eq(t_sql("SELECT count(DISTINCT revision) FROM audit_events"), "2");
}
END_TEST

START_TEST(a_dry_run_changes_nothing)
{
    char before[32];
    snprintf(before, sizeof(before), "%s", t_sql("SELECT int_value FROM catalog_meta WHERE name = 'revision'"));
    ck_assert_str_eq(changes_of(one_kind("teams", "[{'name': 'a'}]"), DRY_RUN), "create teams/a");
    ck_assert_ptr_null(t_get("teams", "a"));
    ck_assert_str_eq(before, t_sql("SELECT int_value FROM catalog_meta WHERE name = 'revision'"));
    ck_assert_str_eq(t_sql("SELECT count(*) FROM audit_events"), "0");
}
END_TEST

START_TEST(pruning_takes_only_the_managers_own)
{
    t_make("teams", "{'name': 'by-hand'}");
    changes_of(one_kind("teams", "[{'name': 'a'}, {'name': 'b'}]"), 0);
    ck_assert_str_eq(changes_of(one_kind("teams", "[{'name': 'a'}]"), 0), "");
    ck_assert_str_eq(changes_of(one_kind("teams", "[{'name': 'a'}]"), PRUNE), "delete teams/b");
    ck_assert_str_eq(changes_of(t_json("{'manager': 'gitops', 'resources': {}}"), PRUNE), "delete teams/a");
    json_decref(t_get("teams", "by-hand"));
    ck_assert_str_eq(t_sql("SELECT group_concat(key) FROM teams"), "by-hand");
}
END_TEST

START_TEST(an_object_may_name_its_own_manager)
{
    t_make("teams", "{'name': 'by-hand'}");
    ck_assert_str_eq(
        changes_of(one_kind("teams", "[{'name': 'by-hand', 'manager': 'api', 'title': 'T'}, {'name': "
                                     "'a', 'manager': 'other'}, {'name': 'b'}]"),
                   ADOPT),
        "update teams/by-hand, create teams/a, create teams/b");
    ck_assert_str_eq(
        t_sql("SELECT group_concat(key || ' ' || manager) FROM (SELECT * FROM teams ORDER BY key)"),
        "a other,b gitops,by-hand api");
    ck_assert_str_eq(changes_of(t_json("{'manager': 'gitops', 'resources': {}}"), PRUNE), "delete teams/b");
    fails("{'manager': 'm', 'resources': {'teams': [{'name': 'c', 'manager': 'system'}]}}", 0, SLC_INVALID,
          "/resources/teams/0/manager");
    fails("{'manager': 'm', 'resources': {'teams': [{'name': 'c', 'manager': 7}]}}", 0, SLC_INVALID,
          "/resources/teams/0/manager");
}
END_TEST

START_TEST(grants_are_told_apart_by_their_whole_topic)
{
    json_t *document =
        t_json("{'manager': 'm', 'resources': {'teams': [{'name': 'a'}], 'backend-clusters': [{'name': 'b', "
               "'bootstrap_servers': ['b:1']}], 'virtual-clusters': [{'name': 'v', 'backend_cluster': 'b', "
               "'namespace': {'mode': 'none'}}]}}");
    char topic[241];
    memset(topic, 'x', 240);
    json_t *grants = json_array();
    for (int i = 0; i < 2; i++) {
        topic[239] = (char)('0' + i);
        topic[240] = '\0';
        json_array_append_new(grants, json_pack("{s:s, s:s, s:s, s:[s]}", "team", "a", "virtual_cluster", "v",
                                                "topic", topic, "operations", "read"));
    }
    json_object_set_new(json_object_get(document, "resources"), "grants", grants);
    changes_of(json_incref(document), 0);
    ck_assert_str_eq(t_sql("SELECT count(*) FROM grants"), "2");
    ck_assert_str_eq(changes_of(document, PRUNE), "");
}
END_TEST

/* Rules that look at others may refuse what was written already; what depends on each other changes together.
 */
START_TEST(what_only_fits_together_changes_together)
{
    static const char *const operations[] = {"'read'", "'publish', 'read'", "'read'", "'publish'"};
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        char *text = slc_asprintf("{'manager': 'm', 'resources': {'teams': [{'name': 'a'}], 'event-apis': "
                                  "[{'name': 'e', 'major': 1, 'team': 'a', "
                                  "'operations': [%s], 'exposures': ['rest']}], 'products': [{'name': 'p', "
                                  "'team': 'a', 'visibility': 'public', "
                                  "'event_apis': ['e.v1']}], 'plans': [{'product': 'p', 'name': 'f', "
                                  "'operations': [%s], 'approval': 'auto'}]}}",
                                  operations[i], operations[i]);
        const char *done = changes_of(t_json(text), 0);
        ck_assert_msg(i == 0 || strcmp(done, "update event-apis/e.v1, update plans/p.f") == 0, "%s", done);
        ck_assert_str_eq(changes_of(t_json(text), PRUNE), "");
        free(text);
    }
    ck_assert_str_eq(t_sql("SELECT count(DISTINCT revision) || ' ' || max(revision) FROM audit_events"), "4 5");
    fails("{'manager': 'm', 'resources': {'event-apis': [{'name': 'e', 'major': 1, 'team': 'a', 'operations': "
          "['read'], "
          "'exposures': ['rest']}], 'teams': [{'name': 'b'}]}}",
          0, SLC_CONFLICT, "/resources/event-apis/0/operations");
    ck_assert_ptr_null(t_get("teams", "b"));
    ck_assert_str_eq(t_sql("SELECT int_value FROM catalog_meta WHERE name = 'revision'"), "5");
}
END_TEST

START_TEST(pruning_minds_what_is_still_referred_to)
{
    changes_of(
        t_json("{'manager': 'gitops', 'resources': {'teams': [{'name': 'a'}, {'name': 'b'}], 'applications': "
               "[{'name': 'app', 'team': 'a'}]}}"),
        0);
    /* The application leaves team a in the same document. */
    ck_assert_str_eq(
        changes_of(t_json("{'manager': 'gitops', 'resources': {'teams': [{'name': 'b'}], 'applications': "
                          "[{'name': 'app', 'team': 'b'}]}}"),
                   PRUNE),
        "update applications/app, delete teams/a");
    t_make("applications", "{'name': 'other', 'team': 'b'}");
    fails("{'manager': 'gitops', 'resources': {}}", PRUNE, SLC_CONFLICT, "");
    ck_assert_str_eq(t_sql("SELECT count(*) FROM applications"), "2"); /* nothing of it was done */
}
END_TEST

START_TEST(what_is_new_may_take_the_place_of_what_goes)
{
    changes_of(
        t_json("{'manager': 'gitops', 'resources': {'gateway-groups': [{'name': 'g', 'environment': 'dev'}], "
               "'listeners': [{'name': 'old', 'gateway_group': 'g', 'protocol': 'http', 'address': ':1'}]}}"),
        0);
    ck_assert_str_eq(
        changes_of(
            t_json(
                "{'manager': 'gitops', 'resources': {'gateway-groups': [{'name': 'g', 'environment': 'dev'}], "
                "'listeners': [{'name': 'new', 'gateway_group': 'g', 'protocol': 'http', 'address': ':1'}]}}"),
            PRUNE),
        "delete listeners/old, create listeners/new");
}
END_TEST

START_TEST(another_managers_objects_are_respected)
{
    t_make("teams", "{'name': 'a', 'title': 'A'}");
    fails("{'manager': 'gitops', 'resources': {'teams': [{'name': 'b'}, {'name': 'a'}]}}", 0, SLC_CONFLICT,
          "/resources/teams/1");
    ck_assert_ptr_null(t_get("teams", "b"));
    ck_assert_str_eq(changes_of(one_kind("teams", "[{'name': 'a', 'title': 'A'}]"), ADOPT), "adopt teams/a");
    ck_assert_str_eq(changes_of(one_kind("teams", "[{'name': 'a', 'title': 'A'}]"), 0), "");
    fails("{'manager': 'gitops', 'resources': {'roles': [{'name': 'viewer', 'permissions': []}]}}", ADOPT,
          SLC_CONFLICT, "/resources/roles/0");
}
END_TEST

START_TEST(naming_another_manager_is_no_way_around_adopting)
{
    static const char dump[] =
        "[{'name': 'a', 'title': 'A', 'manager': 'other'}, {'name': 'mine', 'title': 'M'}]";
    ck_assert_str_eq(changes_of(one_kind("teams", dump), 0), "create teams/a, create teams/mine");
    ck_assert_str_eq(changes_of(one_kind("teams", dump), 0), ""); /* as a dump that is applied again */
    fails("{'manager': 'gitops', 'resources': {'teams': [{'name': 'a', 'title': 'B', 'manager': 'other'}]}}", 0,
          SLC_CONFLICT, "/resources/teams/0");
    fails("{'manager': 'gitops', 'resources': {'teams': [{'name': 'a', 'title': 'A', 'manager': 'third'}]}}", 0,
          SLC_CONFLICT, "/resources/teams/0");
    fails("{'manager': 'gitops', 'resources': {'teams': [{'name': 'mine', 'title': 'M', 'manager': 'other'}]}}",
          0, SLC_CONFLICT, "/resources/teams/0");
    ck_assert_str_eq(
        t_sql("SELECT group_concat(title || ' ' || manager) FROM (SELECT * FROM teams ORDER BY key)"),
        "A other,M gitops");
    ck_assert_str_eq(changes_of(one_kind("teams", "[{'name': 'a', 'title': 'B', 'manager': 'other'}, {'name': "
                                                  "'mine', 'title': 'M', 'manager': 'other'}]"),
                                ADOPT),
                     "update teams/a, adopt teams/mine");
}
END_TEST

START_TEST(a_document_is_checked)
{
    const struct {
        const char *document, *field;
    } cases[] = {
        {"[]", ""},
        {"{}", "/manager"},
        {"{'manager': 'system', 'resources': {}}", "/manager"},
        {"{'manager': 'A b', 'resources': {}}", "/manager"},
        {"{'manager': 'm'}", "/resources"},
        {"{'manager': 'm', 'resources': {}, 'x~/y': 1}", "/x~0~1y"},
        {"{'manager': 'm', 'resources': {}, 'base_revision': '1'}", "/base_revision"},
        {"{'manager': 'm', 'resources': {'rockets': []}}", "/resources/rockets"},
        {"{'manager': 'm', 'resources': {'api-tokens': []}}", "/resources/api-tokens"},
        {"{'manager': 'm', 'resources': {'teams': {}}}", "/resources/teams"},
        {"{'manager': 'm', 'resources': {'teams': [7]}}", "/resources/teams/0"},
        {"{'manager': 'm', 'resources': {'teams': [{'name': 'a'}, {'name': 'B'}]}}", "/resources/teams/1/name"},
        {"{'manager': 'm', 'resources': {'teams': [{'name': 'a'}, {'name': 'a'}]}}", "/resources/teams/1"},
        {"{'manager': 'm', 'resources': {'teams': [{}]}}", "/resources/teams/0/name"},
        {"{'manager': 'm', 'resources': {'grants': [{'team': 'x'}]}}", "/resources/grants/0/team"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        fails(cases[i].document, 0, SLC_INVALID, cases[i].field);
    ck_assert_str_eq(t_sql("SELECT count(*) FROM teams"), "0");
}
END_TEST

START_TEST(a_base_revision_must_be_current)
{
    fails("{'manager': 'm', 'base_revision': 99, 'resources': {}}", 0, SLC_STALE, "/base_revision");
    ck_assert_str_eq(
        changes_of(t_json("{'manager': 'm', 'base_revision': 1, 'resources': {'teams': [{'name': 'a'}]}}"), 0),
        "create teams/a");
    fails("{'manager': 'm', 'base_revision': 1, 'resources': {}}", 0, SLC_STALE, "/base_revision");
}
END_TEST

/* ---- dumps ---- */

static bool dump(slc_txn *txn, void *arg, slc_error *err)
{
    return (*(json_t **)arg = slc_catalog_dump(txn, NULL, err)) != NULL;
}

START_TEST(a_dump_applied_again_changes_nothing)
{
    json_t *dumped;
    t_make_samples(NULL);
    ck_assert(t_read(dump, &dumped, &t_error));
    char *text = json_dumps(dumped, 0);
    ck_assert_ptr_null(strstr(text, "\"set\""));
    ck_assert_ptr_null(strstr(text, "sealed"));
    ck_assert_ptr_nonnull(strstr(text, "VAULT_TOKEN")); /* references stay */
    free(text);
    json_t *resources = json_object_get(dumped, "resources");
    ck_assert_uint_eq(json_array_size(json_object_get(resources, "roles")), 1); /* not the built-in ones */
    ck_assert_ptr_null(json_object_get(resources, "api-tokens"));
    ck_assert_uint_eq(json_array_size(json_object_get(resources, "grants")), 1);
    ck_assert_str_eq(changes_of(dumped, PRUNE), "");
}
END_TEST

START_TEST(a_dump_fills_an_empty_catalog)
{
    json_t *dumped, *again;
    t_make_samples(NULL);
    ck_assert(t_read(dump, &dumped, &t_error));
    t_teardown();
    t_setup();
    /* Secrets are not in a dump: they are given anew. */
    json_t *resources = json_object_get(dumped, "resources");
    json_t *tls = json_object_get(json_array_get(json_object_get(resources, "listeners"), 0), "tls");
    json_object_set_new(tls, "key_pem", json_pack("{s:s}", "file", "/key.pem"));
    json_t *backend = json_array_get(json_object_get(resources, "backend-clusters"), 0);
    json_object_set_new(json_object_get(backend, "authentication"), "password", json_string("x"));
    json_object_set_new(json_object_get(backend, "tls"), "client_key_pem",
                        json_pack("{s:s}", "file", "/key.pem"));
    json_t *registry = json_array_get(json_object_get(resources, "schema-registries"), 0);
    json_object_set_new(json_object_get(registry, "authentication"), "token", json_pack("{s:s}", "env", "T"));
    changes_of(json_incref(dumped), 0);
    ck_assert(t_read(dump, &again, &t_error));
    ck_assert_str_eq(changes_of(json_incref(dumped), PRUNE), "");
    ck_assert_uint_eq(json_object_size(json_object_get(again, "resources")), json_object_size(resources));
    json_decref(again);
    json_decref(dumped);
}
END_TEST

START_TEST(five_thousand_entities_fit_in_one_document)
{
    json_t *teams = json_array(), *applications = json_array();
    for (int i = 0; i < 2500; i++) {
        json_array_append_new(teams, json_pack("{s:o}", "name", json_sprintf("team-%d", i)));
        json_array_append_new(applications, json_pack("{s:o, s:o}", "name", json_sprintf("app-%d", i), "team",
                                                      json_sprintf("team-%d", i)));
    }
    json_t *document = json_pack("{s:s, s:{s:o, s:o}}", "manager", "gitops", "resources", "teams", teams,
                                 "applications", applications);
    struct applied a;
    int64_t start_ms = slc_monotonic_ms();
    ck_assert_msg(try_apply(&a, json_incref(document), 0), "%s", t_error.message);
    ck_assert_uint_eq(json_array_size(json_object_get(a.answer, "changes")), 5000);
    json_decref(a.answer);
    ck_assert(try_apply(&a, document, PRUNE));
    ck_assert_uint_eq(json_array_size(json_object_get(a.answer, "changes")), 0);
    json_decref(a.answer);
    printf("two applies of 5,000 entities: %lld ms\n", (long long)(slc_monotonic_ms() - start_ms));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("catalog/declare");
    TCase *tc = tcase_create("declare");
    tcase_add_checked_fixture(tc, t_setup, t_teardown);
    tcase_set_timeout(tc, 90);
    tcase_add_test(tc, a_document_makes_what_it_says);
    tcase_add_test(tc, a_dry_run_changes_nothing);
    tcase_add_test(tc, pruning_takes_only_the_managers_own);
    tcase_add_test(tc, an_object_may_name_its_own_manager);
    tcase_add_test(tc, grants_are_told_apart_by_their_whole_topic);
    tcase_add_test(tc, what_only_fits_together_changes_together);
    tcase_add_test(tc, pruning_minds_what_is_still_referred_to);
    tcase_add_test(tc, what_is_new_may_take_the_place_of_what_goes);
    tcase_add_test(tc, another_managers_objects_are_respected);
    tcase_add_test(tc, naming_another_manager_is_no_way_around_adopting);
    tcase_add_test(tc, a_document_is_checked);
    tcase_add_test(tc, a_base_revision_must_be_current);
    tcase_add_test(tc, a_dump_applied_again_changes_nothing);
    tcase_add_test(tc, a_dump_fills_an_empty_catalog);
    tcase_add_test(tc, five_thousand_entities_fit_in_one_document);
    suite_add_tcase(s, tc);
    return s;
}

TEST_MAIN(suite)
