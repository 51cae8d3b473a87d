/* Rules of roles, credentials and subscriptions. The world is that of the samples. */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/rules.h"
#include "catalog/verifier.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "fixture.h"

static void setup(void)
{
    t_setup();
    t_make_samples(NULL);
}

START_TEST(built_in_roles_cannot_change)
{
    t_patch_fails("roles", "viewer", "{'permissions': ['*']}", SLC_CONFLICT, NULL);
}
END_TEST

START_TEST(built_in_roles_cannot_be_deleted)
{
    t_delete_fails("roles", "developer", SLC_CONFLICT);
    t_create_fails("roles", "{'name': 'x', 'permissions': ['listeners:fly']}", SLC_INVALID, "/permissions/0");
}
END_TEST

/* ---- credentials ---- */

START_TEST(a_secret_is_shown_once)
{
    json_t *made = t_create("credentials", "{'application': 'demo', 'type': 'secret'}");
    const char *id = t_text(made, "id");
    char expected[100];
    snprintf(expected, sizeof(expected), "slk_%s_%s", id, t_text(made, "secret"));
    ck_assert_str_eq(t_text(made, "api_key"), expected);
    ck_assert_str_eq(t_text(made, "username"), id);
    ck_assert_uint_ge(strlen(t_text(made, "secret")) * 5, 160);
    json_t *got = t_get("credentials", id);
    ck_assert_ptr_null(json_object_get(got, "secret"));
    ck_assert_ptr_null(json_object_get(got, "api_key"));
    ck_assert_ptr_null(json_object_get(got, "lookup"));
    json_decref(got);
    json_decref(made);
}
END_TEST

static void blob_of(const char *column, const char *id, uint8_t *out, size_t size)
{
    char sql[200];
    snprintf(sql, sizeof(sql), "SELECT hex(%s) FROM credentials WHERE id = '%s'", column, id);
    char hex[400];
    snprintf(hex, sizeof(hex), "%s", t_sql(sql));
    for (char *p = hex; *p != '\0'; p++)
        *p = *p >= 'A' && *p <= 'F' ? (char)(*p + 32) : *p;
    ck_assert(slc_hex_decode(hex, strlen(hex), out, size));
}

/* RFC 5802 section 3, written out again: what a client that knows the secret derives must fit what is kept. */
static void ck_scram(const char *secret, const EVP_MD *md, size_t size, const uint8_t *verifier)
{
    uint8_t salted[64], client[64], stored[64], server[64];
    unsigned len;
    uint32_t iterations = (uint32_t)verifier[16] << 24 | (uint32_t)verifier[17] << 16 |
                          (uint32_t)verifier[18] << 8 | verifier[19];
    ck_assert_uint_ge(iterations, 4096);
    PKCS5_PBKDF2_HMAC(secret, (int)strlen(secret), verifier, 16, (int)iterations, md, (int)size, salted);
    HMAC(md, salted, (int)size, (const uint8_t *)"Client Key", 10, client, &len);
    EVP_Digest(client, size, stored, NULL, md, NULL);
    HMAC(md, salted, (int)size, (const uint8_t *)"Server Key", 10, server, &len);
    ck_assert_mem_eq(stored, verifier + 20, size);
    ck_assert_mem_eq(server, verifier + 20 + size, size);
}

START_TEST(the_verifiers_fit_the_secret)
{
    json_t *made = t_create("credentials", "{'application': 'demo', 'type': 'secret'}");
    const char *secret = t_text(made, "secret");
    uint8_t sha256[32], expected[32], scram256[SLC_SCRAM_SHA256_BYTES], scram512[SLC_SCRAM_SHA512_BYTES];
    blob_of("secret_sha256", t_text(made, "id"), sha256, sizeof(sha256));
    blob_of("scram_sha256", t_text(made, "id"), scram256, sizeof(scram256));
    blob_of("scram_sha512", t_text(made, "id"), scram512, sizeof(scram512));
    slc_sha256(secret, strlen(secret), expected);
    ck_assert_mem_eq(sha256, expected, 32);
    ck_scram(secret, EVP_sha256(), 32, scram256);
    ck_scram(secret, EVP_sha512(), 64, scram512);
    ck_assert_mem_ne(scram256, scram512, 16); /* each has a salt of its own */
    json_decref(made);
}
END_TEST

START_TEST(a_verifier_changes_with_every_call)
{
    uint8_t one[SLC_SCRAM_SHA256_BYTES], two[SLC_SCRAM_SHA256_BYTES];
    slc_scram_verifier("pencil", 256, one);
    slc_scram_verifier("pencil", 256, two);
    ck_assert_mem_ne(one, two, 16);
    ck_scram("pencil", EVP_sha256(), 32, one);
    ck_scram("pencil", EVP_sha256(), 32, two);
}
END_TEST

START_TEST(a_match_is_complete_and_unique)
{
    t_create_fails("credentials", "{'application': 'demo', 'type': 'certificate'}", SLC_INVALID,
                   "/certificate");
    t_create_fails("credentials",
                   "{'application': 'demo', 'type': 'secret', 'oidc': {'issuer': 'login', 'value': 'x'}}",
                   SLC_INVALID, "/oidc");
    t_create_fails(
        "credentials",
        "{'application': 'demo', 'type': 'certificate', 'certificate': {'subject': 'a', 'san': 'DNS:b'}}",
        SLC_INVALID, "/certificate");
    t_create_fails("credentials",
                   "{'application': 'demo', 'type': 'certificate', 'certificate': {'fingerprint': 'AB'}}",
                   SLC_INVALID, "/certificate/fingerprint");
    json_t *made =
        t_create("credentials",
                 "{'application': 'demo', 'type': 'certificate', 'certificate': {'san': 'DNS:demo.example'}}");
    ck_assert_ptr_null(json_object_get(made, "secret"));
    t_create_fails("credentials",
                   "{'application': 'demo', 'type': 'certificate', 'certificate': {'san': 'DNS:demo.example'}}",
                   SLC_CONFLICT, "/certificate");
    t_make("credentials",
           "{'application': 'demo', 'type': 'certificate', 'certificate': {'subject': 'demo.example'}}");
    t_make("credentials",
           "{'application': 'demo', 'type': 'oidc', 'oidc': {'issuer': 'login', 'value': 'demo'}}");
    t_create_fails("credentials",
                   "{'application': 'demo', 'type': 'oidc', 'oidc': {'issuer': 'login', 'value': "
                   "'demo'}}",
                   SLC_CONFLICT, "/oidc");
    static const char *const common[] = {"iss", "aud", "exp", "/iss", "jti"};
    for (size_t i = 0; i < sizeof common / sizeof *common; i++) {
        char text[200];
        snprintf(
            text, sizeof text,
            "{'application': 'demo', 'type': 'oidc', 'oidc': {'issuer': 'login', 'claim': '%s', 'value': 'x'}}",
            common[i]);
        t_create_fails("credentials", text, SLC_INVALID, "/oidc/claim");
    }
    t_delete_fails("issuers", "login", SLC_CONFLICT);
    char expected[100];
    snprintf(expected, sizeof(expected), "oidc:%s:sub=demo", t_sql("SELECT id FROM issuers"));
    ck_assert_str_eq(t_sql("SELECT lookup FROM credentials WHERE type = 'oidc'"), expected);
    /* A revoked one does not stand in the way. */
    json_decref(t_act("credentials", t_text(made, "id"), "revoke"));
    t_make("credentials",
           "{'application': 'demo', 'type': 'certificate', 'certificate': {'san': 'DNS:demo.example'}}");
    json_decref(made);
}
END_TEST

START_TEST(a_revoked_credential_stays_revoked)
{
    json_t *made = t_create("credentials", "{'application': 'demo', 'type': 'secret'}");
    const char *id = t_text(made, "id");
    json_t *revoked = t_act("credentials", id, "revoke");
    ck_assert_str_ne(t_text(revoked, "revoked_at"), "");
    json_t *again = t_act("credentials", id, "revoke");
    ck_assert(json_equal(revoked, again));
    t_patch_fails("credentials", id, "{'disabled': true}", SLC_CONFLICT, NULL);
    t_patch_fails("credentials", id, "{'revoked_at': null, 'title': 'x'}", SLC_CONFLICT, NULL);
    t_delete("credentials", id);
    json_decref(again);
    json_decref(revoked);
    json_decref(made);
    t_create_fails("credentials",
                   "{'application': 'demo', 'type': 'secret', 'expires_at': '2001-01-01T00:00:00Z'}",
                   SLC_INVALID, "/expires_at");
}
END_TEST

/* ---- subscriptions ---- */

#define SUBSCRIBE "{'application': 'demo', 'plan': 'orders.%s', 'environment': '%s'}"

static void ck_state(const char *id, const char *state)
{
    json_t *got = t_get("subscriptions", id);
    ck_assert_str_eq(t_text(got, "state"), state);
    json_decref(got);
}

START_TEST(an_automatic_plan_approves_at_once)
{
    json_t *list = t_list("subscriptions", NULL, 0, NULL);
    const json_t *made = json_array_get(json_object_get(list, "items"), 0);
    ck_assert_str_eq(t_text(made, "state"), "approved");
    ck_assert_str_eq(t_text(made, "product"), "orders");
    ck_assert_str_eq(t_text(made, "plan"), "orders.free");
    t_patch_fails("subscriptions", t_text(made, "id"), "{'state': 'revoked'}", SLC_INVALID, "/state");
    json_decref(list);
}
END_TEST

START_TEST(decisions_follow_the_states)
{
    t_make("plans", "{'product': 'orders', 'name': 'manual', 'operations': ['read']}");
    t_make("applications", "{'name': 'second', 'team': 'platform'}");
    json_t *made =
        t_create("subscriptions", "{'application': 'second', 'plan': 'orders.manual', 'environment': 'dev'}");
    const char *id = t_text(made, "id");
    ck_assert_str_eq(t_text(made, "state"), "pending");
    t_act_fails("subscriptions", id, "suspend", SLC_CONFLICT);
    t_act_fails("subscriptions", id, "resume", SLC_CONFLICT);
    t_act_fails("subscriptions", id, "dance", SLC_NOT_FOUND);
    json_decref(t_act("subscriptions", id, "approve"));
    ck_state(id, "approved");
    t_act_fails("subscriptions", id, "refuse", SLC_CONFLICT);
    json_decref(t_act("subscriptions", id, "suspend"));
    json_decref(t_act("subscriptions", id, "resume"));
    ck_state(id, "approved");
    json_decref(t_act("subscriptions", id, "revoke"));
    ck_state(id, "revoked");
    t_act_fails("subscriptions", id, "approve", SLC_CONFLICT);
    t_patch_fails("subscriptions", id, "{'expires_at': '2099-01-01T00:00:00Z'}", SLC_CONFLICT, "/expires_at");
    json_decref(made);
    made =
        t_create("subscriptions", "{'application': 'second', 'plan': 'orders.manual', 'environment': 'dev'}");
    json_decref(t_act("subscriptions", t_text(made, "id"), "refuse"));
    ck_state(t_text(made, "id"), "refused");
    json_decref(made);
    ck_assert_str_eq(
        t_sql("SELECT count(*) FROM audit_events WHERE kind = 'subscriptions' AND action = 'resume'"), "1");
}
END_TEST

START_TEST(only_one_subscription_to_a_product_is_live)
{
    t_make("plans", "{'product': 'orders', 'name': 'gold', 'operations': ['read'], 'approval': 'auto'}");
    t_make("gateway-groups", "{'name': 'prod', 'environment': 'prod'}");
    char body[200];
    snprintf(body, sizeof(body), SUBSCRIBE, "gold", "dev");
    t_create_fails("subscriptions", body, SLC_CONFLICT, "/plan");
    char other[200];
    snprintf(other, sizeof(other), SUBSCRIBE, "gold", "prod");
    t_make("subscriptions", other); /* another environment */
    json_t *list = t_list("subscriptions", "{'environment': 'dev'}", 0, NULL);
    const char *id = t_text(json_array_get(json_object_get(list, "items"), 0), "id");
    json_decref(t_act("subscriptions", id, "suspend"));
    t_create_fails("subscriptions", body, SLC_CONFLICT, "/plan"); /* a suspended one is live */
    json_decref(t_act("subscriptions", id, "revoke"));
    t_make("subscriptions", body);
    json_decref(list);
}
END_TEST

START_TEST(a_subscription_needs_an_environment_and_a_product_on_offer)
{
    t_make("applications", "{'name': 'second', 'team': 'platform'}");
    t_create_fails("subscriptions", "{'application': 'second', 'plan': 'orders.free', 'environment': 'mars'}",
                   SLC_INVALID, "/environment");
    t_make("products", "{'name': 'later', 'team': 'platform', 'event_apis': ['orders.v1']}");
    t_make("plans", "{'product': 'later', 'name': 'free', 'operations': ['read']}");
    t_create_fails("subscriptions", "{'application': 'second', 'plan': 'later.free', 'environment': 'dev'}",
                   SLC_INVALID, "/plan");
    json_decref(t_patch("products", "later", "{'lifecycle': 'published'}"));
    t_make("subscriptions", "{'application': 'second', 'plan': 'later.free', 'environment': 'dev'}");
}
END_TEST

START_TEST(an_application_has_an_end_of_subscriptions)
{
    const char *body = "{'application': 'demo', 'plan': 'later.free', 'environment': 'dev'}";
    t_make("products",
           "{'name': 'later', 'team': 'platform', 'event_apis': ['orders.v1'], 'lifecycle': 'published'}");
    t_make("plans", "{'product': 'later', 'name': 'free', 'operations': ['read']}");
    t_make("gateway-groups", "{'name': 'prod', 'environment': 'prod'}");
    t_subscribe_to_many(SLC_LIVE_SUBSCRIPTIONS_MAX - 1); /* beside that of the samples */
    t_create_fails("subscriptions", body, SLC_CONFLICT, "/application");
    t_make("subscriptions", "{'application': 'demo', 'plan': 'later.free', 'environment': 'prod'}");
    json_decref(t_act("subscriptions", "many1", "refuse"));
    t_make("subscriptions", body);
}
END_TEST

START_TEST(an_issuer_has_an_end_of_claims)
{
    char body[200];
    json_t *last = NULL;
    json_decref(t_patch("issuers", "login", "{'identifying_claims': []}"));
    for (int i = 0; i < SLC_ISSUER_CLAIMS_MAX; i++) {
        json_decref(last);
        snprintf(body, sizeof body,
                 "{'application': 'demo', 'type': 'oidc', 'oidc': {'issuer': 'login', 'claim': 'c%d', 'value': "
                 "'x'}}",
                 i);
        last = t_create("credentials", body);
    }
    const char *another =
        "{'application': 'demo', 'type': 'oidc', 'oidc': {'issuer': 'login', 'claim': 'more', 'value': 'x'}}";
    t_create_fails("credentials", another, SLC_INVALID, "/oidc/claim");
    t_make("issuers",
           "{'name': 'second', 'url': 'https://second.example.com', 'identifying_claims': ['m', 'sub']}");
    t_make("credentials",
           "{'application': 'demo', 'type': 'oidc', 'oidc': {'issuer': 'second', 'claim': 'm', 'value': 'x'}}");
    t_make("credentials",
           "{'application': 'demo', 'type': 'oidc', 'oidc': {'issuer': 'login', 'claim': 'c7', 'value': 'y'}}");
    json_decref(t_act("credentials", t_text(last, "id"), "revoke")); /* nobody has its claim any more */
    t_make("credentials", another);
    json_decref(last);
}
END_TEST

#define OIDC(claim)                                                                                            \
    "{'application': 'demo', 'type': 'oidc', 'oidc': {'issuer': 'login', 'claim': '" claim "', 'value': 'x'}}"

START_TEST(the_issuers_owner_says_what_identifies)
{
    t_create_fails("credentials", OIDC("azp"), SLC_INVALID, "/oidc/claim"); /* sub, if nothing is said */
    t_make("credentials", OIDC("sub"));
    t_patch_fails("issuers", "login", "{'identifying_claims': ['azp']}", SLC_CONFLICT, "/identifying_claims");
    t_patch_fails("issuers", "login", "{'identifying_claims': ['sub', '/iss']}", SLC_INVALID,
                  "/identifying_claims/1");
    t_patch_fails("issuers", "login", "{'identifying_claims': ['sub', '']}", SLC_INVALID,
                  "/identifying_claims/1");
    json_decref(t_patch("issuers", "login", "{'identifying_claims': ['azp', 'sub']}"));
    t_make("credentials", OIDC("azp"));
    json_decref(t_patch("issuers", "login", "{'identifying_claims': []}"));
    t_make("credentials", OIDC("client"));
}
END_TEST

#define CERTIFICATE(match) "{'application': 'demo', 'type': 'certificate', 'certificate': {" match "}}"

START_TEST(alternative_names_have_kinds)
{
    static const struct {
        const char *san, *lookup;
    } good[] = {
        {"DNS:Demo.Example", "cert:dns:demo.example"},
        {"URI:spiffe://Demo/x", "cert:uri:spiffe://Demo/x"},
        {"URI:demo.example:x", "cert:uri:demo.example:x"},
        {"email:Me@Demo.Example", "cert:email:Me@demo.example"},
        {"IP:192.0.2.1", "cert:ip:192.0.2.1"},
        {"IP:2001:DB8:0:0::1", "cert:ip:2001:db8::1"},
    };
    static const char *const bad[] = {"demo.example", "DNS:",       "DNS:a b", "dns:demo.example", "IP:1.2.3",
                                      "URI:demo",     "email:demo", "IP:x:",   "email:@demo"};
    char body[200];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        snprintf(body, sizeof body, CERTIFICATE("'san': '%s'"), good[i].san);
        t_make("credentials", body);
        ck_assert_str_eq(t_sql("SELECT lookup FROM credentials ORDER BY rowid DESC LIMIT 1"), good[i].lookup);
        t_create_fails("credentials", body, SLC_CONFLICT, "/certificate");
    }
    t_create_fails("credentials", CERTIFICATE("'san': 'DNS:DEMO.example'"), SLC_CONFLICT, "/certificate");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(body, sizeof body, CERTIFICATE("'san': '%s'"), bad[i]);
        t_create_fails("credentials", body, SLC_INVALID, "/certificate/san");
    }
}
END_TEST

START_TEST(a_product_for_some_teams_is_for_them_only)
{
    t_make("teams", "{'name': 'other'}");
    t_make("applications", "{'name': 'theirs', 'team': 'other'}");
    const char *body = "{'application': 'theirs', 'plan': 'orders.free', 'environment': 'dev'}";
    t_create_fails("subscriptions", body, SLC_INVALID, "/plan");
    json_decref(t_patch("products", "orders", "{'visible_to': ['other']}"));
    t_make("subscriptions", body);
}
END_TEST

static bool lapse(slc_txn *txn, void *arg, slc_error *err)
{
    (void)arg;
    return slc_txn_exec(txn, err, "UPDATE subscriptions SET expires_at = ?1", "i", slc_txn_now_ms(txn) - 1);
}

static bool expire(slc_txn *txn, void *arg, slc_error *err)
{
    return slc_catalog_expire(txn, arg, err);
}

START_TEST(subscriptions_run_out)
{
    json_t *list = t_list("subscriptions", NULL, 0, NULL);
    const char *id = t_text(json_array_get(json_object_get(list, "items"), 0), "id");
    int64_t next_ms;
    t_patch_fails("subscriptions", id, "{'expires_at': '2001-01-01T00:00:00Z'}", SLC_INVALID, "/expires_at");
    json_decref(t_patch("subscriptions", id, "{'expires_at': '2099-01-01T00:00:00Z'}"));
    ck_assert(t_write(expire, &next_ms, &t_error));
    ck_assert_int_eq(next_ms, 4070908800000);
    ck_state(id, "approved");
    ck_assert(t_write(lapse, NULL, &t_error));
    t_act_fails("subscriptions", id, "suspend", SLC_CONFLICT);
    ck_assert(t_write(expire, &next_ms, &t_error));
    ck_assert_int_eq(next_ms, 0);
    ck_state(id, "expired");
    json_decref(list);
    char body[200];
    snprintf(body, sizeof(body), SUBSCRIBE, "free", "dev");
    t_make("subscriptions", body);
    ck_assert(t_write(lapse, NULL, &t_error));
    t_make("subscriptions", body); /* what ran out unnoticed is not in the way */
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("catalog/rules_access");
    TCase *tc = tcase_create("access");
    tcase_add_checked_fixture(tc, setup, t_teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, built_in_roles_cannot_change);
    tcase_add_test(tc, built_in_roles_cannot_be_deleted);
    tcase_add_test(tc, a_secret_is_shown_once);
    tcase_add_test(tc, the_verifiers_fit_the_secret);
    tcase_add_test(tc, a_verifier_changes_with_every_call);
    tcase_add_test(tc, a_match_is_complete_and_unique);
    tcase_add_test(tc, a_revoked_credential_stays_revoked);
    tcase_add_test(tc, an_automatic_plan_approves_at_once);
    tcase_add_test(tc, decisions_follow_the_states);
    tcase_add_test(tc, only_one_subscription_to_a_product_is_live);
    tcase_add_test(tc, a_subscription_needs_an_environment_and_a_product_on_offer);
    tcase_add_test(tc, an_application_has_an_end_of_subscriptions);
    tcase_add_test(tc, an_issuer_has_an_end_of_claims);
    tcase_add_test(tc, the_issuers_owner_says_what_identifies);
    tcase_add_test(tc, alternative_names_have_kinds);
    tcase_add_test(tc, a_product_for_some_teams_is_for_them_only);
    tcase_add_test(tc, subscriptions_run_out);
    suite_add_tcase(s, tc);
    return s;
}

TEST_MAIN(suite)
