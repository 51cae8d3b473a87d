/* Paths of event APIs: strict, so that there is one way to write each. */
#include <check.h>
#include <string.h>

#include "dataplane/http/route.h"
#include "tests/unit/common/unit.h"

static void is(const char *path, const char *name, uint32_t major, int resource)
{
    struct slc_api_path parsed;
    ck_assert_msg(slc_api_path_parse(path, &parsed), "%s", path);
    ck_assert_uint_eq(parsed.name_len, strlen(name));
    ck_assert_int_eq(memcmp(parsed.name, name, parsed.name_len), 0);
    ck_assert_uint_eq(parsed.major, major);
    ck_assert_int_eq((int)parsed.resource, resource);
}

START_TEST(a_description_and_its_events)
{
    is("/orders/v1", "orders", 1, SLC_RESOURCE_API);
    is("/orders/v1/events", "orders", 1, SLC_RESOURCE_EVENTS);
    is("/a/v10/events", "a", 10, SLC_RESOURCE_EVENTS);
    is("/orders/v1/openapi.json", "orders", 1, SLC_RESOURCE_OPENAPI);
    is("/orders/v1/asyncapi.json", "orders", 1, SLC_RESOURCE_ASYNCAPI);
    is("/v1/v1", "v1", 1, SLC_RESOURCE_API);
    is("/with-dash-0/v999999999/events", "with-dash-0", 999999999, SLC_RESOURCE_EVENTS);
}
END_TEST

START_TEST(anything_else_is_not_one)
{
    static const char *const others[] = {
        "",
        "/",
        "//",
        "orders/v1/events",
        "/orders",
        "/orders/",
        "/orders/v1/",
        "/orders//v1",
        "//v1/events",
        "/orders/v",
        "/orders/v0",
        "/orders/v01",
        "/orders/v1x",
        "/orders/v-1",
        "/orders/v+1",
        "/orders/v 1",
        "/orders/V1",
        "/orders/1",
        "/orders/v1000000000",
        "/orders/v4294967297/events",
        "/orders/v1/event",
        "/orders/v1/Events",
        "/orders/v1/events/",
        "/orders/v1/events/1",
        "/orders/v1%2Fevents",
        "/orders/%761/events",
        "/x/orders/v1/events",
        "/orders/v1/../v2/events",
    };
    struct slc_api_path parsed;
    ck_assert(!slc_api_path_parse(NULL, &parsed));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        ck_assert_msg(!slc_api_path_parse(others[i], &parsed), "%s", others[i]);
}
END_TEST

UNIT_MAIN("route", a_description_and_its_events, anything_else_is_not_one)
