#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/allocations.h"
#include "common/crypto.h"
#include "dataplane/crypt/cipher.h"

/* The keys of docs/encryption.md's test vectors: bytes that count up. */
static slc_data_key *data_key(void)
{
    uint8_t secret[SLC_DATA_KEY_BYTES];
    for (size_t i = 0; i < sizeof secret; i++)
        secret[i] = (uint8_t)i;
    return slc_data_key_new("orders", 6, (const uint8_t *)"EDEK", 4, secret, sizeof secret);
}

static slc_data_key *fixed_key(void)
{
    uint8_t secret[SLC_FIXED_KEY_BYTES];
    for (size_t i = 0; i < sizeof secret; i++)
        secret[i] = (uint8_t)i;
    return slc_data_key_new("orders", 6, NULL, 0, secret, sizeof secret);
}

static const slc_crypt_place in_orders = {.context = "shop.orders", .context_len = 11};

struct fixture {
    slc_ciphers *ciphers;
    slc_data_key *data, *fixed;
    slc_buf sealed, opened;
    slc_error err;
};

static void init(struct fixture *f)
{
    *f = (struct fixture){.ciphers = slc_ciphers_new(), .data = data_key(), .fixed = fixed_key()};
    slc_buf_init(&f->sealed, 1 << 20);
    slc_buf_init(&f->opened, 1 << 20);
}

static void release(struct fixture *f)
{
    slc_ciphers_free(f->ciphers);
    slc_data_key_unref(f->data);
    slc_data_key_unref(f->fixed);
    slc_buf_release(&f->sealed);
    slc_buf_release(&f->opened);
}

static void seal(struct fixture *f, enum slc_envelope_part part, const slc_crypt_place *place, const char *text)
{
    slc_buf_clear(&f->sealed);
    ck_assert(slc_crypt_seal(f->ciphers, part == SLC_PART_KEY ? f->fixed : f->data, part, place,
                             (const uint8_t *)text, strlen(text), &f->sealed, &f->err));
}

static bool open_sealed(struct fixture *f, const slc_crypt_place *place)
{
    slc_envelope envelope;
    slc_buf_clear(&f->opened);
    return slc_envelope_parse(f->sealed.data, f->sealed.len, &envelope, &f->err) &&
           slc_crypt_open(f->ciphers, envelope.part == SLC_PART_KEY ? f->fixed : f->data, &envelope, place,
                          &f->opened, &f->err);
}

START_TEST(test_vectors)
{
    static const struct {
        enum slc_envelope_part part;
        slc_crypt_place place;
        const char *text, *hex;
    } vectors[] = {
#include "vectors.inc"
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        struct fixture f;
        char hex[1000];
        init(&f);
        size_t want = strlen(vectors[i].hex) / 2;
        uint8_t bytes[500];
        ck_assert(slc_hex_decode(vectors[i].hex, 2 * want, bytes, want));
        ck_assert(slc_buf_add(&f.sealed, bytes, want));
        ck_assert_msg(open_sealed(&f, &vectors[i].place), "vector %zu: %s", i, f.err.message);
        ck_assert_uint_eq(f.opened.len, strlen(vectors[i].text));
        ck_assert_mem_eq(f.opened.data, vectors[i].text, f.opened.len);
        if (vectors[i].part == SLC_PART_KEY) { /* the others have a nonce of their own */
            seal(&f, SLC_PART_KEY, &vectors[i].place, vectors[i].text);
            slc_hex_encode(f.sealed.data, f.sealed.len, hex);
            ck_assert_str_eq(hex, vectors[i].hex);
        }
        release(&f);
    }
}
END_TEST

START_TEST(test_what_is_sealed_opens_in_its_place_alone)
{
    static const slc_crypt_place places[] = {
        {.context = "shop.orders", .context_len = 11},
        {.context = "shop.order", .context_len = 10},
        {.context = "", .context_len = 0},
        {.context = "shop.orders", .context_len = 11, .binds_key = true},
        {.context = "shop.orders", .context_len = 11, .binds_key = true, .record_key = (const uint8_t *)""},
        {.context = "shop.orders",
         .context_len = 11,
         .binds_key = true,
         .record_key = (const uint8_t *)"k1",
         .record_key_len = 2},
        {.context = "shop.orders", .context_len = 11, .field = "/a", .field_len = 2},
    };
    static const enum slc_envelope_part parts[] = {SLC_PART_VALUE, SLC_PART_KEY, SLC_PART_FIELD};
    struct fixture f;
    init(&f);
    for (size_t p = 0; p < 3; p++)
        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
            seal(&f, parts[p], &places[i], "a value that nobody shall read");
            for (size_t j = 0; j < sizeof places / sizeof *places; j++) {
                ck_assert_int_eq(open_sealed(&f, &places[j]), i == j);
                if (i != j) {
                    ck_assert_int_eq(f.err.code, SLC_CORRUPT);
                    ck_assert_uint_eq(f.opened.len, 0);
                }
            }
        }
    release(&f);
}
END_TEST

START_TEST(test_every_bit_counts)
{
    static const enum slc_envelope_part parts[] = {SLC_PART_VALUE, SLC_PART_KEY};
    struct fixture f;
    init(&f);
    for (size_t p = 0; p < 2; p++) {
        seal(&f, parts[p], &in_orders, "text");
        slc_envelope envelope;
        ck_assert(slc_envelope_parse(f.sealed.data, f.sealed.len, &envelope, &f.err));
        size_t first = (size_t)((envelope.nonce != NULL ? envelope.nonce : envelope.tag) - f.sealed.data);
        for (size_t bit = 8 * first; bit < 8 * f.sealed.len; bit++) {
            f.sealed.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            ck_assert(!open_sealed(&f, &in_orders));
            f.sealed.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        ck_assert(open_sealed(&f, &in_orders));
    }
    release(&f);
}
END_TEST

START_TEST(test_equal_values_differ_and_equal_keys_do_not)
{
    struct fixture f;
    slc_buf first;
    init(&f);
    slc_buf_init(&first, 1000);
    for (int part = 0; part < 2; part++) {
        seal(&f, part == 0 ? SLC_PART_VALUE : SLC_PART_KEY, &in_orders, "same");
        slc_buf_clear(&first);
        ck_assert(slc_buf_add(&first, f.sealed.data, f.sealed.len));
        slc_ciphers_free(f.ciphers); /* as after a restart */
        f.ciphers = slc_ciphers_new();
        seal(&f, part == 0 ? SLC_PART_VALUE : SLC_PART_KEY, &in_orders, "same");
        ck_assert_uint_eq(first.len, f.sealed.len);
        ck_assert_int_eq(memcmp(first.data, f.sealed.data, first.len) == 0, part == 1);
    }
    slc_buf_release(&first);
    release(&f);
}
END_TEST

START_TEST(test_no_nonce_comes_twice)
{
    enum { WORKERS = 3, TIMES = 200 };
    static uint8_t seen[WORKERS * TIMES][12];
    struct fixture f[WORKERS];
    size_t count = 0;
    for (size_t i = 0; i < WORKERS; i++)
        init(&f[i]);
    for (size_t i = 0; i < WORKERS * TIMES; i++) {
        slc_envelope envelope;
        struct fixture *one = &f[i % WORKERS];
        seal(one, SLC_PART_VALUE, &in_orders, "");
        ck_assert(slc_envelope_parse(one->sealed.data, one->sealed.len, &envelope, &one->err));
        for (size_t j = 0; j < count; j++)
            ck_assert_mem_ne(seen[j], envelope.nonce, 12);
        memcpy(seen[count++], envelope.nonce, 12);
    }
    for (size_t i = 0; i < WORKERS; i++)
        release(&f[i]);
}
END_TEST

START_TEST(test_what_does_not_fit_adds_nothing)
{
    struct fixture f;
    slc_buf small;
    init(&f);
    slc_buf_init(&small, 50);
    ck_assert(slc_buf_add(&small, "before", 6));
    ck_assert(!slc_crypt_seal(f.ciphers, f.data, SLC_PART_VALUE, &in_orders, (const uint8_t *)"0123456789", 10,
                              &small, &f.err));
    ck_assert_int_eq(f.err.code, SLC_TOO_LARGE);
    ck_assert_uint_eq(small.len, 6);
    slc_buf_release(&small);
    release(&f);
}
END_TEST

START_TEST(test_keys_are_told_what_they_encrypted)
{
    struct fixture f;
    init(&f);
    for (int i = 0; i < 300; i++)
        seal(&f, SLC_PART_VALUE, &in_orders, "ten bytes.");
    slc_ciphers_tell(f.ciphers);
    ck_assert_uint_eq(atomic_load(&f.data->records), 300);
    ck_assert_uint_eq(atomic_load(&f.data->bytes), 3000);
    release(&f);
}
END_TEST

START_TEST(test_many_contexts_take_turns)
{
    struct fixture f;
    init(&f);
    for (int i = 0; i < 500; i++) {
        char topic[20];
        snprintf(topic, sizeof topic, "topic-%d", i % 130);
        const slc_crypt_place place = {.context = topic, .context_len = strlen(topic)};
        seal(&f, SLC_PART_VALUE, &place, topic);
        ck_assert(open_sealed(&f, &place));
        ck_assert_mem_eq(f.opened.data, topic, strlen(topic));
    }
    release(&f);
}
END_TEST

START_TEST(test_nothing_is_allocated_for_a_record)
{
    struct fixture f;
    init(&f);
    for (int round = 0; round < 3; round++) {
        uint64_t before = allocations_so_far();
        bool ok = true;
        for (int i = 0; i < 50; i++) {
            slc_envelope envelope;
            slc_buf_clear(&f.sealed);
            slc_buf_clear(&f.opened);
            enum slc_envelope_part part = i % 2 == 0 ? SLC_PART_VALUE : SLC_PART_KEY;
            slc_data_key *key = i % 2 == 0 ? f.data : f.fixed;
            ok = ok &&
                 slc_crypt_seal(f.ciphers, key, part, &in_orders, (const uint8_t *)"a record", 8, &f.sealed,
                                &f.err) &&
                 slc_envelope_parse(f.sealed.data, f.sealed.len, &envelope, &f.err) &&
                 slc_crypt_open(f.ciphers, key, &envelope, &in_orders, &f.opened, &f.err);
        }
        uint64_t allocated = allocations_so_far() - before; /* before libcheck, which allocates */
        ck_assert(ok);
        ck_assert_msg(round == 0 || allocated == 0, "%llu allocations", (unsigned long long)allocated);
    }
    release(&f);
}
END_TEST

START_TEST(test_dead_and_expired_keys_are_let_go)
{
    struct fixture f;
    init(&f);
    atomic_store(&f.data->expires_ms, INT64_MAX);
    atomic_store(&f.fixed->expires_ms, INT64_MAX);
    seal(&f, SLC_PART_VALUE, &in_orders, "x");
    seal(&f, SLC_PART_KEY, &in_orders, "x");
    slc_ciphers_trim(f.ciphers);
    ck_assert_uint_eq(atomic_load(&f.data->refs_), 2);
    atomic_store(&f.data->dead, true);
    atomic_store(&f.fixed->expires_ms, 1);
    slc_ciphers_trim(f.ciphers);
    ck_assert_uint_eq(atomic_load(&f.data->refs_), 1);
    ck_assert_uint_eq(atomic_load(&f.fixed->refs_), 1);
    release(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cipher");
    TCase *tcase = tcase_create("cipher");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_vectors);
    tcase_add_test(tcase, test_what_is_sealed_opens_in_its_place_alone);
    tcase_add_test(tcase, test_every_bit_counts);
    tcase_add_test(tcase, test_equal_values_differ_and_equal_keys_do_not);
    tcase_add_test(tcase, test_no_nonce_comes_twice);
    tcase_add_test(tcase, test_what_does_not_fit_adds_nothing);
    tcase_add_test(tcase, test_keys_are_told_what_they_encrypted);
    tcase_add_test(tcase, test_many_contexts_take_turns);
    tcase_add_test(tcase, test_nothing_is_allocated_for_a_record);
    tcase_add_test(tcase, test_dead_and_expired_keys_are_let_go);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
