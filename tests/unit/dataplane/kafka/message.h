/* Writing messages by hand (a buffer and the encoders), and the frame of these tests: TEST_MAIN("name", test,
 * ...). */
#ifndef SLC_TESTS_UNIT_DATAPLANE_KAFKA_MESSAGE_H
#define SLC_TESTS_UNIT_DATAPLANE_KAFKA_MESSAGE_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/kafka/encode.h"
#include "dataplane/kafka/table.h"

#define MESSAGE_MAX (1024 * 1024)

enum { OLD = false, COMPACT = true };

static inline const slc_kafka_message *message_of(int key, int version, enum slc_kafka_kind kind)
{
    slc_error err = {0};
    const slc_kafka_message *message = slc_kafka_message_find(key, version, kind, &err);
    ck_assert_msg(message != NULL, "%s", err.message);
    return message;
}

static inline void text(slc_buf *buf, bool compact, const char *s)
{
    slc_kafka_add_string(buf, compact, s, s != NULL ? strlen(s) : 0);
}

static inline int run_tests(const char *name, const TTest *const *tests, size_t count)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, 60); /* sanitizers on a busy machine */
    suite_add_tcase(suite, tcase);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(tcase, tests[i]);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#define TEST_MAIN(name, ...)                                                                                   \
    int main(void)                                                                                             \
    {                                                                                                          \
        const TTest *const tests[] = {__VA_ARGS__};                                                            \
        return run_tests(name, tests, sizeof(tests) / sizeof(tests[0]));                                       \
    }

#endif
