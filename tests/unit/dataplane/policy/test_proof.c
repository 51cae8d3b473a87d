/* oidc and mtls: whose a token or a certificate is, and what is said about others. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "asker.h"
#include "common/clock.h"
#include "dataplane/policy/credential.h"

static struct asker *asker;
static slc_token token;
static slc_certificate certificate;
static char token_lookups[2][SLC_LOOKUP_MAX + 1];
static char *scopes[] = {"orders:read"};

static void setup(void)
{
    asker = asker_new();
    asker->maker->issuers = 1;
    asker->maker->credential[0].lookup = "oidc:issuer-1:sub=shop";
    token = (slc_token){.refs = 1,
                        .state = SLC_TOKEN_GOOD,
                        .issuer_id = "issuer-1",
                        .issuer = "login",
                        .subject = "shop",
                        .expires_ms = slc_wall_ms() + 60000,
                        .scopes = {.names = scopes, .count = 1},
                        .lookups = token_lookups,
                        .lookup_count = 1};
    strcpy(token_lookups[0], "oidc:issuer-1:sub=shop");
    asker->token = &token;
    certificate = (slc_certificate){.lookups = {"cert:subject:CN=x", "oidc:issuer-1:sub=shop"},
                                    .properties = {"subject", "dns"},
                                    .lookup_count = 2,
                                    .subject = "CN=x",
                                    .expires_ms = slc_wall_ms() + 60000};
}

static void teardown(void)
{
    asker_free(asker);
}

/* A second credential, of the sample's second application. */
static void add_second(const char *lookup)
{
    maker_add_application(asker->maker, 2);
    asker->maker->credential[1].lookup = (char *)lookup;
}

static void refused(int status, const char *type, const char *reason)
{
    ck_assert_int_eq(asker_ask(asker, "POST"), SLC_DENY);
    ck_assert_int_eq(asker->denial.status, status);
    ck_assert_str_eq(asker->denial.type, type);
    ck_assert_msg(strstr(asker->denial.reason, reason) != NULL, "%s", asker->denial.reason);
}

START_TEST(a_good_token_is_its_applications)
{
    ck_assert_int_eq(asker_ask(asker, "POST"), SLC_ALLOW);
    ck_assert_str_eq(asker->principal.application_id, "app-1");
    ck_assert_str_eq(asker->principal.credential_id, "cred-1");
    ck_assert_int_eq(asker->principal.expires_at_ms, token.expires_ms);
}
END_TEST

/* One that was revoked and made anew with the same match is another one: who came by the old one is out. */
START_TEST(a_principal_lives_as_long_as_its_own_credential)
{
    Sluice__Snapshot__V1__Credential *credential = &asker->maker->credential[0];
    const Sluice__Snapshot__V1__Credential before = *credential;
    ck_assert_int_eq(asker_ask(asker, "POST"), SLC_ALLOW);
    ck_assert(slc_credential_alive(asker->snapshot, &asker->principal));
    for (int change = 0; change < 4; change++) {
        *credential = before;
        if (change == 0)
            credential->id = (char *)"cred-9";
        else if (change == 1)
            credential->lookup = (char *)"oidc:issuer-1:sub=other";
        else if (change == 2)
            credential->expires_at_ms = 1;
        else
            credential->application_id = (char *)"app-9";
        asker_rebuild(asker);
        ck_assert_msg(!slc_credential_alive(asker->snapshot, &asker->principal), "change %d", change);
    }
    *credential = before;
    asker_rebuild(asker);
    ck_assert(slc_credential_alive(asker->snapshot, &asker->principal));
}
END_TEST

START_TEST(the_earlier_of_two_ends_counts_also_later)
{
    slc_event_api *api;

    asker->maker->credential[0].expires_at_ms = token.expires_ms - 1000;
    ck_assert_int_eq(asker_ask(asker, "POST"), SLC_ALLOW);
    ck_assert_int_eq(asker->principal.expires_at_ms, token.expires_ms - 1000);
    asker->maker->credential[0].expires_at_ms = 0;
    asker_rebuild(asker);
    api = slc_snapshot_event_api_by_id(asker->snapshot, "api-1");
    ck_assert(slc_principal_still_granted(asker->snapshot, api, PUBLISH, NULL, &asker->principal));
    ck_assert_int_eq(asker->principal.expires_at_ms, token.expires_ms);
    asker->principal.proof_expires_at_ms = slc_wall_ms() - 1;
    ck_assert(!slc_principal_still_granted(asker->snapshot, api, PUBLISH, NULL, &asker->principal));
}
END_TEST

START_TEST(tokens_that_are_not_good)
{
    token.state = SLC_TOKEN_REFUSED;
    strcpy(token.reason, "forged");
    refused(401, "invalid-token", "forged");
    ck_assert_ptr_null(strstr(asker->denial.detail, "forged"));
    ck_assert_str_eq(asker_answer(asker, "WWW-Authenticate"),
                     "Bearer realm=\"sluice\", error=\"invalid_token\"");
    token.state = SLC_TOKEN_UNAVAILABLE;
    strcpy(token.reason, "no keys");
    refused(503, "identity-unavailable", "no keys");
    ck_assert_int_gt(asker->denial.retry_after_ms, 0);
}
END_TEST

START_TEST(tokens_of_nobody_and_of_two)
{
    strcpy(token_lookups[0], "oidc:issuer-1:sub=nobody");
    refused(401, "invalid-token", "unknown credential");
    strcpy(token_lookups[0], "oidc:issuer-1:sub=shop");
    strcpy(token_lookups[1], "oidc:issuer-1:azp=second");
    token.lookup_count = 2;
    ck_assert_int_eq(asker_ask(asker, "POST"), SLC_ALLOW);
    add_second("oidc:issuer-1:azp=second");
    asker_rebuild(asker);
    refused(401, "invalid-token", "two applications");
    asker->maker->credential[0].expires_at_ms = 1; /* long ago: what is left is one's */
    asker_rebuild(asker);
    ck_assert_int_eq(asker_ask(asker, "POST"), SLC_ALLOW);
    ck_assert_str_eq(asker->principal.application_id, "app-2");
}
END_TEST

START_TEST(an_expired_credential_and_an_application_without_subscriptions)
{
    asker->maker->credential[0].expires_at_ms = 1;
    refused(401, "invalid-token", "expired");
    asker->maker->credential[0].expires_at_ms = 0;
    asker->maker->applications = 0;
    asker_rebuild(asker);
    refused(403, "not-subscribed", "no subscriptions here");
}
END_TEST

START_TEST(scopes_and_issuers)
{
    asker_policy(asker, "tokens", "oidc", "{\"scopes\":[\"orders:read\",\"orders:write\"]}");
    refused(403, "insufficient-scope", "lacks the scope orders:write");
    ck_assert_str_eq(
        asker_answer(asker, "WWW-Authenticate"),
        "Bearer realm=\"sluice\", error=\"insufficient_scope\", scope=\"orders:read orders:write\"");
    asker->maker->policy[0].config_json = "{\"scopes\":[\"orders:read\"],\"issuers\":[\"login\"]}";
    asker_rebuild(asker);
    ck_assert_int_eq(asker_ask(asker, "POST"), SLC_ALLOW);
    asker->maker->policy[0].config_json = "{\"issuers\":[\"other\"]}";
    asker_rebuild(asker);
    refused(401, "unauthenticated", "no policy authenticated");
}
END_TEST

/* Who says how clients authenticate does not want the other ways; who only tries out says nothing. */
START_TEST(a_configured_way_is_the_only_one)
{
    asker_policy(asker, "certificates", "mtls", "{}");
    refused(401, "unauthenticated", "no policy authenticated");
    asker->maker->policy[0].dry_run = true;
    asker_rebuild(asker);
    ck_assert_int_eq(asker_ask(asker, "POST"), SLC_ALLOW);
}
END_TEST

static bool goes_on(const char *type, const char *config)
{
    asker->maker->policies = 0;
    if (type != NULL)
        asker_policy(asker, "way", type, config);
    asker_rebuild(asker);
    const slc_event_api *api = slc_snapshot_event_api_by_id(asker->snapshot, "api-1");
    return slc_principal_still_granted(asker->snapshot, api, READ, NULL, &asker->principal);
}

/* As native sessions end. What the change says nothing about goes on. */
START_TEST(an_open_stream_ends_with_the_way_that_it_came_in_by)
{
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    ck_assert(goes_on("oidc", "{\"scopes\":[\"orders:read\"],\"issuers\":[\"other\",\"login\"]}"));
    ck_assert(!goes_on("oidc", "{\"scopes\":[\"orders:write\"]}"));
    ck_assert(!goes_on("oidc", "{\"issuers\":[\"other\"]}"));
    ck_assert(!goes_on("mtls", "{}"));
    ck_assert(!goes_on("key-auth", "{}"));
    ck_assert(goes_on("acl", "{\"rules\":[{\"operations\":[\"read\"],\"topics\":[\"x\"]}]}"));
    ck_assert(goes_on(NULL, NULL));
    asker->token = NULL;
    asker->certificate = &certificate;
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    ck_assert(goes_on("mtls", "{}") && !goes_on("oidc", "{}") && goes_on(NULL, NULL));
}
END_TEST

/* An API key is not sent as HTTP Basic, and the other way round. */
START_TEST(an_open_stream_of_a_secret_ends_when_it_could_not_be_sent_so)
{
    asker->token = NULL;
    asker->maker->credential[0].lookup = "secret:cred-1";
    asker_send(asker, "X-API-Key", ASKER_KEY);
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    ck_assert(goes_on("key-auth", "{\"basic\":false}") && !goes_on("basic-auth", "{}"));
    ck_assert(!goes_on("mtls", "{}") && !goes_on("oidc", "{}"));
    asker->maker->policies = 0;
    asker_rebuild(asker);
    asker_send(asker, "X-API-Key", NULL);
    asker_send(asker, "Authorization", ASKER_BASIC);
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    ck_assert(goes_on("basic-auth", "{}") && goes_on("key-auth", "{}"));
    ck_assert(!goes_on("key-auth", "{\"basic\":false}"));
}
END_TEST

START_TEST(a_certificate_is_its_applications)
{
    asker->token = NULL;
    asker->certificate = &certificate;
    ck_assert_int_eq(asker_ask(asker, "POST"), SLC_ALLOW);
    ck_assert_str_eq(asker->principal.application_id, "app-1");
    ck_assert_int_eq(asker->principal.expires_at_ms, certificate.expires_ms);
    certificate.expires_ms = slc_wall_ms() - 1;
    refused(401, "unauthenticated", "expired");
    certificate.expires_ms = slc_wall_ms() + 60000;
    certificate.lookup_count = 1; /* nobody's: it says nothing */
    refused(401, "unauthenticated", "no policy authenticated");
}
END_TEST

/* What the listener lists first counts, even when nobody has it; so naming something else of a certificate does
 * not make it somebody else's. */
START_TEST(the_listener_says_what_a_certificate_is_matched_by)
{
    static char *identity[] = {"uri", "dns"};
    asker->token = NULL;
    asker->certificate = &certificate;
    add_second("cert:subject:CN=x");
    refused(401, "unauthenticated", "two applications");
    asker->listener_msg.client_identity = identity;
    asker->listener_msg.n_client_identity = 2;
    ck_assert_int_eq(asker_ask(asker, "POST"), SLC_ALLOW);
    ck_assert_str_eq(asker->principal.application_id, "app-1");
    identity[1] = "subject";
    ck_assert_int_eq(asker_ask(asker, "POST"), SLC_ALLOW);
    ck_assert_str_eq(asker->principal.application_id, "app-2");
    identity[0] = "dns";
    strcpy(certificate.lookups[1], "cert:dns:nobody");
    refused(401, "unauthenticated", "no policy authenticated"); /* the subject does not count any more */
    identity[0] = identity[1] = "ip";
    refused(401, "unauthenticated", "no policy authenticated");
}
END_TEST

/* A request's own word comes before its connection's. */
START_TEST(a_token_comes_before_a_certificate)
{
    asker->certificate = &certificate;
    add_second("cert:subject:CN=x");
    certificate.lookup_count = 1;
    ck_assert_int_eq(asker_ask(asker, "POST"), SLC_ALLOW);
    ck_assert_str_eq(asker->principal.application_id, "app-1");
    token.state = SLC_TOKEN_REFUSED;
    refused(401, "invalid-token", "");
    asker->token = NULL;
    ck_assert_int_eq(asker_ask(asker, "POST"), SLC_ALLOW);
    ck_assert_str_eq(asker->principal.application_id, "app-2");
}
END_TEST

START_TEST(who_brings_nothing_is_told_the_ways)
{
    asker->token = NULL;
    ck_assert_int_eq(asker_ask(asker, "POST"), SLC_DENY);
    ck_assert_str_eq(asker->denial.detail,
                     "Send the application's API key in X-API-Key, or its id and secret as HTTP "
                     "Basic, or an access token as Bearer.");
    ck_assert_uint_eq(asker_answer_count(asker, "WWW-Authenticate"), 2);
    asker->certificate = &certificate; /* the listener asks for them */
    certificate.lookup_count = 0;
    ck_assert_int_eq(asker_ask(asker, "POST"), SLC_DENY);
    ck_assert_ptr_nonnull(strstr(asker->denial.detail, ", or a client certificate."));
    asker->maker->issuers = 0;
    asker_rebuild(asker);
    ck_assert_int_eq(asker_ask(asker, "POST"), SLC_DENY);
    ck_assert_ptr_null(strstr(asker->denial.detail, "token"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("proof");
    TCase *tcase = tcase_create("proof");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_good_token_is_its_applications);
    tcase_add_test(tcase, a_principal_lives_as_long_as_its_own_credential);
    tcase_add_test(tcase, the_earlier_of_two_ends_counts_also_later);
    tcase_add_test(tcase, tokens_that_are_not_good);
    tcase_add_test(tcase, tokens_of_nobody_and_of_two);
    tcase_add_test(tcase, an_expired_credential_and_an_application_without_subscriptions);
    tcase_add_test(tcase, scopes_and_issuers);
    tcase_add_test(tcase, a_configured_way_is_the_only_one);
    tcase_add_test(tcase, a_certificate_is_its_applications);
    tcase_add_test(tcase, an_open_stream_ends_with_the_way_that_it_came_in_by);
    tcase_add_test(tcase, an_open_stream_of_a_secret_ends_when_it_could_not_be_sent_so);
    tcase_add_test(tcase, the_listener_says_what_a_certificate_is_matched_by);
    tcase_add_test(tcase, a_token_comes_before_a_certificate);
    tcase_add_test(tcase, who_brings_nothing_is_told_the_ways);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
