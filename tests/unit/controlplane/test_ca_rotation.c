/* Rotation of the node CA: who signs, who is trusted, and when the former authority may go. */
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "../catalog/fixture.h"
#include "catalog/backup.h"
#include "catalog/nodes.h"
#include "common/alloc.h"
#include "common/clock.h"
#include "controlplane/ca/ca.h"
#include "controlplane/ca/x509.h"
#include "dataplane/config/keys.h"

#define HOUR_MS (3600 * 1000LL)

static int64_t now_ms;
static slc_ca *ca;
static char *key;
static slc_ca_leaf leaf;
static bool flag;

static int64_t test_clock(void)
{
    return now_ms;
}

static void open_ca(void)
{
    slc_ca_options options = {
        .clock = test_clock, .renewal_window_ms = HOUR_MS, .skew_ms = 60000, .leaf_ms = HOUR_MS};
    slc_error err;

    ca = slc_ca_open(t_catalog, &options, &err);
    ck_assert_msg(ca != NULL, "%s", err.message);
}

static void setup(void)
{
    now_ms = slc_wall_ms();
    t_setup();
    t_make("gateway-groups", "{'name': 'dev', 'environment': 'dev'}");
    open_ca();
    key = slc_key_generate();
}

static void teardown(void)
{
    free(leaf.pem);
    leaf.pem = NULL;
    free(key);
    slc_ca_free(ca);
    t_teardown();
}

/* ---- steps ---- */

static bool rotate(slc_txn *txn, void *arg, slc_error *err)
{
    (void)arg;
    return slc_ca_rotate(ca, txn, err);
}

static bool retire(slc_txn *txn, void *arg, slc_error *err)
{
    return slc_ca_retire(ca, txn, *(bool *)arg, err);
}

static bool retire_unused(slc_txn *txn, void *arg, slc_error *err)
{
    return slc_ca_retire_if_unused(ca, txn, *(int64_t *)arg, &flag, err);
}

static bool sync_ca(slc_txn *txn, void *arg, slc_error *err)
{
    (void)arg;
    return slc_ca_sync(ca, txn, &flag, err);
}

static void must(slc_txn_fn fn, void *arg)
{
    ck_assert_msg(t_write(fn, arg, &t_error), "%s", t_error.message);
    ck_assert_msg(t_read(sync_ca, NULL, &t_error), "%s", t_error.message);
}

static void must_not(slc_txn_fn fn, void *arg)
{
    ck_assert(!t_write(fn, arg, &t_error));
    ck_assert_int_eq(t_error.code, SLC_CONFLICT);
}

static bool enrol_node(slc_txn *txn, void *arg, slc_error *err)
{
    json_t *group = slc_entity_load(txn, slc_kind_find("gateway-groups"), "dev", err);
    slc_node_certificate certificate = {leaf.serial, leaf.authority, leaf.not_after_ms};
    bool ok = slc_node_register(txn, arg, t_text(group, "id"), "gw", NULL, &certificate, err);

    json_decref(group);
    return ok;
}

static void enrol(const char *node)
{
    size_t len;
    slc_error err;
    uint8_t *csr = slc_key_request(key, &len, &err);

    free(leaf.pem);
    ck_assert_msg(slc_ca_issue(ca, "dev", node, csr, len, &leaf, &err), "%s", err.message);
    free(csr);
    ck_assert_msg(t_write(enrol_node, (void *)node, &t_error), "%s", t_error.message);
}

static bool renewable(const char *pem)
{
    static const char text[] = "what is signed";
    size_t len;
    slc_error err;
    slc_ca_node node;
    uint8_t *signature = slc_key_sign(key, text, sizeof text, &len, &err);
    bool ok = slc_ca_check_renewal(ca, pem, text, sizeof text, signature, len, &node, &err);

    free(signature);
    return ok;
}

/* Does the chain of the ports lead from the leaf to the pinned key, trusting nothing else? */
static bool leads_to(const uint8_t pin[SLC_SHA256_BYTES])
{
    char *chain_pem, *key_pem, *ca_pem;
    STACK_OF(X509) *chain = sk_X509_new_null();
    uint8_t found[SLC_SHA256_BYTES];
    X509 *next;
    bool ok = false;

    ck_assert(slc_ca_fetch_server(ca, &chain_pem, &key_pem, &ca_pem));
    BIO *bio = BIO_new_mem_buf(chain_pem, -1);
    while ((next = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
        sk_X509_push(chain, next);
    for (int i = 1; i < sk_X509_num(chain) && !ok; i++) {
        X509_STORE *store = X509_STORE_new();
        X509_STORE_CTX *ctx = X509_STORE_CTX_new();

        slc_x509_pin(sk_X509_value(chain, i), found);
        X509_STORE_add_cert(store, sk_X509_value(chain, i));
        X509_STORE_CTX_init(ctx, store, sk_X509_value(chain, 0), chain);
        ok = memcmp(found, pin, sizeof found) == 0 && X509_verify_cert(ctx) == 1;
        X509_STORE_CTX_free(ctx);
        X509_STORE_free(store);
    }
    BIO_free(bio);
    sk_X509_pop_free(chain, X509_free);
    free(chain_pem);
    free(key_pem);
    free(ca_pem);
    return ok;
}

static unsigned trusted(void)
{
    char *bundle = slc_ca_bundle(ca, NULL);
    unsigned count = 0;

    for (const char *at = bundle; (at = strstr(at, "BEGIN CERTIFICATE")) != NULL; at++)
        count++;
    free(bundle);
    return count;
}

/* ---- tests ---- */

START_TEST(both_pins_hold_until_the_former_authority_is_retired)
{
    uint8_t old_pin[SLC_SHA256_BYTES], new_pin[SLC_SHA256_BYTES];

    slc_ca_pin(ca, old_pin);
    ck_assert(leads_to(old_pin));
    must(rotate, NULL);
    ck_assert(flag);
    slc_ca_pin(ca, new_pin);
    ck_assert_int_ne(memcmp(old_pin, new_pin, sizeof old_pin), 0);
    ck_assert_uint_eq(trusted(), 2);
    ck_assert(leads_to(old_pin) && leads_to(new_pin));
    bool force = false;
    must(retire, &force);
    ck_assert_uint_eq(trusted(), 1);
    ck_assert(leads_to(new_pin) && !leads_to(old_pin));
}
END_TEST

START_TEST(new_certificates_are_of_the_new_authority_and_old_ones_renew_meanwhile)
{
    bool force = true;
    char *old;

    enrol("0000000000000001");
    old = slc_strdup(leaf.pem);
    must(rotate, NULL);
    enrol("0000000000000002");
    ck_assert(renewable(old) && renewable(leaf.pem));
    must_not(rotate, NULL); /* one at a time */
    must(retire, &force);
    ck_assert(!renewable(old) && renewable(leaf.pem));
    must(rotate, NULL);
    free(old);
}
END_TEST

START_TEST(an_authority_is_not_retired_while_a_certificate_of_it_can_renew)
{
    bool force = false;
    int64_t after_ms = 0;

    enrol("0000000000000001");
    must_not(retire, &force); /* nothing is retiring */
    must(rotate, NULL);
    must_not(retire, &force);
    must(retire_unused, &after_ms);
    ck_assert(t_write(retire_unused, &after_ms, &t_error) && !flag);
    now_ms += 2 * HOUR_MS - 60000; /* expired, but within the window */
    must_not(retire, &force);
    now_ms += 120000;
    ck_assert(t_write(retire_unused, &(int64_t){HOUR_MS}, &t_error) && !flag); /* too soon after the rotation */
    ck_assert(t_write(retire_unused, &after_ms, &t_error) && flag);
    ck_assert(t_write(retire_unused, &after_ms, &t_error) && !flag);
}
END_TEST

START_TEST(a_revoked_node_does_not_keep_an_authority)
{
    bool force = false;

    enrol("0000000000000001");
    must(rotate, NULL);
    must_not(retire, &force);
    json_decref(t_act("gateway-nodes", "0000000000000001", "revoke"));
    must(retire, &force);
}
END_TEST

START_TEST(a_retired_authority_keeps_no_key_and_the_master_key_still_rotates)
{
    bool force = false;
    uint8_t before[SLC_SHA256_BYTES], after[SLC_SHA256_BYTES];

    must(rotate, NULL);
    must(retire, &force);
    ck_assert_str_eq(t_sql("SELECT group_concat(length(sealed_key) > 0 OR retired_at IS NOT NULL AND "
                           "length(sealed_key) = 0) FROM node_ca"),
                     "1,1");
    ck_assert_msg(slc_catalog_rotate_master_key(t_catalog, &t_actor, &t_error), "%s", t_error.message);
    slc_ca_pin(ca, before);
    slc_ca_free(ca);
    t_close();
    t_open();
    open_ca();
    slc_ca_pin(ca, after);
    ck_assert_int_eq(memcmp(before, after, sizeof before), 0);
}
END_TEST

START_TEST(a_rotation_survives_a_restart_half_way)
{
    uint8_t old_pin[SLC_SHA256_BYTES], new_pin[SLC_SHA256_BYTES];

    slc_ca_pin(ca, old_pin);
    ck_assert(t_write(rotate, NULL, &t_error)); /* and it stops before it has loaded that */
    slc_ca_free(ca);
    t_close();
    t_open();
    open_ca();
    slc_ca_pin(ca, new_pin);
    ck_assert_int_ne(memcmp(old_pin, new_pin, sizeof old_pin), 0);
    ck_assert(leads_to(old_pin) && leads_to(new_pin));
}
END_TEST

START_TEST(times_that_contradict_each_other_are_refused)
{
    slc_ca_options bad[] = {
        {.leaf_ms = 1000, .skew_ms = 1000, .renewal_window_ms = -1},
        {.leaf_ms = HOUR_MS, .authority_ms = HOUR_MS, .renewal_window_ms = -1, .skew_ms = -1}};
    slc_error err;

    for (size_t i = 0; i < 2; i++) {
        ck_assert_ptr_null(slc_ca_open(t_catalog, &bad[i], &err));
        ck_assert_int_eq(err.code, SLC_INVALID);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("ca rotation");
    TCase *tc = tcase_create("rotation");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, both_pins_hold_until_the_former_authority_is_retired);
    tcase_add_test(tc, new_certificates_are_of_the_new_authority_and_old_ones_renew_meanwhile);
    tcase_add_test(tc, an_authority_is_not_retired_while_a_certificate_of_it_can_renew);
    tcase_add_test(tc, a_revoked_node_does_not_keep_an_authority);
    tcase_add_test(tc, a_retired_authority_keeps_no_key_and_the_master_key_still_rotates);
    tcase_add_test(tc, a_rotation_survives_a_restart_half_way);
    tcase_add_test(tc, times_that_contradict_each_other_are_refused);
    suite_add_tcase(s, tc);
    return s;
}

TEST_MAIN(suite)
