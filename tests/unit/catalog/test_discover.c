/* The catalog as people look through it: words, filters, pages, and who may know of what. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/discover.h"
#include "fixture.h"

static slc_discover_query query;
static json_t *answer;
static const char *wanted;

static bool list(slc_txn *txn, void *arg, slc_error *err)
{
    (void)arg;
    const slc_discover_viewer viewer = slc_discover_viewer_of(t_actor.identity);
    size_t len;
    char *text = slc_discover_list(txn, &query, &viewer, &len, err);
    answer = text != NULL ? json_loadb(text, len, 0, NULL) : NULL;
    ck_assert(answer != NULL || text == NULL);
    free(text);
    return answer != NULL;
}

static bool get(slc_txn *txn, void *arg, slc_error *err)
{
    (void)arg;
    const slc_discover_viewer viewer = slc_discover_viewer_of(t_actor.identity);
    answer = slc_discover_get(txn, wanted, &viewer, err);
    return answer != NULL;
}

/* The keys of a page with a space behind each, in static memory. */
static const char *keys_of(const json_t *page)
{
    static char text[4000];
    size_t index;
    json_t *item;
    text[0] = '\0';
    json_array_foreach (json_object_get(page, "items"), index, item) {
        strncat(text, t_text(item, "key"), 200);
        strcat(text, " ");
    }
    return text;
}

static const char *found(void)
{
    ck_assert_msg(t_read(list, NULL, &t_error), "%s", t_error.message);
    const char *keys = keys_of(answer);
    json_decref(answer);
    return keys;
}

static const char *find(const char *words)
{
    query = (slc_discover_query){.words = words};
    return found();
}

static void make_api(const char *name, const char *more)
{
    char body[2000];
    snprintf(body, sizeof body,
             "{'name': '%s', 'major': 1, 'team': 'shop', 'operations': ['read'], 'exposures': ['rest'], "
             "'lifecycle': 'published'%s}",
             name, more);
    t_make("event-apis", body);
}

static void make_product(const char *name, const char *api, const char *more)
{
    char body[2000];
    snprintf(body, sizeof body,
             "{'name': '%s', 'team': 'shop', 'event_apis': ['%s'], 'lifecycle': 'published'%s}", name, api,
             more);
    t_make("products", body);
}

static void setup(void)
{
    t_setup();
    query = (slc_discover_query){0};
    t_make("teams", "{'name': 'shop', 'title': 'The shop'}");
    t_make("teams", "{'name': 'bank'}");
    t_make("users", "{'name': 'ann', 'teams': ['shop'], 'roles': ['viewer']}");
    t_make("users", "{'name': 'bob', 'teams': ['bank'], 'roles': ['viewer']}");
}

START_TEST(words_are_found_by_their_beginnings_wherever_they_are)
{
    make_api("orders", ", 'title': 'Bestellungen für alle', 'tags': ['retail']");
    make_api("parcels", ", 'description': 'Where *orders* are on their way'");
    ck_assert_str_eq(find("order"), "orders.v1 parcels.v1 "); /* the name counts for more */
    ck_assert_str_eq(find("FUR best"), "orders.v1 ");
    ck_assert_str_eq(find("reta"), "orders.v1 ");
    ck_assert_str_eq(find("orders way"), "parcels.v1 ");
    ck_assert_str_eq(find("rders"), "");
    ck_assert_str_eq(find("  "), "orders.v1 parcels.v1 ");
}
END_TEST

START_TEST(what_somebody_types_is_never_an_operator)
{
    static const char *const typed[] = {
        "\"",   "\"\"",      "orders\"", "a OR b",   "NOT orders", "name:orders", "(", "^a",
        "a*b*", "NEAR(a b)", "' --",     "{name}:x", "\\",         "-",           "+", "\xf0\x9f\x90\x9f"};
    make_api("orders", "");
    for (size_t i = 0; i < sizeof typed / sizeof *typed; i++)
        find(typed[i]);
    ck_assert_str_eq(find("orders OR nothing"), "");
    char many[400] = "";
    for (int i = 0; i < 17; i++)
        strcat(many, "a ");
    query = (slc_discover_query){.words = many};
    ck_assert(!t_read(list, NULL, &t_error));
    ck_assert_int_eq(t_error.code, SLC_INVALID);
}
END_TEST

START_TEST(the_index_follows_every_change)
{
    make_api("orders", ", 'title': 'Old'");
    json_decref(t_patch("event-apis", "orders.v1", "{'title': 'New'}"));
    ck_assert_str_eq(find("old"), "");
    ck_assert_str_eq(find("new"), "orders.v1 ");
    t_delete("event-apis", "orders.v1");
    ck_assert_str_eq(find("new"), "");
    ck_assert_str_eq(
        t_sql("SELECT (SELECT count(*) FROM catalog_search) + (SELECT count(*) FROM catalog_entries)"), "0");
    ck_assert_str_eq(t_sql("SELECT count(*) FROM catalog_search_docsize"), "0");
}
END_TEST

START_TEST(filters_narrow_what_is_found)
{
    make_api("orders", ", 'tags': ['retail'], 'exposures': ['kafka', 'sse']");
    make_api("parcels", "");
    json_decref(t_patch("event-apis", "parcels.v1", "{'lifecycle': 'deprecated', 'team': 'bank'}"));
    const slc_discover_query only_orders[] = {
        {.tag = "retail"}, {.protocol = "sse"}, {.team = "shop"}, {.lifecycle = "published"}};
    for (size_t i = 0; i < sizeof only_orders / sizeof *only_orders; i++) {
        query = only_orders[i];
        ck_assert_str_eq(found(), "orders.v1 ");
        query.words = "o";
        ck_assert_str_eq(found(), "orders.v1 ");
    }
    query = (slc_discover_query){.environment = "dev"};
    ck_assert_str_eq(found(), "");
    query = (slc_discover_query){.protocol = "smtp"};
    ck_assert(!t_read(list, NULL, &t_error));
    ck_assert_str_eq(t_error.field, "protocol");
}
END_TEST

/* By words and without: each once. */
START_TEST(pages_show_everything_once)
{
    for (int i = 0; i < 23; i++) {
        char name[20], more[100];
        snprintf(name, sizeof name, "api%02d", i);
        snprintf(more, sizeof more, ", 'description': 'api %s'", i % 3 == 0 ? "api api" : "and more words");
        make_api(name, more);
    }
    for (int pass = 0; pass < 2; pass++) {
        char cursor[500] = "", all[4000] = "";
        int pages = 0;
        do {
            query = (slc_discover_query){
                .words = pass == 1 ? "api" : NULL, .limit = 5, .cursor = cursor[0] != '\0' ? cursor : NULL};
            ck_assert_msg(t_read(list, NULL, &t_error), "%s", t_error.message);
            strcat(all, keys_of(answer));
            snprintf(cursor, sizeof cursor, "%s", t_text(answer, "next"));
            json_decref(answer);
        } while (cursor[0] != '\0' && ++pages < 10);
        ck_assert_int_eq(pages, 4);
        ck_assert_uint_eq(strlen(all), 23 * strlen("api00.v1 "));
        for (int i = 0; i < 23; i++) {
            char key[20];
            snprintf(key, sizeof key, "api%02d.v1 ", i);
            ck_assert_msg(strstr(all, key) != NULL, "%s is missing: %s", key, all);
        }
    }
    query = (slc_discover_query){.cursor = "bm9uZQ"};
    ck_assert(!t_read(list, NULL, &t_error));
    ck_assert_str_eq(t_error.field, "cursor");
}
END_TEST

START_TEST(people_know_of_what_is_theirs_and_of_products_that_they_may_see)
{
    make_api("alone", "");
    make_api("draft", ", 'lifecycle': 'draft'");
    make_api("open", "");
    make_api("some", "");
    make_product("open", "open.v1", ", 'visibility': 'signed-in'");
    make_product("some", "some.v1", ", 'visibility': 'teams'");
    make_product("drafts", "draft.v1", ", 'visibility': 'public'");
    make_product("later", "alone.v1", ", 'visibility': 'public', 'lifecycle': 'draft'");
    ck_assert_str_eq(find(NULL), "alone.v1 draft.v1 open.v1 some.v1 ");
    t_act_as("ann", "['*']");
    ck_assert_str_eq(find(NULL), "alone.v1 draft.v1 open.v1 some.v1 ");
    t_make("users", "{'name': 'cal', 'roles': ['viewer']}");
    t_act_as("cal", "['*']");
    ck_assert_str_eq(find(NULL), "open.v1 ");
    t_act_as("bob", "['*']");
    ck_assert_str_eq(find(NULL), "open.v1 ");
    wanted = "some.v1";
    ck_assert(!t_read(get, NULL, &t_error));
    ck_assert_int_eq(t_error.code, SLC_NOT_FOUND);
    t_act_unbound();
    json_decref(t_patch("products", "some", "{'visible_to': ['bank']}"));
    t_act_as("bob", "['*']");
    ck_assert_str_eq(find(NULL), "open.v1 some.v1 ");
    ck_assert_msg(t_read(get, NULL, &t_error), "%s", t_error.message);
    json_decref(answer);
}
END_TEST

START_TEST(one_has_its_products_plans_and_versions_as_far_as_they_are_visible)
{
    make_api("orders", "");
    make_product("open", "orders.v1", ", 'visibility': 'public'");
    make_product("hidden", "orders.v1", ", 'visibility': 'teams'");
    t_make("plans", "{'product': 'open', 'name': 'free', 'operations': ['read'], 'approval': 'auto'}");
    t_make("event-apis", "{'name': 'orders', 'major': 2, 'team': 'shop', 'operations': ['read'], 'exposures': "
                         "['rest']}");
    wanted = "orders.v1";
    t_act_as("bob", "['*']");
    ck_assert_msg(t_read(get, NULL, &t_error), "%s", t_error.message);
    json_t *products = json_object_get(answer, "products");
    ck_assert_uint_eq(json_array_size(products), 1);
    json_t *plans = json_object_get(json_array_get(products, 0), "plans");
    ck_assert_str_eq(t_text(json_array_get(plans, 0), "name"), "free");
    ck_assert_uint_eq(json_array_size(json_object_get(answer, "versions")), 1);
    json_decref(answer);
    t_act_as("ann", "['*']");
    ck_assert_msg(t_read(get, NULL, &t_error), "%s", t_error.message);
    ck_assert_uint_eq(json_array_size(json_object_get(answer, "products")), 2);
    ck_assert_uint_eq(json_array_size(json_object_get(answer, "versions")), 2);
    json_decref(answer);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("catalog/discover");
    TCase *tc = tcase_create("discover");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, t_teardown);
    tcase_add_test(tc, words_are_found_by_their_beginnings_wherever_they_are);
    tcase_add_test(tc, what_somebody_types_is_never_an_operator);
    tcase_add_test(tc, the_index_follows_every_change);
    tcase_add_test(tc, filters_narrow_what_is_found);
    tcase_add_test(tc, pages_show_everything_once);
    tcase_add_test(tc, people_know_of_what_is_theirs_and_of_products_that_they_may_see);
    tcase_add_test(tc, one_has_its_products_plans_and_versions_as_far_as_they_are_visible);
    suite_add_tcase(s, tc);
    return s;
}

TEST_MAIN(suite)
