/* Sessions of people, and their passwords. */
#include <stdio.h>
#include <string.h>

#include "catalog/account.h"
#include "catalog/session.h"
#include "fixture.h"

#define HOUR_MS 3600000LL

static const slc_session_limits limits = {.idle_ms = 2 * HOUR_MS, .absolute_ms = 5 * HOUR_MS, .per_user = 3};
static const slc_password_cost cheap = {.memory_kib = 8192, .passes = 1, .lanes = 1};

struct work {
    char secret[SLC_SESSION_SECRET_CHARS + 1];
    char user_id[SLC_TOKEN_ID_CHARS + 1];
    bool stale, admin;
    const char *agent;
};

static bool begin(slc_txn *txn, void *arg, slc_error *err)
{
    struct work *work = arg;
    slc_session_facts facts = {.address = "192.0.2.1", .agent = work->agent};
    return slc_session_begin(txn, work->user_id, &limits, &facts, work->secret, err);
}

static bool check(slc_txn *txn, void *arg, slc_error *err)
{
    struct work *work = arg;
    slc_identity who;
    bool ok = slc_session_check(txn, work->secret, &limits, &who, err);
    work->stale = who.stale;
    work->admin = ok && slc_identity_may(&who, "anything:write");
    ck_assert(!ok || strcmp(who.user_id, work->user_id) == 0);
    slc_identity_release(&who);
    return ok;
}

static bool touch(slc_txn *txn, void *arg, slc_error *err)
{
    (void)arg;
    slc_error ignored;
    sqlite3_stmt *stmt = slc_txn_query(txn, err, "SELECT id FROM sessions", "");
    char id[SLC_TOKEN_ID_CHARS + 1] = "";
    if (stmt != NULL && slc_txn_step(txn, stmt, &ignored) == 1)
        snprintf(id, sizeof id, "%s", slc_column_text(stmt, 0));
    slc_txn_finish(txn, stmt);
    return slc_session_touch(txn, id, err);
}

static bool is_good(struct work *work)
{
    bool ok = t_read(check, work, &t_error);
    ck_assert(ok || t_error.code == SLC_UNAUTHENTICATED);
    return ok;
}

static struct work user(const char *roles)
{
    struct work work = {.agent = "test"};
    char body[120];
    snprintf(body, sizeof body, "{'name': 'zoe', 'roles': [%s]}", roles);
    t_make("users", body);
    snprintf(work.user_id, sizeof work.user_id, "%s", t_sql("SELECT id FROM users WHERE name = 'zoe'"));
    return work;
}

/* As if everything had been done so much earlier. */
static bool age(slc_txn *txn, void *arg, slc_error *err)
{
    const int64_t *by_ms = arg;
    return slc_txn_exec(txn, err,
                        "UPDATE sessions SET used_at = used_at - ?1, created_at = created_at - ?1, expires_at "
                        "= expires_at - ?1",
                        "i", *by_ms);
}

static void pass(int64_t ms)
{
    ck_assert(t_write(age, &ms, &t_error));
}

START_TEST(a_session_has_the_rights_of_its_user)
{
    struct work zoe = user("'platform-admin'");
    ck_assert(t_write(begin, &zoe, &t_error));
    ck_assert(is_good(&zoe) && zoe.admin);
    json_decref(t_patch("users", "zoe", "{'roles': ['viewer']}"));
    ck_assert(is_good(&zoe) && !zoe.admin);
    ck_assert_ptr_null(strstr(t_sql("SELECT group_concat(hex(secret_sha256)) FROM sessions"), zoe.secret));
}
END_TEST

START_TEST(it_ends_when_it_is_idle_and_lives_on_when_it_is_used)
{
    struct work zoe = user("'viewer'");
    ck_assert(t_write(begin, &zoe, &t_error));
    ck_assert(is_good(&zoe) && !zoe.stale);
    pass(HOUR_MS);
    ck_assert(is_good(&zoe) && zoe.stale);
    ck_assert(t_write(touch, NULL, &t_error));
    ck_assert(is_good(&zoe) && !zoe.stale);
    pass(HOUR_MS + HOUR_MS / 2);
    ck_assert(is_good(&zoe));
    pass(HOUR_MS);
    ck_assert(!is_good(&zoe));
}
END_TEST

START_TEST(it_ends_when_it_is_old_however_much_it_is_used)
{
    struct work zoe = user("'viewer'");
    ck_assert(t_write(begin, &zoe, &t_error));
    for (int i = 0; i < 5; i++) {
        ck_assert(is_good(&zoe));
        pass(HOUR_MS);
        ck_assert(t_write(touch, NULL, &t_error));
    }
    ck_assert(!is_good(&zoe));
}
END_TEST

START_TEST(one_too_many_ends_the_oldest)
{
    struct work zoe[5];
    zoe[0] = user("'viewer'");
    for (int i = 0; i < 5; i++) {
        zoe[i] = zoe[0];
        ck_assert(t_write(begin, &zoe[i], &t_error));
        pass(60000);
    }
    for (int i = 0; i < 5; i++)
        ck_assert_msg(is_good(&zoe[i]) == (i >= 2), "%d", i);
}
END_TEST

START_TEST(who_is_disabled_or_gone_has_no_session)
{
    struct work zoe = user("'viewer'");
    ck_assert(t_write(begin, &zoe, &t_error));
    json_decref(t_patch("users", "zoe", "{'disabled': true}"));
    ck_assert_str_eq(t_sql("SELECT count(*) FROM sessions"), "0");
    json_decref(t_patch("users", "zoe", "{'disabled': false}"));
    ck_assert(!is_good(&zoe));
    ck_assert(t_write(begin, &zoe, &t_error));
    t_delete("users", "zoe");
    ck_assert_str_eq(t_sql("SELECT count(*) FROM sessions"), "0");
}
END_TEST

START_TEST(what_is_no_secret_is_nobodys)
{
    struct work zoe = user("'viewer'");
    ck_assert(t_write(begin, &zoe, &t_error));
    struct work other = zoe;
    other.secret[5] = other.secret[5] == 'A' ? 'B' : 'A';
    ck_assert(!is_good(&other));
    other.secret[0] = '\0';
    ck_assert(!is_good(&other));
}
END_TEST

START_TEST(a_long_agent_is_cut_between_characters)
{
    char agent[400];
    struct work zoe = user("'viewer'");
    for (size_t i = 0; i + 3 < sizeof agent; i += 3)
        memcpy(agent + i, "\xe2\x82\xac", 4);
    zoe.agent = agent;
    ck_assert(t_write(begin, &zoe, &t_error));
    ck_assert_str_eq(t_sql("SELECT length(agent) FROM sessions"), "66");
}
END_TEST

START_TEST(csrf_tokens_are_of_one_secret)
{
    char one[SLC_SESSION_CSRF_CHARS + 1], same[SLC_SESSION_CSRF_CHARS + 1], other[SLC_SESSION_CSRF_CHARS + 1];
    slc_session_csrf("secret", one);
    slc_session_csrf("secret", same);
    slc_session_csrf("Secret", other);
    ck_assert_str_eq(one, same);
    ck_assert_str_ne(one, other);
    ck_assert_uint_eq(strlen(one), SLC_SESSION_CSRF_CHARS);
}
END_TEST

START_TEST(passwords_are_hashed_with_a_salt_and_say_what_they_cost)
{
    char one[SLC_PASSWORD_HASH_CHARS], two[SLC_PASSWORD_HASH_CHARS];
    slc_password_cost dearer = cheap;
    dearer.passes = 2;
    ck_assert(slc_password_hash(&cheap, "a secret", one, &t_error));
    ck_assert(slc_password_hash(&cheap, "a secret", two, &t_error));
    ck_assert_str_ne(one, two);
    ck_assert(strncmp(one, "$argon2id$v=19$m=8192,t=1,p=1$", 30) == 0);
    ck_assert(slc_password_matches(one, "a secret") && slc_password_matches(two, "a secret"));
    ck_assert(!slc_password_matches(one, "a Secret") && !slc_password_matches(one, ""));
    ck_assert(!slc_password_matches("", "a secret") && !slc_password_matches("$argon2id$x", "a secret"));
    ck_assert(slc_password_costs(one, &cheap) && !slc_password_costs(one, &dearer));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("catalog/session");
    TCase *tc = tcase_create("session");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, t_setup, t_teardown);
    tcase_add_test(tc, a_session_has_the_rights_of_its_user);
    tcase_add_test(tc, it_ends_when_it_is_idle_and_lives_on_when_it_is_used);
    tcase_add_test(tc, it_ends_when_it_is_old_however_much_it_is_used);
    tcase_add_test(tc, one_too_many_ends_the_oldest);
    tcase_add_test(tc, who_is_disabled_or_gone_has_no_session);
    tcase_add_test(tc, what_is_no_secret_is_nobodys);
    tcase_add_test(tc, a_long_agent_is_cut_between_characters);
    tcase_add_test(tc, csrf_tokens_are_of_one_secret);
    tcase_add_test(tc, passwords_are_hashed_with_a_salt_and_say_what_they_cost);
    suite_add_tcase(s, tc);
    return s;
}

TEST_MAIN(suite)
