/* Opening, migrating, threads, damage, backups. */
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalog/backup.h"
#include "catalog/store.h"
#include "common/alloc.h"
#include "common/file.h"
#include "common/loop.h"
#include "fixture.h"

/* ---- migrations ---- */

static bool open_with_migrations(const char *dir, slc_error *err)
{
    slc_catalog_options options = {.data_dir = t_dir, .migrations_dir = dir};
    t_catalog = slc_catalog_open(&options, err);
    return t_catalog != NULL;
}

/* The number of migrations that there are. */
static int migration_count;

/* Copies migrations/ into the test's folder, with `added` at the end of the file that has `number`. */
static char *copy_migrations(int number, const char *added)
{
    char *dir = slc_asprintf("%s/migrations", t_dir);
    glob_t found;
    ck_assert(slc_dir_make(dir, 0700, &t_error));
    ck_assert_int_eq(glob(SLC_SOURCE_DIR "/migrations/[0-9]*.sql", 0, NULL, &found), 0);
    migration_count = (int)found.gl_pathc;
    for (int i = 0; i < migration_count; i++) {
        size_t len;
        char *to = slc_asprintf("%s%s", dir, strrchr(found.gl_pathv[i], '/'));
        char *sql = slc_file_read(found.gl_pathv[i], 1 << 20, &len, &t_error);
        char *text = slc_asprintf("%s%s", sql, number == i + 1 ? added : "");
        ck_assert(slc_file_write_atomic(to, text, strlen(text), 0600, &t_error));
        free(text);
        free(sql);
        free(to);
    }
    globfree(&found);
    return dir;
}

/* `after`: how many numbers after the last one. */
static void add_migration(const char *dir, int after, const char *name, const char *sql)
{
    char *path = slc_asprintf("%s/%04d_%s.sql", dir, migration_count + after, name);
    ck_assert(slc_file_write_atomic(path, sql, strlen(sql), 0600, &t_error));
    free(path);
}

START_TEST(the_compiled_migrations_are_those_of_the_folder)
{
    t_close();
    char *dir = copy_migrations(0, "");
    ck_assert_msg(open_with_migrations(dir, &t_error), "%s", t_error.message);
    free(dir);
}
END_TEST

START_TEST(a_changed_migration_is_refused)
{
    t_close();
    char *dir = copy_migrations(2, "\n-- a comment\n");
    ck_assert(!open_with_migrations(dir, &t_error));
    ck_assert_int_eq(t_error.code, SLC_CORRUPT);
    ck_assert_ptr_nonnull(strstr(t_error.message, "0002_system was changed"));
    free(dir);
    t_open(); /* nothing was touched */
}
END_TEST

START_TEST(a_newer_schema_is_refused)
{
    t_close();
    char *dir = copy_migrations(0, "");
    add_migration(dir, 1, "more", "CREATE TABLE more (x INTEGER) STRICT;");
    ck_assert(open_with_migrations(dir, &t_error));
    t_close();
    ck_assert(!t_try_open(&t_error));
    ck_assert_int_eq(t_error.code, SLC_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(t_error.message, "newer version"));
    free(dir);
}
END_TEST

START_TEST(a_migration_that_fails_leaves_nothing)
{
    t_make("teams", "{'name': 'a'}");
    t_close();
    char *dir = copy_migrations(0, "");
    add_migration(dir, 1, "bad", "CREATE TABLE half (x INTEGER) STRICT; INSERT INTO nowhere VALUES (1);");
    ck_assert(!open_with_migrations(dir, &t_error));
    ck_assert_ptr_nonnull(strstr(t_error.message, "_bad"));
    t_open();
    ck_assert_str_eq(t_sql("SELECT count(*) FROM sqlite_master WHERE name = 'half'"), "0");
    ck_assert_str_eq(t_sql("SELECT count(*) FROM teams"), "1");
    free(dir);
}
END_TEST

START_TEST(all_missing_migrations_come_or_none)
{
    t_close();
    char *dir = copy_migrations(0, "");
    add_migration(dir, 1, "good", "CREATE TABLE good (x INTEGER) STRICT;");
    add_migration(dir, 2, "bad", "INSERT INTO nowhere VALUES (1);");
    ck_assert(!open_with_migrations(dir, &t_error));
    t_open(); /* the version before can still read it */
    ck_assert_str_eq(t_sql("SELECT count(*) FROM sqlite_master WHERE name = 'good'"), "0");
    free(dir);
}
END_TEST

static size_t count_backups(void)
{
    json_t *list = slc_backup_list(t_catalog, &t_error);
    size_t count = json_array_size(list);
    json_decref(list);
    return count;
}

START_TEST(a_backup_is_made_before_an_upgrade)
{
    ck_assert_uint_eq(count_backups(), 0); /* a new catalog is no upgrade */
    t_make("teams", "{'name': 'a'}");
    t_close();
    char *dir = copy_migrations(0, "");
    add_migration(dir, 1, "more", "CREATE TABLE more (x INTEGER) STRICT;");
    ck_assert_msg(open_with_migrations(dir, &t_error), "%s", t_error.message);
    json_t *list = slc_backup_list(t_catalog, &t_error);
    ck_assert_uint_eq(json_array_size(list), 1);
    const char *name = t_text(json_array_get(list, 0), "name");
    ck_assert_ptr_nonnull(strstr(name, "before-upgrade"));
    t_close();
    /* It is the way back to the version before. */
    char *file = slc_asprintf("%s/backups/%s", t_dir, name);
    slc_catalog_options options = {.data_dir = t_dir};
    slc_restore restore = {.file = file};
    json_t *report;
    ck_assert(!t_try_open(&t_error));
    ck_assert_msg(slc_catalog_restore(&options, &restore, &report, &t_error), "%s", t_error.message);
    t_open();
    ck_assert_str_eq(t_sql("SELECT count(*) FROM teams"), "1");
    json_decref(report);
    json_decref(list);
    free(file);
    free(dir);
}
END_TEST

START_TEST(a_gap_in_the_migrations_is_refused)
{
    t_close();
    char *dir = copy_migrations(0, "");
    add_migration(dir, 2, "later", "SELECT 1;");
    ck_assert(!open_with_migrations(dir, &t_error));
    char *missing = slc_asprintf("migration number %d is missing", migration_count + 1);
    ck_assert_ptr_nonnull(strstr(t_error.message, missing));
    free(missing);
    free(dir);
}
END_TEST

/* ---- the directory ---- */

START_TEST(a_directory_has_one_owner)
{
    slc_catalog *first = t_catalog;
    ck_assert(!t_try_open(&t_error));
    ck_assert_int_eq(t_error.code, SLC_UNAVAILABLE);
    t_catalog = first;
}
END_TEST

START_TEST(files_are_private)
{
    struct stat st;
    ck_assert_int_eq(stat(t_path("master.key"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
}
END_TEST

/* A limit on the size of files stands in for a full disk: the write fails in the same place. */
START_TEST(a_full_disk_is_told_and_survived)
{
    struct rlimit old, tight;
    struct stat st;
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(stat(t_path("catalog.db-wal"), &st), 0);
    getrlimit(RLIMIT_FSIZE, &old);
    tight = old;
    tight.rlim_cur = (rlim_t)st.st_size + 4096;
    char body[70000];
    int len = snprintf(body, sizeof(body),
                       "{'name': 'x', 'major': 1, 'team': 'a', 'operations': ['read'], 'exposures': "
                       "['rest'], 'description': '");
    memset(body + len, 'y', 60000);
    strcpy(body + len + 60000, "'}");
    t_make("teams", "{'name': 'a'}");
    setrlimit(RLIMIT_FSIZE, &tight);
    t_create_fails("event-apis", body, SLC_NO_SPACE, NULL);
    setrlimit(RLIMIT_FSIZE, &old);
    ck_assert_ptr_null(t_get("event-apis", "x.v1"));
    t_make("event-apis", body);
}
END_TEST

/* ---- threads ---- */

#define WRITERS 4
#define WRITES  25

static bool create_team(slc_txn *txn, void *arg, slc_error *err)
{
    json_t *body = json_pack("{s:s}", "name", (const char *)arg);
    json_t *made = slc_entity_create(txn, slc_kind_find("teams"), body, err);
    json_decref(body);
    json_decref(made);
    return made != NULL;
}

static void *write_many(void *arg)
{
    for (int i = 0; i < WRITES; i++) {
        char name[32];
        slc_error err;
        snprintf(name, sizeof(name), "w%d-%d", *(int *)arg, i);
        if (!t_write(create_team, name, &err))
            return slc_strdup(err.message);
    }
    return NULL;
}

START_TEST(writers_of_several_threads_get_their_turns)
{
    pthread_t threads[WRITERS];
    int numbers[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        numbers[i] = i;
        pthread_create(&threads[i], NULL, write_many, &numbers[i]);
    }
    for (int i = 0; i < WRITERS; i++) {
        void *message;
        pthread_join(threads[i], &message);
        ck_assert_msg(message == NULL, "%s", (char *)message);
    }
    ck_assert_str_eq(t_sql("SELECT count(*) || ' ' || count(DISTINCT revision) FROM teams"), "100 100");
    ck_assert_str_eq(t_sql("SELECT int_value FROM catalog_meta WHERE name = 'revision'"), "101");
}
END_TEST

struct asked {
    slc_loop *loop;
    atomic_int done, failed;
    int wanted;
};

static void on_done(void *arg, bool ok, const slc_error *err)
{
    struct asked *asked = arg;
    (void)err;
    ck_assert(slc_loop_is_current(asked->loop));
    if (!ok)
        atomic_fetch_add(&asked->failed, 1);
    if (atomic_fetch_add(&asked->done, 1) + 1 == asked->wanted)
        slc_loop_stop(asked->loop);
}

static bool create_labelled(slc_txn *txn, void *arg, slc_error *err)
{
    struct asked *asked = arg;
    char name[32];
    snprintf(name, sizeof(name), "q%llu", (unsigned long long)slc_catalog_revision(txn));
    ck_assert_str_eq(slc_txn_actor(txn)->id, "someone");
    (void)asked;
    return create_team(txn, name, err);
}

static bool count_teams(slc_txn *txn, void *arg, slc_error *err)
{
    (void)arg;
    slc_list_query query = {.limit = 1000};
    json_t *list = slc_entity_list(txn, slc_kind_find("teams"), &query, err);
    json_decref(list);
    return list != NULL;
}

START_TEST(queued_work_answers_on_the_loop)
{
    struct asked asked = {.loop = slc_loop_new("test", NULL), .wanted = 80};
    for (int i = 0; i < 40; i++) {
        char id[16] = "someone"; /* copied: it changes right away */
        slc_actor actor = {.kind = "user", .id = id, .name = id};
        slc_catalog_write(t_catalog, asked.loop, &actor, create_labelled, on_done, &asked);
        slc_catalog_read(t_catalog, asked.loop, count_teams, on_done, &asked);
        memset(id, 0, sizeof(id));
    }
    slc_loop_run(asked.loop);
    ck_assert_int_eq(asked.done, 80);
    ck_assert_int_eq(asked.failed, 0);
    slc_loop_free(asked.loop);
    ck_assert_str_eq(t_sql("SELECT count(*) FROM teams"), "40");
}
END_TEST

/* ---- full queues ---- */

struct gate {
    pthread_mutex_t closed;
    atomic_int entered, refused, done;
};

static bool pass_gate(slc_txn *txn, void *arg, slc_error *err)
{
    struct gate *gate = arg;
    (void)txn, (void)err;
    atomic_fetch_add(&gate->entered, 1);
    pthread_mutex_lock(&gate->closed);
    pthread_mutex_unlock(&gate->closed);
    return true;
}

static void count_answer(void *arg, bool ok, const slc_error *err)
{
    struct gate *gate = arg;
    if (!ok) {
        ck_assert_int_eq(err->code, SLC_UNAVAILABLE);
        ck_assert_ptr_nonnull(strstr(err->message, "catalog.queue"));
        atomic_fetch_add(&gate->refused, 1);
    }
    atomic_fetch_add(&gate->done, 1);
}

static void fill_queue(struct gate *gate, slc_actor actor, int count)
{
    for (int i = 0; i < count; i++)
        slc_catalog_write(t_catalog, NULL, &actor, pass_gate, count_answer, gate);
}

START_TEST(what_is_over_the_queue_is_refused_but_the_own_work_is_not)
{
    slc_catalog_options options = {.data_dir = t_dir, .queue_limit = 3};
    struct gate gate = {.closed = PTHREAD_MUTEX_INITIALIZER};
    slc_catalog_status status;
    t_close();
    ck_assert_ptr_nonnull((t_catalog = slc_catalog_open(&options, &t_error)));
    pthread_mutex_lock(&gate.closed);
    fill_queue(&gate, (slc_actor){.kind = "user", .id = "someone"}, 1);
    while (atomic_load(&gate.entered) == 0)
        usleep(1000);
    fill_queue(&gate, (slc_actor){.kind = "user", .id = "someone"}, 5);
    ck_assert_int_eq(gate.refused, 2);
    fill_queue(&gate, (slc_actor){.kind = "system", .id = "system"}, 4);
    ck_assert_int_eq(gate.refused, 2);
    slc_catalog_get_status(t_catalog, &status);
    ck_assert_uint_eq(status.waiting[SLC_LANE_WRITE], 7);
    slc_catalog_read(t_catalog, NULL, count_teams, count_answer, &gate); /* other queues have room */
    pthread_mutex_unlock(&gate.closed);
    t_close();
    ck_assert_int_eq(gate.done, 11);
    ck_assert_int_eq(gate.refused, 2);
}
END_TEST

START_TEST(closing_waits_for_queued_work)
{
    slc_actor actor = {.kind = "user", .id = "someone"};
    struct asked asked = {.wanted = 0};
    for (int i = 0; i < 50; i++)
        slc_catalog_write(t_catalog, NULL, &actor, create_labelled, NULL, &asked);
    t_close();
    t_open();
    ck_assert_str_eq(t_sql("SELECT count(*) FROM teams"), "50");
}
END_TEST

/* ---- transactions ---- */

static bool create_then_fail(slc_txn *txn, void *arg, slc_error *err)
{
    return create_team(txn, arg, err) && slc_fail(err, SLC_DENIED, NULL, "no");
}

static bool create_two(slc_txn *txn, void *arg, slc_error *err)
{
    (void)arg;
    return create_team(txn, (char *)"one", err) && create_team(txn, (char *)"two", err);
}

static bool write_as_reader(slc_txn *txn, void *arg, slc_error *err)
{
    (void)arg;
    return slc_txn_exec(txn, err, "DELETE FROM roles", "");
}

static void note_revision(void *arg, uint64_t revision)
{
    uint64_t *seen = arg;
    seen[0]++;
    seen[1] = revision;
}

START_TEST(a_transaction_is_all_or_nothing_and_one_revision)
{
    uint64_t seen[2] = {0, 0};
    slc_catalog_on_commit(t_catalog, note_revision, seen);
    ck_assert(!t_write(create_then_fail, (char *)"lost", &t_error));
    ck_assert_int_eq(t_error.code, SLC_DENIED);
    ck_assert_ptr_null(t_get("teams", "lost"));
    ck_assert_uint_eq(seen[0], 0);
    ck_assert(t_write(create_two, NULL, &t_error));
    ck_assert_uint_eq(seen[0], 1);
    ck_assert_uint_eq(seen[1], 2);
    ck_assert_str_eq(t_sql("SELECT count(*) || ' ' || max(revision) FROM teams"), "2 2");
    ck_assert_str_eq(t_sql("SELECT group_concat(revision) FROM audit_events"), "2,2");
    json_decref(t_put("teams", "one", "{}")); /* changes nothing */
    ck_assert_uint_eq(seen[0], 1);
    ck_assert(!t_read(write_as_reader, NULL, &t_error));
}
END_TEST

/* ---- backups ---- */

static atomic_bool stop_writing;

static void *write_until_told(void *arg)
{
    int i = 0;
    (void)arg;
    while (!atomic_load(&stop_writing)) {
        char name[32];
        slc_error err;
        snprintf(name, sizeof(name), "b%d", i++);
        if (!t_write(create_team, name, &err))
            return slc_strdup(err.message);
    }
    return NULL;
}

START_TEST(a_backup_is_one_state_while_others_write)
{
    t_make_samples(NULL);
    pthread_t writer;
    pthread_create(&writer, NULL, write_until_told, NULL);
    char *path = slc_asprintf("%s/backup.db", t_dir);
    bool ok = slc_catalog_backup(t_catalog, path, &t_error);
    atomic_store(&stop_writing, true);
    void *message;
    pthread_join(writer, &message);
    ck_assert_msg(message == NULL, "%s", (char *)message);
    ck_assert_msg(ok, "%s", t_error.message);
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    ck_assert(!slc_catalog_backup(t_catalog, path, &t_error));
    ck_assert_int_eq(t_error.code, SLC_CONFLICT);
    /* Restoring is putting the file in the place of the other. */
    t_close();
    remove(t_path("catalog.db-wal"));
    remove(t_path("catalog.db-shm"));
    ck_assert_int_eq(rename(path, t_path("catalog.db")), 0);
    t_open();
    ck_assert_str_eq(t_sql("SELECT count(*) FROM deployments"), "1");
    ck_assert_str_eq(
        t_sql("SELECT (SELECT count(*) FROM audit_events WHERE kind = 'teams') = (SELECT count(*) FROM "
              "teams)"),
        "1");
    free(path);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("catalog/store");
    TCase *tc = tcase_create("store");
    tcase_add_checked_fixture(tc, t_setup, t_teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, the_compiled_migrations_are_those_of_the_folder);
    tcase_add_test(tc, a_changed_migration_is_refused);
    tcase_add_test(tc, a_newer_schema_is_refused);
    tcase_add_test(tc, a_migration_that_fails_leaves_nothing);
    tcase_add_test(tc, all_missing_migrations_come_or_none);
    tcase_add_test(tc, a_backup_is_made_before_an_upgrade);
    tcase_add_test(tc, a_gap_in_the_migrations_is_refused);
    tcase_add_test(tc, what_is_over_the_queue_is_refused_but_the_own_work_is_not);
    tcase_add_test(tc, a_directory_has_one_owner);
    tcase_add_test(tc, files_are_private);
    tcase_add_test(tc, a_full_disk_is_told_and_survived);
    tcase_add_test(tc, writers_of_several_threads_get_their_turns);
    tcase_add_test(tc, queued_work_answers_on_the_loop);
    tcase_add_test(tc, closing_waits_for_queued_work);
    tcase_add_test(tc, a_transaction_is_all_or_nothing_and_one_revision);
    tcase_add_test(tc, a_backup_is_one_state_while_others_write);
    suite_add_tcase(s, tc);
    return s;
}

TEST_MAIN(suite)
