/* REST APIs in the catalog: what follows their document, who may know of them, and that gateways never do. */
#include <stdio.h>
#include <string.h>

#include "catalog/compile.h"
#include "catalog/declare.h"
#include "catalog/discover.h"
#include "fixture.h"

#define DOCUMENT(title, more) "openapi: 3.1.0\\ninfo: {title: " title more "}\\npaths: {/a: {get: {}}}\\n"

static void make(const char *name, const char *more)
{
    char body[2000];
    snprintf(body, sizeof body, "{'name': '%s', 'team': 'shop', 'document': '" DOCUMENT("Doc", "") "'%s}", name,
             more);
    t_make("rest-apis", body);
}

static const char *field(const char *key, const char *name)
{
    static char text[4000];
    json_t *api = t_get("rest-apis", key);
    snprintf(text, sizeof text, "%s", t_text(api, name));
    json_decref(api);
    return text;
}

static void setup(void)
{
    t_setup();
    t_make("teams", "{'name': 'shop'}");
    t_make("teams", "{'name': 'bank'}");
    t_make("users", "{'name': 'ann', 'teams': ['shop'], 'roles': ['api-owner']}");
    t_make("users", "{'name': 'bob', 'teams': ['bank'], 'roles': ['api-owner']}");
}

START_TEST(title_and_description_follow_the_document_until_somebody_writes_them)
{
    make("stock", "");
    ck_assert_str_eq(field("stock", "title"), "Doc");
    ck_assert_str_eq(field("stock", "description"), "");
    json_decref(t_patch("rest-apis", "stock",
                        "{'document': '" DOCUMENT("New", ", description: Told, version: v2") "'}"));
    ck_assert_str_eq(field("stock", "title"), "New");
    ck_assert_str_eq(field("stock", "description"), "Told");
    ck_assert_str_eq(field("stock", "version"), "v2");
    json_decref(t_patch("rest-apis", "stock", "{'title': 'Own'}"));
    json_decref(t_patch("rest-apis", "stock", "{'document': '" DOCUMENT("Newer", "") "'}"));
    ck_assert_str_eq(field("stock", "title"), "Own");
    ck_assert_str_eq(field("stock", "description"), "");
    ck_assert_str_eq(field("stock", "version"), "");
    json_decref(t_patch("rest-apis", "stock", "{'title': null}"));
    ck_assert_str_eq(field("stock", "title"), "Newer");
}
END_TEST

START_TEST(a_bad_document_changes_nothing)
{
    make("stock", "");
    t_create_fails("rest-apis", "{'name': 'other', 'team': 'shop'}", SLC_INVALID, "/document");
    t_create_fails("rest-apis", "{'name': 'other', 'team': 'shop', 'document': 'a: &a [*a]'}", SLC_INVALID,
                   "/document");
    t_patch_fails("rest-apis", "stock", "{'document': 'swagger: 2'}", SLC_INVALID, "/document");
    json_decref(t_put("rest-apis", "stock", "{'name': 'stock', 'team': 'shop'}"));
    t_patch_fails("rest-apis", "stock", "{'visible_to': ['bank']}", SLC_INVALID, "/visible_to");
    ck_assert_str_eq(field("stock", "title"), "Doc");
    json_decref(t_patch("rest-apis", "stock", "{'lifecycle': 'deprecated'}"));
    ck_assert_str_ne(field("stock", "deprecated_at"), "");
    t_patch_fails("rest-apis", "stock", "{'lifecycle': 'published'}", SLC_INVALID, "/lifecycle");
}
END_TEST

/* Lists, and the trail of who changed what, stay small. */
START_TEST(what_is_bulky_is_in_no_list_and_no_trail)
{
    make("stock", "");
    json_t *page = t_list("rest-apis", NULL, 10, NULL);
    json_t *item = json_array_get(json_object_get(page, "items"), 0);
    ck_assert_ptr_null(json_object_get(item, "document"));
    ck_assert_ptr_null(json_object_get(item, "operations"));
    ck_assert_int_eq(json_integer_value(json_object_get(item, "operation_count")), 1);
    json_decref(page);
    json_t *one = t_get("rest-apis", "stock");
    ck_assert_uint_eq(json_array_size(json_object_get(one, "operations")), 1);
    ck_assert_ptr_nonnull(strstr(t_text(one, "document"), "openapi: 3.1.0"));
    json_decref(one);
    ck_assert_ptr_nonnull(strstr(
        t_sql("SELECT json_extract(changes, '$.document.to') FROM audit_events WHERE kind = 'rest-apis'"),
        "SHA-256 "));
}
END_TEST

static json_t *dumped;

static bool dump(slc_txn *txn, void *arg, slc_error *err)
{
    (void)arg;
    dumped = slc_catalog_dump(txn, NULL, err);
    return dumped != NULL;
}

START_TEST(a_dump_has_the_document_and_nothing_that_follows_from_it)
{
    make("stock", ", 'title': 'Own'");
    ck_assert(t_read(dump, NULL, &t_error));
    const json_t *api = json_array_get(json_object_get(json_object_get(dumped, "resources"), "rest-apis"), 0);
    ck_assert_ptr_nonnull(strstr(t_text(api, "document"), "openapi"));
    ck_assert_ptr_null(json_object_get(api, "operations"));
    ck_assert_ptr_null(json_object_get(api, "version"));
    ck_assert_ptr_null(json_object_get(api, "from_document"));
    json_decref(dumped);
}
END_TEST

/* ---- who may know of it ---- */

static slc_discover_viewer viewer;
static slc_discover_query query;
static char seen[2000];

static bool look(slc_txn *txn, void *arg, slc_error *err)
{
    (void)arg;
    size_t i, len;
    char *text = slc_discover_list(txn, &query, &viewer, &len, err);
    json_t *page = text != NULL ? json_loadb(text, len, 0, NULL) : NULL, *item;
    free(text);
    seen[0] = '\0';
    json_array_foreach (json_object_get(page, "items"), i, item) {
        json_t *one = slc_discover_get(txn, t_text(item, "key"), &viewer, err);
        ck_assert_msg(one != NULL, "%s", err->message);
        json_decref(one);
        strcat(strcat(seen, t_text(item, "key")), " ");
    }
    json_decref(page);
    return page != NULL;
}

static const char *sees(const char *words)
{
    viewer = slc_discover_viewer_of(t_actor.identity);
    query.words = words;
    ck_assert_msg(t_read(look, NULL, &t_error), "%s", t_error.message);
    return seen;
}

static void make_one_of_each_kind_of_visibility(void)
{
    make("draft", ", 'visibility': 'public'");
    make("open", ", 'visibility': 'public', 'lifecycle': 'published'");
    make("inside", ", 'lifecycle': 'published', 'tags': ['retail']");
    make("ours", ", 'visibility': 'teams', 'lifecycle': 'published'");
    make("shared", ", 'visibility': 'teams', 'visible_to': ['bank'], 'lifecycle': 'published'");
    t_make("event-apis",
           "{'name': 'orders', 'major': 1, 'team': 'shop', 'title': 'Doc', 'operations': ['read'], "
           "'exposures': ['sse'], 'lifecycle': 'published'}");
    t_make("products",
           "{'name': 'orders', 'team': 'shop', 'visibility': 'signed-in', 'lifecycle': 'published', "
           "'event_apis': ['orders.v1']}");
}

START_TEST(both_kinds_are_found_side_by_side_by_those_who_may_know_of_them)
{
    static const char *const words[] = {NULL, "doc"}; /* by the keys, and by the index */
    make_one_of_each_kind_of_visibility();
    for (size_t i = 0; i < 2; i++) {
        t_act_unbound();
        sees(words[i]);
        ck_assert_uint_eq(strlen(seen), strlen("draft inside open orders.v1 ours shared "));
        t_act_as("ann", "['*']");
        sees(words[i]);
        ck_assert_uint_eq(strlen(seen), strlen("draft inside open orders.v1 ours shared "));
        t_act_as("bob", "['*']");
        sees(words[i]);
        ck_assert_uint_eq(strlen(seen), strlen("inside open orders.v1 shared "));
        ck_assert_ptr_null(strstr(seen, "ours"));
        ck_assert_ptr_null(strstr(seen, "draft"));
        t_act_as("bob", "['event-apis:read']");
        ck_assert_str_eq(sees(words[i]), "orders.v1 ");
        t_act_as("bob", "['rest-apis:read']");
        sees(words[i]);
        ck_assert_uint_eq(strlen(seen), strlen("inside open shared "));
    }
    t_act_unbound();
    ck_assert_str_eq(sees(NULL), "draft inside open orders.v1 ours shared ");
}
END_TEST

START_TEST(filters_hold_for_both_kinds)
{
    static const struct {
        slc_discover_query query;
        const char *keys;
    } cases[] = {
        {{.kind = "rest-apis"}, "draft inside open ours shared "},
        {{.kind = "event-apis"}, "orders.v1 "},
        {{.protocol = "rest"}, "draft inside open ours shared "},
        {{.protocol = "sse"}, "orders.v1 "},
        {{.environment = "dev"}, ""},
        {{.kind = "rest-apis", .environment = "dev"}, ""},
        {{.tag = "retail"}, "inside "},
        {{.lifecycle = "draft"}, "draft "},
        {{.team = "bank"}, ""},
    };
    make_one_of_each_kind_of_visibility();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        query = cases[i].query;
        ck_assert_str_eq(sees(NULL), cases[i].keys);
        ck_assert_uint_eq(strlen(sees("doc")), strlen(cases[i].keys));
    }
    query = (slc_discover_query){.kind = "teams"};
    ck_assert(!t_read(look, NULL, &t_error));
    ck_assert_str_eq(t_error.field, "kind");
    query = (slc_discover_query){0};
}
END_TEST

static const char *wanted;
static json_t *found;

static bool get(slc_txn *txn, void *arg, slc_error *err)
{
    (void)arg;
    found = slc_discover_get(txn, wanted, &viewer, err);
    return found != NULL;
}

START_TEST(visitors_see_what_is_public_and_no_more_of_it_than_they_need)
{
    static const char *const hidden[] = {"orders.v1", "inside", "ours", "shared", "draft"};
    make_one_of_each_kind_of_visibility();
    viewer = slc_discover_visitor();
    ck_assert(t_read(look, NULL, &t_error));
    ck_assert_str_eq(seen, "open ");
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++) {
        wanted = hidden[i];
        ck_assert(!t_read(get, NULL, &t_error));
        ck_assert_int_eq(t_error.code, SLC_NOT_FOUND);
    }
    json_decref(t_patch("products", "orders", "{'visibility': 'public'}"));
    wanted = "orders.v1";
    ck_assert_msg(t_read(get, NULL, &t_error), "%s", t_error.message);
    static const char *const inner[] = {"id", "revision", "manager", "labels", "created_at", "updated_at"};
    for (size_t i = 0; i < sizeof inner / sizeof *inner; i++)
        ck_assert_ptr_null(json_object_get(found, inner[i]));
    ck_assert_uint_eq(json_array_size(json_object_get(found, "deployments")), 0);
    ck_assert_str_eq(t_text(found, "title"), "Doc");
    json_decref(found);
    query = (slc_discover_query){.environment = "dev"};
    ck_assert(!t_read(look, NULL, &t_error));
    ck_assert_str_eq(t_error.field, "environment");
    query = (slc_discover_query){0};
    viewer = (slc_discover_viewer){0}; /* nobody in particular */
    ck_assert(t_read(look, NULL, &t_error));
    ck_assert_str_eq(seen, "");
}
END_TEST

START_TEST(the_index_follows_every_change)
{
    make("stock", ", 'tags': ['retail']");
    ck_assert_str_eq(sees("ret"), "stock ");
    json_decref(t_patch("rest-apis", "stock", "{'document': '" DOCUMENT("Warehouse", "") "'}"));
    ck_assert_str_eq(sees("doc"), "");
    ck_assert_str_eq(sees("ware"), "stock ");
    t_delete("rest-apis", "stock");
    ck_assert_str_eq(sees("ware"), "");
    ck_assert_str_eq(
        t_sql("SELECT (SELECT count(*) FROM catalog_search) + (SELECT count(*) FROM catalog_entries)"), "0");
}
END_TEST

/* ---- gateways ---- */

static slc_compiled *before;
static bool same;

static bool compile(slc_txn *txn, void *arg, slc_error *err)
{
    json_t *ids = slc_compile_groups(txn, err);
    (void)arg;
    slc_compiled *next = slc_compile_group(txn, json_string_value(json_array_get(ids, 0)), before, NULL, err);
    json_decref(ids);
    same = next == before;
    slc_compiled_unref(before);
    before = next;
    return next != NULL;
}

/* The one from before is given out again when nothing in it changes. */
START_TEST(gateways_get_nothing_of_them)
{
    t_make_samples("rest-apis");
    t_make("teams", "{'name': 'shop'}");
    before = NULL;
    ck_assert_msg(t_read(compile, NULL, &t_error), "%s", t_error.message);
    make("inside", ", 'lifecycle': 'published'");
    ck_assert(t_read(compile, NULL, &t_error));
    ck_assert(same);
    json_decref(t_patch("rest-apis", "inside", "{'lifecycle': 'deprecated'}"));
    t_delete("rest-apis", "inside");
    ck_assert(t_read(compile, NULL, &t_error));
    ck_assert(same);
    json_decref(t_patch("event-apis", "orders.v1", "{'lifecycle': 'deprecated'}"));
    ck_assert(t_read(compile, NULL, &t_error));
    ck_assert(!same);
    slc_compiled_unref(before);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("catalog/rest_apis");
    TCase *tc = tcase_create("rest_apis");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, t_teardown);
    tcase_add_test(tc, title_and_description_follow_the_document_until_somebody_writes_them);
    tcase_add_test(tc, a_bad_document_changes_nothing);
    tcase_add_test(tc, what_is_bulky_is_in_no_list_and_no_trail);
    tcase_add_test(tc, a_dump_has_the_document_and_nothing_that_follows_from_it);
    tcase_add_test(tc, both_kinds_are_found_side_by_side_by_those_who_may_know_of_them);
    tcase_add_test(tc, filters_hold_for_both_kinds);
    tcase_add_test(tc, visitors_see_what_is_public_and_no_more_of_it_than_they_need);
    tcase_add_test(tc, the_index_follows_every_change);
    suite_add_tcase(s, tc);
    tc = tcase_create("gateways");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, t_setup, t_teardown);
    tcase_add_test(tc, gateways_get_nothing_of_them);
    suite_add_tcase(s, tc);
    return s;
}

TEST_MAIN(suite)
