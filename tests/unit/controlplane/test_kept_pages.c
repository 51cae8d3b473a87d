/* Pages of the catalog that are kept: what is found again, what goes first, and that nobody ever sees another
 * thing than the catalog would show them now. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../catalog/fixture.h"
#include "common/buf.h"
#include "common/metrics.h"
#include "controlplane/admin/admin.h"
#include "controlplane/admin/kept_pages.h"

static slc_kept_pages *pages;

static void register_metrics(void)
{
    slc_admin_register_metrics();
}

static void teardown(void)
{
    slc_kept_pages_free(pages);
    pages = NULL;
}

static int64_t counted(const char *result)
{
    return slc_series_value(slc_metrics_series("sluice_catalog_pages_total", &result));
}

static void put(uint64_t revision, const char *key, const char *text)
{
    slc_kept_pages_put(pages, revision, key, strlen(key), text, strlen(text));
}

/* Static memory; "-" when there is none. */
static const char *get(uint64_t revision, const char *key)
{
    static char out[100];
    size_t len = 0;
    char *text = slc_kept_pages_get(pages, revision, key, strlen(key), &len);
    snprintf(out, sizeof out, "%s", text != NULL ? text : "-");
    ck_assert(text == NULL || strlen(text) == len);
    free(text);
    return out;
}

START_TEST(what_was_kept_is_found_under_its_key_at_its_revision)
{
    pages = slc_kept_pages_new(10, 10000);
    ck_assert_str_eq(get(5, "a"), "-");
    put(5, "a", "of a");
    put(5, "ab", "of ab");
    put(5, "b", "");
    ck_assert_str_eq(get(5, "a"), "of a");
    ck_assert_str_eq(get(5, "ab"), "of ab");
    ck_assert_str_eq(get(5, "b"), "");
    ck_assert_str_eq(get(5, "c"), "-");
    ck_assert_int_eq(counted("hit"), 3);
    ck_assert_int_eq(counted("miss"), 2);
}
END_TEST

START_TEST(a_later_revision_forgets_all_and_an_earlier_one_brings_nothing_back)
{
    pages = slc_kept_pages_new(10, 10000);
    put(5, "a", "old");
    put(5, "b", "old");
    ck_assert_str_eq(get(6, "a"), "-");
    put(5, "a", "old"); /* by a reader that began before the change */
    ck_assert_str_eq(get(6, "a"), "-");
    ck_assert_str_eq(get(5, "a"), "-");
    put(6, "a", "new");
    ck_assert_str_eq(get(6, "a"), "new");
    ck_assert_str_eq(get(5, "a"), "-");
    put(7, "b", "newer");
    ck_assert_str_eq(get(7, "a"), "-");
    ck_assert_str_eq(get(7, "b"), "newer");
}
END_TEST

START_TEST(an_unknown_revision_keeps_nothing)
{
    pages = slc_kept_pages_new(10, 10000);
    put(0, "a", "text");
    ck_assert_str_eq(get(0, "a"), "-");
    ck_assert_str_eq(get(1, "a"), "-");
}
END_TEST

START_TEST(what_was_asked_for_longest_ago_goes_first)
{
    pages = slc_kept_pages_new(3, 10000);
    put(1, "a", "1");
    put(1, "b", "2");
    put(1, "c", "3");
    ck_assert_str_eq(get(1, "a"), "1");
    put(1, "a", "again"); /* is there already */
    put(1, "d", "4");
    ck_assert_str_eq(get(1, "b"), "-");
    ck_assert_str_eq(get(1, "a"), "1");
    ck_assert_str_eq(get(1, "c"), "3");
    ck_assert_str_eq(get(1, "d"), "4");
}
END_TEST

START_TEST(bytes_are_bounded_and_one_page_has_an_eighth_of_them_at_most)
{
    char text[1001], key[20];
    int kept = 0;
    memset(text, 'x', 1000);
    text[1000] = '\0';
    pages = slc_kept_pages_new(1000, 16000);
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "%d", i);
        put(1, key, text);
    }
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "%d", i);
        kept += strcmp(get(1, key), "-") != 0;
    }
    ck_assert_int_ge(kept, 10);
    ck_assert_int_le(kept, 15);
    slc_kept_pages_free(pages);
    pages = slc_kept_pages_new(1000, 8000);
    put(1, "large", text);
    ck_assert_str_eq(get(1, "large"), "-");
    put(1, "small", "s");
    ck_assert_str_eq(get(1, "small"), "s");
}
END_TEST

START_TEST(zero_of_either_keeps_nothing)
{
    ck_assert_ptr_null(slc_kept_pages_new(0, 10000));
    ck_assert_ptr_null(slc_kept_pages_new(10, 0));
    put(1, "a", "text");
    ck_assert_str_eq(get(1, "a"), "-");
}
END_TEST

/* Each has the revision and key in the text: what another thread meant is seen as wrong at once. */
static void *use(void *arg)
{
    unsigned seed = *(unsigned *)arg;
    for (int i = 0; i < 3000; i++) {
        char key[20], text[60];
        size_t len;
        seed = seed * 1103515245u + 12345u;
        uint64_t revision = 1 + (uint64_t)i / 300;
        snprintf(key, sizeof key, "%u", seed >> 16 & 31);
        snprintf(text, sizeof text, "%s at %d", key, (int)revision);
        char *found = slc_kept_pages_get(pages, revision, key, strlen(key), &len);
        ck_assert(found == NULL || strcmp(found, text) == 0);
        free(found);
        slc_kept_pages_put(pages, revision, key, strlen(key), text, strlen(text));
    }
    return NULL;
}

START_TEST(threads_share_them)
{
    pthread_t threads[4];
    unsigned seeds[4] = {1, 2, 3, 4};
    pages = slc_kept_pages_new(20, 10000);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, use, &seeds[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(counted("hit") + counted("miss"), 4 * 3000);
}
END_TEST

/* ---- before a catalog ---- */

#define VIEWERS 6
#define QUERIES 9

static slc_discover_viewer viewers[VIEWERS];
static json_t *teams[3];
static char cursor[200];
static slc_discover_query queries[QUERIES] = {
    {0},
    {.limit = 1},
    {.words = "orders"},
    {.kind = "event-apis"},
    {.kind = "rest-apis", .lifecycle = "published"},
    {.tag = "shop"},
    {.team = "platform"},
    {.protocol = "rest"},
    {.limit = 1, .cursor = cursor},
};

static void make_viewers(void)
{
    json_t *bank = t_create("teams", "{'name': 'bank'}"), *platform = t_get("teams", "platform");
    teams[0] = json_pack("[s]", t_text(platform, "id"));
    teams[1] = json_pack("[s]", t_text(bank, "id"));
    teams[2] = json_array();
    viewers[0] = slc_discover_viewer_of(NULL);
    viewers[1] = slc_discover_visitor();
    for (int i = 0; i < 3; i++)
        viewers[2 + i] = (slc_discover_viewer){.event_apis = true, .rest_apis = true, .teams = teams[i]};
    viewers[5] = (slc_discover_viewer){.event_apis = true, .teams = teams[0]};
    json_decref(bank);
    json_decref(platform);
}

static void setup_catalog(void)
{
    register_metrics();
    t_setup();
    pages = slc_kept_pages_new(1000, 1 << 20);
    t_make_samples(NULL);
    t_make("event-apis",
           "{'name': 'payments', 'major': 1, 'team': 'platform', 'operations': ['read'], 'exposures': "
           "['rest'], 'lifecycle': 'draft'}");
    make_viewers();
    t_make("event-apis", "{'name': 'ledger', 'major': 1, 'team': 'bank', 'operations': ['read'], 'exposures': "
                         "['kafka']}");
}

static void teardown_catalog(void)
{
    for (int i = 0; i < 3; i++)
        json_decref(teams[i]);
    teardown();
    t_teardown();
}

/* Twice what is kept, and what the catalog shows. Returns how many different answers the first query had. */
static bool compare(slc_txn *txn, void *arg, slc_error *err)
{
    int *different = arg;
    char *all[VIEWERS] = {NULL};
    *different = 0;
    for (int v = 0; v < VIEWERS; v++) {
        for (int q = 0; q < QUERIES; q++) {
            if (q == QUERIES - 1 && cursor[0] == '\0')
                continue;
            size_t first_len, second_len, len;
            char *first = slc_kept_pages_list(pages, txn, &queries[q], &viewers[v], &first_len, err);
            char *second = slc_kept_pages_list(pages, txn, &queries[q], &viewers[v], &second_len, err);
            char *now = slc_discover_list(txn, &queries[q], &viewers[v], &len, err);
            ck_assert(first != NULL && second != NULL && now != NULL);
            ck_assert_msg(len == first_len && memcmp(first, now, len) == 0, "viewer %d, query %d: %.*s", v, q,
                          (int)first_len, first);
            ck_assert(len == second_len && memcmp(second, now, len) == 0);
            if (q == 0)
                all[v] = strndup(now, len);
            free(first);
            free(second);
            free(now);
        }
        bool known = false;
        for (int i = 0; i < v; i++)
            known = known || strcmp(all[i], all[v]) == 0;
        *different += !known;
    }
    for (int v = 0; v < VIEWERS; v++)
        free(all[v]);
    return true;
}

static int check_all(void)
{
    int different;
    int64_t hits = counted("hit");
    ck_assert_msg(t_read(compare, &different, &t_error), "%s", t_error.message);
    int asked = VIEWERS * (cursor[0] != '\0' ? QUERIES : QUERIES - 1);
    ck_assert_int_ge(counted("hit") - hits, asked); /* at least each second one */
    return different;
}

static bool read_cursor(slc_txn *txn, void *arg, slc_error *err)
{
    size_t len;
    char *text = slc_discover_list(txn, &queries[1], &viewers[0], &len, err);
    json_t *page = text != NULL ? json_loadb(text, len, 0, NULL) : NULL;
    (void)arg;
    snprintf(cursor, sizeof cursor, "%s", t_text(page, "next"));
    json_decref(page);
    free(text);
    return true;
}

START_TEST(everybody_sees_what_the_catalog_shows_them_after_every_change)
{
    static const struct {
        const char *kind, *key, *body; /* key NULL: create; body NULL: delete */
    } changes[] = {
        {"products", "orders", "{'visibility': 'signed-in', 'visible_to': null}"},
        {"products", "orders", "{'visibility': 'public'}"},
        {"products", "orders", "{'lifecycle': 'deprecated'}"},
        {"event-apis", "payments.v1", "{'lifecycle': 'published'}"},
        {"products", NULL,
         "{'name': 'pay', 'team': 'platform', 'event_apis': ['payments.v1'], 'lifecycle': 'published', "
         "'visibility': 'teams', 'visible_to': ['bank']}"},
        {"products", "pay", "{'event_apis': ['payments.v1', 'orders.v1']}"},
        {"products", "pay", "{'visible_to': ['platform']}"},
        {"event-apis", "payments.v1", "{'title': 'Orders of payment', 'tags': ['shop']}"},
        {"rest-apis", "stock", "{'visibility': 'public', 'visible_to': null}"},
        {"rest-apis", "stock", "{'visibility': 'teams', 'visible_to': ['bank']}"},
        {"rest-apis", "stock", "{'lifecycle': 'deprecated'}"},
        {"teams", "platform", "{'title': 'Another title'}"},
        {"gateway-groups", "dev", "{'environment': 'test'}"},
        {"deployments", "orders.v1@dev", NULL},
        {"products", "pay", NULL},
        {"event-apis", "payments.v1", NULL},
        {"rest-apis", "stock", NULL},
    };
    ck_assert(t_read(read_cursor, NULL, &t_error));
    ck_assert_str_ne(cursor, "");
    /* All; nothing; the platform's; the bank's; nothing; the platform's event APIs. */
    ck_assert_int_eq(check_all(), 5);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        if (changes[i].key == NULL)
            t_make(changes[i].kind, changes[i].body);
        else if (changes[i].body == NULL)
            t_delete(changes[i].kind, changes[i].key);
        else
            json_decref(t_patch(changes[i].kind, changes[i].key, changes[i].body));
        ck_assert_int_ge(check_all(), 2);
        ck_assert_int_ge(check_all(), 2); /* all of it is kept now */
    }
}
END_TEST

START_TEST(the_key_has_every_field)
{
    static const slc_discover_query other_queries[] = {
        {0},
        {.words = "a"},
        {.kind = "a"},
        {.tag = "a"},
        {.team = "a"},
        {.lifecycle = "a"},
        {.protocol = "a"},
        {.environment = "a"},
        {.cursor = "a"},
        {.limit = 1},
        {.words = ""},
        {.tag = "a,1:b"},
        {.tag = "a", .team = "b"},
        {.words = "-,1:a"},
    };
    enum { N = sizeof other_queries / sizeof *other_queries };
    slc_buf keys[N * VIEWERS];
    for (int i = 0; i < N * VIEWERS; i++) {
        slc_buf_init(&keys[i], 1000);
        slc_discover_key(&other_queries[i % N], &viewers[i / N], &keys[i]);
        ck_assert(!keys[i].overflow);
        for (int j = 0; j < i; j++)
            ck_assert_msg(keys[i].len != keys[j].len || memcmp(keys[i].data, keys[j].data, keys[i].len) != 0,
                          "%.*s", (int)keys[i].len, (const char *)keys[i].data);
    }
    for (int i = 0; i < N * VIEWERS; i++)
        slc_buf_release(&keys[i]);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("controlplane/kept_pages");
    TCase *kept = tcase_create("kept"), *shown = tcase_create("shown");
    tcase_set_timeout(kept, 60);
    tcase_add_checked_fixture(kept, register_metrics, teardown);
    tcase_add_test(kept, what_was_kept_is_found_under_its_key_at_its_revision);
    tcase_add_test(kept, a_later_revision_forgets_all_and_an_earlier_one_brings_nothing_back);
    tcase_add_test(kept, an_unknown_revision_keeps_nothing);
    tcase_add_test(kept, what_was_asked_for_longest_ago_goes_first);
    tcase_add_test(kept, bytes_are_bounded_and_one_page_has_an_eighth_of_them_at_most);
    tcase_add_test(kept, zero_of_either_keeps_nothing);
    tcase_add_test(kept, threads_share_them);
    suite_add_tcase(s, kept);
    tcase_set_timeout(shown, 60);
    tcase_add_checked_fixture(shown, setup_catalog, teardown_catalog);
    tcase_add_test(shown, everybody_sees_what_the_catalog_shows_them_after_every_change);
    tcase_add_test(shown, the_key_has_every_field);
    suite_add_tcase(s, shown);
    return s;
}

TEST_MAIN(suite)
