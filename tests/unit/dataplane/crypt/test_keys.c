/* Key rings over a real keystore file: single flight, caching, rotation, shredding, a provider that is away. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/loop.h"
#include "dataplane/crypt/keys.h"
#include "dataplane/crypt/keystore.h"

#define PASSPHRASE "correct horse battery"

struct fixture {
    char folder[64], *path;
    slc_keystore *store;
    slc_keys_options options;
    slc_keys *keys;
    slc_key_ring_options ring_options;
    slc_key_ring *ring;
    slc_error err;
};

static void save(struct fixture *f)
{
    ck_assert(slc_keystore_save(f->store, f->path, PASSPHRASE, strlen(PASSPHRASE), &f->err));
}

static void init(struct fixture *f, bool with_file)
{
    *f = (struct fixture){.folder = "/tmp/keys-XXXXXX", .options = SLC_KEYS_DEFAULTS};
    ck_assert_ptr_nonnull(mkdtemp(f->folder));
    f->path = slc_asprintf("%s/keys.json", f->folder);
    f->store = slc_keystore_new();
    ck_assert(slc_keystore_add(f->store, "orders", &f->err) && slc_keystore_add(f->store, "other", &f->err));
    if (with_file)
        save(f);
    f->options.watch_ms = 20;
    f->options.retry_min_ms = 10;
    f->options.missing_ms = 50;
    f->ring_options =
        (slc_key_ring_options){.name = slc_strdup("ring"),
                               .provider = slc_strdup("local"),
                               .path = slc_strdup(f->path),
                               .passphrase = {.value = slc_strdup(PASSPHRASE), .len = strlen(PASSPHRASE)}};
}

static void start(struct fixture *f)
{
    f->keys = slc_keys_new(&f->options);
    f->ring = slc_key_ring_get(f->keys, &f->ring_options);
}

static void release(struct fixture *f)
{
    slc_key_ring_unref(f->ring);
    slc_keys_free(f->keys);
    slc_key_ring_options_release(&f->ring_options);
    slc_keystore_free(f->store);
    unlink(f->path);
    rmdir(f->folder);
    free(f->path);
}

static slc_data_key *now(struct fixture *f, enum slc_key_want_kind kind, const char *kek,
                         const slc_data_key *of)
{
    const slc_key_want want = {.kind = kind,
                               .kek = kek,
                               .kek_len = strlen(kek),
                               .edek = of != NULL ? of->edek : NULL,
                               .edek_len = of != NULL ? of->edek_len : 0};
    f->err = (slc_error){0};
    return slc_key_ring_ask_now(f->ring, &want, &f->err);
}

START_TEST(test_what_encrypts_decrypts)
{
    struct fixture f;
    init(&f, true);
    start(&f);
    slc_data_key *one = now(&f, SLC_KEY_TO_ENCRYPT, "orders", NULL), *again, *other, *opened, *fixed;
    ck_assert_msg(one != NULL, "%s", f.err.message);
    again = now(&f, SLC_KEY_TO_ENCRYPT, "orders", NULL);
    ck_assert_ptr_eq(one, again);
    other = now(&f, SLC_KEY_TO_ENCRYPT, "other", NULL);
    ck_assert_mem_ne(one->secret, other->secret, 32);
    opened = now(&f, SLC_KEY_TO_DECRYPT, "orders", one);
    ck_assert_mem_eq(one->secret, opened->secret, 32);
    fixed = now(&f, SLC_KEY_FIXED, "orders", NULL);
    ck_assert_uint_eq(fixed->secret_len, 64);
    ck_assert_ptr_null(now(&f, SLC_KEY_TO_DECRYPT, "other", one));
    ck_assert_int_eq(f.err.code, SLC_CORRUPT);
    ck_assert_ptr_null(now(&f, SLC_KEY_TO_ENCRYPT, "nobody", NULL));
    ck_assert_int_eq(f.err.code, SLC_NOT_FOUND);
    slc_data_key_unref(one);
    slc_data_key_unref(again);
    slc_data_key_unref(other);
    slc_data_key_unref(opened);
    slc_data_key_unref(fixed);
    release(&f);
}
END_TEST

START_TEST(test_equal_options_share_a_ring)
{
    struct fixture f;
    init(&f, true);
    start(&f);
    slc_key_ring *same = slc_key_ring_get(f.keys, &f.ring_options);
    ck_assert_ptr_eq(same, f.ring);
    slc_key_ring_unref(same);
    free(f.ring_options.path);
    f.ring_options.path = slc_strdup("/nowhere");
    slc_key_ring *another = slc_key_ring_get(f.keys, &f.ring_options);
    ck_assert_ptr_ne(another, f.ring);
    slc_key_ring_unref(another);
    release(&f);
}
END_TEST

START_TEST(test_each_process_has_a_data_key_of_its_own)
{
    struct fixture f;
    init(&f, true);
    start(&f);
    slc_data_key *one = now(&f, SLC_KEY_TO_ENCRYPT, "orders", NULL);
    slc_key_ring_unref(f.ring);
    slc_keys_free(f.keys);
    start(&f);
    slc_data_key *two = now(&f, SLC_KEY_TO_ENCRYPT, "orders", NULL);
    slc_data_key *old = now(&f, SLC_KEY_TO_DECRYPT, "orders", one);
    ck_assert_mem_ne(one->secret, two->secret, 32);
    ck_assert_mem_eq(one->secret, old->secret, 32);
    slc_data_key_unref(one);
    slc_data_key_unref(two);
    slc_data_key_unref(old);
    release(&f);
}
END_TEST

/* Asks until the answer differs from `one`; ends by libcheck's timeout if it never does. */
static slc_data_key *next_after(struct fixture *f, const slc_data_key *one)
{
    slc_data_key *key = now(f, SLC_KEY_TO_ENCRYPT, "orders", NULL);
    while (key != NULL && memcmp(key->secret, one->secret, 32) == 0) {
        slc_data_key_unref(key);
        usleep(1000);
        key = now(f, SLC_KEY_TO_ENCRYPT, "orders", NULL);
    }
    return key;
}

START_TEST(test_a_data_key_is_rotated_by_time_records_and_bytes)
{
    for (int by = 0; by < 3; by++) {
        struct fixture f;
        init(&f, true);
        if (by == 0)
            f.options.rotate_ms = 200;
        f.options.rotate_records = 1000;
        f.options.rotate_bytes = 100000;
        start(&f);
        slc_data_key *one = now(&f, SLC_KEY_TO_ENCRYPT, "orders", NULL);
        if (by == 1)
            atomic_store(&one->records, 900);
        if (by == 2)
            atomic_store(&one->bytes, 100000);
        slc_data_key *two = next_after(&f, one);
        ck_assert_ptr_nonnull(two);
        ck_assert(!atomic_load(&one->dead)); /* who has it may finish */
        slc_data_key *old = now(&f, SLC_KEY_TO_DECRYPT, "orders", one);
        ck_assert_mem_eq(old->secret, one->secret, 32);
        slc_data_key_unref(one);
        slc_data_key_unref(two);
        slc_data_key_unref(old);
        release(&f);
    }
}
END_TEST

START_TEST(test_shredding_ends_the_keys_of_one_kek)
{
    struct fixture f;
    init(&f, true);
    start(&f);
    slc_data_key *one = now(&f, SLC_KEY_TO_ENCRYPT, "orders", NULL);
    slc_data_key *opened = now(&f, SLC_KEY_TO_DECRYPT, "orders", one);
    slc_data_key *fixed = now(&f, SLC_KEY_FIXED, "orders", NULL);
    slc_data_key *other = now(&f, SLC_KEY_TO_ENCRYPT, "other", NULL), *still;
    ck_assert(slc_keystore_destroy(f.store, "orders", &f.err));
    save(&f);
    while (!atomic_load(&one->dead) || !atomic_load(&opened->dead) || !atomic_load(&fixed->dead))
        usleep(1000);
    ck_assert(!slc_data_key_holds(one, slc_monotonic_ms()));
    ck_assert_ptr_null(now(&f, SLC_KEY_TO_DECRYPT, "orders", one));
    ck_assert_int_eq(f.err.code, SLC_NOT_FOUND);
    ck_assert_ptr_null(now(&f, SLC_KEY_TO_ENCRYPT, "orders", NULL));
    ck_assert_ptr_null(now(&f, SLC_KEY_FIXED, "orders", NULL));
    still = now(&f, SLC_KEY_TO_DECRYPT, "other", other);
    ck_assert_ptr_nonnull(still);
    slc_data_key_unref(one);
    slc_data_key_unref(opened);
    slc_data_key_unref(fixed);
    slc_data_key_unref(other);
    slc_data_key_unref(still);
    release(&f);
}
END_TEST

START_TEST(test_a_kek_that_is_rotated_reads_what_is_old)
{
    struct fixture f;
    init(&f, true);
    start(&f);
    slc_data_key *one = now(&f, SLC_KEY_TO_ENCRYPT, "orders", NULL);
    ck_assert(slc_keystore_rotate(f.store, "orders", &f.err));
    save(&f);
    slc_data_key *two = next_after(&f, one), *old = now(&f, SLC_KEY_TO_DECRYPT, "orders", one);
    ck_assert_mem_eq(old->secret, one->secret, 32);
    ck_assert_uint_eq(two->edek[3], 2);
    slc_data_key_unref(one);
    slc_data_key_unref(two);
    slc_data_key_unref(old);
    release(&f);
}
END_TEST

START_TEST(test_a_provider_that_is_away_is_asked_again)
{
    struct fixture f;
    char text[200];
    init(&f, false);
    start(&f);
    ck_assert_ptr_null(now(&f, SLC_KEY_TO_ENCRYPT, "orders", NULL));
    ck_assert_int_eq(f.err.code, SLC_UNAVAILABLE);
    slc_key_ring_health(f.ring, text, sizeof text);
    ck_assert_str_ne(text, "");
    save(&f);
    slc_data_key *key;
    while ((key = now(&f, SLC_KEY_TO_ENCRYPT, "orders", NULL)) == NULL) {
        ck_assert_int_eq(f.err.code, SLC_UNAVAILABLE);
        usleep(1000);
    }
    slc_key_ring_health(f.ring, text, sizeof text);
    ck_assert_str_eq(text, "");
    slc_data_key_unref(key);
    release(&f);
}
END_TEST

START_TEST(test_the_keystore_going_away_leaves_what_is_known)
{
    struct fixture f;
    init(&f, true);
    f.options.ttl_ms = 3600000;
    start(&f);
    slc_data_key *one = now(&f, SLC_KEY_TO_ENCRYPT, "orders", NULL);
    unlink(f.path);
    usleep(100000); /* the file is looked at meanwhile; nothing may come of it */
    slc_data_key *again = now(&f, SLC_KEY_TO_ENCRYPT, "orders", NULL);
    ck_assert_ptr_eq(one, again);
    slc_data_key_unref(one);
    slc_data_key_unref(again);
    release(&f);
}
END_TEST

/* ---- waiting ---- */

struct asker {
    slc_record_waiter waiter; /* first */
    struct fixture *f;
    slc_loop *loop;
    unsigned *left;
    unsigned later;
    slc_data_key *key;
};

static void ask(slc_record_waiter *waiter)
{
    struct asker *asker = (struct asker *)waiter;
    const slc_key_want want = {.kind = SLC_KEY_TO_ENCRYPT, .kek = "orders", .kek_len = 6};
    slc_error err;
    enum slc_key_answer answer = slc_key_ring_ask(asker->f->ring, &want, &asker->waiter, &asker->key, &err);
    if (answer == SLC_KEY_LATER) {
        asker->later++;
        return;
    }
    ck_assert_int_eq(answer, SLC_KEY_READY);
    if (--*asker->left == 0)
        slc_loop_stop(asker->loop);
}

START_TEST(test_many_wait_for_one_call)
{
    enum { ASKERS = 50 };
    static struct asker askers[ASKERS];
    struct fixture f;
    unsigned left = ASKERS;
    init(&f, true);
    start(&f);
    slc_loop *loop = slc_loop_new("test", NULL);
    for (size_t i = 0; i < ASKERS; i++) {
        askers[i] = (struct asker){
            .waiter = {.ready = ask, .mailbox = slc_loop_mailbox(loop)}, .f = &f, .loop = loop, .left = &left};
        ask(&askers[i].waiter);
        ck_assert_uint_eq(askers[i].later, 1);
    }
    slc_loop_run(loop);
    for (size_t i = 0; i < ASKERS; i++) {
        ck_assert_ptr_eq(askers[i].key, askers[0].key);
        slc_data_key_unref(askers[i].key);
    }
    slc_loop_free(loop);
    release(&f);
}
END_TEST

START_TEST(test_who_cannot_wait_is_told_so_and_served_later)
{
    struct fixture f;
    init(&f, true);
    start(&f);
    const slc_key_want want = {.kind = SLC_KEY_FIXED, .kek = "orders", .kek_len = 6};
    slc_data_key *key = NULL;
    ck_assert_int_eq(slc_key_ring_ask(f.ring, &want, NULL, &key, &f.err), SLC_KEY_FAILED);
    ck_assert_int_eq(f.err.code, SLC_UNAVAILABLE);
    while (slc_key_ring_ask(f.ring, &want, NULL, &key, &f.err) != SLC_KEY_READY)
        usleep(1000);
    slc_data_key_unref(key);
    release(&f);
}
END_TEST

START_TEST(test_the_cache_is_bounded)
{
    struct fixture f;
    char name[20];
    init(&f, false);
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "key-%d", i);
        ck_assert(slc_keystore_add(f.store, name, &f.err));
    }
    save(&f);
    f.options.cache_keys = 8;
    start(&f);
    slc_data_key *first = now(&f, SLC_KEY_TO_ENCRYPT, "key-0", NULL);
    for (int i = 1; i < 40; i++) {
        snprintf(name, sizeof name, "key-%d", i);
        slc_data_key *key = now(&f, SLC_KEY_TO_ENCRYPT, name, NULL);
        ck_assert_ptr_nonnull(key);
        slc_data_key_unref(key);
    }
    slc_data_key *again = now(&f, SLC_KEY_TO_ENCRYPT, "key-0", NULL);
    ck_assert_mem_ne(first->secret, again->secret, 32); /* it was forgotten: another one encrypts */
    slc_data_key_unref(first);
    slc_data_key_unref(again);
    release(&f);
}
END_TEST

static void *ask_and_stay(void *arg)
{
    struct fixture *f = arg;
    slc_error err;
    const slc_key_want want = {.kind = SLC_KEY_TO_ENCRYPT, .kek = "orders", .kek_len = 6};
    slc_data_key *key;
    while ((key = slc_key_ring_ask_now(f->ring, &want, &err)) != NULL)
        slc_data_key_unref(key);
    return NULL;
}

START_TEST(test_stopping_ends_whoever_asks)
{
    struct fixture f;
    pthread_t thread;
    init(&f, true);
    start(&f);
    ck_assert_int_eq(pthread_create(&thread, NULL, ask_and_stay, &f), 0);
    slc_data_key_unref(now(&f, SLC_KEY_TO_ENCRYPT, "orders", NULL));
    slc_keys_stop(f.keys);
    pthread_join(thread, NULL);
    release(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keys");
    TCase *tcase = tcase_create("keys");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_what_encrypts_decrypts);
    tcase_add_test(tcase, test_equal_options_share_a_ring);
    tcase_add_test(tcase, test_each_process_has_a_data_key_of_its_own);
    tcase_add_test(tcase, test_a_data_key_is_rotated_by_time_records_and_bytes);
    tcase_add_test(tcase, test_shredding_ends_the_keys_of_one_kek);
    tcase_add_test(tcase, test_a_kek_that_is_rotated_reads_what_is_old);
    tcase_add_test(tcase, test_a_provider_that_is_away_is_asked_again);
    tcase_add_test(tcase, test_the_keystore_going_away_leaves_what_is_known);
    tcase_add_test(tcase, test_many_wait_for_one_call);
    tcase_add_test(tcase, test_who_cannot_wait_is_told_so_and_served_later);
    tcase_add_test(tcase, test_the_cache_is_bounded);
    tcase_add_test(tcase, test_stopping_ends_whoever_asks);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
