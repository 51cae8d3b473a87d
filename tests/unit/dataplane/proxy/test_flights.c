/* flights: first in, first out, however the ring grows and wraps. */
#include <check.h>

#include "dataplane/proxy/flights.h"
#include "tests/unit/common/unit.h"

static void push(slc_flights *flights, int32_t id)
{
    slc_flight *flight = slc_flights_push(flights);
    ck_assert_int_eq(flight->correlation_id, 0); /* zeroed, also where another one stood */
    ck_assert(!flight->local && flight->answer.data == NULL);
    flight->correlation_id = id;
}

static void pop(slc_flights *flights, int32_t id)
{
    ck_assert_int_eq(slc_flights_first(flights)->correlation_id, id);
    slc_flights_pop(flights);
}

START_TEST(order_holds_while_it_grows_and_wraps)
{
    slc_flights flights = {0};
    int32_t next = 1, oldest = 1;
    ck_assert_ptr_null(slc_flights_first(&flights));
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < 3; i++)
            push(&flights, next++);
        for (int i = 0; i < 2; i++)
            pop(&flights, oldest++);
    }
    ck_assert_uint_eq(flights.count, 200);
    while (oldest < next)
        pop(&flights, oldest++);
    ck_assert_ptr_null(slc_flights_first(&flights));
    slc_flights_release(&flights);
}
END_TEST

START_TEST(answers_that_wait_are_freed)
{
    slc_flights flights = {0};
    for (int i = 0; i < 20; i++) {
        slc_flight *flight = slc_flights_push(&flights);
        flight->local = true;
        slc_buf_init(&flight->answer, 100);
        ck_assert(slc_buf_add(&flight->answer, "answer", 6));
    }
    slc_flights_pop(&flights);
    slc_flights_release(&flights); /* LeakSanitizer holds it to this */
    ck_assert_uint_eq(flights.count, 0);
    ck_assert_ptr_null(flights.ring);
}
END_TEST

UNIT_MAIN("dataplane/proxy/flights", order_holds_while_it_grows_and_wraps, answers_that_wait_are_freed)
