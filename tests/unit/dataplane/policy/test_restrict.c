/* ip-restriction and request-size: what they refuse, when they are asked. */
#include <check.h>
#include <string.h>

#include "asker.h"
#include "tests/unit/common/unit.h"

static const struct {
    const char *config, *address;
    bool in;
} addresses[] = {
    {"{\"allow\":[\"192.0.2.0/24\"]}", "192.0.2.1", true},
    {"{\"allow\":[\"192.0.2.0/24\"]}", "192.0.3.1", false},
    {"{\"allow\":[\"192.0.2.0/24\"],\"deny\":[\"192.0.2.1\"]}", "192.0.2.1", false},
    {"{\"deny\":[\"192.0.2.1\"]}", "192.0.2.2", true},
    {"{\"deny\":[\"192.0.2.1\"]}", "::ffff:192.0.2.1", false},
    {"{\"deny\":[\"2001:db8::/32\"]}", "2001:db8:1::1", false},
    {"{\"deny\":[\"192.0.2.1\"]}", "not an address", false},
};

START_TEST(addresses_are_let_in_or_not)
{
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        struct asker *asker = asker_new();
        asker_policy(asker, "where", "ip-restriction", addresses[i].config);
        asker_send(asker, "X-API-Key", ASKER_KEY);
        asker->address = addresses[i].address;
        ck_assert_msg((asker_ask(asker, "GET") == SLC_ALLOW) == addresses[i].in, "%s %s", addresses[i].config,
                      addresses[i].address);
        asker_free(asker);
    }
}
END_TEST

/* So that nobody outside can find out which credentials are good. */
START_TEST(an_address_outside_cannot_try_credentials)
{
    struct asker *asker = asker_new();
    asker_policy(asker, "where", "ip-restriction", "{\"deny\":[\"192.0.2.1\"]}");
    asker_send(asker, "X-API-Key", "slk_cred-1_wrong");
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_DENY);
    ck_assert_int_eq(asker->denial.status, 403);
    ck_assert_ptr_null(asker->denial.detail);
    asker_free(asker);
}
END_TEST

START_TEST(one_of_an_application_concerns_it_alone)
{
    static const struct {
        const char *application;
        enum slc_verdict verdict;
    } cases[] = {{"app-1", SLC_DENY}, {"app-2", SLC_ALLOW}};
    for (size_t i = 0; i < 2; i++) {
        struct asker *asker = asker_new();
        maker_add_application(asker->maker, 2);
        asker_policy(asker, "where", "ip-restriction", "{\"deny\":[\"192.0.2.1\"]}");
        asker_policy(asker, "who", "subscription", "");
        asker->maker->policy[0].scope = SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_APPLICATION;
        asker->maker->policy[0].scope_id = (char *)cases[i].application;
        asker_send(asker, "X-API-Key", ASKER_KEY);
        ck_assert_int_eq(asker_ask(asker, "GET"), cases[i].verdict);
        asker_free(asker);
    }
}
END_TEST

START_TEST(bodies_have_a_size)
{
    struct asker *asker = asker_new();
    asker_policy(asker, "small", "request-size", "{\"max_bytes\":1000}");
    asker_send(asker, "X-API-Key", ASKER_KEY);
    asker->body_bytes = 1000;
    ck_assert_int_eq(asker_ask(asker, "POST"), SLC_ALLOW);
    asker->body_bytes = 1001;
    ck_assert_int_eq(asker_ask(asker, "POST"), SLC_DENY);
    ck_assert_int_eq(asker->denial.status, 413);
    ck_assert_str_eq(asker->denial.type, "too-large");
    asker_free(asker);
}
END_TEST

/* As native connections are. */
START_TEST(an_open_stream_of_an_address_that_is_shut_out_ends)
{
    static const struct {
        const char *config, *condition;
        bool stays;
    } cases[] = {
        {"{\"deny\":[\"192.0.2.1\"]}", "", false},
        {"{\"deny\":[\"192.0.2.1\"]}", "operation == 'read'", true}, /* conditions are not looked at again */
        {"{\"deny\":[\"192.0.2.2\"]}", "", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct asker *asker = asker_new();
        asker_send(asker, "X-API-Key", ASKER_KEY);
        ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
        asker_policy(asker, "where", "ip-restriction", cases[i].config);
        asker->maker->policy[0].condition = (char *)cases[i].condition;
        asker_rebuild(asker);
        const slc_event_api *api = slc_snapshot_event_api_by_id(asker->snapshot, "api-1");
        ck_assert(slc_principal_still_granted(asker->snapshot, api, READ, "192.0.2.1", &asker->principal) ==
                  cases[i].stays);
        ck_assert(slc_principal_still_granted(asker->snapshot, api, READ, NULL, &asker->principal));
        asker_free(asker);
    }
}
END_TEST

UNIT_MAIN("restrict", addresses_are_let_in_or_not, an_address_outside_cannot_try_credentials,
          one_of_an_application_concerns_it_alone, an_open_stream_of_an_address_that_is_shut_out_ends,
          bodies_have_a_size)
