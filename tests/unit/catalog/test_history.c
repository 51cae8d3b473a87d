/* The history of the configuration: what is kept, for how long, and what a diff of two versions says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/history.h"
#include "catalog/versions.h"
#include "common/alloc.h"
#include "fixture.h"

/* ---- asking ---- */

static uint64_t revision(void)
{
    return strtoull(t_sql("SELECT int_value FROM catalog_meta WHERE name = 'revision'"), NULL, 10);
}

struct compile {
    char group[24];
    slc_compiled *compiled;
};

static bool run_compile(slc_txn *txn, void *arg, slc_error *err)
{
    struct compile *compile = arg;
    compile->compiled = slc_compile_group(txn, compile->group, NULL, NULL, err);
    return compile->compiled != NULL;
}

static slc_version_limits limits;

static bool run_remember(slc_txn *txn, void *arg, slc_error *err)
{
    return slc_version_remember(txn, arg, NULL, NULL, &limits, err);
}

/* Compiles and keeps a version of the group; its id. */
static const char *keep(const char *group)
{
    static char ids[16][24];
    static unsigned next;
    char *id = ids[next++ % 16], *sql = slc_asprintf("SELECT id FROM gateway_groups WHERE key = '%s'", group);
    struct compile compile;
    snprintf(compile.group, sizeof(compile.group), "%s", t_sql(sql));
    ck_assert_msg(t_read(run_compile, &compile, &t_error), "%s", t_error.message);
    ck_assert_msg(t_write(run_remember, compile.compiled, &t_error), "%s", t_error.message);
    slc_compiled_unref(compile.compiled);
    snprintf(id, 24, "%s", t_sql("SELECT id FROM config_versions ORDER BY seq DESC LIMIT 1"));
    free(sql);
    return id;
}

struct diff {
    const char *from, *to;
    enum slc_version_refusal refusal;
    json_t *answer;
};

static bool run_diff(slc_txn *txn, void *arg, slc_error *err)
{
    struct diff *diff = arg;
    diff->answer = slc_version_diff(txn, diff->from, diff->to, &diff->refusal, err);
    return diff->answer != NULL;
}

static json_t *changes_between(const char *from, const char *to)
{
    struct diff diff = {.from = from, .to = to};
    ck_assert_msg(t_read(run_diff, &diff, &t_error), "%s", t_error.message);
    json_t *changes = json_incref(json_object_get(diff.answer, "changes"));
    json_decref(diff.answer);
    return changes;
}

/* "action kind/key changes" of the only change. */
static const char *only_change(const char *from, const char *to)
{
    static char text[2048];
    json_t *changes = changes_between(from, to);
    ck_assert_uint_eq(json_array_size(changes), 1);
    const json_t *change = json_array_get(changes, 0);
    char *what = json_dumps(json_object_get(change, "changes"), JSON_COMPACT | JSON_SORT_KEYS);
    snprintf(text, sizeof(text), "%s %s/%s %s", t_text(change, "action"), t_text(change, "kind"),
             t_text(change, "key"), what);
    free(what);
    json_decref(changes);
    return text;
}

static void setup(void)
{
    t_setup();
    limits = (slc_version_limits){.kept = 100};
    t_make_samples(NULL);
}

/* ---- writing ---- */

START_TEST(each_change_ends_a_state_and_begins_one)
{
    static const char states[] =
        "SELECT group_concat(since || '-' || coalesce(until, '') || ' ' || "
        "json_extract(body, '$.title')) FROM (SELECT * FROM entity_history WHERE kind = "
        "'event-apis' AND ref = 'more.v1' ORDER BY since)";
    char expected[200];
    t_make("event-apis",
           "{'name': 'more', 'major': 1, 'title': 'A', 'team': 'platform', 'operations': ['read'], "
           "'exposures': ['rest']}");
    unsigned long long made = revision();
    json_decref(t_patch("event-apis", "more.v1", "{'title': 'B'}"));
    t_delete("event-apis", "more.v1");
    snprintf(expected, sizeof(expected), "%llu-%llu A,%llu-%llu B", made, made + 1, made + 1, made + 2);
    ck_assert_str_eq(t_sql(states), expected);
}
END_TEST

static bool twice(slc_txn *txn, void *arg, slc_error *err)
{
    const slc_kind *kind = slc_kind_find("event-apis");
    json_t *body =
        t_json("{'name': 'more', 'major': 1, 'title': 'A', 'team': 'platform', 'operations': ['read'], "
               "'exposures': ['rest']}");
    json_t *made = slc_entity_create(txn, kind, body, err);
    json_object_set_new(body, "title", json_string("B"));
    json_t *changed = made == NULL
                          ? NULL
                          : slc_entity_update(txn, kind, "more.v1", body, false,
                                              json_integer_value(json_object_get(made, "revision")), err);
    json_decref(body);
    json_decref(made);
    json_decref(changed);
    return changed != NULL && (arg == NULL || slc_entity_delete(txn, kind, "more.v1", -1, NULL, err));
}

START_TEST(of_several_changes_at_a_revision_the_last_counts)
{
    static const char count[] =
        "SELECT group_concat(json_extract(body, '$.title')) FROM entity_history WHERE ref = "
        "'more.v1'";
    ck_assert_msg(t_write(twice, NULL, &t_error), "%s", t_error.message);
    ck_assert_str_eq(t_sql(count), "B");
    t_delete("event-apis", "more.v1");
    ck_assert_msg(t_write(twice, &limits, &t_error), "%s", t_error.message);
    ck_assert_str_eq(t_sql(count), "B"); /* made and gone in one revision was never seen */
}
END_TEST

START_TEST(people_and_access_are_not_in_it)
{
    static const char *const never[] = {"teams",        "users",       "roles",         "api-tokens",
                                        "applications", "credentials", "subscriptions", "enrolment-tokens"};
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        char sql[160];
        snprintf(sql, sizeof(sql), "SELECT count(*) FROM entity_history WHERE kind = '%s'", never[i]);
        ck_assert_str_eq(t_sql(sql), "0");
    }
}
END_TEST

START_TEST(secrets_are_not_in_it_and_their_changes_are)
{
    static const char at[] =
        "SELECT json_extract(body, '$.authentication.password.sealed_at') FROM entity_history WHERE "
        "kind = 'backend-clusters' AND until IS NULL";
    char made[32], changed[32];
    snprintf(made, sizeof(made), "%s", t_sql(at));
    ck_assert_str_ne(made, "");
    json_decref(t_patch("backend-clusters", "local", "{'title': 'Other'}"));
    ck_assert_str_eq(t_sql(at), made);
    json_decref(t_patch("backend-clusters", "local", "{'authentication': {'password': 'backend-password'}}"));
    ck_assert_str_eq(t_sql(at), made); /* the same value */
    json_decref(t_patch("backend-clusters", "local", "{'authentication': {'password': 'another'}}"));
    snprintf(changed, sizeof(changed), "%llu", (unsigned long long)revision());
    ck_assert_str_eq(t_sql(at), changed);
    ck_assert_str_eq(
        t_sql("SELECT count(*) FROM entity_history WHERE body LIKE '%sealed\"%' OR body LIKE '%another%'"),
        "0");
}
END_TEST

START_TEST(a_change_that_fails_leaves_no_trace)
{
    char before[32];
    snprintf(before, sizeof(before), "%s", t_sql("SELECT count(*) FROM entity_history"));
    /* Refused after it was written: the plan grants what the event API then no longer offers. */
    t_patch_fails("event-apis", "orders.v1", "{'operations': ['read']}", SLC_CONFLICT, "/operations");
    ck_assert_str_eq(t_sql("SELECT count(*) FROM entity_history"), before);
}
END_TEST

/* ---- diff ---- */

START_TEST(a_diff_tells_what_came_went_and_changed)
{
    const char *first = keep("dev");
    json_decref(t_patch("gateway-groups", "dev", "{'max_staleness': '5m', 'labels': {'a': 'b'}}"));
    const char *second = keep("dev");
    ck_assert_str_eq(only_change(first, second),
                     "update gateway-groups/dev "
                     "{\"labels\":{\"to\":{\"a\":\"b\"}},\"max_staleness\":{\"from\":\"90s\",\"to\":"
                     "\"5m\"}}");
    ck_assert_str_eq(only_change(second, first),
                     "update gateway-groups/dev "
                     "{\"labels\":{\"from\":{\"a\":\"b\"}},\"max_staleness\":{\"from\":\"5m\",\"to\":"
                     "\"90s\"}}");
    json_decref(t_patch("backend-clusters", "local", "{'authentication': {'password': 'another'}}"));
    ck_assert_str_eq(only_change(second, "current"),
                     "update backend-clusters/local {\"authentication\":{\"secret\":\"changed\"}}");
    t_delete("policies", "pages");
    json_t *changes = changes_between(second, "current");
    ck_assert_uint_eq(json_array_size(changes), 2);
    json_decref(changes);
}
END_TEST

START_TEST(what_was_deleted_and_made_again_the_same_is_no_difference)
{
    const char *first = keep("dev");
    json_t *policy = t_get("policies", "pages");
    json_t *body = json_pack("{s:O, s:O, s:O, s:O}", "name", json_object_get(policy, "name"), "type",
                             json_object_get(policy, "type"), "scope", json_object_get(policy, "scope"),
                             "config", json_object_get(policy, "config"));
    char *text = json_dumps(body, 0);
    t_delete("policies", "pages");
    t_make("policies", text);
    json_t *changes = changes_between(first, "current");
    ck_assert_uint_eq(json_array_size(changes), 0);
    json_decref(changes);
    free(text);
    json_decref(body);
    json_decref(policy);
}
END_TEST

START_TEST(a_version_that_is_unknown_or_too_old_says_so)
{
    struct diff diff = {.from = "nothing", .to = "current"};
    ck_assert(!t_read(run_diff, &diff, &t_error));
    ck_assert_int_eq(t_error.code, SLC_NOT_FOUND);
    ck_assert_int_eq(diff.refusal, SLC_VERSION_OK);
    diff.from = keep("dev");
    diff.to = "nothing";
    ck_assert(!t_read(run_diff, &diff, &t_error));
    ck_assert_int_eq(t_error.code, SLC_NOT_FOUND);
    t_close();
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(t_path("catalog.db"), &db), SQLITE_OK);
    ck_assert_int_eq(
        sqlite3_exec(db,
                     "DELETE FROM entity_history; DELETE FROM catalog_meta WHERE name = 'history_since'; "
                     "UPDATE catalog_meta SET int_value = int_value + 5 WHERE name = 'revision'",
                     NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    t_open();
    diff.to = "current";
    ck_assert(!t_read(run_diff, &diff, &t_error));
    ck_assert_int_eq(t_error.code, SLC_CONFLICT);
    ck_assert_int_eq(diff.refusal, SLC_VERSION_TOO_OLD);
    ck_assert_ptr_nonnull(strstr(t_error.message, "history"));
}
END_TEST

/* ---- how long ---- */

static const char *titles(void)
{
    return t_sql(
        "SELECT group_concat(json_extract(body, '$.max_staleness')) FROM (SELECT body FROM entity_history "
        "WHERE kind = 'gateway-groups' AND ref = 'dev' ORDER BY since)");
}

static void set_staleness(const char *duration)
{
    char patch[64];
    snprintf(patch, sizeof(patch), "{'max_staleness': '%s'}", duration);
    json_decref(t_patch("gateway-groups", "dev", patch));
}

START_TEST(what_no_version_saw_is_forgotten)
{
    keep("dev");
    set_staleness("1m");
    set_staleness("2m");
    ck_assert_str_eq(titles(), "90s,1m,2m");
    keep("dev");
    ck_assert_str_eq(titles(), "90s,2m");
    set_staleness("3m");
    keep("dev");
    ck_assert_str_eq(titles(), "90s,2m,3m");
}
END_TEST

START_TEST(history_goes_with_the_last_version_that_saw_it)
{
    limits = (slc_version_limits){.kept = 2, .limit = 2};
    const char *sizes[] = {"1m", "2m", "3m", "4m"};
    keep("dev");
    for (size_t i = 0; i < 4; i++) {
        set_staleness(sizes[i]);
        keep("dev");
    }
    ck_assert_str_eq(t_sql("SELECT count(*) FROM config_versions"), "2");
    ck_assert_str_eq(titles(), "3m,4m");
    /* Another group holds its own versions, and with them what they saw. */
    t_make("gateway-groups", "{'name': 'other', 'environment': 'dev'}");
    keep("other");
    set_staleness("5m");
    keep("dev");
    set_staleness("6m");
    keep("dev");
    set_staleness("7m");
    keep("dev");
    ck_assert_str_eq(titles(), "4m,6m,7m");
    t_delete("gateway-groups", "other");
    t_close();
    t_open(); /* the sweep */
    ck_assert_str_eq(titles(), "6m,7m");
}
END_TEST

START_TEST(young_versions_are_kept_beyond_the_number)
{
    static const char count[] = "SELECT count(*) FROM config_versions";
    limits = (slc_version_limits){.kept = 1, .age_ms = 3600000};
    for (int i = 1; i <= 5; i++) {
        char duration[16];
        snprintf(duration, sizeof(duration), "%dm", i);
        set_staleness(duration);
        keep("dev");
    }
    ck_assert_str_eq(t_sql(count), "5");
    ck_assert_str_eq(t_sql("SELECT count(*) FROM config_versions WHERE manifest IS NOT NULL"), "1");
    limits.limit = 3;
    set_staleness("10m");
    keep("dev");
    ck_assert_str_eq(t_sql(count), "3");
    limits = (slc_version_limits){.kept = 2, .age_ms = 1};
    set_staleness("11m");
    keep("dev");
    ck_assert_str_eq(t_sql(count), "2");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("catalog/history");
    TCase *tc = tcase_create("history");
    tcase_add_checked_fixture(tc, setup, t_teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, each_change_ends_a_state_and_begins_one);
    tcase_add_test(tc, of_several_changes_at_a_revision_the_last_counts);
    tcase_add_test(tc, people_and_access_are_not_in_it);
    tcase_add_test(tc, secrets_are_not_in_it_and_their_changes_are);
    tcase_add_test(tc, a_change_that_fails_leaves_no_trace);
    tcase_add_test(tc, a_diff_tells_what_came_went_and_changed);
    tcase_add_test(tc, what_was_deleted_and_made_again_the_same_is_no_difference);
    tcase_add_test(tc, a_version_that_is_unknown_or_too_old_says_so);
    tcase_add_test(tc, what_no_version_saw_is_forgotten);
    tcase_add_test(tc, history_goes_with_the_last_version_that_saw_it);
    tcase_add_test(tc, young_versions_are_kept_beyond_the_number);
    suite_add_tcase(s, tc);
    return s;
}

TEST_MAIN(suite)
