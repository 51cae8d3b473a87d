/* network: what is one, and which addresses are in it. */
#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>

#include "common/network.h"
#include "unit.h"

static bool holds(const char *network, const char *address)
{
    slc_network parsed;
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    ck_assert_msg(slc_network_parse(network, &parsed), "%s", network);
    if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
        return slc_network_contains(&parsed, (const struct sockaddr *)&v4);
    ck_assert_int_eq(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
    return slc_network_contains(&parsed, (const struct sockaddr *)&v6);
}

START_TEST(addresses_are_in_their_networks)
{
    ck_assert(holds("10.0.0.0/8", "10.255.0.1") && !holds("10.0.0.0/8", "11.0.0.1"));
    ck_assert(holds("192.168.4.0/23", "192.168.5.9") && !holds("192.168.4.0/23", "192.168.6.0"));
    ck_assert(holds("127.0.0.1", "127.0.0.1") && !holds("127.0.0.1", "127.0.0.2"));
    ck_assert(holds("0.0.0.0/0", "8.8.8.8") && !holds("0.0.0.0/0", "2001:db8::1"));
    ck_assert(holds("2001:db8::/33", "2001:db8:7fff::1") && !holds("2001:db8::/33", "2001:db8:8000::1"));
    ck_assert(holds("::1", "::1") && holds("::/0", "10.0.0.1"));
    ck_assert(holds("10.0.0.0/8", "::ffff:10.1.1.1")); /* as a socket for both families names it */
    struct sockaddr other = {.sa_family = AF_UNIX};
    slc_network all;
    ck_assert(slc_network_parse("::/0", &all) && !slc_network_contains(&all, &other));
}
END_TEST

START_TEST(networks_are_within_larger_ones)
{
    static const struct {
        const char *outer, *inner;
        bool within;
    } cases[] = {{"10.0.0.0/8", "10.1.2.3", true},
                 {"10.0.0.0/8", "11.0.0.1", false},
                 {"10.0.0.0/8", "10.128.0.0/9", true},
                 {"10.128.0.0/9", "10.0.0.0/8", false},
                 {"10.128.0.0/9", "10.127.0.0", false},
                 {"::/0", "192.0.2.1", true},
                 {"0.0.0.0/0", "2001:db8::1", false},
                 {"192.0.2.1", "::ffff:192.0.2.1", true},
                 {"2001:db8::/33", "2001:db8:8000::1", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        slc_network outer, inner;
        ck_assert(slc_network_parse(cases[i].outer, &outer) && slc_network_parse(cases[i].inner, &inner));
        ck_assert_msg(slc_network_within(&outer, &inner) == cases[i].within, "%s %s", cases[i].outer,
                      cases[i].inner);
    }
}
END_TEST

START_TEST(everything_else_is_refused)
{
    static const char *const bad[] = {
        "",       "a",        "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1",   "10.0.0.0/8x", "10.1.0.0/8",
        "::1/64", "10.0.0/8", "::/129",    "/8",          "10.0.0.0/0008", " 10.0.0.1",   "10.0.0.1 "};
    slc_network network;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!slc_network_parse(bad[i], &network), "%s", bad[i]);
}
END_TEST

START_TEST(an_address_is_counted_as_whose_it_is)
{
    static const char *const cases[][2] = {{"192.0.2.1", "192.0.2.1"},
                                           {"::ffff:192.0.2.1", "192.0.2.1"},
                                           {"::ffff:c000:201", "192.0.2.1"},
                                           {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
                                           {"2001:db8:1:2:ffff::", "2001:db8:1:2::/64"},
                                           {"2001:db8:1:3::", "2001:db8:1:3::/64"},
                                           {"::1", "::/64"},
                                           {"ffff:ffff:ffff:ffff:1::", "ffff:ffff:ffff:ffff::/64"},
                                           {"", ""},
                                           {"unix", "unix"}};
    char subject[SLC_NETWORK_SUBJECT];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        slc_network_subject(cases[i][0], subject);
        ck_assert_str_eq(subject, cases[i][1]);
    }
}
END_TEST

UNIT_MAIN("common/network", addresses_are_in_their_networks, networks_are_within_larger_ones,
          everything_else_is_refused, an_address_is_counted_as_whose_it_is)
