#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/mediation/event_json.h"

static const slc_record_header some_headers[] = {
    {"h", 1, 1, (const uint8_t *)"1"},
    {"h", 1, 1, (const uint8_t *)"2"},
    {"n", 1, 0, NULL},
    {"b", 1, 2, (const uint8_t *)"\xff\x00"},
};

static const struct {
    slc_record record;
    const char *expected;
} cases[] = {
    {{.offset = 5,
      .timestamp_ms = 1700000000123,
      .key = (const uint8_t *)"k",
      .key_len = 1,
      .value = (const uint8_t *)"{\"a\": 1}",
      .value_len = 8},
     "{\"id\":\"0-5\",\"time\":\"2023-11-14T22:13:20.123Z\",\"key\":\"k\",\"headers\":[],\"data\":{\"a\": 1}}"},
    {{.partition = 3,
      .offset = 1LL << 40,
      .timestamp_ms = -1,
      .value = (const uint8_t *)"plain",
      .value_len = 5},
     "{\"id\":\"3-1099511627776\",\"headers\":[],\"data_base64\":\"cGxhaW4=\"}"},
    {{.timestamp_ms = -1,
      .key = (const uint8_t *)"\xff\xfe",
      .key_len = 2,
      .value = (const uint8_t *)"",
      .value_len = 0},
     "{\"id\":\"0-0\",\"key_base64\":\"//4=\",\"headers\":[],\"data_base64\":\"\"}"},
    {{.timestamp_ms = -1, .key = (const uint8_t *)"", .key_len = 0},
     "{\"id\":\"0-0\",\"key\":\"\",\"headers\":[],\"data\":null,\"tombstone\":true}"},
    {{.timestamp_ms = -1, .value = (const uint8_t *)"null", .value_len = 4},
     "{\"id\":\"0-0\",\"headers\":[],\"data\":null}"},
    {{.timestamp_ms = -1, .value = (const uint8_t *)"{\n \"a\":\r\n1}", .value_len = 11},
     "{\"id\":\"0-0\",\"headers\":[],\"data\":{  \"a\":  1}}"},
    {{.timestamp_ms = -1,
      .value = (const uint8_t *)"1",
      .value_len = 1,
      .headers = some_headers,
      .header_count = 4},
     "{\"id\":\"0-0\",\"headers\":[{\"name\":\"h\",\"value\":\"1\"},{\"name\":\"h\",\"value\":\"2\"},{\"name\":"
     "\"n\",\"value\":null},"
     "{\"name\":\"b\",\"value_base64\":\"/wA=\"}],\"data\":1}"},
    {{.timestamp_ms = -1,
      .key = (const uint8_t *)"a\"\n\x01",
      .key_len = 4,
      .value = (const uint8_t *)"1",
      .value_len = 1},
     "{\"id\":\"0-0\",\"key\":\"a\\\"\\n\\u0001\",\"headers\":[],\"data\":1}"},
};

START_TEST(a_record_becomes_its_event)
{
    slc_buf out;
    slc_buf_init(&out, slc_event_json_bound(&cases[_i].record));
    slc_event_json(&out, &cases[_i].record);
    ck_assert(!out.overflow);
    ck_assert_str_eq((const char *)out.data, cases[_i].expected);
    slc_buf_release(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("event_json");
    TCase *tcase = tcase_create("event_json");
    suite_add_tcase(suite, tcase);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, a_record_becomes_its_event, 0, (int)(sizeof cases / sizeof *cases));
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
