/* What tokens say and how long they are believed. The signature is common/jose's affair. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "dataplane/identity/token_cache.h"
#include "tests/unit/dataplane/config/maker.h"

static struct maker *maker;
static slc_jwt jwt;
static slc_error err;

static void setup(void)
{
    maker = maker_new();
    maker->issuers = 2;
}

static void teardown(void)
{
    slc_jwt_release(&jwt);
    maker_free(maker);
}

/* `claims` with ' for ". */
static void says(const char *claims)
{
    char *text = slc_strdup(claims);

    for (char *at = text; *at != '\0'; at++)
        *at = *at == '\'' ? '"' : *at;
    slc_jwt_release(&jwt);
    jwt.claims = json_loads(text, 0, NULL);
    ck_assert_msg(jwt.claims != NULL, "%s", text);
    strcpy(jwt.algorithm, "ES256");
    free(text);
}

static bool holds(void)
{
    slc_error_clear(&err);
    return slc_token_claims_hold(&jwt, &maker->issuer[0], 1000000, &err);
}

START_TEST(an_issuers_demands)
{
    static char *audiences[] = {"a", "b"};
    static Sluice__Snapshot__V1__Claim claim;
    static Sluice__Snapshot__V1__Claim *claims[] = {&claim};

    sluice__snapshot__v1__claim__init(&claim);
    claim.name = "/realm/x~1y";
    claim.value = "v";
    says("{'iss':'https://login.test','exp':1001}");
    ck_assert_msg(holds(), "%s", err.message);
    maker->issuer[0].audiences = audiences;
    maker->issuer[0].n_audiences = 2;
    ck_assert(!holds());
    ck_assert_str_eq(err.field, "aud");
    says("{'iss':'https://login.test','exp':1001,'aud':['x','b']}");
    ck_assert(holds());
    maker->issuer[0].claims = claims;
    maker->issuer[0].n_claims = 1;
    ck_assert(!holds());
    ck_assert_str_eq(err.field, "claims");
    says("{'iss':'https://login.test','exp':1001,'aud':'b','realm':{'x/y':'v'}}");
    ck_assert(holds());
    says("{'iss':'https://login.test','exp':1001,'aud':'b','realm':{'x/y':['v']}}");
    ck_assert(!holds());
    says("{'iss':'https://login.test','exp':1001,'aud':'b','realm':{'x/y':'vv'}}");
    ck_assert(!holds());
    says("{'iss':'https://login.test','exp':999,'aud':'b','realm':{'x/y':'v'}}");
    ck_assert(!holds());
    maker->issuer[0].clock_skew_ms = 2000;
    ck_assert(holds());
    strcpy(jwt.algorithm, "RS256");
    ck_assert(!holds());
    ck_assert_str_eq(err.field, "alg");
}
END_TEST

static slc_token *good(slc_snapshot *snapshot, uint8_t first)
{
    uint8_t digest[SLC_SHA256_BYTES] = {first};

    return slc_token_good(&jwt, slc_snapshot_issuer(snapshot, "issuer-1"), digest);
}

START_TEST(names_and_credentials)
{
    static char *credential_claims[] = {"/list/1", "azp", "sub", "none"};
    slc_snapshot *snapshot;
    slc_token *token;

    maker->issuer[0].credential_claims = credential_claims;
    maker->issuer[0].n_credential_claims = 4;
    maker->issuer[0].groups_claim = "/roles";
    maker->issuer[0].clock_skew_ms = 500;
    snapshot = maker_build(maker, NULL);
    says("{'exp':2000,'sub':'shop','azp':7,'list':['a','b'],'roles':['r1',2,'','r2'],'scope':'one  two'}");
    token = good(snapshot, 1);
    ck_assert_str_eq(token->subject, "shop");
    ck_assert_str_eq(token->issuer, "login");
    ck_assert_int_eq(token->expires_ms, 2000500);
    ck_assert_uint_eq(token->lookup_count, 2);
    ck_assert_str_eq(token->lookups[0], "oidc:issuer-1:/list/1=b");
    ck_assert_str_eq(token->lookups[1], "oidc:issuer-1:sub=shop");
    ck_assert_uint_eq(token->groups.count, 2);
    ck_assert(slc_token_has(&token->groups, "r2") && !slc_token_has(&token->groups, "r"));
    ck_assert_uint_eq(token->scopes.count, 2);
    ck_assert(slc_token_has(&token->scopes, "one") && slc_token_has(&token->scopes, "two"));
    slc_token_unref(token);
    slc_snapshot_unref(snapshot);
}
END_TEST

/* Whoever names a later claim of it, or one that is not listed, has no part in it. */
START_TEST(the_first_identifying_claim_that_is_there_counts_alone)
{
    static char *credential_claims[] = {"azp", "client", "sub"}, *identifying[] = {"client_id", "azp", "sub"};
    maker->issuer[0].credential_claims = credential_claims;
    maker->issuer[0].n_credential_claims = 3;
    maker->issuer[0].identifying_claims = identifying;
    maker->issuer[0].n_identifying_claims = 3;
    slc_snapshot *snapshot = maker_build(maker, NULL);
    static const struct {
        const char *claims, *lookup;
    } cases[] = {
        {"{'exp':2000,'sub':'s','azp':'a','client':'c'}", "oidc:issuer-1:azp=a"},
        {"{'exp':2000,'sub':'s','azp':7,'client':'c'}", "oidc:issuer-1:sub=s"},
        {"{'exp':2000,'sub':'s','azp':'a','client_id':''}", "oidc:issuer-1:azp=a"},
        {"{'exp':2000,'sub':'s','azp':'a','client_id':'i'}", "oidc:issuer-1:client_id=i"},
        {"{'exp':2000,'client':'c'}", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        says(cases[i].claims);
        slc_token *token = good(snapshot, 1);
        ck_assert_uint_eq(token->lookup_count, cases[i].lookup != NULL ? 1 : 0);
        if (cases[i].lookup != NULL)
            ck_assert_str_eq(token->lookups[0], cases[i].lookup);
        slc_token_unref(token);
    }
    slc_snapshot_unref(snapshot);
}
END_TEST

START_TEST(names_are_bounded)
{
    json_t *groups = json_array();
    slc_snapshot *snapshot = maker_build(maker, NULL);
    char *long_name = slc_calloc(1, SLC_TOKEN_NAME_MAX + 2);

    memset(long_name, 'x', SLC_TOKEN_NAME_MAX + 1);
    json_array_append_new(groups, json_string(long_name));
    for (int i = 0; i < 1000; i++)
        json_array_append_new(groups, json_sprintf("group-%d", i));
    says("{'exp':2000}");
    json_object_set_new(jwt.claims, "groups", groups);
    slc_token *token = good(snapshot, 1);
    ck_assert_uint_eq(token->groups.count, SLC_TOKEN_MAX_NAMES);
    ck_assert_str_eq(token->groups.names[0], "group-0");
    slc_token_unref(token);
    slc_snapshot_unref(snapshot);
    free(long_name);
}
END_TEST

static bool cached(slc_token_cache *cache, slc_snapshot *snapshot, uint8_t first)
{
    uint8_t digest[SLC_SHA256_BYTES] = {first};

    return slc_token_cache_find(cache, digest, snapshot) != NULL;
}

START_TEST(the_cache_forgets_what_no_longer_holds)
{
    slc_token_cache *cache = slc_token_cache_new(4, 60000);
    slc_snapshot *before = maker_build(maker, NULL), *after;
    slc_token *bad = slc_token_bad(SLC_TOKEN_REFUSED, "no");

    says("{'exp':4000000000,'sub':'a'}");
    for (uint8_t i = 1; i <= 5; i++) { /* one too many: the oldest goes */
        slc_token *token = good(before, i);

        token->verified_ms = slc_monotonic_ms() - 100 + i;
        slc_token_cache_put(cache, token);
        slc_token_unref(token);
    }
    ck_assert(!cached(cache, before, 1));
    ck_assert(cached(cache, before, 2) && cached(cache, before, 5));
    slc_token_cache_put(cache, bad); /* is not kept */
    slc_token_unref(bad);
    ck_assert(!cached(cache, before, 0));

    maker->issuer[0].clock_skew_ms = 1000; /* another configuration: it is looked at again */
    after = maker_build(maker, before);
    ck_assert(cached(cache, before, 3));
    ck_assert(!cached(cache, after, 3));
    ck_assert(!cached(cache, before, 3)); /* and was let go */
    slc_snapshot_unref(after);
    slc_snapshot_unref(before);
    slc_token_cache_free(cache);
}
END_TEST

START_TEST(the_cache_forgets_with_time)
{
    slc_token_cache *cache = slc_token_cache_new(4, 1000);
    slc_snapshot *snapshot = maker_build(maker, NULL);
    slc_token *token;

    says("{'exp':4000000000}");
    token = good(snapshot, 1);
    token->verified_ms -= 1000;
    slc_token_cache_put(cache, token);
    slc_token_unref(token);
    ck_assert(!cached(cache, snapshot, 1));
    says("{'exp':1000}"); /* long ago */
    token = good(snapshot, 2);
    slc_token_cache_put(cache, token);
    slc_token_unref(token);
    ck_assert(!cached(cache, snapshot, 2));
    slc_snapshot_unref(snapshot);
    slc_token_cache_free(cache);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("token");
    TCase *tcase = tcase_create("token");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, an_issuers_demands);
    tcase_add_test(tcase, names_and_credentials);
    tcase_add_test(tcase, the_first_identifying_claim_that_is_there_counts_alone);
    tcase_add_test(tcase, names_are_bounded);
    tcase_add_test(tcase, the_cache_forgets_what_no_longer_holds);
    tcase_add_test(tcase, the_cache_forgets_with_time);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
