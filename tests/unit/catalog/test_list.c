/* Lists: pages, cursors, filters. */
#include <stdio.h>
#include <string.h>

#include "fixture.h"

static void make_teams(int from, int to, int step)
{
    for (int i = from; i < to; i += step) {
        char body[64];
        snprintf(body, sizeof(body), "{'name': 't%03d'}", i);
        t_make("teams", body);
    }
}

/* Walks all pages; `between` (may be NULL) runs after the first. Returns how often each name of t000..t099
 * came. */
static void walk(int limit, void (*between)(void), int seen[100])
{
    json_t *page = t_list("teams", NULL, limit, NULL);
    memset(seen, 0, 100 * sizeof(*seen));
    for (;;) {
        size_t index;
        json_t *item;
        json_array_foreach (json_object_get(page, "items"), index, item) {
            int number;
            ck_assert_int_eq(sscanf(t_text(item, "name"), "t%d", &number), 1);
            seen[number]++;
        }
        ck_assert_uint_le(json_array_size(json_object_get(page, "items")), (size_t)limit);
        const json_t *next = json_object_get(page, "next");
        if (json_is_null(next))
            break;
        if (between != NULL)
            between();
        between = NULL;
        json_t *following = t_list("teams", NULL, limit, json_string_value(next));
        json_decref(page);
        page = following;
    }
    json_decref(page);
}

START_TEST(pages_show_everything_once)
{
    int seen[100];
    make_teams(0, 50, 1);
    for (int limit = 1; limit <= 60; limit += 7) {
        walk(limit, NULL, seen);
        for (int i = 0; i < 100; i++)
            ck_assert_int_eq(seen[i], i < 50);
    }
}
END_TEST

static void insert_odd(void)
{
    make_teams(1, 100, 2);
    t_delete("teams", "t000"); /* was on the first page already */
}

START_TEST(pages_are_stable_when_rows_come_and_go)
{
    int seen[100];
    make_teams(0, 100, 2);
    walk(10, insert_odd, seen);
    for (int i = 0; i < 100; i += 2)
        ck_assert_int_eq(seen[i], 1);
    for (int i = 1; i < 100; i += 2)
        ck_assert_int_le(seen[i], 1);
}
END_TEST

START_TEST(an_exact_last_page_has_no_next)
{
    make_teams(0, 4, 1);
    json_t *page = t_list("teams", NULL, 4, NULL);
    ck_assert(json_is_null(json_object_get(page, "next")));
    json_decref(page);
    page = t_list("teams", NULL, 0, NULL);
    ck_assert_uint_eq(json_array_size(json_object_get(page, "items")), 4);
    json_decref(page);
}
END_TEST

START_TEST(filters_narrow_and_combine)
{
    t_make_samples(NULL);
    t_make("teams", "{'name': 'other'}");
    t_make("applications", "{'name': 'second', 'team': 'other'}");
    const struct {
        const char *kind, *filters;
        size_t count;
    } cases[] = {
        {"applications", "{'team': 'other'}", 1},
        {"applications", "{'team': 'platform', 'name': 'demo'}", 1},
        {"applications", "{'team': 'other', 'name': 'demo'}", 0},
        {"event-apis", "{'major': '1', 'lifecycle': 'published'}", 1},
        {"users", "{'disabled': 'true'}", 0},
        {"users", "{'disabled': 'false'}", 1},
        {"subscriptions", "{'state': 'approved', 'product': 'orders', 'environment': 'dev'}", 1},
        {"teams", "{'manager': 'api'}", 2},
        {"audit-events", "{'kind': 'subscriptions', 'action': 'create'}", 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *list = t_list(cases[i].kind, cases[i].filters, 0, NULL);
        ck_assert_msg(json_array_size(json_object_get(list, "items")) == cases[i].count, "%s %s", cases[i].kind,
                      cases[i].filters);
        json_decref(list);
    }
}
END_TEST

START_TEST(labels_narrow)
{
    t_make("gateway-groups",
           "{'name': 'paris', 'environment': 'prod', 'labels': {'region': 'eu', 'a.b/c': 'x=y'}}");
    t_make("gateway-groups",
           "{'name': 'dublin', 'environment': 'prod', 'labels': {'region': 'eu', 'tier': ''}}");
    t_make("gateway-groups", "{'name': 'tokyo', 'environment': 'prod', 'labels': {'region': 'ap'}}");
    t_make("gateway-groups", "{'name': 'bare', 'environment': 'prod'}");
    const struct {
        const char *filters;
        size_t count;
    } cases[] = {
        {"{'label': 'region=eu'}", 2},           {"{'label': 'region=eu,tier='}", 1},
        {"{'label': 'a.b/c=x=y'}", 1},           {"{'label': 'region=eu', 'name': 'paris'}", 1},
        {"{'label': 'region=eu,region=ap'}", 0}, {"{'label': 'region=EU'}", 0},
        {"{'label': 'region=e%'}", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *page = t_list("gateway-groups", cases[i].filters, 0, NULL);
        ck_assert_msg(json_array_size(json_object_get(page, "items")) == cases[i].count, "%s",
                      cases[i].filters);
        json_decref(page);
    }
}
END_TEST

struct bad_list {
    const char *kind, *cursor, *filters;
    int limit;
    const char *field;
};

static bool list(slc_txn *txn, void *arg, slc_error *err)
{
    const struct bad_list *bad = arg;
    json_t *filters = bad->filters != NULL ? t_json(bad->filters) : NULL;
    slc_list_query query = {.limit = bad->limit, .cursor = bad->cursor, .filters = filters};
    json_t *answer = slc_entity_list(txn, slc_kind_find(bad->kind), &query, err);
    json_decref(filters);
    json_decref(answer);
    return answer != NULL;
}

START_TEST(bad_queries_are_refused)
{
    t_make_samples(NULL);
    json_t *page = t_list("audit-events", NULL, 1, NULL);
    const char *foreign = t_text(page, "next");
    struct bad_list cases[] = {
        {"teams", "!", NULL, 0, "cursor"},
        {"teams", "", NULL, 0, "cursor"},
        {"teams", "AAAA", NULL, 0, "cursor"},
        {"teams", foreign, NULL, 0, "cursor"},
        {"teams", NULL, NULL, -1, "limit"},
        {"teams", NULL, NULL, 1001, "limit"},
        {"teams", NULL, "{'title': 'x'}", 0, "title"},
        {"teams", NULL, "{'x': 'x'}", 0, "x"},
        {"teams", NULL, "{'label': 'x'}", 0, "label"},
        {"teams", NULL, "{'label': ''}", 0, "label"},
        {"teams", NULL, "{'label': '=x'}", 0, "label"},
        {"teams", NULL, "{'label': 'a=b,'}", 0, "label"},
        {"teams", NULL, "{'label': 'a=1,b=2,c=3,d=4,e=5,f=6,g=7,h=8,i=9'}", 0, "label"},
        {"teams", NULL, "{'label': 7}", 0, "label"},
        {"audit-events", NULL, "{'label': 'a=b'}", 0, "label"},
        {"applications", NULL, "{'team': 'nobody'}", 0, "team"},
        {"users", NULL, "{'disabled': 'maybe'}", 0, "disabled"},
        {"event-apis", NULL, "{'major': 'one'}", 0, "major"},
        {"event-apis", NULL, "{'lifecycle': 'gone'}", 0, "lifecycle"},
        {"event-apis", NULL, "{'name': 7}", 0, "name"},
        {"gateway-nodes", NULL, "{'state': 'lost'}", 0, "state"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ck_assert_msg(!t_read(list, &cases[i], &t_error), "%zu", i);
        ck_assert_int_eq(t_error.code, SLC_INVALID);
        ck_assert_str_eq(t_error.field, cases[i].field);
    }
    json_decref(page);
}
END_TEST

START_TEST(logs_come_newest_first)
{
    make_teams(0, 5, 1);
    json_t *first = t_list("audit-events", NULL, 2, NULL);
    json_t *second = t_list("audit-events", NULL, 2, t_text(first, "next"));
    ck_assert_str_eq(t_text(json_array_get(json_object_get(first, "items"), 0), "ref"), "t004");
    ck_assert_str_eq(t_text(json_array_get(json_object_get(second, "items"), 0), "ref"), "t002");
    json_t *one = t_get("audit-events", t_text(json_array_get(json_object_get(second, "items"), 0), "id"));
    ck_assert_str_eq(t_text(one, "ref"), "t002");
    json_decref(one);
    json_decref(second);
    json_decref(first);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("catalog/list");
    TCase *tc = tcase_create("list");
    tcase_add_checked_fixture(tc, t_setup, t_teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, pages_show_everything_once);
    tcase_add_test(tc, pages_are_stable_when_rows_come_and_go);
    tcase_add_test(tc, an_exact_last_page_has_no_next);
    tcase_add_test(tc, filters_narrow_and_combine);
    tcase_add_test(tc, labels_narrow);
    tcase_add_test(tc, bad_queries_are_refused);
    tcase_add_test(tc, logs_come_newest_first);
    suite_add_tcase(s, tc);
    return s;
}

TEST_MAIN(suite)
