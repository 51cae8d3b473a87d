/* sample_catalog DIR: a catalog with every sample in it, for scripts/keep-schema. DIR must exist and be empty.
 * The fixture's helpers assert, so this runs as a test does. */
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "fixture.h"

START_TEST(write_samples)
{
    t_open();
    t_make_samples(NULL);
    t_close();
}
END_TEST

int main(int argc, char **argv)
{
    if (argc != 2 || strlen(argv[1]) >= sizeof(t_dir)) {
        fprintf(stderr, "usage: sample_catalog DIR\n");
        return 1;
    }
    slc_log_init("sample", SLC_LOG_WARN, false);
    strcpy(t_dir, argv[1]);
    Suite *suite = suite_create("sample");
    TCase *tc = tcase_create("sample");
    tcase_add_test(tc, write_samples);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    if (failed > 0)
        srunner_print(runner, CK_NORMAL);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
