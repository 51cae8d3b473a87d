#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/crypt/envelope.h"

static const uint8_t edek[5] = {1, 2, 3, 4, 5};

/* An envelope whose nonce, tag and text are told by their bytes. */
static size_t build(enum slc_envelope_part part, uint8_t *out, size_t text_len)
{
    size_t at = slc_envelope_write(part, "orders", 6, part == SLC_PART_KEY ? NULL : edek,
                                   part == SLC_PART_KEY ? 0 : 5, out);
    size_t rest = slc_envelope_overhead(part, 6, part == SLC_PART_KEY ? 0 : 5) + text_len - at;
    for (size_t i = 0; i < rest; i++)
        out[at + i] = (uint8_t)i;
    return at + rest;
}

START_TEST(test_a_value_reads_as_it_was_written)
{
    uint8_t bytes[256];
    slc_envelope envelope;
    slc_error err;
    size_t len = build(SLC_PART_VALUE, bytes, 7);
    ck_assert_uint_eq(len, 6 + 1 + 6 + 2 + 5 + 12 + 7 + 16);
    ck_assert(slc_envelope_is(bytes, len));
    ck_assert_msg(slc_envelope_parse(bytes, len, &envelope, &err), "%s", err.message);
    ck_assert_int_eq(envelope.algorithm, SLC_ENVELOPE_GCM);
    ck_assert_int_eq(envelope.part, SLC_PART_VALUE);
    ck_assert_uint_eq(envelope.kek_len, 6);
    ck_assert_mem_eq(envelope.kek, "orders", 6);
    ck_assert_uint_eq(envelope.edek_len, 5);
    ck_assert_mem_eq(envelope.edek, edek, 5);
    ck_assert_uint_eq(envelope.nonce[0], 0);
    ck_assert_uint_eq(envelope.text[0], 12);
    ck_assert_uint_eq(envelope.text_len, 7);
    ck_assert_uint_eq(envelope.tag[0], 19);
}
END_TEST

START_TEST(test_a_key_has_its_tag_first_and_no_data_key)
{
    uint8_t bytes[256];
    slc_envelope envelope;
    slc_error err;
    size_t len = build(SLC_PART_KEY, bytes, 3);
    ck_assert(slc_envelope_parse(bytes, len, &envelope, &err));
    ck_assert_int_eq(envelope.algorithm, SLC_ENVELOPE_SIV);
    ck_assert_ptr_null(envelope.nonce);
    ck_assert_uint_eq(envelope.edek_len, 0);
    ck_assert_uint_eq(envelope.tag[0], 0);
    ck_assert_uint_eq(envelope.text[0], 16);
    ck_assert_uint_eq(envelope.text_len, 3);
}
END_TEST

START_TEST(test_every_cut_is_noticed)
{
    static const enum slc_envelope_part parts[] = {SLC_PART_VALUE, SLC_PART_KEY, SLC_PART_FIELD};
    for (size_t i = 0; i < 3; i++) {
        uint8_t bytes[256];
        size_t len = build(parts[i], bytes, 0);
        for (size_t cut = 0; cut < len; cut++) {
            slc_envelope envelope;
            slc_error err = {0};
            uint8_t *exact = malloc(cut + 1); /* so that a byte too far is noticed */
            memcpy(exact, bytes, cut);
            ck_assert(!slc_envelope_parse(exact, cut, &envelope, &err));
            ck_assert_int_eq(err.code, SLC_CORRUPT);
            free(exact);
        }
    }
}
END_TEST

static enum slc_code parse_with(size_t at, uint8_t byte, enum slc_envelope_part part)
{
    uint8_t bytes[256];
    slc_envelope envelope;
    slc_error err = {0};
    size_t len = build(part, bytes, 4);
    bytes[at] = byte;
    return slc_envelope_parse(bytes, len, &envelope, &err) ? SLC_OK : err.code;
}

START_TEST(test_what_is_not_known_is_told_from_what_is_damaged)
{
    ck_assert_int_eq(parse_with(0, 'x', SLC_PART_VALUE), SLC_CORRUPT);
    ck_assert_int_eq(parse_with(3, 2, SLC_PART_VALUE), SLC_UNSUPPORTED);
    ck_assert_int_eq(parse_with(3, 0, SLC_PART_VALUE), SLC_UNSUPPORTED);
    ck_assert_int_eq(parse_with(4, 9, SLC_PART_VALUE), SLC_UNSUPPORTED);
    ck_assert_int_eq(parse_with(4, SLC_ENVELOPE_SIV, SLC_PART_VALUE), SLC_CORRUPT);
    ck_assert_int_eq(parse_with(4, SLC_ENVELOPE_GCM, SLC_PART_KEY), SLC_CORRUPT);
    ck_assert_int_eq(parse_with(5, 'x', SLC_PART_VALUE), SLC_CORRUPT);
    ck_assert_int_eq(parse_with(6, 0, SLC_PART_VALUE), SLC_CORRUPT);
    ck_assert_int_eq(parse_with(6, 255, SLC_PART_VALUE), SLC_CORRUPT);
    ck_assert_int_eq(parse_with(13, 0xff, SLC_PART_VALUE), SLC_CORRUPT);
}
END_TEST

START_TEST(test_no_text_is_taken_for_an_envelope)
{
    ck_assert(!slc_envelope_is((const uint8_t *)"{\"a\":1}", 7));
    ck_assert(!slc_envelope_is((const uint8_t *)"", 0));
    ck_assert(!slc_envelope_is((const uint8_t *)"\xf8S", 2));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("envelope");
    TCase *tcase = tcase_create("envelope");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_a_value_reads_as_it_was_written);
    tcase_add_test(tcase, test_a_key_has_its_tag_first_and_no_data_key);
    tcase_add_test(tcase, test_every_cut_is_noticed);
    tcase_add_test(tcase, test_what_is_not_known_is_told_from_what_is_damaged);
    tcase_add_test(tcase, test_no_text_is_taken_for_an_envelope);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
