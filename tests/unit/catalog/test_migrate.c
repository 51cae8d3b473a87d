/* Catalogs written by earlier versions open, with everything in them. */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/migrate.h"
#include "common/alloc.h"
#include "common/file.h"
#include "fixture.h"

#define FIXTURES SLC_SOURCE_DIR "/tests/unit/catalog/fixtures/"

static void copy_key(const char *sql_path)
{
    size_t len;
    char *path = slc_asprintf("%.*s.key", (int)(strlen(sql_path) - strlen(".sql")), sql_path);
    char *key = slc_file_read(path, 4096, &len, &t_error);
    ck_assert_msg(key != NULL, "%s", t_error.message);
    ck_assert(slc_file_write_atomic(t_path("master.key"), key, len, 0600, &t_error));
    free(key);
    free(path);
}

static void load(const char *sql_path)
{
    size_t len;
    sqlite3 *db;
    const char *files[] = {"catalog.db", "catalog.db-wal", "catalog.db-shm"};
    t_close();
    for (size_t i = 0; i < 3; i++)
        remove(t_path(files[i]));
    char *sql = slc_file_read(sql_path, 1 << 22, &len, &t_error);
    ck_assert_msg(sql != NULL, "%s", t_error.message);
    ck_assert_int_eq(sqlite3_open(t_path("catalog.db"), &db), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s: %s", sql_path, sqlite3_errmsg(db));
    sqlite3_close(db);
    free(sql);
    copy_key(sql_path);
}

static bool open_password(slc_txn *txn, void *arg, slc_error *err)
{
    const slc_kind *kind = slc_kind_find("backend-clusters");
    json_t *stored = slc_entity_load(txn, kind, "local", err);
    enum slc_secret_source source;
    char *text;
    size_t len;
    bool ok = slc_secret_open(txn, kind, t_text(stored, "id"), "authentication.password",
                              json_object_get(json_object_get(stored, "authentication"), "password"), &source,
                              &text, &len, err);
    snprintf(arg, 64, "%s", ok ? text : "");
    slc_free_secret(text, len);
    json_decref(stored);
    return ok;
}

/* The history of the configuration has what there is, also in a catalog that had none. */
static void check_history(const char *path)
{
    for (const slc_kind *const *kind = slc_kinds(); *kind != NULL; kind++) {
        if (((*kind)->flags & SLC_KIND_ROLLBACK) == 0)
            continue;
        char *sql = slc_asprintf(
            "SELECT count(*) FROM \"%s\" AS t FULL JOIN (SELECT * FROM entity_history WHERE kind = "
            "'%s' AND until IS NULL) AS h ON h.entity_id = t.id AND json_extract(h.body, "
            "'$.manager') = t.manager WHERE t.id IS NULL OR h.entity_id IS NULL",
            (*kind)->table, (*kind)->name);
        ck_assert_msg(strcmp(t_sql(sql), "0") == 0, "%s: %s %s", path, (*kind)->name, t_sql(sql));
        free(sql);
    }
    ck_assert_str_ne(t_sql("SELECT count(*) FROM entity_history"), "0");
    ck_assert_str_eq(t_sql("SELECT count(*) FROM entity_history WHERE body LIKE '%\"sealed\"%'"), "0");
}

/* The migration that brought a kind; 0: one of the first. */
static int since(const char *kind)
{
    static const struct {
        const char *kind;
        int number;
    } later[] = {{"enrolment-rules", 4}, {"invitations", 11}, {"sign-in-providers", 14},
                 {"sign-in-rules", 14},  {"webhooks", 15},    {"scorecard-rules", 21},
                 {"rest-apis", 22}};
    for (size_t i = 0; i < sizeof(later) / sizeof(*later); i++)
        if (strcmp(later[i].kind, kind) == 0)
            return later[i].number;
    return 0;
}

static int number_of(const char *path)
{
    return atoi(strrchr(path, '-') + 1);
}

START_TEST(every_earlier_schema_opens)
{
    glob_t found;
    ck_assert_int_eq(glob(FIXTURES "schema-*.sql", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char password[64];
        load(found.gl_pathv[i]);
        t_open();
        for (const struct sample *sample = t_samples; sample->kind != NULL; sample++) {
            if (since(sample->kind) > number_of(found.gl_pathv[i]))
                continue;
            json_t *list = t_list(sample->kind, NULL, 0, NULL);
            ck_assert_msg(json_array_size(json_object_get(list, "items")) > 0, "%s: no %s", found.gl_pathv[i],
                          sample->kind);
            json_decref(list);
        }
        check_history(found.gl_pathv[i]);
        ck_assert_msg(t_read(open_password, password, &t_error), "%s", t_error.message);
        ck_assert_str_eq(password, "backend-password");
        json_decref(t_patch("deployments", "orders.v1@dev", "{'topic': 'moved'}"));
        ck_assert_str_eq(t_sql("SELECT count(*) FROM catalog_search WHERE catalog_search MATCH 'orders'"), "1");
        json_decref(t_patch("event-apis", "orders.v1", "{'title': 'Anew'}"));
        ck_assert_str_eq(t_sql("SELECT count(*) FROM catalog_search WHERE catalog_search MATCH 'anew'"), "1");
    }
    globfree(&found);
}
END_TEST

static void run(const char *sql)
{
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(t_path("catalog.db"), &db), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    sqlite3_close(db);
}

#define MATCH(id, second, match)                                                                               \
    "INSERT INTO credentials (id, key, revision, manager, created_at, updated_at, application, type, "         \
    "disabled, "                                                                                               \
    "certificate, oidc, lookup) SELECT '" id "', '" id "', 1, 'api', " second ", 1, id, " match ", 'old:" id   \
    "' FROM applications LIMIT 1;"
#define SAN(id, second, san) MATCH(id, second, "'certificate', 0, json_object('san', '" san "'), NULL")
#define OIDC(id, issuer, claim)                                                                                \
    MATCH(id, "1", "'oidc', 0, NULL, json_object('issuer', '" issuer "', 'claim', '" claim "', 'value', 'x')")
#define ISSUER(id)                                                                                             \
    "INSERT INTO issuers (id, key, revision, manager, created_at, updated_at, name, url, audiences, "          \
    "algorithms, "                                                                                             \
    "clock_skew) VALUES ('" id "', '" id "', 1, 'api', 1, 1, '" id "', 'https://" id                           \
    "', '[]', '[\"ES256\"]', 0);"

/* What credentials named before issuers listed what they may name goes on. */
START_TEST(what_identifies_is_what_was_in_use)
{
    load(FIXTURES "schema-0009.sql");
    run(ISSUER("none") ISSUER("one") ISSUER("two") OIDC("c1", "one", "azp") OIDC("c2", "two", "azp")
            OIDC("c3", "two", "sub") SAN("s1", "2", "Shop.example") SAN("s2", "1", "shop.Example")
                SAN("s3", "1", "spiffe://Example/shop") SAN("s4", "1", "Me@Shop.example"));
    t_open();
    ck_assert_str_eq(t_sql("SELECT identifying_claims FROM issuers WHERE id = 'none'"), "[\"sub\"]");
    ck_assert_str_eq(t_sql("SELECT identifying_claims FROM issuers WHERE id = 'one'"), "[\"azp\"]");
    ck_assert_str_eq(t_sql("SELECT identifying_claims FROM issuers WHERE id = 'two'"), "[]");
    ck_assert_str_eq(t_sql("SELECT lookup FROM credentials WHERE id = 's2'"), "cert:dns:shop.example");
    ck_assert_str_eq(t_sql("SELECT json_extract(certificate, '$.san') FROM credentials WHERE id = 's2'"),
                     "DNS:shop.Example");
    ck_assert_str_eq(t_sql("SELECT revoked_at IS NULL FROM credentials WHERE id = 's2'"), "1");
    ck_assert_str_eq(t_sql("SELECT revoked_at IS NULL FROM credentials WHERE id = 's1'"), "0");
    ck_assert_str_eq(t_sql("SELECT lookup FROM credentials WHERE id = 's3'"), "cert:uri:spiffe://Example/shop");
    ck_assert_str_eq(t_sql("SELECT lookup FROM credentials WHERE id = 's4'"), "cert:email:Me@shop.example");
    ck_assert_str_eq(t_sql("SELECT lookup FROM credentials WHERE id = 'c1'"), "old:c1");
}
END_TEST

/* The first migration was never alone in a release. */
START_TEST(every_schema_is_kept_for_this_test)
{
    for (const slc_migration *migration = slc_catalog_migrations; migration->number != 0; migration++) {
        char *path = slc_asprintf("%sschema-%04d.sql", FIXTURES, migration->number);
        ck_assert_msg(
            migration->number == 1 || slc_file_exists(path),
            "there is no %s: run scripts/keep-schema in the change that adds migration %s and commit what it "
            "writes",
            path, migration->name);
        free(path);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("catalog/migrate");
    TCase *tc = tcase_create("migrate");
    tcase_set_timeout(tc, 60); /* a catalog for each schema that there was */
    tcase_add_checked_fixture(tc, t_setup, t_teardown);
    tcase_add_test(tc, every_earlier_schema_opens);
    tcase_add_test(tc, every_schema_is_kept_for_this_test);
    tcase_add_test(tc, what_identifies_is_what_was_in_use);
    suite_add_tcase(s, tc);
    return s;
}

TEST_MAIN(suite)
