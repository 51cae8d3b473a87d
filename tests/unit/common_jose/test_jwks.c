/* Key sets over HTTP, from an issuer that behaves as the test says. */
#include <check.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/jose/jwks.h"

#define WAIT_MAX_MS 45000

/* ---- the issuer, on a loop of its own ---- */

static slc_loop *issuer_loop;
static struct evhttp *issuer;
static uint16_t port;
static atomic_uint asked, asked_discovery;
static atomic_int status = 200;
static _Atomic(const char *) body;
static atomic_bool silent;
static char url[64], base[40];

static void on_request(struct evhttp_request *req, void *arg)
{
    (void)arg;
    struct evbuffer *out = evbuffer_new();

    if (strstr(evhttp_request_get_uri(req), "openid-configuration") != NULL) {
        asked_discovery++;
        evbuffer_add_printf(out, "{\"issuer\":\"%s\",\"jwks_uri\":\"%s\"}", base, url);
        evhttp_send_reply(req, 200, "OK", out);
    } else {
        asked++;
        evbuffer_add_printf(out, "%s", body);
        if (!silent)
            evhttp_send_reply(req, status, "Status", out);
    }
    evbuffer_free(out);
}

static void open_issuer(void *arg)
{
    (void)arg;
    struct evhttp_bound_socket *bound;
    struct sockaddr_in address;
    socklen_t size = sizeof address;

    issuer = evhttp_new(slc_loop_base(issuer_loop));
    evhttp_set_gencb(issuer, on_request, NULL);
    bound = evhttp_bind_socket_with_handle(issuer, "127.0.0.1", 0);
    ck_assert_ptr_nonnull(bound);
    ck_assert_int_eq(getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &size), 0);
    port = ntohs(address.sin_port);
}

static void close_issuer(void *arg)
{
    (void)arg;
    evhttp_free(issuer);
}

/* ---- who asks ---- */

static slc_loop *loop;
static slc_jwks *jwks;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned answers;
static char kid[32];
static slc_error err;

static void on_keys(void *arg, json_t *keys, const slc_error *why)
{
    (void)arg;
    pthread_mutex_lock(&lock);
    const char *found =
        json_string_value(json_object_get(json_array_get(json_object_get(keys, "keys"), 0), "kid"));
    snprintf(kid, sizeof kid, "%s", found != NULL ? found : "");
    if (keys == NULL)
        err = *why;
    else
        slc_error_clear(&err);
    answers++;
    pthread_mutex_unlock(&lock);
}

static void wait_answers(unsigned count)
{
    int64_t since_ms = slc_monotonic_ms();
    unsigned now = 0;

    while (now < count) {
        ck_assert_msg(slc_monotonic_ms() - since_ms < WAIT_MAX_MS, "waited in vain for %u answers", count);
        usleep(1000);
        pthread_mutex_lock(&lock);
        now = answers;
        pthread_mutex_unlock(&lock);
    }
}

/* The key id of the set that comes; "" when none does. */
static const char *get(const slc_jwks_source *source, bool fresh)
{
    unsigned before = answers;

    slc_jwks_get(jwks, source, fresh, loop, on_keys, NULL);
    wait_answers(before + 1);
    return kid;
}

static void start(slc_jwks_options options)
{
    jwks = slc_jwks_new(&options, &err);
    ck_assert_msg(jwks != NULL, "%s", err.message);
}

#define KEYS(name) "{\"keys\":[{\"kid\":\"" name "\"}]}"

static void setup(void)
{
    issuer_loop = slc_loop_new("issuer", NULL);
    loop = slc_loop_new("asker", NULL);
    ck_assert(slc_loop_start(issuer_loop, &err) && slc_loop_start(loop, &err));
    slc_loop_call_sync(issuer_loop, open_issuer, NULL);
    snprintf(base, sizeof base, "http://127.0.0.1:%u", port);
    snprintf(url, sizeof url, "%s/keys", base);
    body = KEYS("one");
}

static void stop_loop(slc_loop *which)
{
    slc_loop_stop(which);
    slc_loop_join(which);
    slc_loop_free(which);
}

static void teardown(void)
{
    slc_jwks_free(jwks);
    stop_loop(loop);
    slc_loop_call_sync(issuer_loop, close_issuer, NULL);
    stop_loop(issuer_loop);
}

/* ---- tests ---- */

START_TEST(a_set_is_fetched_once_and_again_when_a_key_is_missing)
{
    slc_jwks_source source = {.issuer = base, .url = url};

    start((slc_jwks_options){.retry_ms = 1});
    for (unsigned i = 0; i < 3; i++)
        ck_assert_str_eq(get(&source, false), "one");
    ck_assert_uint_eq(asked, 1);
    body = KEYS("two");
    /* Until the least time between two fetches, a millisecond, has passed. */
    for (int64_t since_ms = slc_monotonic_ms(); strcmp(get(&source, true), "two") != 0;)
        ck_assert_int_lt(slc_monotonic_ms() - since_ms, WAIT_MAX_MS);
    ck_assert_uint_eq(asked, 2);
}
END_TEST

START_TEST(missing_keys_do_not_hammer_the_issuer)
{
    slc_jwks_source source = {.issuer = base, .url = url};

    start((slc_jwks_options){.retry_ms = 3600000});
    for (unsigned i = 0; i < 20; i++)
        ck_assert_str_eq(get(&source, true), "one");
    ck_assert_uint_eq(asked, 1);
}
END_TEST

START_TEST(nor_does_an_issuer_that_fails)
{
    slc_jwks_source source = {.issuer = base, .url = url};

    status = 503;
    start((slc_jwks_options){.retry_ms = 3600000});
    for (unsigned i = 0; i < 20; i++) {
        ck_assert_str_eq(get(&source, false), "");
        ck_assert_int_eq(err.code, SLC_UNAVAILABLE);
        ck_assert_ptr_nonnull(strstr(err.message, "503"));
    }
    ck_assert_uint_eq(asked, 1);
}
END_TEST

START_TEST(the_last_set_serves_while_the_issuer_is_away_but_not_for_ever)
{
    slc_jwks_source source = {.issuer = base, .url = url};

    int64_t begun_ms = slc_monotonic_ms();
    start((slc_jwks_options){.ttl_ms = 1, .retry_ms = 1, .stale_ms = 1500});
    ck_assert_str_eq(get(&source, false), "one");
    status = 500;
    ck_assert(strcmp(get(&source, true), "one") == 0 || slc_monotonic_ms() - begun_ms >= 1500);
    for (int64_t since_ms = slc_monotonic_ms(); strcmp(get(&source, false), "") != 0;)
        ck_assert_int_lt(slc_monotonic_ms() - since_ms, WAIT_MAX_MS);
    status = 200;
    for (int64_t since_ms = slc_monotonic_ms(); strcmp(get(&source, false), "one") != 0;)
        ck_assert_int_lt(slc_monotonic_ms() - since_ms, WAIT_MAX_MS);
}
END_TEST

START_TEST(discovery_tells_where_the_keys_are)
{
    slc_jwks_source source = {.issuer = base}, liar = {.issuer = "http://localhost:1"};
    char other[64];

    start((slc_jwks_options){.retry_ms = 1});
    ck_assert_str_eq(get(&source, false), "one");
    ck_assert_uint_eq(asked_discovery, 1);
    snprintf(other, sizeof other, "http://localhost:%u", port); /* answers, but as somebody else */
    liar.issuer = other;
    ck_assert_str_eq(get(&liar, false), "");
    ck_assert_ptr_nonnull(strstr(err.message, "is about the issuer"));
}
END_TEST

static const char *const bad_bodies[] = {"", "no JSON", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[]} trailing"};

START_TEST(what_is_no_set_is_refused)
{
    slc_jwks_source source = {.issuer = base, .url = url};

    body = bad_bodies[_i];
    start((slc_jwks_options){.retry_ms = 1});
    ck_assert_str_eq(get(&source, false), "");
    ck_assert_int_eq(err.code, SLC_UNAVAILABLE);
}
END_TEST

START_TEST(size_and_time_are_limited)
{
    slc_jwks_source source = {.issuer = base, .url = url};
    char *large = slc_malloc(5000);

    memset(large, ' ', 4999);
    large[4999] = '\0';
    body = large;
    start((slc_jwks_options){.retry_ms = 1, .max_bytes = 1024, .timeout_ms = 200});
    ck_assert_str_eq(get(&source, false), "");
    silent = true;
    for (int64_t since_ms = slc_monotonic_ms(); asked < 2;) {
        ck_assert_str_eq(get(&source, false), "");
        ck_assert_int_lt(slc_monotonic_ms() - since_ms, WAIT_MAX_MS);
    }
    body = KEYS("one");
    free(large);
}
END_TEST

START_TEST(a_file_is_read_and_no_other_protocol_spoken)
{
    char path[] = "/tmp/sluice-jwks-XXXXXX", file_url[64];
    int fd = mkstemp(path);
    slc_jwks_source from_file = {.issuer = base, .file = path}, by_url = {.issuer = base, .url = file_url};

    ck_assert_int_eq(write(fd, KEYS("file"), strlen(KEYS("file"))), (ssize_t)strlen(KEYS("file")));
    close(fd);
    snprintf(file_url, sizeof file_url, "file://%s", path);
    start((slc_jwks_options){.retry_ms = 1});
    ck_assert_str_eq(get(&from_file, false), "file");
    ck_assert_str_eq(get(&by_url, false), "");
    ck_assert_uint_eq(asked, 0);
    unlink(path);
}
END_TEST

START_TEST(one_that_is_silent_delays_no_other)
{
    slc_jwks_source source = {.issuer = base, .url = url}, other = {.issuer = "http://other", .file = NULL};
    char path[] = "/tmp/sluice-jwks-XXXXXX";
    int fd = mkstemp(path);

    ck_assert_int_eq(write(fd, KEYS("file"), strlen(KEYS("file"))), (ssize_t)strlen(KEYS("file")));
    close(fd);
    other.file = path;
    silent = true;
    start((slc_jwks_options){.timeout_ms = 60000});
    slc_jwks_get(jwks, &source, false, loop, on_keys, NULL);
    ck_assert_str_eq(get(&other, false), "file"); /* the silent one has not answered, and will not */
    ck_assert_uint_eq(answers, 1);
    slc_jwks_free(jwks);
    jwks = NULL;
    wait_answers(2);
    unlink(path);
}
END_TEST

START_TEST(fetches_beyond_the_limit_wait_their_turn)
{
    slc_jwks_source source = {.issuer = base, .url = url};
    char issuers[5][32];

    start((slc_jwks_options){.fetches = 1});
    for (unsigned i = 0; i < 5; i++) {
        snprintf(issuers[i], sizeof issuers[i], "http://issuer-%u", i);
        source.issuer = issuers[i];
        slc_jwks_get(jwks, &source, false, loop, on_keys, NULL);
    }
    wait_answers(5);
    ck_assert_uint_eq(asked, 5);
    ck_assert_str_eq(kid, "one");
}
END_TEST

START_TEST(stopping_answers_everybody)
{
    slc_jwks_source source = {.issuer = base, .url = url};

    silent = true;
    start((slc_jwks_options){.timeout_ms = 60000});
    for (unsigned i = 0; i < 5; i++)
        slc_jwks_get(jwks, &source, false, loop, on_keys, NULL);
    slc_jwks_free(jwks);
    jwks = NULL;
    wait_answers(5);
    ck_assert_int_eq(err.code, SLC_UNAVAILABLE);
}
END_TEST

/* Wherever the stop finds the request, somebody answers it. */
START_TEST(a_stop_loses_no_request)
{
    slc_jwks_source source = {.issuer = base, .file = "/nowhere"};

    for (unsigned round = 0; round < 2000; round++) {
        answers = 0;
        start((slc_jwks_options){.fetches = 1});
        slc_jwks_get(jwks, &source, false, loop, on_keys, NULL);
        for (int64_t until_us = slc_monotonic_us() + round % 100; slc_monotonic_us() < until_us;)
            ;
        slc_jwks_free(jwks);
        jwks = NULL;
        wait_answers(1);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("jwks");
    TCase *tcase = tcase_create("jwks");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_set_is_fetched_once_and_again_when_a_key_is_missing);
    tcase_add_test(tcase, missing_keys_do_not_hammer_the_issuer);
    tcase_add_test(tcase, nor_does_an_issuer_that_fails);
    tcase_add_test(tcase, the_last_set_serves_while_the_issuer_is_away_but_not_for_ever);
    tcase_add_test(tcase, discovery_tells_where_the_keys_are);
    tcase_add_loop_test(tcase, what_is_no_set_is_refused, 0, (int)(sizeof bad_bodies / sizeof *bad_bodies));
    tcase_add_test(tcase, size_and_time_are_limited);
    tcase_add_test(tcase, a_file_is_read_and_no_other_protocol_spoken);
    tcase_add_test(tcase, one_that_is_silent_delays_no_other);
    tcase_add_test(tcase, fetches_beyond_the_limit_wait_their_turn);
    tcase_add_test(tcase, stopping_answers_everybody);
    tcase_add_test(tcase, a_stop_loses_no_request);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
