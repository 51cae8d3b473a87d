/* front: the ports of a listener, what this gateway can serve, addresses for people. */
#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/proxy/front_private.h"
#include "tests/unit/common/unit.h"

START_TEST(a_listener_opens_its_own_port_and_one_for_each_node)
{
    Sluice__Snapshot__V1__PortRange first, second, *ranges[] = {&first, &second};
    Sluice__Snapshot__V1__Listener msg;
    sluice__snapshot__v1__port_range__init(&first);
    sluice__snapshot__v1__port_range__init(&second);
    sluice__snapshot__v1__listener__init(&msg);
    first.first_node_id = 1, first.last_node_id = 2, first.port_base = 19093;
    second.first_node_id = second.last_node_id = 7, second.port_base = 20000;
    msg.address = (char *)"[::1]:19092";
    msg.port_ranges = ranges;
    msg.n_port_ranges = 2;
    size_t count;
    slc_proxy_port *ports = slc_proxy_ports(&(slc_listener){.msg = &msg}, &count);
    const struct {
        const char *address;
        int32_t node;
    } wanted[] = {{"[::1]:19092", -1}, {"[::1]:19093", 1}, {"[::1]:19094", 2}, {"[::1]:20000", 7}};
    ck_assert_uint_eq(count, 4);
    for (size_t i = 0; i < count; i++) {
        ck_assert_str_eq(ports[i].address, wanted[i].address);
        ck_assert_int_eq(ports[i].node, wanted[i].node);
    }
    free(ports);
}
END_TEST

static void described(int family, const char *host, const char *wanted)
{
    struct sockaddr_storage peer = {.ss_family = (sa_family_t)family};
    char text[64];
    if (family == AF_INET) {
        ((struct sockaddr_in *)&peer)->sin_port = htons(9092);
        inet_pton(family, host, &((struct sockaddr_in *)&peer)->sin_addr);
    } else if (family == AF_INET6) {
        ((struct sockaddr_in6 *)&peer)->sin6_port = htons(9092);
        inet_pton(family, host, &((struct sockaddr_in6 *)&peer)->sin6_addr);
    }
    slc_proxy_describe(&peer, text);
    ck_assert_str_eq(text, wanted);
}

START_TEST(addresses_are_written_for_people)
{
    described(AF_INET, "203.0.113.7", "203.0.113.7:9092");
    described(AF_INET6, "2001:db8::7", "[2001:db8::7]:9092");
    described(AF_UNIX, "", "?");
}
END_TEST

UNIT_MAIN("dataplane/proxy/front", a_listener_opens_its_own_port_and_one_for_each_node,
          addresses_are_written_for_people)
