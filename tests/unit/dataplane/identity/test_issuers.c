/* Tokens on their way: from a worker to the issuers' thread and back. Keys come from files. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "dataplane/identity/tokens.h"
#include "tests/unit/common_jose/signer.h"
#include "tests/unit/dataplane/config/maker.h"

static char path[] = "/tmp/sluice-keys-XXXXXX";
static struct maker *maker;
static slc_snapshot *snapshot;
static slc_issuers *issuers;
static slc_loop *loop; /* a worker's */
static slc_tokens *tokens;
static EVP_PKEY *key;
static slc_issuers_options options;

static void write_keys(json_t *keys)
{
    json_t *set = json_pack("{s:o}", "keys", keys);

    ck_assert_int_eq(json_dump_file(set, path, 0), 0);
    json_decref(set);
}

static void start(void)
{
    slc_error err;

    issuers = slc_issuers_new(&options, &err);
    ck_assert_msg(issuers != NULL, "%s", err.message);
    loop = slc_loop_new("worker", NULL);
    ck_assert(slc_loop_start(loop, &err));
    tokens = slc_tokens_new(issuers, loop);
    slc_issuers_apply(issuers, snapshot);
}

static void setup(void)
{
    static bool registered;

    if (!registered)
        slc_issuers_register_metrics();
    registered = true;
    close(mkstemp(path));
    key = t_new_key("ES256");
    write_keys(json_pack("[o]", t_jwk_of(key, "k")));
    maker = maker_new();
    maker->issuers = 1;
    maker->issuer[0].jwks_file = path;
    snapshot = maker_build(maker, NULL);
    options = (slc_issuers_options){.refresh_ms = 60000,
                                    .retry_ms = 1,
                                    .stale_ms = 60000,
                                    .fetch_timeout_ms = 1000,
                                    .wait_ms = 10000,
                                    .queue = 10,
                                    .cache_tokens = 100,
                                    .cache_ms = 60000};
}

static void stop(void)
{
    slc_issuers_stop(issuers);
    slc_loop_stop(loop);
    slc_loop_join(loop);
    slc_tokens_free(tokens);
    slc_loop_free(loop);
    slc_issuers_free(issuers);
}

static void teardown(void)
{
    slc_snapshot_unref(snapshot);
    maker_free(maker);
    EVP_PKEY_free(key);
    unlink(path);
}

/* ---- asking, on the worker's thread ---- */

struct question {
    slc_token_waiter waiter;
    const char *text;
    bool at_once;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    slc_token *token;
};

static void take(struct question *question, slc_token *token)
{
    pthread_mutex_lock(&question->mutex);
    question->token = token;
    pthread_cond_signal(&question->changed);
    pthread_mutex_unlock(&question->mutex);
}

static void on_ready(slc_token_waiter *waiter, slc_token *token)
{
    take((struct question *)waiter, token);
}

static void ask_here(void *arg)
{
    struct question *question = arg;
    slc_token *token = slc_tokens_get(tokens, snapshot, question->text, &question->waiter);

    question->at_once = token != NULL;
    if (token != NULL)
        take(question, token);
}

static void ask(struct question *question, const char *text)
{
    *question = (struct question){.waiter = {.ready = on_ready},
                                  .text = text,
                                  .mutex = PTHREAD_MUTEX_INITIALIZER,
                                  .changed = PTHREAD_COND_INITIALIZER};
    slc_loop_call_sync(loop, ask_here, question);
}

/* The caller's reference. */
static slc_token *wait_for(struct question *question)
{
    pthread_mutex_lock(&question->mutex);
    while (question->token == NULL)
        pthread_cond_wait(&question->changed, &question->mutex);
    pthread_mutex_unlock(&question->mutex);
    return question->token;
}

static void expect(const char *text, enum slc_token_state state, bool at_once)
{
    struct question question;

    ask(&question, text);
    slc_token *token = wait_for(&question);
    ck_assert_msg(token->state == state, "%s", token->reason);
    ck_assert_int_eq(question.at_once, at_once);
    slc_token_unref(token);
}

static char *token_by(EVP_PKEY *by, const char *kid, const char *subject)
{
    char *claims = slc_asprintf("{\"iss\":\"https://login.test\",\"sub\":\"%s\",\"exp\":4000000000}", subject);
    char *token = t_token_of(by, "ES256", kid, claims);

    free(claims);
    return token;
}

START_TEST(a_good_token_is_looked_at_once)
{
    char *token = token_by(key, "k", "shop");

    start();
    expect(token, SLC_TOKEN_GOOD, false);
    expect(token, SLC_TOKEN_GOOD, true);
    stop();
    free(token);
}
END_TEST

START_TEST(what_is_no_token_or_of_nobody_is_refused)
{
    static const char *const none[] = {"", "abc", "a.b", ".b.c", "a.b.", "a.b.c.d"};
    EVP_PKEY *other = t_new_key("ES256");
    char *forged = token_by(other, "k", "shop"),
         *stranger = t_token_of(key, "ES256", "k", "{\"iss\":\"x\",\"exp\":1}");

    start();
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        expect(none[i], SLC_TOKEN_REFUSED, true);
    expect(forged, SLC_TOKEN_REFUSED, false);
    expect(forged, SLC_TOKEN_REFUSED, false); /* such are not kept */
    expect(stranger, SLC_TOKEN_REFUSED, false);
    stop();
    EVP_PKEY_free(other);
    free(forged);
    free(stranger);
}
END_TEST

START_TEST(a_new_key_is_fetched_when_a_token_names_it)
{
    EVP_PKEY *next = t_new_key("ES256");
    char *old_token = token_by(key, "k", "shop"), *token = token_by(next, "next", "shop");

    start();
    expect(old_token, SLC_TOKEN_GOOD, false);
    expect(token, SLC_TOKEN_REFUSED, false);
    write_keys(json_pack("[o, o]", t_jwk_of(key, "k"), t_jwk_of(next, "next")));
    usleep(2000); /* retry_ms */
    expect(token, SLC_TOKEN_GOOD, false);
    stop();
    EVP_PKEY_free(next);
    free(old_token);
    free(token);
}
END_TEST

START_TEST(without_keys_a_token_is_told_so_and_waits_no_longer_than_it_may)
{
    char *token = token_by(key, "k", "shop");

    unlink(path);
    start();
    expect(token, SLC_TOKEN_UNAVAILABLE, false);
    write_keys(json_pack("[o]", t_jwk_of(key, "k")));
    for (int64_t until_ms = slc_monotonic_ms() + 45000;;) { /* they are tried again by themselves */
        struct question question;

        ask(&question, token);
        slc_token *found = wait_for(&question);
        bool good = found->state == SLC_TOKEN_GOOD;
        slc_token_unref(found);
        if (good)
            break;
        ck_assert(slc_monotonic_ms() < until_ms);
    }
    stop();
    free(token);
}
END_TEST

START_TEST(the_queue_has_an_end)
{
    char *token = token_by(key, "k", "shop");

    options.queue = 0;
    start();
    expect(token, SLC_TOKEN_UNAVAILABLE, true);
    stop();
    free(token);
}
END_TEST

static void leave(void *arg)
{
    slc_token_unwait(arg);
}

START_TEST(stopping_answers_who_waits_and_who_has_left_is_not_called)
{
    char *one = token_by(key, "k", "one"), *two = token_by(key, "k", "two");
    struct question waits, leaves;

    start();
    ask(&waits, one);
    ask(&leaves, two);
    slc_loop_call_sync(loop, leave, &leaves.waiter);
    slc_issuers_stop(issuers);
    slc_token_unref(wait_for(&waits));
    ck_assert_ptr_null(leaves.waiter.wait);
    expect("a.b.c", SLC_TOKEN_UNAVAILABLE, true); /* nobody looks any more */
    slc_loop_stop(loop);
    slc_loop_join(loop);
    slc_token_unref(leaves.token); /* when it was answered before it left */
    slc_tokens_free(tokens);
    slc_loop_free(loop);
    slc_issuers_free(issuers);
    free(one);
    free(two);
}
END_TEST

START_TEST(an_issuer_that_changed_is_asked_anew)
{
    char *token = token_by(key, "k", "shop");

    start();
    expect(token, SLC_TOKEN_GOOD, false);
    maker->issuer[0].credential_claims[0] = "azp";
    maker->version++;
    slc_snapshot *next = maker_build(maker, snapshot);
    slc_issuers_apply(issuers, next);
    slc_snapshot_unref(snapshot);
    snapshot = next;
    struct question question;
    ask(&question, token);
    slc_token *found = wait_for(&question);
    ck_assert_int_eq(found->state, SLC_TOKEN_GOOD);
    ck_assert(!question.at_once);
    ck_assert_uint_eq(found->lookup_count, 0);
    slc_token_unref(found);
    stop();
    free(token);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("issuers");
    TCase *tcase = tcase_create("issuers");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_good_token_is_looked_at_once);
    tcase_add_test(tcase, what_is_no_token_or_of_nobody_is_refused);
    tcase_add_test(tcase, a_new_key_is_fetched_when_a_token_names_it);
    tcase_add_test(tcase, without_keys_a_token_is_told_so_and_waits_no_longer_than_it_may);
    tcase_add_test(tcase, the_queue_has_an_end);
    tcase_add_test(tcase, stopping_answers_who_waits_and_who_has_left_is_not_called);
    tcase_add_test(tcase, an_issuer_that_changed_is_asked_anew);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
