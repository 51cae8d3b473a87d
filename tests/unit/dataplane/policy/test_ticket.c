/* ticket: what was minted opens streams, as long as everything that it is bound to is what it was. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "asker.h"
#include "common/clock.h"
#include "dataplane/policy/ticket.h"
#include "tests/unit/common/unit.h"

#define SHOP "https://shop.example"

static struct asker *asker;
static char ticket[SLC_TICKET_MAX_CHARS + 1];

/* Asks as the application, then mints for it. */
static void setup(const char *origin, int64_t lifetime_ms)
{
    asker = asker_new();
    asker_send(asker, "X-API-Key", ASKER_KEY);
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    const slc_event_api *api = slc_snapshot_event_api_by_id(asker->snapshot, "api-1");
    ck_assert(
        slc_ticket_mint(asker->snapshot, api, &asker->principal, origin, slc_wall_ms() + lifetime_ms, ticket));
    ck_assert_uint_lt(strlen(ticket), SLC_TICKET_MAX_CHARS);
    asker_send(asker, "X-API-Key", NULL);
    asker_send(asker, "?ticket", ticket);
    asker->stream = true;
}

static void refused(void)
{
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_DENY);
    ck_assert_int_eq(asker->denial.status, 401);
    ck_assert_str_eq(asker->denial.type, "invalid-ticket");
    ck_assert(!asker->principal.authenticated);
}

START_TEST(it_stands_for_the_credential)
{
    setup("", 60000);
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    ck_assert_str_eq(asker->principal.application_id, "app-1");
    ck_assert_str_eq(asker->principal.credential_id, "cred-1");
    ck_assert_str_eq(asker->principal.plan_id, "plan-1");
    asker->stream = false;
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_DENY);
    ck_assert_str_eq(asker->denial.type, "unauthenticated");
    asker->stream = true;
    ck_assert_int_eq(asker_ask(asker, "POST"), SLC_DENY);
    ck_assert_str_eq(asker->denial.type, "unauthenticated");
    asker_free(asker);
}
END_TEST

START_TEST(it_expires)
{
    setup("", 0);
    refused();
    asker_free(asker);
}
END_TEST

START_TEST(another_secret_of_the_credential_ends_it)
{
    static uint8_t changed[32] = {1};
    setup("", 60000);
    asker->maker->credential[0].secret_sha256 = (ProtobufCBinaryData){sizeof changed, changed};
    asker_rebuild(asker);
    refused();
    asker_free(asker);
}
END_TEST

START_TEST(another_key_of_the_api_ends_it)
{
    setup("", 60000);
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    asker->maker->api[0].cursor_keys[0]->id++;
    asker_rebuild(asker);
    refused();
    asker_free(asker);
}
END_TEST

/* Regression 3: one that ended with its head made its reader go beyond it. */
START_TEST(it_may_end_anywhere)
{
    setup("", 60000);
    for (size_t len = 0; len < strlen(ticket); len++) {
        char text[SLC_TICKET_MAX_CHARS + 1];
        snprintf(text, sizeof text, "%.*s", (int)len, ticket);
        asker_send(asker, "?ticket", text);
        ck_assert_int_eq(asker_ask(asker, "GET"), SLC_DENY);
    }
    asker_free(asker);
}
END_TEST

START_TEST(every_byte_counts)
{
    setup("", 60000);
    for (size_t i = 0; ticket[i] != '\0'; i++) {
        char was = ticket[i];
        ticket[i] = was == 'A' ? 'B' : 'A';
        asker_send(asker, "?ticket", ticket);
        ck_assert_int_eq(asker_ask(asker, "GET"), SLC_DENY);
        ticket[i] = was;
    }
    asker_send(asker, "?ticket", ticket);
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    asker_free(asker);
}
END_TEST

START_TEST(it_is_for_its_origin)
{
    setup(SHOP, 60000);
    refused();
    asker_send(asker, "Origin", "https://evil.example");
    refused();
    asker_send(asker, "Origin", "HTTPS://SHOP.example");
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    asker_send(asker, "Origin", NULL);
    asker_send(asker, "Host", "shop.example");
    refused();
    asker_send(asker, "Sec-Fetch-Site", "same-origin");
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    asker_send(asker, "Host", "gateway.example");
    refused();
    asker_free(asker);
}
END_TEST

START_TEST(origins_are_those_of_browsers)
{
    static const char *const bad[] = {"",        "null",       "shop.example", "https://", "https://a/b",
                                      "ftp://a", "https://a b"};
    char out[SLC_TICKET_MAX_ORIGIN + 1];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!slc_origin_parse(bad[i], out), "%s", bad[i]);
    ck_assert(slc_origin_parse("http://Localhost:8080", out));
    ck_assert_str_eq(out, "http://localhost:8080");
    ck_assert(slc_origin_parse("https://[::1]:8443", out));
    ck_assert(slc_origin_parse("https://Shop.example:443", out));
    ck_assert_str_eq(out, "https://shop.example");
    ck_assert(slc_origin_parse("http://[::1]:80", out));
    ck_assert_str_eq(out, "http://[::1]");
    ck_assert(slc_origin_parse("http://shop.example:443", out));
    ck_assert_str_eq(out, "http://shop.example:443");
}
END_TEST

UNIT_MAIN("ticket", it_stands_for_the_credential, it_expires, another_secret_of_the_credential_ends_it,
          another_key_of_the_api_ends_it, it_may_end_anywhere, every_byte_counts, it_is_for_its_origin,
          origins_are_those_of_browsers)
