/* headcount: connections by listener and address. */
#include "dataplane/proxy/headcount.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>

#include "tests/unit/common/unit.h"

#define THREADS 4
#define ROUNDS  2000
#define FEW     3

static void parse(const char *text, uint8_t out[SLC_HEAD_ADDRESS_BYTES])
{
    struct sockaddr_storage peer = {0};
    if (strchr(text, ':') != NULL) {
        peer.ss_family = AF_INET6;
        ck_assert_int_eq(inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)&peer)->sin6_addr), 1);
    } else {
        peer.ss_family = AF_INET;
        ck_assert_int_eq(inet_pton(AF_INET, text, &((struct sockaddr_in *)&peer)->sin_addr), 1);
    }
    ck_assert(slc_headcount_address(&peer, out));
}

START_TEST(a_limit_is_for_each_listener_and_address)
{
    slc_headcount *headcount = slc_headcount_new();
    uint8_t one[SLC_HEAD_ADDRESS_BYTES], other[SLC_HEAD_ADDRESS_BYTES];
    parse("203.0.113.7", one);
    parse("203.0.113.8", other);
    slc_head *first = slc_headcount_take(headcount, "a", one, 2);
    slc_head *second = slc_headcount_take(headcount, "a", one, 2);
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_nonnull(second);
    ck_assert_ptr_null(slc_headcount_take(headcount, "a", one, 2));
    slc_head *elsewhere[] = {slc_headcount_take(headcount, "a", other, 2),
                             slc_headcount_take(headcount, "b", one, 2),
                             slc_headcount_take(headcount, "a", NULL, 1)};
    ck_assert_ptr_null(slc_headcount_take(headcount, "a", NULL, 1));
    for (size_t i = 0; i < 3; i++) {
        ck_assert_ptr_nonnull(elsewhere[i]);
        slc_headcount_give(headcount, elsewhere[i]);
    }
    slc_headcount_give(headcount, first);
    first = slc_headcount_take(headcount, "a", one, 2);
    ck_assert_ptr_nonnull(first);
    slc_headcount_give(headcount, first);
    slc_headcount_give(headcount, second);
    slc_headcount_give(headcount, NULL);
    slc_headcount_free(headcount);
}
END_TEST

START_TEST(without_a_limit_all_are_counted)
{
    slc_headcount *headcount = slc_headcount_new();
    slc_head *heads[5];
    for (size_t i = 0; i < 5; i++)
        ck_assert_ptr_nonnull(heads[i] = slc_headcount_take(headcount, "a", NULL, 0));
    ck_assert_ptr_null(slc_headcount_take(headcount, "a", NULL, 5));
    for (size_t i = 0; i < 5; i++)
        slc_headcount_give(headcount, heads[i]);
    slc_headcount_free(headcount);
}
END_TEST

START_TEST(a_network_of_64_bits_is_one_client_and_wrapped_addresses_are_themselves)
{
    static const struct {
        const char *a, *b;
        bool same;
    } pairs[] = {
        {"2001:db8::1", "2001:db8::ffff:1", true},   {"2001:db8:0:1::1", "2001:db8:0:2::1", false},
        {"::ffff:203.0.113.7", "203.0.113.7", true}, {"::ffff:203.0.113.7", "::ffff:203.0.113.8", false},
        {"203.0.113.7", "203.0.113.8", false},
    };
    struct sockaddr_storage none = {.ss_family = AF_UNIX};
    uint8_t a[SLC_HEAD_ADDRESS_BYTES], b[SLC_HEAD_ADDRESS_BYTES];
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        parse(pairs[i].a, a);
        parse(pairs[i].b, b);
        ck_assert_msg((memcmp(a, b, sizeof a) == 0) == pairs[i].same, "%s and %s", pairs[i].a, pairs[i].b);
    }
    ck_assert(!slc_headcount_address(&none, a));
}
END_TEST

struct comers {
    slc_headcount *headcount;
    unsigned refused;
};

static void *come_and_go(void *arg)
{
    struct comers *comers = arg;
    uint8_t address[SLC_HEAD_ADDRESS_BYTES];
    parse("192.0.2.1", address);
    for (unsigned i = 0; i < ROUNDS; i++) {
        slc_head *head = slc_headcount_take(comers->headcount, "a", address, FEW);
        comers->refused += head == NULL;
        slc_headcount_give(comers->headcount, head);
    }
    return NULL;
}

/* ThreadSanitizer watches; and nothing is left over. */
START_TEST(workers_share_it)
{
    slc_headcount *headcount = slc_headcount_new();
    pthread_t threads[THREADS];
    struct comers comers[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        comers[i] = (struct comers){headcount, 0};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, come_and_go, &comers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    slc_headcount_free(headcount);
}
END_TEST

UNIT_MAIN("dataplane/proxy/headcount", a_limit_is_for_each_listener_and_address,
          without_a_limit_all_are_counted,
          a_network_of_64_bits_is_one_client_and_wrapped_addresses_are_themselves, workers_share_it)
