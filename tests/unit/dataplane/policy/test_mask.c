/* The mask policy: what becomes of values, and what cannot be masked. */
#include <stdlib.h>
#include <unistd.h>

#include "dataplane/policy/mask_json.h"
#include "dataplane/policy/types.h"
#include "tests/unit/common/unit.h"

static slc_record_scratch scratch;
static slc_record_problem problem;
static slc_policy_record record;

static void *compile(const char *text)
{
    void *compiled = NULL;
    slc_error err = {0};
    json_t *config = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(config);
    ck_assert_msg(slc_policy_mask.compile(config, &compiled, &err), "%s", err.message);
    json_decref(config);
    return compiled;
}

static void refuse(const char *text)
{
    void *compiled = NULL;
    slc_error err = {0};
    json_t *config = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(config);
    ck_assert_msg(!slc_policy_mask.compile(config, &compiled, &err), "%s was taken", text);
    json_decref(config);
}

static enum slc_record_verdict run(const char *config, const char *value)
{
    void *compiled = compile(config), *bound;
    slc_error err = {0};
    slc_record_turn turn = {.scratch = &scratch};
    if (scratch.max_bytes == 0)
        slc_record_scratch_init(&scratch, 1 << 20);
    slc_record_scratch_reset(&scratch);
    record =
        (slc_policy_record){.value = (const uint8_t *)value, .value_len = value != NULL ? strlen(value) : 0};
    ck_assert_msg(slc_policy_mask.records->bind(compiled, NULL, &bound, &err), "%s", err.message);
    enum slc_record_verdict verdict =
        slc_policy_mask.records->on_consume_record(bound, &turn, &record, &problem);
    slc_policy_mask.release(compiled);
    return verdict;
}

START_TEST(fields_are_hidden)
{
    static const struct {
        const char *config, *value, *expected; /* NULL: it stays */
    } cases[] = {
        {"{\"fields\":[{\"path\":\"/a\"}]}", "{\"a\": 1, \"b\": 2}", "{\"a\":\"***\",\"b\":2}"},
        {"{\"fields\":[{\"path\":\"/a\"}]}", "{\"b\": 2}", NULL},
        {"{\"fields\":[{\"path\":\"/a\",\"replacement\":\"\\\"x\\\"\"}]}", "{\"a\":null}",
         "{\"a\":\"\\\"x\\\"\"}"},
        {"{\"fields\":[{\"path\":\"/a\",\"action\":\"remove\"}]}", "{\"a\":{\"x\":1},\"b\":2}", "{\"b\":2}"},
        {"{\"fields\":[{\"path\":\"/a/b\",\"action\":\"remove\"}]}", "{\"a\":{\"b\":1,\"c\":[1, 2]},\"b\":2}",
         "{\"a\":{\"c\":[1, 2]},\"b\":2}"},
        {"{\"fields\":[{\"path\":\"/*/b\",\"action\":\"remove\"}]}", "[{\"b\":1},{\"c\":2},[3]]",
         "[{},{\"c\":2},[3]]"},
        {"{\"fields\":[{\"path\":\"/items/*/price\"}]}", "{\"items\":[{\"price\":1},{\"n\":2}]}",
         "{\"items\":[{\"price\":\"***\"},{\"n\":2}]}"},
        {"{\"fields\":[{\"path\":\"/1\",\"action\":\"remove\"}]}", "[1,2,3]", "[1,3]"},
        {"{\"fields\":[{\"path\":\"/card\",\"action\":\"keep-last\"}]}", "{\"card\":\"4111-2222\"}",
         "{\"card\":\"*****2222\"}"},
        {"{\"fields\":[{\"path\":\"/card\",\"action\":\"keep-last\"}]}", "{\"card\":\"4111\"}",
         "{\"card\":\"****\"}"},
        {"{\"fields\":[{\"path\":\"/card\",\"action\":\"keep-last\",\"keep\":2}]}", "{\"card\":12345}",
         "{\"card\":\"***45\"}"},
        {"{\"fields\":[{\"path\":\"/n\",\"action\":\"keep-last\",\"keep\":1}]}",
         "{\"n\":\"\xc3\xa4\xc3\xb6\\u00fc\"}", "{\"n\":\"**\xc3\xbc\"}"},
        {"{\"fields\":[{\"path\":\"/a~1b\"},{\"path\":\"/~0\"}]}", "{\"a/b\":1,\"~\":2}",
         "{\"a/b\":\"***\",\"~\":\"***\"}"},
        /* Whatever it is written as, and as often as it is there. */
        {"{\"fields\":[{\"path\":\"/email\"}]}", "{\"em\\u0061il\":\"x\",\"email\":\"y\"}",
         "{\"em\\u0061il\":\"***\",\"email\":\"***\"}"},
        /* Of several the first. */
        {"{\"fields\":[{\"path\":\"/a\",\"action\":\"remove\"},{\"path\":\"/*\"}]}", "{\"a\":1,\"b\":2}",
         "{\"b\":\"***\"}"},
        {"{\"keep_only\":[\"/id\",\"/items/*/sku\"]}",
         "{\"id\":{\"x\":[1]},\"secret\":1,\"items\":[{\"sku\":1,\"p\":2},{\"p\":3},4],\"more\":{\"id\":5}}",
         "{\"id\":{\"x\":[1]},\"items\":[{\"sku\":1},{}]}"},
        {"{\"keep_only\":[\"/id\"],\"fields\":[{\"path\":\"/id/x\"}]}", "{\"id\":{\"x\":1,\"y\":2},\"z\":3}",
         "{\"id\":{\"x\":\"***\",\"y\":2}}"},
        {"{\"keep_only\":[\"/id\"]}", "\"text\"", "null"},
        {"{\"keep_only\":[\"/id\"]}", "{\"id\":1}", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum slc_record_verdict verdict = run(cases[i].config, cases[i].value);
        ck_assert_msg(verdict == (cases[i].expected != NULL ? SLC_RECORD_CHANGE : SLC_RECORD_KEEP), "case %zu",
                      i);
        if (cases[i].expected == NULL)
            continue;
        ck_assert_msg(record.value_len == strlen(cases[i].expected) &&
                          memcmp(record.value, cases[i].expected, record.value_len) == 0,
                      "case %zu: %.*s", i, (int)record.value_len, (const char *)record.value);
    }
    slc_record_scratch_release(&scratch);
}
END_TEST

START_TEST(a_hash_is_keyed_and_the_same_for_the_same_text)
{
    static const char config[] =
        "{\"hash_key\":{\"env\":\"SLUICE_UNIT_KEY\"},\"fields\":[{\"path\":\"/*\",\"action\":\"hash\"}]}";
    /* HMAC-SHA-256 of "x" under the key, by another implementation. */
    static const char expected[] =
        "{\"a\":\"8861f4ec15e4baac738197e5cd7b89179968edd14ab65acc2fc05dbf3fa66049\"}";
    void *compiled = compile(config), *bound;
    slc_error err = {0};
    unsetenv("SLUICE_UNIT_KEY");
    ck_assert(!slc_policy_mask.records->bind(compiled, NULL, &bound, &err));
    ck_assert_int_eq(err.code, SLC_UNAVAILABLE);
    slc_policy_mask.release(compiled);
    setenv("SLUICE_UNIT_KEY", "sixteen bytes ok", 1);
    ck_assert_int_eq(run(config, "{\"a\":\"x\"}"), SLC_RECORD_CHANGE);
    ck_assert_uint_eq(record.value_len, strlen(expected));
    ck_assert_mem_eq(record.value, expected, record.value_len);
    char first[100];
    snprintf(first, sizeof first, "%.*s", (int)record.value_len, (const char *)record.value);
    ck_assert_int_eq(run(config, "{\"a\":\"\\u0078\"}"), SLC_RECORD_CHANGE); /* the same text */
    ck_assert_mem_eq(record.value, first, record.value_len);
    ck_assert_int_eq(run(config, "{\"a\":\"y\"}"), SLC_RECORD_CHANGE);
    ck_assert_int_ne(memcmp(record.value, first, record.value_len), 0);
    setenv("SLUICE_UNIT_KEY", "another key of 16", 1);
    ck_assert_int_eq(run(config, "{\"a\":\"x\"}"), SLC_RECORD_CHANGE);
    ck_assert_int_ne(memcmp(record.value, first, record.value_len), 0);
    slc_record_scratch_release(&scratch);
}
END_TEST

START_TEST(what_is_not_json_is_withheld_unless_it_may_pass)
{
#define WITH(more) "{\"fields\":[{\"path\":\"/a\"}]" more "}"
    ck_assert_int_eq(run(WITH(""), NULL), SLC_RECORD_KEEP); /* a tombstone */
    ck_assert_int_eq(run(WITH(""), "{\"a\":1} "), SLC_RECORD_CHANGE);
    ck_assert_int_eq(run(WITH(""), "{\"a\":1"), SLC_RECORD_DROP);
    ck_assert_int_eq(problem.code, SLC_INVALID);
    ck_assert_int_eq(run(WITH(",\"not_json\":\"refuse\""), "{"), SLC_RECORD_REJECT);
    ck_assert_int_eq(run(WITH(",\"not_json\":\"pass\""), "{"), SLC_RECORD_KEEP);
    ck_assert_int_eq(run(WITH(",\"on\":\"publish\""), "{"), SLC_RECORD_REJECT);
    slc_record_scratch_release(&scratch);
}
END_TEST

START_TEST(a_direction_is_its_own)
{
    void *read = compile(WITH("")), *publish = compile(WITH(",\"on\":\"publish\""));
    ck_assert(slc_record_ops_act(slc_policy_mask.records, read, SLC_RECORDS_CONSUME));
    ck_assert(!slc_record_ops_act(slc_policy_mask.records, read, SLC_RECORDS_PRODUCE));
    ck_assert(slc_record_ops_act(slc_policy_mask.records, publish, SLC_RECORDS_PRODUCE));
    ck_assert(!slc_record_ops_act(slc_policy_mask.records, publish, SLC_RECORDS_CONSUME));
    slc_policy_mask.release(read);
    slc_policy_mask.release(publish);
}
END_TEST

START_TEST(bad_settings_are_refused)
{
    refuse("{}");
    refuse("{\"fields\":[]}");
    refuse("{\"fields\":[{\"path\":\"a\"}]}");
    refuse("{\"fields\":[{\"path\":\"\"}]}");
    refuse("{\"fields\":[{\"path\":\"/a~2\"}]}");
    refuse("{\"fields\":[{\"path\":\"/a\",\"action\":\"burn\"}]}");
    refuse("{\"fields\":[{\"path\":\"/a\",\"keep\":0}]}");
    refuse("{\"fields\":[{\"path\":\"/a\",\"more\":0}]}");
    refuse("{\"fields\":[{\"path\":\"/a\",\"action\":\"hash\"}]}");
    refuse("{\"fields\":[{\"path\":\"/a\",\"action\":\"hash\"}],\"hash_key\":\"literal\"}");
    refuse("{\"keep_only\":[1]}");
    refuse("{\"keep_only\":[\"/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17\"]}");
}
END_TEST

UNIT_MAIN("mask policy", fields_are_hidden, a_hash_is_keyed_and_the_same_for_the_same_text,
          what_is_not_json_is_withheld_unless_it_may_pass, a_direction_is_its_own, bad_settings_are_refused)
