#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "dataplane/mediation/cursor.h"

static uint8_t bytes_a[32] = "key a: thirty-two bytes of it...",
               bytes_b[32] = "key b: thirty-two bytes of it...";
static Sluice__Snapshot__V1__CursorKey key_a, key_b;
static Sluice__Snapshot__V1__CursorKey *both[] = {&key_a, &key_b}, *only_b[] = {&key_b};
static Sluice__Snapshot__V1__Backend backend_msg;
static slc_backend backend;
static slc_vcluster vcluster;

struct api {
    Sluice__Snapshot__V1__EventApi msg;
    slc_event_api api;
    slc_cursor_codec codec;
};

static void make_api(struct api *a, const char *id, const char *topic, Sluice__Snapshot__V1__CursorKey **keys,
                     size_t count)
{
    slc_error err;
    sluice__snapshot__v1__cursor_key__init(&key_a);
    sluice__snapshot__v1__cursor_key__init(&key_b);
    sluice__snapshot__v1__backend__init(&backend_msg);
    key_a.id = 7;
    key_a.key = (ProtobufCBinaryData){32, bytes_a};
    key_b.id = 8;
    key_b.key = (ProtobufCBinaryData){32, bytes_b};
    backend_msg.id = (char *)"b";
    backend.msg = &backend_msg;
    vcluster.backend = &backend;
    sluice__snapshot__v1__event_api__init(&a->msg);
    a->msg.id = (char *)id;
    a->msg.name = (char *)"orders";
    a->msg.cursor_keys = keys;
    a->msg.n_cursor_keys = count;
    a->api = (slc_event_api){.msg = &a->msg, .vcluster = &vcluster, .backend_topic = (char *)topic};
    ck_assert(slc_cursor_codec_init(&a->codec, &a->api, &err));
}

static const slc_position positions[] = {{0, -1}, {127, 0}, {128, 5}, {9007199254740993, -1}};
static const uint8_t topic_id[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

START_TEST(what_was_written_is_read)
{
    char text[SLC_CURSOR_MAX_CHARS + 1];
    slc_cursor cursor;
    slc_error err;
    struct api a;
    make_api(&a, "api", "topic", both, 2);
    size_t len = slc_cursor_encode(&a.codec, topic_id, positions, 4, text);
    ck_assert_uint_gt(len, 0);
    ck_assert_uint_eq(strlen(text), len);
    ck_assert(slc_cursor_decode(&a.codec, text, len, &cursor, &err));
    ck_assert(cursor.has_topic_id);
    ck_assert_mem_eq(cursor.topic_id, topic_id, 16);
    ck_assert_int_eq(cursor.partitions, 4);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(cursor.positions[i].next, positions[i].next);
        ck_assert_int_eq(cursor.positions[i].epoch, positions[i].epoch);
    }
    slc_cursor_release(&cursor);
    len = slc_cursor_encode(&a.codec, NULL, positions, 1, text);
    ck_assert(slc_cursor_decode(&a.codec, text, len, &cursor, &err));
    ck_assert(!cursor.has_topic_id);
    ck_assert_int_eq(cursor.positions[0].epoch, -1);
    slc_cursor_release(&cursor);
}
END_TEST

START_TEST(no_changed_byte_passes)
{
    char text[SLC_CURSOR_MAX_CHARS + 1], changed[SLC_CURSOR_MAX_CHARS + 1];
    uint8_t bytes[512];
    slc_cursor cursor;
    slc_error err;
    struct api a;
    make_api(&a, "api", "topic", both, 2);
    size_t len = slc_cursor_encode(&a.codec, topic_id, positions, 4, text);
    long size = slc_base64url_decode(text, len, bytes, sizeof bytes);
    for (long i = 0; i < size; i++) {
        for (int bit = 0; bit < 8; bit++) {
            bytes[i] ^= (uint8_t)(1 << bit);
            size_t changed_len = slc_base64url_encode(bytes, (size_t)size, changed);
            ck_assert(!slc_cursor_decode(&a.codec, changed, changed_len, &cursor, &err));
            ck_assert_int_eq(err.code, SLC_INVALID);
            bytes[i] ^= (uint8_t)(1 << bit);
        }
    }
}
END_TEST

START_TEST(no_part_and_nothing_longer_passes)
{
    char text[SLC_CURSOR_MAX_CHARS + 8];
    slc_cursor cursor;
    slc_error err;
    struct api a;
    make_api(&a, "api", "topic", both, 2);
    size_t len = slc_cursor_encode(&a.codec, NULL, positions, 4, text);
    for (size_t i = 0; i < len; i++)
        ck_assert(!slc_cursor_decode(&a.codec, text, i, &cursor, &err));
    memcpy(text + len, "AAAA", 4);
    ck_assert(!slc_cursor_decode(&a.codec, text, len + 4, &cursor, &err));
    memset(text, 'A', sizeof text);
    ck_assert(!slc_cursor_decode(&a.codec, text, sizeof text, &cursor, &err));
}
END_TEST

START_TEST(of_another_api_or_topic_it_is_not_one)
{
    char text[SLC_CURSOR_MAX_CHARS + 1];
    slc_cursor cursor;
    slc_error err;
    struct api a, other_api, other_topic;
    make_api(&a, "api", "topic", both, 2);
    make_api(&other_api, "api2", "topic", both, 2);
    make_api(&other_topic, "api", "topic2", both, 2);
    size_t len = slc_cursor_encode(&a.codec, NULL, positions, 4, text);
    ck_assert(!slc_cursor_decode(&other_api.codec, text, len, &cursor, &err));
    ck_assert(!slc_cursor_decode(&other_topic.codec, text, len, &cursor, &err));
}
END_TEST

START_TEST(old_keys_verify_and_dropped_ones_do_not)
{
    char text[SLC_CURSOR_MAX_CHARS + 1];
    slc_cursor cursor;
    slc_error err;
    Sluice__Snapshot__V1__CursorKey *rotated[] = {&key_b, &key_a};
    struct api old, next, last;
    make_api(&old, "api", "topic", both, 2); /* signs with a */
    size_t len = slc_cursor_encode(&old.codec, NULL, positions, 4, text);
    make_api(&next, "api", "topic", rotated, 2);
    ck_assert(slc_cursor_decode(&next.codec, text, len, &cursor, &err));
    slc_cursor_release(&cursor);
    make_api(&last, "api", "topic", only_b, 1);
    ck_assert(!slc_cursor_decode(&last.codec, text, len, &cursor, &err));
}
END_TEST

START_TEST(too_many_partitions_do_not_fit)
{
    char text[SLC_CURSOR_MAX_CHARS + 1];
    static slc_position many[5000];
    struct api a;
    make_api(&a, "api", "topic", both, 2);
    for (int i = 0; i < 5000; i++)
        many[i] = (slc_position){1LL << 34, -1}; /* five bytes each */
    size_t len = slc_cursor_encode(&a.codec, NULL, many, 900, text);
    ck_assert_uint_gt(len, 0);
    ck_assert_uint_le(len, SLC_CURSOR_MAX_CHARS);
    ck_assert_uint_eq(slc_cursor_encode(&a.codec, NULL, many, 5000, text), 0);
}
END_TEST

START_TEST(an_api_without_a_proper_key_is_refused)
{
    slc_error err;
    slc_cursor_codec codec;
    struct api a;
    make_api(&a, "api", "topic", both, 2);
    key_b.key.len = 16;
    ck_assert(!slc_cursor_codec_init(&codec, &a.api, &err));
    a.msg.n_cursor_keys = 0;
    ck_assert(!slc_cursor_codec_init(&codec, &a.api, &err));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cursor");
    TCase *tcase = tcase_create("cursor");
    suite_add_tcase(suite, tcase);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, what_was_written_is_read);
    tcase_add_test(tcase, no_changed_byte_passes);
    tcase_add_test(tcase, no_part_and_nothing_longer_passes);
    tcase_add_test(tcase, of_another_api_or_topic_it_is_not_one);
    tcase_add_test(tcase, old_keys_verify_and_dropped_ones_do_not);
    tcase_add_test(tcase, too_many_partitions_do_not_fit);
    tcase_add_test(tcase, an_api_without_a_proper_key_is_refused);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
