/* Memory in large pieces. */
#include "common/pages.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define COUNT 400

struct held {
    uint8_t *memory;
    size_t size;
    uint8_t mark;
};

static void hold(struct held *held, size_t size, uint8_t mark)
{
    *held = (struct held){slc_pages_alloc(size), size, mark};
    memset(held->memory, mark, size);
}

static void let_go(struct held *held)
{
    ck_assert_uint_eq(held->memory[0], held->mark);
    ck_assert_int_eq(memcmp(held->memory, held->memory + 1, held->size - 1), 0); /* all bytes are the same */
    slc_pages_free(held->memory, held->size);
    held->memory = NULL;
}

START_TEST(test_nobody_gets_anothers_memory)
{
    static const size_t sizes[] = {1, 100, 2047, 2048, 4096, 4097, 20000, 300000, 2093056, 2093057, 5000000};
    struct held held[COUNT] = {0};
    srand(7);
    for (int turn = 0; turn < 2000; turn++) {
        struct held *one = &held[rand() % COUNT];
        if (one->memory != NULL)
            let_go(one);
        else
            hold(one, sizes[(size_t)rand() % (turn % 50 == 0 ? 11 : 7)], (uint8_t)rand());
    }
    for (size_t i = 0; i < COUNT; i++)
        if (held[i].memory != NULL)
            let_go(&held[i]);
}
END_TEST

static uintptr_t piece_of(const struct held *held)
{
    return (uintptr_t)held->memory >> 21;
}

static bool is_beside_another(const struct held *held, const struct held *one)
{
    for (size_t i = 0; i < COUNT; i++)
        if (&held[i] != one && piece_of(&held[i]) == piece_of(one))
            return true;
    return false;
}

START_TEST(test_what_was_given_back_is_used_again)
{
    struct held held[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        hold(&held[i], 8000, (uint8_t)i);
    for (size_t turn = 0; turn < 10000; turn++) {
        struct held *one = &held[turn % COUNT];
        let_go(one);
        hold(one, 8192 - turn % 3, (uint8_t)turn);
        ck_assert(is_beside_another(held, one));
    }
    for (size_t i = 0; i < COUNT; i++)
        let_go(&held[i]);
    slc_pages_free(NULL, 8000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pages");
    TCase *tc = tcase_create("pages");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_nobody_gets_anothers_memory);
    tcase_add_test(tc, test_what_was_given_back_is_used_again);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
