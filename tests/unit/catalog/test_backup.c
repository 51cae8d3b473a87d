/* Backups in their directory, the master key's rotation, and a key that is lost. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "catalog/backup.h"
#include "catalog/compile.h"
#include "catalog/store.h"
#include "common/alloc.h"
#include "common/clock.h"
#include "common/file.h"
#include "fixture.h"

static unsigned count_files(const char *dir, const char *part)
{
    unsigned count = 0;
    DIR *opened = opendir(dir);
    for (struct dirent *entry = NULL; opened != NULL && (entry = readdir(opened)) != NULL;)
        if (entry->d_name[0] != '.' || strstr(entry->d_name, ".catalog") == entry->d_name)
            count += strstr(entry->d_name, part) != NULL;
    if (opened != NULL)
        closedir(opened);
    return count;
}

static json_t *make_backup(void)
{
    json_t *made = slc_backup_make(t_catalog, &t_actor, &t_error);
    ck_assert_msg(made != NULL, "%s", t_error.message);
    return made;
}

static void reopen_keeping(unsigned keep)
{
    slc_catalog_options options = {.data_dir = t_dir, .backup_keep = keep};
    t_close();
    t_catalog = slc_catalog_open(&options, &t_error);
    ck_assert_msg(t_catalog != NULL, "%s", t_error.message);
}

/* ---- the directory ---- */

START_TEST(a_backup_says_what_it_is)
{
    struct stat st;
    char fingerprint[9];
    t_make_samples(NULL);
    json_t *made = make_backup();
    slc_catalog_key_fingerprint(t_catalog, fingerprint);
    ck_assert_str_eq(t_text(made, "master_key"), fingerprint);
    ck_assert(json_is_true(json_object_get(made, "usable")));
    ck_assert_str_eq(t_text(made, "schema"),
                     t_sql("SELECT name FROM schema_migrations ORDER BY number DESC LIMIT 1"));
    char revision[32];
    snprintf(revision, sizeof(revision), "%lld",
             (long long)json_integer_value(json_object_get(made, "revision")));
    ck_assert_str_eq(revision, t_sql("SELECT int_value FROM catalog_meta WHERE name = 'revision'"));
    char *path = slc_asprintf("%s/backups/%s", t_dir, t_text(made, "name"));
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    ck_assert_int_eq(st.st_size, json_integer_value(json_object_get(made, "size_bytes")));
    json_t *list = slc_backup_list(t_catalog, &t_error);
    ck_assert_uint_eq(json_array_size(list), 1);
    ck_assert(json_equal(json_array_get(list, 0), made));
    ck_assert_uint_eq(count_files(t_path("backups"), ""), 1);
    ck_assert_str_eq(t_sql("SELECT count(*) FROM audit_events WHERE kind = 'backups' AND action = 'create'"),
                     "1");
    json_decref(list);
    json_decref(made);
    free(path);
}
END_TEST

START_TEST(only_as_many_as_are_kept_stay)
{
    reopen_keeping(2);
    char last[3][100];
    for (int i = 0; i < 3; i++) {
        json_t *made = make_backup();
        snprintf(last[i], sizeof(last[i]), "%s", t_text(made, "name"));
        json_decref(made);
    }
    json_t *list = slc_backup_list(t_catalog, &t_error);
    ck_assert_uint_eq(json_array_size(list), 2);
    ck_assert_str_eq(t_text(json_array_get(list, 0), "name"), last[2]);
    ck_assert_str_eq(t_text(json_array_get(list, 1), "name"), last[1]);
    json_decref(list);
}
END_TEST

START_TEST(only_backups_are_opened)
{
    static const char *const names[] = {
        "../catalog.db",        "catalog.db", "catalog-../../master.db", "/etc/passwd",
        "catalog-x.db/../a.db", "",           "catalog-20260101.db-wal", "catalog-missing.db"};
    int64_t size;
    json_decref(make_backup());
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        ck_assert_msg(slc_backup_open(t_catalog, &t_actor, names[i], &size, &t_error) < 0, "%s", names[i]);
        ck_assert_int_eq(t_error.code, SLC_NOT_FOUND);
    }
    /* A link that somebody put there leads nowhere either. */
    char *link = slc_asprintf("%s/backups/catalog-link.db", t_dir);
    ck_assert_int_eq(symlink(t_path("master.key"), link), 0);
    free(link);
    ck_assert_int_lt(slc_backup_open(t_catalog, &t_actor, "catalog-link.db", &size, &t_error), 0);
}
END_TEST

START_TEST(a_download_is_in_the_audit_trail)
{
    int64_t size;
    json_t *made = make_backup();
    int fd = slc_backup_open(t_catalog, &t_actor, t_text(made, "name"), &size, &t_error);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(size, json_integer_value(json_object_get(made, "size_bytes")));
    close(fd);
    ck_assert_str_eq(t_sql("SELECT ref FROM audit_events WHERE action = 'download'"), t_text(made, "name"));
    json_decref(made);
}
END_TEST

START_TEST(a_full_disk_leaves_no_part_of_a_backup)
{
    struct rlimit old, tight;
    t_make_samples(NULL);
    json_decref(make_backup());
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    tight = old;
    tight.rlim_cur = 100000;
    setrlimit(RLIMIT_FSIZE, &tight);
    json_t *made = slc_backup_make(t_catalog, &t_actor, &t_error);
    setrlimit(RLIMIT_FSIZE, &old);
    ck_assert_ptr_null(made);
    ck_assert_msg(t_error.code == SLC_NO_SPACE, "%s", t_error.message);
    ck_assert_uint_eq(count_files(t_path("backups"), ""), 1);
    json_decref(make_backup());
}
END_TEST

START_TEST(a_damaged_catalog_is_not_backed_up_over_good_backups)
{
    char junk[16384];
    reopen_keeping(1);
    t_make_samples(NULL);
    json_t *good = make_backup();
    reopen_keeping(1); /* folds the log into the file */
    memset(junk, 0x5a, sizeof(junk));
    int fd = open(t_path("catalog.db"), O_WRONLY);
    ck_assert_int_eq(pwrite(fd, junk, sizeof(junk), 40960), (ssize_t)sizeof(junk));
    close(fd);
    ck_assert_ptr_null(slc_backup_make(t_catalog, &t_actor, &t_error));
    ck_assert_msg(t_error.code == SLC_CORRUPT, "%s", t_error.message);
    json_t *list = slc_backup_list(t_catalog, &t_error);
    ck_assert_uint_eq(json_array_size(list), 1);
    ck_assert_str_eq(t_text(json_array_get(list, 0), "name"), t_text(good, "name"));
    json_decref(list);
    json_decref(good);
}
END_TEST

START_TEST(what_a_crash_left_of_a_backup_is_removed)
{
    json_decref(make_backup());
    char *partial = slc_asprintf("%s/backups/.catalog-20260101T000000Z-r1.db.partial", t_dir);
    ck_assert(slc_file_write_atomic(partial, "half", 4, 0600, &t_error));
    json_t *list = slc_backup_list(t_catalog, &t_error);
    ck_assert_uint_eq(json_array_size(list), 1);
    json_decref(list);
    t_close();
    t_open();
    ck_assert(!slc_file_exists(partial));
    free(partial);
}
END_TEST

START_TEST(one_at_a_time)
{
    atomic_store(&t_catalog->maintaining, true);
    ck_assert_ptr_null(slc_backup_make(t_catalog, &t_actor, &t_error));
    ck_assert_int_eq(t_error.code, SLC_CONFLICT);
    ck_assert(!slc_catalog_rotate_master_key(t_catalog, &t_actor, &t_error));
    ck_assert_int_eq(t_error.code, SLC_CONFLICT);
    atomic_store(&t_catalog->maintaining, false);
    json_decref(make_backup());
}
END_TEST

/* ---- the master key ---- */

static bool open_password(slc_txn *txn, void *arg, slc_error *err)
{
    const slc_kind *kind = slc_kind_find("backend-clusters");
    json_t *stored = slc_entity_load(txn, kind, "local", err);
    enum slc_secret_source source;
    char *text = NULL;
    size_t len = 0;
    bool ok = slc_secret_open(txn, kind, t_text(stored, "id"), "authentication.password",
                              json_object_get(json_object_get(stored, "authentication"), "password"), &source,
                              &text, &len, err);
    snprintf(arg, 64, "%s", ok ? text : "");
    slc_free_secret(text, len);
    json_decref(stored);
    return ok;
}

static void ck_password(const char *expected)
{
    char password[64];
    ck_assert_msg(t_read(open_password, password, &t_error), "%s", t_error.message);
    ck_assert_str_eq(password, expected);
}

static size_t keys_in_file(void)
{
    size_t len, lines = 0;
    char *text = slc_file_read(t_path("master.key"), 4096, &len, &t_error);
    ck_assert_ptr_nonnull(text);
    for (size_t i = 0; i < len; i++)
        lines += text[i] == '\n';
    free(text);
    return lines;
}

static void rotate_until_killed(void)
{
    t_catalog = NULL;
    t_open();
    for (;;)
        if (!slc_catalog_rotate_master_key(t_catalog, &t_actor, &t_error))
            _exit(3);
}

START_TEST(a_rotation_survives_sigkill_at_any_moment)
{
    unsigned seed = (unsigned)slc_wall_ms();
    t_make_samples(NULL);
    for (int round = 0; round < 12; round++) {
        t_close();
        pid_t child = fork();
        if (child == 0)
            rotate_until_killed();
        /* Not a wait for something: the moment of the kill is what varies. */
        usleep(20000 + (useconds_t)(rand_r(&seed) % 60000));
        int status;
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
        ck_assert_msg(WIFSIGNALED(status), "the child ended with %d", WEXITSTATUS(status));
        t_open();
        ck_password("backend-password");
        ck_assert_uint_eq(keys_in_file(), 1);
    }
    json_decref(make_backup());
}
END_TEST

START_TEST(a_rotation_that_was_cut_off_is_ended_at_the_next_start)
{
    slc_master_key master = {0};
    char first[9], second[9];
    t_make_samples(NULL);
    slc_catalog_key_fingerprint(t_catalog, first);
    t_close();
    /* The new key is in the file, nothing is sealed under it yet. */
    ck_assert(slc_master_key_load(&master, t_path("master.key"), &t_error));
    ck_assert(slc_master_key_push(&master, &t_error));
    ck_assert(slc_master_key_save(&master, t_path("master.key"), &t_error));
    t_open();
    ck_assert_uint_eq(keys_in_file(), 1);
    slc_catalog_key_fingerprint(t_catalog, second);
    ck_assert_str_ne(first, second);
    ck_password("backend-password");
    t_close();
    t_open();
    ck_password("backend-password");
}
END_TEST

START_TEST(a_rotation_on_a_full_disk_changes_nothing)
{
    struct rlimit old, tight;
    struct stat st;
    char before[9], after[9];
    t_make_samples(NULL);
    slc_catalog_key_fingerprint(t_catalog, before);
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(stat(t_path("catalog.db-wal"), &st), 0);
    getrlimit(RLIMIT_FSIZE, &old);
    tight = old;
    tight.rlim_cur = (rlim_t)st.st_size + 4096;
    setrlimit(RLIMIT_FSIZE, &tight);
    bool ok = slc_catalog_rotate_master_key(t_catalog, &t_actor, &t_error);
    setrlimit(RLIMIT_FSIZE, &old);
    ck_assert(!ok);
    ck_assert_msg(t_error.code == SLC_NO_SPACE, "%s", t_error.message);
    ck_password("backend-password");
    ck_assert_msg(slc_catalog_rotate_master_key(t_catalog, &t_actor, &t_error), "%s", t_error.message);
    slc_catalog_key_fingerprint(t_catalog, after);
    ck_assert_str_ne(before, after);
    ck_assert_uint_eq(keys_in_file(), 1);
    ck_password("backend-password");
}
END_TEST

START_TEST(a_backup_under_an_earlier_key_is_not_usable)
{
    json_decref(make_backup());
    ck_assert(slc_catalog_rotate_master_key(t_catalog, &t_actor, &t_error));
    json_t *list = slc_backup_list(t_catalog, &t_error);
    ck_assert(json_is_false(json_object_get(json_array_get(list, 0), "usable")));
    json_decref(list);
}
END_TEST

/* ---- a key that is lost ---- */

static json_t *forget(void)
{
    slc_catalog_options options = {.data_dir = t_dir};
    json_t *report;
    bool ok = slc_catalog_forget_secrets(&options, &report, &t_error);
    return ok ? report : NULL;
}

static bool is_listed(const json_t *fields, const char *wanted)
{
    size_t i;
    json_t *field;
    json_array_foreach (fields, i, field)
        if (strcmp(json_string_value(field), wanted) == 0)
            return true;
    return false;
}

static bool compile(slc_txn *txn, void *arg, slc_error *err)
{
    json_t *ids = slc_compile_groups(txn, err);
    (void)arg;
    slc_compiled *compiled = slc_compile_group(txn, json_string_value(json_array_get(ids, 0)), NULL, NULL, err);
    json_decref(ids);
    bool ok = compiled != NULL;
    slc_compiled_unref(compiled);
    return ok;
}

START_TEST(a_lost_key_is_told_with_its_fingerprint)
{
    char fingerprint[9];
    slc_catalog_key_fingerprint(t_catalog, fingerprint);
    t_close();
    ck_assert_int_eq(unlink(t_path("master.key")), 0);
    ck_assert(!t_try_open(&t_error));
    ck_assert_int_eq(t_error.code, SLC_CORRUPT);
    ck_assert_ptr_nonnull(strstr(t_error.message, fingerprint));
    ck_assert_ptr_nonnull(strstr(t_error.message, t_path("master.key")));
    ck_assert_ptr_nonnull(strstr(t_error.message, "--forget-secrets"));
    ck_assert(!slc_file_exists(t_path("master.key")));
}
END_TEST

START_TEST(what_was_sealed_under_a_lost_key_can_be_supplied_again)
{
    t_make_samples(NULL);
    t_close();
    ck_assert_int_eq(unlink(t_path("master.key")), 0);
    json_t *report = forget();
    ck_assert_msg(report != NULL, "%s", t_error.message);
    json_t *fields = json_object_get(report, "fields");
    ck_assert(is_listed(fields, "backend-clusters/local authentication.password"));
    ck_assert(is_listed(fields, "listeners/edge tls.key_pem"));
    ck_assert_uint_eq(count_files(t_path("backups"), "before-forgetting"), 1);
    t_open();
    ck_assert_str_eq(t_sql("SELECT count(*) FROM enrolment_tokens"), "0");
    ck_assert_str_eq(t_sql("SELECT count(*) FROM credentials WHERE secret_sha256 IS NOT NULL"), "1");
    /* What gateways have must not be replaced by something that lacks its secrets. */
    ck_assert(!t_read(compile, NULL, &t_error));
    ck_assert_msg(strstr(t_error.message, "supply it again") != NULL, "%s", t_error.message);
    char *body = slc_asprintf("{'authentication': {'password': 'again'}, 'tls': {'client_key_pem': '%s'}}",
                              t_certificate_key);
    json_decref(t_patch("backend-clusters", "local", body));
    free(body);
    ck_password("again");
    body =
        slc_asprintf("{'tls': {'certificate_pem': '%s', 'key_pem': '%s'}}", t_certificate, t_certificate_key);
    json_decref(t_patch("listeners", "edge", body));
    ck_assert_msg(t_read(compile, NULL, &t_error), "%s", t_error.message);
    ck_assert_msg(slc_catalog_rotate_master_key(t_catalog, &t_actor, &t_error), "%s", t_error.message);
    ck_password("again");
    free(body);
    json_decref(report);
}
END_TEST

START_TEST(secrets_are_not_forgotten_while_the_key_is_there)
{
    t_make_samples(NULL);
    ck_assert_ptr_null(forget()); /* in use */
    ck_assert_int_eq(t_error.code, SLC_UNAVAILABLE);
    t_close();
    ck_assert_ptr_null(forget());
    ck_assert_int_eq(t_error.code, SLC_CONFLICT);
    t_open();
    ck_password("backend-password");
}
END_TEST

START_TEST(another_key_in_the_file_is_kept_and_used)
{
    slc_master_key other = {0};
    char fingerprint[9], used[9];
    t_make_samples(NULL);
    t_close();
    ck_assert(slc_master_key_push(&other, &t_error));
    ck_assert(slc_master_key_save(&other, t_path("master.key"), &t_error));
    slc_master_key_fingerprint(&other, 0, fingerprint);
    ck_assert(!t_try_open(&t_error));
    ck_assert_ptr_nonnull(strstr(t_error.message, "another key"));
    json_t *report = forget();
    ck_assert_msg(report != NULL, "%s", t_error.message);
    t_open();
    slc_catalog_key_fingerprint(t_catalog, used);
    ck_assert_str_eq(used, fingerprint);
    json_decref(report);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("catalog/backup");
    TCase *tc = tcase_create("backup");
    tcase_add_checked_fixture(tc, t_setup, t_teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, a_backup_says_what_it_is);
    tcase_add_test(tc, only_as_many_as_are_kept_stay);
    tcase_add_test(tc, only_backups_are_opened);
    tcase_add_test(tc, a_download_is_in_the_audit_trail);
    tcase_add_test(tc, a_full_disk_leaves_no_part_of_a_backup);
    tcase_add_test(tc, a_damaged_catalog_is_not_backed_up_over_good_backups);
    tcase_add_test(tc, what_a_crash_left_of_a_backup_is_removed);
    tcase_add_test(tc, one_at_a_time);
    tcase_add_test(tc, a_rotation_survives_sigkill_at_any_moment);
    tcase_add_test(tc, a_rotation_that_was_cut_off_is_ended_at_the_next_start);
    tcase_add_test(tc, a_rotation_on_a_full_disk_changes_nothing);
    tcase_add_test(tc, a_backup_under_an_earlier_key_is_not_usable);
    tcase_add_test(tc, a_lost_key_is_told_with_its_fingerprint);
    tcase_add_test(tc, what_was_sealed_under_a_lost_key_can_be_supplied_again);
    tcase_add_test(tc, secrets_are_not_forgotten_while_the_key_is_there);
    tcase_add_test(tc, another_key_in_the_file_is_kept_and_used);
    suite_add_tcase(s, tc);
    return s;
}

TEST_MAIN(suite)
