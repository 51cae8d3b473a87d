/* Names of a virtual cluster that meet, as the configuration shows them. */
#include "catalog/conflicts.h"

#include <stdio.h>
#include <string.h>

#include "catalog/read.h"
#include "fixture.h"

static char said[4000];

static bool find(slc_txn *txn, void *arg, slc_error *err)
{
    json_t *vcluster = slc_entity_load(txn, slc_kind_find("virtual-clusters"), arg, err);
    ck_assert_ptr_nonnull(vcluster);
    json_t *found = slc_catalog_conflicts(txn, vcluster, err), *item;
    size_t i, at = 0;
    ck_assert_ptr_nonnull(found);
    said[0] = '\0';
    json_array_foreach (found, i, item) {
        static const char *const members[] = {"kind", "name", "topic", "winner", "loser", "virtual_cluster"};
        for (size_t j = 0; j < sizeof members / sizeof members[0]; j++) {
            const char *value = json_string_value(json_object_get(item, members[j]));
            at += (size_t)snprintf(said + at, sizeof said - at, "%s%s", j > 0 ? " " : "",
                                   value != NULL ? value : "-");
        }
        at += (size_t)snprintf(said + at, sizeof said - at, "\n");
        ck_assert_ptr_nonnull(json_object_get(item, "detail"));
    }
    json_decref(found);
    json_decref(vcluster);
    return true;
}

static const char *conflicts_of(const char *name)
{
    slc_error err = {0};
    ck_assert_msg(t_read(find, (void *)name, &err), "%s", err.message);
    return said;
}

START_TEST(names_that_meet_are_told_with_their_winner)
{
    t_make("virtual-clusters",
           "{'name': 'a', 'backend_cluster': 'local', 'extra_topics': ['orders', 'old-*'], "
           "'namespace': {'mode': 'hide', 'prefix': 'a.', 'aliases': [{'name': 'orders', 'topic': "
           "'legacy'}, {'name': 'x', 'topic': 'old-x'}, {'name': 'mine', 'topic': 'a.own'}]}}");
    ck_assert_str_eq(conflicts_of("a"), "same-name orders orders alias extra-topic -\n"
                                        "two-names x old-x alias extra-topic -\n"
                                        "two-names mine a.own alias namespace -\n");
}
END_TEST

START_TEST(extra_topics_inside_the_namespace_are_told)
{
    t_make("virtual-clusters", "{'name': 'a', 'backend_cluster': 'local', 'extra_topics': ['a.x', '*', 'ab'], "
                               "'namespace': {'mode': 'hide', 'prefix': 'a.'}}");
    ck_assert_str_eq(conflicts_of("a"), "two-names a.x a.x extra-topic namespace -\n"
                                        "two-names * * extra-topic namespace -\n");
    t_make("virtual-clusters", "{'name': 'b', 'backend_cluster': 'local', 'extra_topics': ['b.?'], "
                               "'namespace': {'mode': 'enforce', 'prefix': 'b.'}}");
    ck_assert_str_eq(conflicts_of("b"), "same-name b.? b.? extra-topic namespace -\n");
}
END_TEST

START_TEST(topics_of_other_namespaces_are_told)
{
    t_make("virtual-clusters",
           "{'name': 'b', 'backend_cluster': 'local', 'namespace': {'mode': 'hide', 'prefix': 'b.'}}");
    t_make("virtual-clusters",
           "{'name': 'a', 'backend_cluster': 'local', 'extra_topics': ['b.public-*', 'c.x'], "
           "'namespace': {'mode': 'hide', 'prefix': 'a.', 'aliases': [{'name': 'theirs', 'topic': "
           "'b.orders'}]}}");
    ck_assert_str_eq(conflicts_of("a"), "shared theirs b.orders - - b\n"
                                        "shared b.public-* b.public-* - - b\n");
    ck_assert_str_eq(conflicts_of("b"), "");
    ck_assert_str_eq(conflicts_of("local"), "");
}
END_TEST

static void setup(void)
{
    t_setup();
    t_make_samples("virtual-clusters");
    t_make("virtual-clusters", "{'name': 'local', 'backend_cluster': 'local'}");
}

static Suite *suite(void)
{
    Suite *s = suite_create("catalog/conflicts");
    TCase *tc = tcase_create("conflicts");
    tcase_add_checked_fixture(tc, setup, t_teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, names_that_meet_are_told_with_their_winner);
    tcase_add_test(tc, extra_topics_inside_the_namespace_are_told);
    tcase_add_test(tc, topics_of_other_namespaces_are_told);
    suite_add_tcase(s, tc);
    return s;
}

TEST_MAIN(suite)
