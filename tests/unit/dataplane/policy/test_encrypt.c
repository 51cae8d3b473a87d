/* The encrypt policy over a real keystore, record by record. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/allocations.h"
#include "common/alloc.h"
#include "common/assert.h"
#include "common/json.h"
#include "dataplane/crypt/keystore.h"
#include "dataplane/policy/encryption.h"

#define PASSPHRASE "correct horse battery"

static char folder[64], *path;
static slc_keys *keys;
static slc_key_ring *ring;
static slc_record_scratch scratch;

static void setup(void)
{
    const slc_keys_options options = SLC_KEYS_DEFAULTS;
    slc_error err;
    snprintf(folder, sizeof folder, "/tmp/encrypt-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    path = slc_asprintf("%s/keys.json", folder);
    slc_keystore *store = slc_keystore_new();
    ck_assert(slc_keystore_add(store, "orders", &err) && slc_keystore_add(store, "old", &err));
    ck_assert(slc_keystore_save(store, path, PASSPHRASE, strlen(PASSPHRASE), &err));
    slc_keystore_free(store);
    keys = slc_keys_new(&options);
    const slc_key_ring_options ring_options = {.name = "ring",
                                               .provider = "local",
                                               .path = path,
                                               .passphrase = {.value = PASSPHRASE, .len = strlen(PASSPHRASE)}};
    ring = slc_key_ring_get(keys, &ring_options);
    slc_record_scratch_init(&scratch, 1 << 20);
}

static void teardown(void)
{
    slc_record_scratch_release(&scratch);
    slc_key_ring_unref(ring);
    slc_keys_free(keys);
    unlink(path);
    rmdir(folder);
    free(path);
}

/* A policy for a topic. */
struct side {
    void *policy;
    slc_encryption *encryption;
};

static struct side side(const char *settings, const char *topic)
{
    struct side side = {0};
    slc_error err = {0};
    char *text = slc_asprintf("{\"key_ring\": \"ring\"%s%s}", settings[0] != '\0' ? ", " : "", settings);
    json_t *config = slc_json_parse(text, strlen(text), 10000, &err);
    ck_assert_msg(config != NULL, "%s: %s", text, err.message);
    ck_assert_msg(slc_policy_encrypt.compile(config, &side.policy, &err), "%s", err.message);
    side.encryption = slc_encryption_new(side.policy, ring, "orders", topic, "local", &err);
    ck_assert_msg(side.encryption != NULL, "%s", err.message);
    json_decref(config);
    free(text);
    return side;
}

static void end(struct side *side)
{
    slc_encryption_free(side->encryption);
    slc_policy_encrypt.release(side->policy);
}

/* A record with memory of its own. */
struct record {
    slc_policy_record at;
    uint8_t key[2000], value[20000];
    slc_record_header headers[8];
    char header_value[100];
};

static void keep(struct record *out, const slc_policy_record *from)
{
    out->at = *from;
    if (from->key != NULL)
        out->at.key = memcpy(out->key, from->key, from->key_len);
    if (from->value != NULL)
        out->at.value = memcpy(out->value, from->value, from->value_len);
    SLC_BUG_ON(from->header_count > 8);
    if (from->header_count > 0)
        memcpy(out->headers, from->headers, from->header_count * sizeof *from->headers);
    out->at.headers = out->headers;
}

static void make(struct record *out, const char *key, const char *value)
{
    const slc_policy_record record = {.key = (const uint8_t *)key,
                                      .key_len = key != NULL ? strlen(key) : 0,
                                      .value = (const uint8_t *)value,
                                      .value_len = value != NULL ? strlen(value) : 0};
    keep(out, &record);
}

/* Keys come from another thread: asked until they are there, or libcheck's time is over. */
static enum slc_record_verdict put(slc_policy_record_fn *fn, struct side *side, struct record *record,
                                   slc_record_problem *problem)
{
    slc_record_turn turn = {.scratch = &scratch};
    enum slc_record_verdict verdict;
    slc_policy_record tried;
    do {
        tried = record->at;
        *problem = (slc_record_problem){0};
        slc_record_scratch_reset(&scratch);
        verdict = fn(side->encryption, &turn, &tried, problem);
    } while (verdict == SLC_RECORD_REJECT && problem->code == SLC_UNAVAILABLE && usleep(1000) == 0);
    if (verdict == SLC_RECORD_CHANGE)
        keep(record, &tried);
    return verdict;
}

static void seal(struct side *side, struct record *record)
{
    slc_record_problem problem;
    enum slc_record_verdict verdict = put(slc_encrypt_record, side, record, &problem);
    ck_assert_msg(verdict == SLC_RECORD_CHANGE, "%d: %s", (int)verdict, problem.why);
}

/* The code of the refusal; SLC_OK: it was opened, or kept. */
static enum slc_code open_record(struct side *side, struct record *record)
{
    slc_record_problem problem;
    enum slc_record_verdict verdict = put(slc_decrypt_record, side, record, &problem);
    ck_assert_int_ne(verdict, SLC_RECORD_LATER);
    return verdict == SLC_RECORD_REJECT ? problem.code : SLC_OK;
}

static bool is(const uint8_t *data, size_t len, const char *text)
{
    return text == NULL ? data == NULL : data != NULL && len == strlen(text) && memcmp(data, text, len) == 0;
}

#define assert_record(record, k, v)                                                                            \
    ck_assert_msg(is((record)->at.key, (record)->at.key_len, k) &&                                             \
                      is((record)->at.value, (record)->at.value_len, v),                                       \
                  "%.*s", (int)(record)->at.value_len, (const char *)(record)->at.value)

START_TEST(test_what_goes_in_comes_out)
{
    static const char *const settings[] = {
        "", "\"what\": [\"key\"]", "\"what\": [\"value\", \"key\"], \"bind_key\": true",
        "\"what\": [\"fields\", \"key\"], \"fields\": [\"/a\", \"/list/*/x\"]"};
    static const char *const records[][2] = {{"k", "{\"a\": 1, \"list\": [{\"x\": \"y\"}, {}, 3]}"},
                                             {NULL, "{}"},
                                             {"k", NULL},
                                             {NULL, NULL},
                                             {"", "[]"}};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        struct side one = side(settings[i], "shop.orders");
        for (size_t j = 0; j < sizeof records / sizeof *records; j++) {
            struct record record;
            make(&record, records[j][0], records[j][1]);
            seal(&one, &record);
            ck_assert_uint_eq(record.at.header_count, 1);
            ck_assert_int_eq(record.at.value == NULL, records[j][1] == NULL);
            ck_assert_int_eq(record.at.key == NULL, records[j][0] == NULL);
            ck_assert_int_eq(open_record(&one, &record), SLC_OK);
            assert_record(&record, records[j][0], records[j][1]);
            ck_assert_uint_eq(record.at.header_count, 0);
        }
        end(&one);
    }
}
END_TEST

START_TEST(test_it_opens_in_its_topic_and_under_its_keys_alone)
{
    struct side here = side("", "a"), there = side("", "b"), fixed = side("\"context\": \"c\"", "a"),
                fixed_there = side("\"context\": \"c\"", "b"), old = side("\"key\": \"old\"", "a"),
                both = side("\"read_keys\": [\"ol{virtual_cluster}\", \"old\"]", "a");
    struct record record, copy;
    make(&record, "k", "v");
    seal(&here, &record);
    keep(&copy, &record.at);
    ck_assert_int_eq(open_record(&there, &copy), SLC_CORRUPT);
    ck_assert_int_eq(open_record(&fixed, &copy), SLC_CORRUPT);
    ck_assert_int_eq(open_record(&old, &copy), SLC_DENIED);
    ck_assert_int_eq(open_record(&both, &copy), SLC_OK);
    make(&record, "k", "v");
    seal(&fixed, &record);
    ck_assert_int_eq(open_record(&fixed_there, &record), SLC_OK);
    make(&record, "k", "v");
    seal(&old, &record);
    keep(&copy, &record.at);
    ck_assert_int_eq(open_record(&here, &copy), SLC_DENIED);
    ck_assert_int_eq(open_record(&both, &copy), SLC_OK);
    assert_record(&copy, "k", "v");
    end(&here);
    end(&there);
    end(&fixed);
    end(&fixed_there);
    end(&old);
    end(&both);
}
END_TEST

START_TEST(test_a_value_is_bound_to_its_key)
{
    struct side one = side("\"bind_key\": true", "a");
    static const char *const others[] = {"other", "", NULL};
    struct record record, moved;
    make(&record, "k", "v");
    seal(&one, &record);
    for (size_t i = 0; i < 3; i++) {
        keep(&moved, &record.at);
        moved.at.key = (const uint8_t *)others[i];
        moved.at.key_len = others[i] != NULL ? strlen(others[i]) : 0;
        ck_assert_int_eq(open_record(&one, &moved), SLC_CORRUPT);
    }
    ck_assert_int_eq(open_record(&one, &record), SLC_OK);
    end(&one);
}
END_TEST

static void set_header(struct record *record, const char *value)
{
    record->headers[record->at.header_count++] = (slc_record_header){.name = SLC_ENCRYPT_HEADER,
                                                                     .name_len = strlen(SLC_ENCRYPT_HEADER),
                                                                     .value = (const uint8_t *)value,
                                                                     .value_len = (uint32_t)strlen(value)};
    record->at.headers = record->headers;
}

START_TEST(test_plaintext_is_refused_unless_the_window_is_open)
{
    static const struct {
        const char *settings, *key, *value, *header;
        enum slc_code code;
    } cases[] = {
        {"", "k", "v", NULL, SLC_DENIED},
        {"", "k", NULL, NULL, SLC_OK}, /* nothing that should have been encrypted */
        {"\"what\": [\"key\"]", "k", NULL, NULL, SLC_DENIED},
        {"\"what\": [\"key\"]", NULL, "v", NULL, SLC_OK},
        {"\"what\": [\"value\", \"key\"]", "k", "v", "1 key", SLC_DENIED},
        {"", "k", "v", "1 value", SLC_CORRUPT},
        {"", "k", "v", "2 value", SLC_UNSUPPORTED},
        {"", "k", "v", "", SLC_UNSUPPORTED},
        {"\"plaintext\": \"pass\"", "k", "v", NULL, SLC_OK},
        {"\"plaintext\": \"pass\"", "k", "v", "1 value", SLC_CORRUPT},
        {"\"plaintext\": \"pass\", \"plaintext_until\": \"2999-01-01T00:00:00Z\"", "k", "v", NULL, SLC_OK},
        {"\"plaintext\": \"pass\", \"plaintext_until\": \"2001-01-01T00:00:00Z\"", "k", "v", NULL, SLC_DENIED},
        {"\"what\": [\"fields\"], \"fields\": [\"/a\"]", "k", "{\"a\": 1}", "1 fields", SLC_DENIED},
        {"\"what\": [\"fields\"], \"fields\": [\"/a\"]", "k", "{\"b\": 1}", "1 fields", SLC_OK},
        {"\"what\": [\"fields\"], \"fields\": [\"/a\"]", "k", "{\"a\": \"slc1.x\"}", "1 fields", SLC_CORRUPT},
        {"\"what\": [\"fields\"], \"fields\": [\"/a\"]", "k", "no json", "1 fields", SLC_CORRUPT},
        {"\"what\": [\"fields\"], \"fields\": [\"/a\"], \"plaintext\": \"pass\"", "k", "{\"a\": 1}", "1 fields",
         SLC_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct side one = side(cases[i].settings, "a");
        struct record record;
        make(&record, cases[i].key, cases[i].value);
        if (cases[i].header != NULL)
            set_header(&record, cases[i].header);
        enum slc_code code = open_record(&one, &record);
        ck_assert_msg(code == cases[i].code, "case %zu: %s", i, slc_code_name(code));
        end(&one);
    }
}
END_TEST

START_TEST(test_what_a_client_says_of_encryption_does_not_count)
{
    struct side one = side("", "a");
    struct record record;
    make(&record, "k", "v");
    set_header(&record, "1 key value");
    set_header(&record, "9");
    seal(&one, &record);
    ck_assert_uint_eq(record.at.header_count, 1);
    ck_assert_int_eq(open_record(&one, &record), SLC_OK);
    assert_record(&record, "k", "v");
    end(&one);
}
END_TEST

START_TEST(test_fields_are_found_wherever_they_are)
{
    static const struct {
        const char *fields, *value;
        int sealed; /* fields; -1: refused */
    } cases[] = {
        {"\"/a\"", "{\"a\":1,\"b\":{\"a\":2}}", 1},
        {"\"/a\"", "{\"\\u0061\":1}", 1},
        {"\"/a\"", "{\"a\":1,\"\\u0061\":2}", -1},
        {"\"/b/a\"", "{\"b\":{\"a\":1,\"a\":2}}", -1},
        {"\"/b/a\"", "{\"b\":{\"a\":1},\"b\":{}}", -1},
        {"\"/*\"", "{\"a\":1,\"b\":[2]}", 2},
        {"\"/*/x\"", "[{\"x\":1},{\"x\":2},{\"y\":3}]", 2},
        {"\"/1\"", "[1,2,3]", 1},
        {"\"/01\"", "[1,2,3]", 0},
        {"\"/a\", \"/a/b\"", "{\"a\":{\"b\":1}}", 1},
        {"\"/a/b\", \"/a\"", "{\"a\":{\"b\":1}}", 1},
        {"\"/a/b\", \"/*/b\"", "{\"a\":{\"b\":1}}", 1},
        {"\"/a~1b\", \"/c~0d\"", "{\"a/b\":1,\"c~d\":2}", 2},
        {"\"/a\"", "[1]", 0},
        {"\"/a\"", "1", 0},
        {"\"/a\"", "{\"a\":1", -1},
        {"\"/a\"", "", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *settings = slc_asprintf("\"what\": [\"fields\"], \"fields\": [%s]", cases[i].fields);
        struct side one = side(settings, "a");
        struct record record;
        slc_record_problem problem;
        int found = 0;
        make(&record, NULL, cases[i].value);
        enum slc_record_verdict verdict = put(slc_encrypt_record, &one, &record, &problem);
        ck_assert_msg((verdict == SLC_RECORD_REJECT) == (cases[i].sealed < 0), "case %zu: %s", i, problem.why);
        if (verdict != SLC_RECORD_REJECT) {
            record.value[record.at.value_len] = '\0';
            for (char *at = (char *)record.value; (at = strstr(at, "\"slc1.")) != NULL; at++)
                found++;
            ck_assert_msg(found == cases[i].sealed, "case %zu: %s", i, (char *)record.value);
            ck_assert_int_eq(open_record(&one, &record), SLC_OK);
            assert_record(&record, NULL, cases[i].value);
        } else {
            ck_assert_int_eq(problem.code, SLC_INVALID);
        }
        end(&one);
        free(settings);
    }
}
END_TEST

START_TEST(test_nothing_is_allocated_for_a_record)
{
    static const char *const settings[] = {"\"what\": [\"value\", \"key\"]",
                                           "\"what\": [\"fields\"], \"fields\": [\"/a\", \"/b\"]"};
    for (size_t i = 0; i < 2; i++) {
        struct side one = side(settings[i], "a");
        struct record plain, record;
        make(&plain, "a key", "{\"a\": 1, \"b\": [2, 3]}");
        for (int round = 0; round < 200; round++) {
            slc_record_problem problem;
            keep(&record, &plain.at);
            uint64_t before = allocations_so_far(); /* libcheck allocates as well */
            bool sealed = put(slc_encrypt_record, &one, &record, &problem) == SLC_RECORD_CHANGE;
            bool opened = put(slc_decrypt_record, &one, &record, &problem) == SLC_RECORD_CHANGE;
            uint64_t allocated = allocations_so_far() - before;
            ck_assert(sealed && opened);
            ck_assert_msg(round < 20 || allocated == 0, "%llu allocations", (unsigned long long)allocated);
        }
        end(&one);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("encrypt");
    TCase *tcase = tcase_create("encrypt");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_what_goes_in_comes_out);
    tcase_add_test(tcase, test_it_opens_in_its_topic_and_under_its_keys_alone);
    tcase_add_test(tcase, test_a_value_is_bound_to_its_key);
    tcase_add_test(tcase, test_plaintext_is_refused_unless_the_window_is_open);
    tcase_add_test(tcase, test_what_a_client_says_of_encryption_does_not_count);
    tcase_add_test(tcase, test_fields_are_found_wherever_they_are);
    tcase_add_test(tcase, test_nothing_is_allocated_for_a_record);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
