/* Putting a backup in the place of the catalog. */
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "catalog/backup.h"
#include "catalog/compile.h"
#include "catalog/nodes.h"
#include "catalog/store.h"
#include "catalog/token.h"
#include "common/alloc.h"
#include "common/clock.h"
#include "common/file.h"
#include "fixture.h"

#define FIXTURES SLC_SOURCE_DIR "/tests/unit/catalog/fixtures/"

static char backup[200];

static void setup(void)
{
    t_setup();
    snprintf(backup, sizeof(backup), "%s/kept.db", t_dir);
}

static void make_backup(void)
{
    unlink(backup);
    ck_assert_msg(slc_catalog_backup(t_catalog, backup, &t_error), "%s", t_error.message);
}

/* The report, or NULL. The catalog must be closed. */
static json_t *try_restore(const char *file, bool undo_revocations)
{
    slc_catalog_options options = {.data_dir = t_dir};
    slc_restore restore = {.file = file, .undo_revocations = undo_revocations};
    json_t *report;
    bool ok = slc_catalog_restore(&options, &restore, &report, &t_error);
    ck_assert(!slc_file_exists(t_path("catalog.db.restoring")));
    return ok ? report : NULL;
}

static json_t *restore(void)
{
    t_close();
    json_t *report = try_restore(backup, false);
    ck_assert_msg(report != NULL, "%s", t_error.message);
    t_open();
    return report;
}

static void ck_refused(const char *file, enum slc_code code, const char *words)
{
    ck_assert_ptr_null(try_restore(file, false));
    ck_assert_msg(t_error.code == code, "%s: %s", slc_code_name(t_error.code), t_error.message);
    ck_assert_msg(strstr(t_error.message, words) != NULL, "%s", t_error.message);
}

static int64_t number(const char *sql)
{
    return strtoll(t_sql(sql), NULL, 10);
}

static int64_t revision(void)
{
    return number("SELECT int_value FROM catalog_meta WHERE name = 'revision'");
}

static void overwrite(const char *path, off_t offset, size_t len)
{
    int fd = open(path, O_WRONLY);
    char *junk = slc_malloc(len);
    memset(junk, 0x5a, len);
    ck_assert_int_eq(pwrite(fd, junk, len, offset), (ssize_t)len);
    free(junk);
    close(fd);
}

/* ---- what comes back, and under which numbers ---- */

START_TEST(the_state_of_the_backup_comes_back_and_nothing_counts_backwards)
{
    t_make_samples(NULL);
    make_backup();
    t_make("teams", "{'name': 'later'}");
    int64_t before = revision(), seq = number("SELECT max(seq) FROM audit_events");
    json_t *report = restore();
    ck_assert_ptr_null(t_get("teams", "later"));
    ck_assert_str_eq(t_sql("SELECT count(*) FROM deployments"), "1");
    ck_assert_int_gt(revision(), before);
    ck_assert_int_eq(json_integer_value(json_object_get(report, "revision")), revision());
    ck_assert_int_gt(number("SELECT max(seq) FROM audit_events"), seq);
    ck_assert_str_eq(t_sql("SELECT action || ' ' || kind FROM audit_events ORDER BY seq DESC LIMIT 1"),
                     "restore backups");
    ck_assert_str_eq(t_sql("SELECT count(*) FROM catalog_meta WHERE name = 'backup_created_at'"), "0");
    ck_assert_str_eq(t_sql("SELECT count(*) FROM enrolment_tokens"), "0");
    json_t *team = t_create("teams", "{'name': 'after'}");
    ck_assert_int_gt(json_integer_value(json_object_get(team, "revision")), before);
    json_decref(team);
    json_decref(report);
}
END_TEST

START_TEST(the_replaced_catalog_is_kept_aside)
{
    make_backup();
    t_make("teams", "{'name': 'later'}");
    json_t *report = restore();
    char *kept = slc_strdup(t_text(report, "replaced"));
    ck_assert(slc_file_exists(kept));
    t_close();
    json_decref(report);
    report = try_restore(kept, false); /* it is itself something that can be put back */
    ck_assert_msg(report != NULL, "%s", t_error.message);
    t_open();
    json_t *team = t_get("teams", "later");
    ck_assert_ptr_nonnull(team);
    json_decref(team);
    json_decref(report);
    free(kept);
}
END_TEST

struct compilation {
    uint64_t version;
};

static bool compile(slc_txn *txn, void *arg, slc_error *err)
{
    struct compilation *out = arg;
    json_t *ids = slc_compile_groups(txn, err);
    slc_compiled *compiled = slc_compile_group(txn, json_string_value(json_array_get(ids, 0)), NULL, NULL, err);
    json_decref(ids);
    if (compiled == NULL)
        return false;
    out->version = slc_compiled_version(compiled);
    slc_compiled_unref(compiled);
    return true;
}

START_TEST(gateways_get_the_restored_configuration_as_a_new_version)
{
    struct compilation before, after;
    t_make_samples(NULL);
    make_backup();
    json_decref(t_patch("deployments", "orders.v1@dev", "{'topic': 'later'}"));
    ck_assert(t_read(compile, &before, &t_error));
    json_t *report = restore();
    ck_assert(t_read(compile, &after, &t_error));
    ck_assert_uint_gt(after.version, before.version);
    json_decref(report);
}
END_TEST

static bool report_version(slc_txn *txn, void *arg, slc_error *err)
{
    slc_node_report report = {
        .node_id = "0000000000000000", .connected = true, .applied_version = *(int64_t *)arg};
    return slc_usage_node_seen(txn, &report, err);
}

START_TEST(what_gateways_report_is_not_handed_out_again_even_if_the_catalog_is_gone)
{
    int64_t version = 500000000;
    make_backup();
    ck_assert(slc_catalog_usage_sync(t_catalog, report_version, &version, &t_error));
    t_close();
    ck_assert_int_eq(unlink(t_path("catalog.db")), 0);
    json_t *report = try_restore(backup, false);
    ck_assert_msg(report != NULL, "%s", t_error.message);
    ck_assert(json_is_null(json_object_get(report, "replaced")));
    t_open();
    ck_assert_int_gt(revision(), version);
    json_decref(report);
}
END_TEST

START_TEST(a_file_put_in_place_by_hand_is_noticed)
{
    int64_t version = 70000, absurd = INT64_MAX / 2;
    make_backup();
    ck_assert(slc_catalog_usage_sync(t_catalog, report_version, &version, &t_error));
    t_close();
    ck_assert_int_eq(rename(backup, t_path("catalog.db")), 0);
    t_open();
    int64_t leapt = revision();
    ck_assert_int_gt(leapt, version);
    t_close();
    t_open();
    ck_assert_int_eq(revision(), leapt); /* once */
    ck_assert(slc_catalog_usage_sync(t_catalog, report_version, &absurd, &t_error));
    t_close();
    t_open();
    ck_assert_int_eq(revision(), leapt);
}
END_TEST

/* ---- what was revoked ---- */

static void revoke_much(void)
{
    json_t *credentials = t_list("credentials", NULL, 0, NULL);
    const char *id = t_text(json_array_get(json_object_get(credentials, "items"), 0), "id");
    json_decref(t_act("credentials", id, "revoke"));
    json_decref(credentials);
    json_t *subscriptions = t_list("subscriptions", NULL, 0, NULL);
    id = t_text(json_array_get(json_object_get(subscriptions, "items"), 0), "id");
    json_decref(t_act("subscriptions", id, "revoke"));
    json_decref(subscriptions);
    json_decref(t_patch("users", "ann", "{'disabled': true}"));
}

static const char *live(void)
{
    return t_sql(
        "SELECT (SELECT count(*) FROM credentials WHERE revoked_at IS NULL) || ' ' || (SELECT count(*) FROM "
        "subscriptions WHERE state = 'approved') || ' ' || (SELECT count(*) FROM users WHERE disabled = 0)");
}

START_TEST(what_was_revoked_since_the_backup_stays_revoked)
{
    t_make_samples(NULL);
    json_t *token = t_create("api-tokens", "{'name': 'leaked', 'scopes': ['*']}");
    make_backup();
    ck_assert_str_eq(live(), "1 1 1");
    revoke_much();
    t_delete("api-tokens", t_text(token, "id"));
    t_make("teams", "{'name': 'later'}");
    json_t *report = restore();
    ck_assert_str_eq(live(), "0 0 0");
    json_t *again = json_object_get(report, "revoked_again");
    ck_assert_int_eq(json_integer_value(json_object_get(again, "credentials")), 1);
    ck_assert_int_eq(json_integer_value(json_object_get(again, "subscriptions")), 1);
    ck_assert_int_eq(json_integer_value(json_object_get(again, "users")), 1);
    ck_assert_int_eq(json_integer_value(json_object_get(again, "api-tokens")), 1);
    char *sql = slc_asprintf("SELECT count(*) FROM api_tokens WHERE id = '%s' AND expires_at <= %lld",
                             t_text(token, "id"), (long long)slc_wall_ms());
    ck_assert_str_eq(t_sql(sql), "1");
    ck_assert_ptr_null(t_get("teams", "later"));
    free(sql);
    json_decref(report);
    json_decref(token);
}
END_TEST

START_TEST(revocations_are_undone_when_that_is_asked_for)
{
    t_make_samples(NULL);
    make_backup();
    revoke_much();
    t_close();
    json_t *report = try_restore(backup, true);
    ck_assert_ptr_nonnull(report);
    t_open();
    ck_assert_str_eq(live(), "1 1 1");
    json_decref(report);
}
END_TEST

START_TEST(another_catalog_in_its_place_revokes_nothing)
{
    t_make_samples(NULL);
    make_backup();
    t_close();
    ck_assert_int_eq(unlink(t_path("catalog.db")), 0);
    t_open(); /* an empty one, as after the loss of a volume */
    json_t *report = restore();
    ck_assert_str_eq(live(), "1 1 1");
    json_decref(report);
}
END_TEST

/* ---- what is refused, and then nothing has changed ---- */

START_TEST(a_data_directory_in_use_is_refused)
{
    make_backup();
    slc_catalog *running = t_catalog;
    ck_refused(backup, SLC_UNAVAILABLE, "another process uses");
    t_catalog = running;
}
END_TEST

START_TEST(what_is_no_sound_backup_is_refused)
{
    char text[200], missing[200];
    t_make_samples(NULL);
    make_backup();
    t_close();
    snprintf(text, sizeof(text), "%s/notes.txt", t_dir);
    snprintf(missing, sizeof(missing), "%s/missing.db", t_dir);
    ck_assert(slc_file_write_atomic(text, "dear diary, today nothing was backed up\n", 40, 0600, &t_error));
    ck_refused(text, SLC_CORRUPT, "no backup of a catalog");
    ck_refused(missing, SLC_NOT_FOUND, "there is no backup");
    ck_assert(!slc_file_exists(missing));
    overwrite(backup, 20480, 16384);
    ck_refused(backup, SLC_CORRUPT, "damaged");
    ck_assert_int_eq(truncate(backup, 30000), 0);
    ck_refused(backup, SLC_CORRUPT, "damaged");
    sqlite3 *db;
    char other[200];
    snprintf(other, sizeof(other), "%s/other.db", t_dir);
    ck_assert_int_eq(sqlite3_open(other, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "CREATE TABLE songs (x)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    ck_refused(other, SLC_CORRUPT, "no backup of a catalog");
    t_open();
    ck_assert_str_eq(t_sql("SELECT count(*) FROM deployments"), "1");
}
END_TEST

START_TEST(a_backup_of_another_master_key_is_refused_with_its_fingerprint)
{
    char fingerprint[9];
    slc_catalog_key_fingerprint(t_catalog, fingerprint);
    make_backup();
    ck_assert(slc_catalog_rotate_master_key(t_catalog, &t_actor, &t_error));
    t_make("teams", "{'name': 'later'}");
    t_close();
    ck_refused(backup, SLC_CORRUPT, fingerprint);
    t_open();
    json_t *team = t_get("teams", "later");
    ck_assert_ptr_nonnull(team);
    json_decref(team);
}
END_TEST

START_TEST(with_its_old_key_as_a_second_line_a_backup_from_before_a_rotation_is_restored)
{
    size_t len;
    t_make_samples(NULL);
    make_backup();
    char *old = slc_file_read(t_path("master.key"), 4096, &len, &t_error);
    ck_assert(slc_catalog_rotate_master_key(t_catalog, &t_actor, &t_error));
    t_close();
    char *now = slc_file_read(t_path("master.key"), 4096, &len, &t_error);
    char *both = slc_asprintf("%s%s", now, old);
    ck_assert(slc_file_write_atomic(t_path("master.key"), both, strlen(both), 0600, &t_error));
    json_t *report = try_restore(backup, false);
    ck_assert_msg(report != NULL, "%s", t_error.message);
    t_open(); /* seals everything under the first line */
    free(both);
    both = slc_file_read(t_path("master.key"), 4096, &len, &t_error);
    ck_assert_str_eq(both, now);
    json_decref(report);
    free(both);
    free(now);
    free(old);
}
END_TEST

START_TEST(a_backup_of_a_newer_version_is_refused)
{
    make_backup();
    t_close();
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(backup, &db), SQLITE_OK);
    ck_assert_int_eq(
        sqlite3_exec(db, "INSERT INTO schema_migrations VALUES (9999, '9999_later', 'x', 0)", NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    ck_refused(backup, SLC_UNSUPPORTED, "newer version");
    t_open();
}
END_TEST

/* ---- older schemas, damaged catalogs, crashes ---- */

static void make_old_backup(const char *sql_path)
{
    size_t len;
    sqlite3 *db;
    unlink(backup);
    char *sql = slc_file_read(sql_path, 1 << 22, &len, &t_error);
    ck_assert_int_eq(sqlite3_open(backup, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    free(sql);
    char *key_path = slc_asprintf("%.*s.key", (int)(strlen(sql_path) - strlen(".sql")), sql_path);
    char *key = slc_file_read(key_path, 4096, &len, &t_error);
    ck_assert(slc_file_write_atomic(t_path("master.key"), key, len, 0600, &t_error));
    free(key);
    free(key_path);
}

START_TEST(backups_of_earlier_schemas_are_migrated)
{
    glob_t found;
    ck_assert_int_eq(glob(FIXTURES "schema-*.sql", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        t_close();
        make_old_backup(found.gl_pathv[i]);
        json_t *report = try_restore(backup, false);
        ck_assert_msg(report != NULL, "%s: %s", found.gl_pathv[i], t_error.message);
        t_open();
        ck_assert_str_eq(t_sql("SELECT count(*) FROM deployments"), "1");
        json_decref(report);
    }
    globfree(&found);
}
END_TEST

/* As when a new version restores before it has ever started. */
START_TEST(a_replaced_catalog_of_an_earlier_schema_tells_what_was_revoked)
{
    glob_t found;
    ck_assert_int_eq(glob(FIXTURES "schema-*.sql", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        sqlite3 *db;
        t_close();
        make_old_backup(found.gl_pathv[i]);
        unlink(t_path("catalog.db"));
        atomic_bool stop = false;
        ck_assert(slc_copy_database(backup, t_path("catalog.db"), &stop, &t_error));
        ck_assert_int_eq(sqlite3_open(t_path("catalog.db"), &db), SQLITE_OK);
        ck_assert_int_eq(
            sqlite3_exec(db,
                         "UPDATE credentials SET revoked_at = 5; UPDATE catalog_meta SET int_value = "
                         "int_value + 1 WHERE name = 'revision'",
                         NULL, NULL, NULL),
            SQLITE_OK);
        sqlite3_close(db);
        json_t *report = try_restore(backup, false);
        ck_assert_msg(report != NULL, "%s: %s", found.gl_pathv[i], t_error.message);
        ck_assert(json_is_true(json_object_get(report, "compared")));
        json_decref(report);
        t_open();
        ck_assert_str_eq(t_sql("SELECT count(*) FROM credentials WHERE revoked_at IS NULL"), "0");
    }
    globfree(&found);
}
END_TEST

START_TEST(a_damaged_catalog_is_replaced_and_kept)
{
    t_make_samples(NULL);
    make_backup();
    t_close();
    overwrite(t_path("catalog.db"), 0, 65536);
    ck_assert(slc_file_write_atomic(t_path("catalog.db-wal"), "torn", 4, 0600, &t_error));
    json_t *report = try_restore(backup, false);
    ck_assert_msg(report != NULL, "%s", t_error.message);
    ck_assert(json_is_false(json_object_get(report, "compared")));
    ck_assert(slc_file_exists(t_text(report, "replaced")));
    t_open();
    ck_assert_str_eq(t_sql("SELECT count(*) FROM deployments"), "1");
    json_decref(report);
}
END_TEST

START_TEST(a_restore_that_is_killed_leaves_one_catalog_or_the_other)
{
    unsigned seed = (unsigned)slc_wall_ms();
    unsigned old = 0, new = 0;
    t_make_samples(NULL);
    make_backup();
    t_make("teams", "{'name': 'later'}");
    for (int round = 0; round < 16; round++) {
        t_close();
        pid_t child = fork();
        if (child == 0) {
            slc_catalog_options options = {.data_dir = t_dir};
            slc_restore wanted = {.file = backup};
            json_t *report;
            _exit(slc_catalog_restore(&options, &wanted, &report, &t_error) ? 0 : 3);
        }
        /* Not a wait for something: the moment of the kill is what varies. */
        usleep((useconds_t)(rand_r(&seed) % 120000));
        kill(child, SIGKILL);
        int status;
        waitpid(child, &status, 0);
        ck_assert_msg(WIFSIGNALED(status) || WEXITSTATUS(status) == 0, "status %d", WEXITSTATUS(status));
        t_open();
        ck_assert_str_eq(t_sql("SELECT count(*) FROM deployments"), "1");
        json_t *team = t_get("teams", "later");
        if (team != NULL) {
            old++;
        } else {
            new ++;
            t_make("teams", "{'name': 'later'}");
        }
        json_decref(team);
    }
    ck_assert_uint_eq(old + new, 16);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("catalog/restore");
    TCase *tc = tcase_create("restore");
    tcase_add_checked_fixture(tc, setup, t_teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, the_state_of_the_backup_comes_back_and_nothing_counts_backwards);
    tcase_add_test(tc, the_replaced_catalog_is_kept_aside);
    tcase_add_test(tc, gateways_get_the_restored_configuration_as_a_new_version);
    tcase_add_test(tc, what_gateways_report_is_not_handed_out_again_even_if_the_catalog_is_gone);
    tcase_add_test(tc, a_file_put_in_place_by_hand_is_noticed);
    tcase_add_test(tc, what_was_revoked_since_the_backup_stays_revoked);
    tcase_add_test(tc, revocations_are_undone_when_that_is_asked_for);
    tcase_add_test(tc, another_catalog_in_its_place_revokes_nothing);
    tcase_add_test(tc, a_data_directory_in_use_is_refused);
    tcase_add_test(tc, what_is_no_sound_backup_is_refused);
    tcase_add_test(tc, a_backup_of_another_master_key_is_refused_with_its_fingerprint);
    tcase_add_test(tc, with_its_old_key_as_a_second_line_a_backup_from_before_a_rotation_is_restored);
    tcase_add_test(tc, a_backup_of_a_newer_version_is_refused);
    tcase_add_test(tc, backups_of_earlier_schemas_are_migrated);
    tcase_add_test(tc, a_replaced_catalog_of_an_earlier_schema_tells_what_was_revoked);
    tcase_add_test(tc, a_damaged_catalog_is_replaced_and_kept);
    tcase_add_test(tc, a_restore_that_is_killed_leaves_one_catalog_or_the_other);
    suite_add_tcase(s, tc);
    return s;
}

TEST_MAIN(suite)
