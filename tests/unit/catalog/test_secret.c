/* Secrets are write-only, sealed at rest, and nowhere else. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "catalog/backup.h"
#include "common/alloc.h"
#include "common/file.h"
#include "fixture.h"

#define BACKEND                                                                                                \
    "{'name': 'b', 'bootstrap_servers': ['a:1'], 'authentication': {'mechanism': 'PLAIN', 'username': 'u', "   \
    "%s}}"

static void make_backend(const char *password)
{
    char body[300];
    snprintf(body, sizeof(body), BACKEND, password);
    t_make("backend-clusters", body);
}

static json_t *authentication(void)
{
    json_t *got = t_get("backend-clusters", "b");
    json_t *out = json_incref(json_object_get(got, "authentication"));
    json_decref(got);
    return out;
}

struct opened {
    enum slc_secret_source source;
    char text[64];
};

static bool open_password(slc_txn *txn, void *arg, slc_error *err)
{
    struct opened *opened = arg;
    const slc_kind *kind = slc_kind_find("backend-clusters");
    json_t *stored = slc_entity_load(txn, kind, "b", err);
    char *text;
    size_t len;
    bool ok = slc_secret_open(txn, kind, t_text(stored, "id"), "authentication.password",
                              json_object_get(json_object_get(stored, "authentication"), "password"),
                              &opened->source, &text, &len, err);
    snprintf(opened->text, sizeof(opened->text), "%s", text != NULL ? text : "");
    slc_free_secret(text, len);
    json_decref(stored);
    return ok;
}

static void ck_password(enum slc_secret_source source, const char *text)
{
    struct opened opened;
    ck_assert_msg(t_read(open_password, &opened, &t_error), "%s", t_error.message);
    ck_assert_int_eq(opened.source, source);
    ck_assert_str_eq(opened.text, text);
}

START_TEST(a_value_is_only_said_to_be_set)
{
    make_backend("'password': 'hunter2-hunter2'");
    json_t *shown = authentication();
    json_t *set = t_json("{'set': true}");
    ck_assert(json_equal(json_object_get(shown, "password"), set));
    json_decref(set);
    json_decref(shown);
    ck_password(SLC_SECRET_VALUE, "hunter2-hunter2");
}
END_TEST

START_TEST(references_are_kept_and_shown)
{
    make_backend("'password': {'env': 'KAFKA_PASSWORD'}");
    ck_password(SLC_SECRET_ENV, "KAFKA_PASSWORD");
    json_decref(t_patch("backend-clusters", "b", "{'authentication': {'password': {'file': '/run/secret'}}}"));
    ck_password(SLC_SECRET_FILE, "/run/secret");
    json_t *shown = authentication();
    ck_assert_str_eq(t_text(json_object_get(shown, "password"), "file"), "/run/secret");
    json_decref(shown);
}
END_TEST

START_TEST(what_is_not_said_keeps_its_value)
{
    make_backend("'password': 'one'");
    const char *same[] = {
        "{'bootstrap_servers': ['a:1'], 'authentication': {'mechanism': 'PLAIN', 'username': 'u'}}",
        "{'bootstrap_servers': ['a:1'], 'authentication': {'mechanism': 'PLAIN', 'username': 'u', "
        "'password': {'set': true}}}",
        "{'bootstrap_servers': ['a:1'], 'authentication': {'mechanism': 'PLAIN', 'username': 'u', "
        "'password': 'one'}}"};
    json_t *before = t_get("backend-clusters", "b");
    for (size_t i = 0; i < 3; i++) {
        json_t *after = t_put("backend-clusters", "b", same[i]);
        ck_assert_msg(json_equal(before, after), "%zu", i); /* the same revision: nothing was written */
        json_decref(after);
    }
    json_decref(before);
    json_decref(t_patch("backend-clusters", "b", "{'authentication': {'username': 'v'}}"));
    ck_password(SLC_SECRET_VALUE, "one");
    json_decref(t_patch("backend-clusters", "b", "{'authentication': {'password': 'two'}}"));
    ck_password(SLC_SECRET_VALUE, "two");
}
END_TEST

START_TEST(null_takes_a_secret_away)
{
    make_backend("'password': 'one'");
    t_patch_fails("backend-clusters", "b", "{'authentication': {'password': null}}", SLC_INVALID,
                  "/authentication/password"); /* PLAIN needs it */
    json_decref(
        t_patch("backend-clusters", "b", "{'authentication': {'mechanism': 'none', 'password': null}}"));
    json_t *shown = authentication();
    ck_assert_ptr_null(json_object_get(shown, "password"));
    json_decref(shown);
}
END_TEST

START_TEST(malformed_secrets_are_refused)
{
    const char *bad[] = {"'password': 7",
                         "'password': {'set': true}",
                         "'password': {'file': 'relative'}",
                         "'password': {'env': '1X'}",
                         "'password': {'env': 'A', 'file': '/b'}",
                         "'password': {'sealed': 'QUFB'}",
                         "'password': {}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char body[300];
        snprintf(body, sizeof(body), BACKEND, bad[i]);
        t_create_fails("backend-clusters", body, SLC_INVALID, "/authentication/password");
    }
    t_make_samples("listeners");
    char body[2048];
    snprintf(
        body, sizeof(body),
        "{'name': 'l', 'gateway_group': 'dev', 'protocol': 'http', 'address': ':1', 'tls': {'certificate_pem': "
        "'%s'}}",
        t_certificate);
    t_create_fails("listeners", body, SLC_INVALID, "/tls/key_pem");
}
END_TEST

/* ---- at rest ---- */

static bool file_has(const char *path, const char *needle)
{
    size_t len;
    char *content = slc_file_read(path, 1 << 28, &len, NULL);
    bool found = content != NULL && memmem(content, len, needle, strlen(needle)) != NULL;
    free(content);
    return found;
}

static void ck_nowhere(const char *needle)
{
    const char *files[] = {"catalog.db", "catalog.db-wal", "usage.db", "usage.db-wal"};
    for (size_t i = 0; i < 4; i++)
        ck_assert_msg(!file_has(t_path(files[i]), needle), "%s has %s", files[i], needle);
}

START_TEST(no_secret_is_in_the_files_or_the_audit)
{
    t_make_samples(NULL);
    json_t *token = t_create("api-tokens", "{'name': 'x', 'scopes': ['*']}");
    json_t *enrolment = t_create("enrolment-tokens", "{'group': 'dev'}");
    json_t *credential = t_create("credentials", "{'application': 'demo', 'type': 'secret'}");
    json_decref(t_patch("backend-clusters", "local", "{'authentication': {'password': 'changed-password'}}"));
    const char *needles[] = {"backend-password",
                             "changed-password",
                             "registry-token",
                             strrchr(t_text(token, "token"), '_') + 1,
                             strrchr(t_text(enrolment, "token"), '_') + 1,
                             t_text(credential, "secret")};
    ck_assert(file_has(t_path("catalog.db-wal"), "orders.v1")); /* we look in the right place */
    for (size_t i = 0; i < sizeof(needles) / sizeof(needles[0]); i++)
        ck_nowhere(needles[i]);
    ck_nowhere("PRIVATE KEY");
    ck_assert_str_eq(
        t_sql("SELECT changes FROM audit_events WHERE kind = 'backend-clusters' ORDER BY seq DESC LIMIT 1"),
        "{\"authentication\":{\"secret\":\"changed\"}}");
    t_close();
    t_open();
    for (size_t i = 0; i < sizeof(needles) / sizeof(needles[0]); i++)
        ck_nowhere(needles[i]);
    json_decref(credential);
    json_decref(enrolment);
    json_decref(token);
}
END_TEST

static bool move_secret(slc_txn *txn, void *arg, slc_error *err)
{
    (void)arg;
    return slc_txn_exec(
        txn, err,
        "UPDATE backend_clusters SET authentication = (SELECT authentication FROM backend_clusters "
        "WHERE name = 'c') WHERE name = 'b'",
        "");
}

START_TEST(a_sealed_value_cannot_be_moved_to_another_row)
{
    make_backend("'password': 'one'");
    t_make("backend-clusters",
           "{'name': 'c', 'bootstrap_servers': ['a:1'], 'authentication': {'mechanism': 'PLAIN', "
           "'username': 'u', 'password': 'two'}}");
    struct opened opened;
    ck_assert(t_write(move_secret, NULL, &t_error));
    ck_assert(!t_read(open_password, &opened, &t_error));
    ck_assert_int_eq(t_error.code, SLC_CORRUPT);
}
END_TEST

/* ---- the master key ---- */

START_TEST(a_lost_or_foreign_key_is_noticed_at_once)
{
    slc_error err;
    make_backend("'password': 'one'");
    t_close();
    char path[200];
    snprintf(path, sizeof(path), "%s", t_path("master.key"));
    size_t len;
    char *key = slc_file_read(path, 4096, &len, &err);
    ck_assert_int_eq(remove(path), 0);
    ck_assert(!t_try_open(&err));
    ck_assert_int_eq(err.code, SLC_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.message, "there is no master key file"));
    ck_assert_msg(access(path, F_OK) != 0, "a new key would hide the loss");
    char other[65];
    memset(other, 'a', 64);
    ck_assert(slc_file_write_atomic(path, other, 64, 0600, &err));
    ck_assert(!t_try_open(&err));
    ck_assert_ptr_nonnull(strstr(err.message, "another key"));
    ck_assert(slc_file_write_atomic(path, "rubbish", 7, 0600, &err));
    ck_assert(!t_try_open(&err));
    ck_assert_ptr_nonnull(strstr(err.message, "damaged"));
    ck_assert(slc_file_write_atomic(path, key, len, 0600, &err));
    free(key);
    t_open();
    ck_password(SLC_SECRET_VALUE, "one");
}
END_TEST

START_TEST(the_master_key_can_be_rotated)
{
    t_make_samples(NULL);
    make_backend("'password': 'one'");
    size_t len;
    char path[200];
    snprintf(path, sizeof(path), "%s", t_path("master.key"));
    char *old = slc_file_read(path, 4096, &len, &t_error);
    for (int i = 0; i < 5; i++) {
        ck_assert_msg(slc_catalog_rotate_master_key(t_catalog, &t_actor, &t_error), "%s", t_error.message);
        ck_password(SLC_SECRET_VALUE, "one");
    }
    size_t new_len;
    char *new = slc_file_read(path, 4096, &new_len, &t_error);
    ck_assert_uint_eq(new_len, len);
    ck_assert_str_ne(old, new);
    t_close();
    t_open();
    ck_password(SLC_SECRET_VALUE, "one");
    t_close();
    slc_error err;
    ck_assert(slc_file_write_atomic(path, old, len, 0600, &err));
    ck_assert(!t_try_open(&err)); /* nothing needs the old key any more */
    free(old);
    free(new);
}
END_TEST

START_TEST(a_rotation_that_was_interrupted_can_be_opened_and_repeated)
{
    make_backend("'password': 'one'");
    t_close();
    char path[200];
    snprintf(path, sizeof(path), "%s", t_path("master.key"));
    size_t len;
    char *old = slc_file_read(path, 4096, &len, &t_error);
    char both[200];
    memset(both, 'b', 64); /* the new key is in front, and nothing is sealed under it yet */
    snprintf(both + 64, sizeof(both) - 64, "\n%s", old);
    ck_assert(slc_file_write_atomic(path, both, strlen(both), 0600, &t_error));
    t_open();
    ck_password(SLC_SECRET_VALUE, "one");
    ck_assert(slc_catalog_rotate_master_key(t_catalog, &t_actor, &t_error));
    t_close();
    t_open();
    ck_password(SLC_SECRET_VALUE, "one");
    free(old);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("catalog/secret");
    TCase *tc = tcase_create("secret");
    tcase_add_checked_fixture(tc, t_setup, t_teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, a_value_is_only_said_to_be_set);
    tcase_add_test(tc, references_are_kept_and_shown);
    tcase_add_test(tc, what_is_not_said_keeps_its_value);
    tcase_add_test(tc, null_takes_a_secret_away);
    tcase_add_test(tc, malformed_secrets_are_refused);
    tcase_add_test(tc, no_secret_is_in_the_files_or_the_audit);
    tcase_add_test(tc, a_sealed_value_cannot_be_moved_to_another_row);
    tcase_add_test(tc, a_lost_or_foreign_key_is_noticed_at_once);
    tcase_add_test(tc, the_master_key_can_be_rotated);
    tcase_add_test(tc, a_rotation_that_was_interrupted_can_be_opened_and_repeated);
    suite_add_tcase(s, tc);
    return s;
}

TEST_MAIN(suite)
