/* What is damaged on the disk, found on opening or in use. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalog/store.h"
#include "common/alloc.h"
#include "common/file.h"
#include "fixture.h"

static void overwrite(const char *path, off_t offset, size_t len)
{
    int fd = open(path, O_WRONLY);
    ck_assert_int_ge(fd, 0);
    char *junk = slc_malloc(len);
    memset(junk, 0x5a, len);
    ck_assert_int_eq(pwrite(fd, junk, len, offset), (ssize_t)len);
    free(junk);
    close(fd);
}

START_TEST(a_damaged_file_is_refused_with_advice)
{
    t_make_samples(NULL);
    t_close();
    overwrite(t_path("catalog.db"), 8192, 65536);
    ck_assert(!t_try_open(&t_error));
    ck_assert_int_eq(t_error.code, SLC_CORRUPT);
    ck_assert_ptr_nonnull(strstr(t_error.message, "restore the last backup"));
}
END_TEST

START_TEST(a_file_that_is_no_database_is_refused)
{
    t_close();
    overwrite(t_path("catalog.db"), 0, 4096);
    ck_assert(!t_try_open(&t_error));
    ck_assert_int_eq(t_error.code, SLC_CORRUPT);
    ck_assert_ptr_nonnull(strstr(t_error.message, "not a catalog database"));
}
END_TEST

static void wait_for_damage(void)
{
    slc_catalog_status status = {0};
    for (int i = 0; i < 1000 && atomic_load(&t_catalog->damage) != SLC_DAMAGE_FOUND; i++)
        usleep(10000);
    slc_catalog_get_status(t_catalog, &status);
    ck_assert(status.damaged);
    ck_assert_int_eq(atomic_load(&t_catalog->damage), SLC_DAMAGE_FOUND);
}

START_TEST(damage_that_shows_in_use_stops_writing)
{
    t_make_samples(NULL);
    t_close();
    t_open(); /* the log is in the file, and nothing in memory */
    overwrite(t_path("catalog.db"), 8192, 500000);
    ck_assert_ptr_null(t_get("deployments", "orders.v1@dev"));
    ck_assert_int_eq(t_error.code, SLC_CORRUPT);
    wait_for_damage();
    t_create_fails("teams", "{'name': 'late'}", SLC_CORRUPT, NULL);
    ck_assert_ptr_nonnull(strstr(t_error.message, "catalog.db is damaged"));
    ck_assert_ptr_nonnull(strstr(t_error.message, "--restore"));
}
END_TEST

START_TEST(damaged_reports_of_nodes_are_made_anew)
{
    t_make_samples(NULL);
    for (int round = 0; round < 2; round++) {
        t_close();
        if (round == 0)
            overwrite(t_path("usage.db"), 0, 4096);
        else
            overwrite(t_path("usage.db"), 4096, 8192);
        t_open();
        ck_assert(slc_file_exists(t_path("usage.db.damaged")));
        ck_assert_int_eq(unlink(t_path("usage.db.damaged")), 0);
        ck_assert_str_eq(t_sql("SELECT count(*) FROM usage.node_status"), "0");
        json_decref(t_list("gateway-nodes", NULL, 0, NULL));
    }
}
END_TEST

/* After an upgrade that was taken back. Unlike what is damaged it is whole, and somebody may want it. */
START_TEST(reports_of_a_newer_version_are_left_alone)
{
    sqlite3 *db;
    t_close();
    ck_assert_int_eq(sqlite3_open(t_path("usage.db"), &db), SQLITE_OK);
    ck_assert_int_eq(
        sqlite3_exec(db, "INSERT INTO schema_migrations VALUES (9999, 'later.sql', '', 0)", NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    ck_assert(!t_try_open(&t_error));
    ck_assert_int_eq(t_error.code, SLC_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(t_error.message, "usage.db"));
    ck_assert_ptr_nonnull(strstr(t_error.message, "newer version"));
    ck_assert_ptr_nonnull(strstr(t_error.message, "moved away, it is made anew"));
    char *away = slc_asprintf("%s.away", t_path("usage.db"));
    ck_assert_int_eq(rename(t_path("usage.db"), away), 0);
    free(away);
    t_open();
}
END_TEST

/* What is damaged in use may be either file: the catalog goes on when it is not its own. */
START_TEST(damaged_reports_of_nodes_do_not_stop_the_catalog)
{
    slc_catalog_status status;
    t_make_samples(NULL);
    t_close();
    t_open();
    overwrite(t_path("usage.db"), 4096, 8192);
    slc_health_suspect(t_catalog);
    for (int i = 0; i < 1000 && atomic_load(&t_catalog->damage) != SLC_DAMAGE_NONE; i++)
        usleep(10000);
    slc_catalog_get_status(t_catalog, &status);
    ck_assert(!status.damaged);
    t_make("teams", "{'name': 'late'}");
}
END_TEST

START_TEST(a_directory_that_cannot_be_written_is_told)
{
    t_close();
    ck_assert_int_eq(chmod(t_dir, 0555), 0);
    bool root = geteuid() == 0; /* root may write everywhere */
    if (root)
        ck_assert_int_eq(seteuid(65534), 0);
    bool ok = t_try_open(&t_error);
    if (root)
        ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_eq(chmod(t_dir, 0700), 0);
    ck_assert(!ok);
    ck_assert_int_eq(t_error.code, SLC_IO);
    ck_assert_ptr_nonnull(strstr(t_error.message, t_dir));
    t_open();
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("catalog/damage");
    TCase *tc = tcase_create("damage");
    tcase_add_checked_fixture(tc, t_setup, t_teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, a_damaged_file_is_refused_with_advice);
    tcase_add_test(tc, a_file_that_is_no_database_is_refused);
    tcase_add_test(tc, damage_that_shows_in_use_stops_writing);
    tcase_add_test(tc, damaged_reports_of_nodes_are_made_anew);
    tcase_add_test(tc, reports_of_a_newer_version_are_left_alone);
    tcase_add_test(tc, damaged_reports_of_nodes_do_not_stop_the_catalog);
    tcase_add_test(tc, a_directory_that_cannot_be_written_is_told);
    suite_add_tcase(s, tc);
    return s;
}

TEST_MAIN(suite)
