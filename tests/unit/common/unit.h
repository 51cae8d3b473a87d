/* The frame of common's unit tests: UNIT_MAIN("name", test, test, ...). */
#ifndef SLC_TESTS_UNIT_COMMON_UNIT_H
#define SLC_TESTS_UNIT_COMMON_UNIT_H

#include <check.h>
#include <stdlib.h>

/* Sanitizers on a busy machine: libcheck's 4 seconds are too few. */
#define UNIT_TIMEOUT_S 60

static inline int unit_run(const char *name, const TTest *const *tests, size_t count)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, UNIT_TIMEOUT_S);
    suite_add_tcase(suite, tcase);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(tcase, tests[i]);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#define UNIT_MAIN(name, ...)                                                                                   \
    int main(void)                                                                                             \
    {                                                                                                          \
        const TTest *const tests[] = {__VA_ARGS__};                                                            \
        return unit_run(name, tests, sizeof(tests) / sizeof(tests[0]));                                        \
    }

#endif
