/* The checksum against the examples of RFC 3720, and each way of computing it against the others. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/records/crc32c.h"
#include "dataplane/records/crc32c_private.h"

#define LONGEST 7000 /* more than two rounds of three runs */

static void fill(uint8_t *bytes, size_t len)
{
    uint32_t state = 12345;
    for (size_t i = 0; i < len; i++) {
        state = state * 1664525 + 1013904223;
        bytes[i] = (uint8_t)(state >> 24);
    }
}

/* Bit by bit, from the definition. */
static uint32_t slowly(uint32_t crc, const uint8_t *data, size_t len)
{
    crc = ~crc;
    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82F63B78 : crc >> 1;
    }
    return ~crc;
}

START_TEST(test_examples_of_the_rfc)
{
    static const uint8_t read_command[48] = {
        0x01, 0xc0, [16] = 0x14, [22] = 0x04, [27] = 0x14, [31] = 0x18, 0x28, [40] = 0x02};
    uint8_t bytes[32] = {0};
    ck_assert_uint_eq(slc_crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    ck_assert_uint_eq(slc_crc32c(0, bytes, 32), 0x62a8ab43);
    for (uint8_t i = 0; i < 32; i++)
        bytes[i] = i;
    ck_assert_uint_eq(slc_crc32c(0, bytes, 32), 0x46dd794e);
    for (uint8_t i = 0; i < 32; i++)
        bytes[i] = (uint8_t)(31 - i);
    ck_assert_uint_eq(slc_crc32c(0, bytes, 32), 0x113fdb5c);
    ck_assert_uint_eq(slc_crc32c(0, read_command, 48), 0xd9963a56);
    ck_assert_uint_eq(slc_crc32c(0, "123456789", 9), 0xe3069283);
    ck_assert_uint_eq(slc_crc32c(0, NULL, 0), 0);
}
END_TEST

START_TEST(test_every_way_agrees_at_every_length_and_alignment)
{
    slc_crc32c_fn *instruction = slc_crc32c_by_instruction();
    uint8_t *bytes = malloc(LONGEST + 8);
    fill(bytes, LONGEST + 8);
    for (size_t len = 0; len <= LONGEST; len += len < 300 ? 1 : 97) {
        const uint8_t *at = bytes + len % 8;
        uint32_t right = slowly(0x1234567, at, len);
        ck_assert_uint_eq(slc_crc32c_by_software()(0x1234567, at, len), right);
        if (instruction != NULL)
            ck_assert_uint_eq(instruction(0x1234567, at, len), right);
        ck_assert_uint_eq(slc_crc32c(0x1234567, at, len), right);
    }
    free(bytes);
}
END_TEST

START_TEST(test_pieces_make_the_whole)
{
    uint8_t *bytes = malloc(LONGEST);
    fill(bytes, LONGEST);
    uint32_t whole = slc_crc32c(0, bytes, LONGEST);
    for (size_t cut = 0; cut <= LONGEST; cut += 311)
        ck_assert_uint_eq(slc_crc32c(slc_crc32c(0, bytes, cut), bytes + cut, LONGEST - cut), whole);
    free(bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("crc32c");
    TCase *tcase = tcase_create("crc32c");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_examples_of_the_rfc);
    tcase_add_test(tcase, test_every_way_agrees_at_every_length_and_alignment);
    tcase_add_test(tcase, test_pieces_make_the_whole);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
