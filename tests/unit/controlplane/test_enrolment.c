/* Enrolment and renewal over the wire. */
#include <stdlib.h>
#include <string.h>

#include "catalog/read.h"
#include "common/alloc.h"
#include "controlplane/ca/x509.h"
#include "dataplane/config/keys.h"
#include "plane.h"

static struct plane plane;
static struct answer answer;
static char *key;

static void setup(void)
{
    memset(&plane, 0, sizeof plane);
    plane_start(&plane);
    key = slc_key_generate();
}

static void teardown(void)
{
    answer_release(&answer);
    free(key);
    plane_stop(&plane);
}

static void expect(enum slc_rpc_status status)
{
    ck_assert_msg(answer.status == status, "ended with %d: %s", answer.status, answer.message);
    ck_assert_int_eq(answer.certificate_pem != NULL, status == SLC_RPC_OK);
}

static bool set_expired(slc_txn *txn, void *arg, slc_error *err)
{
    (void)arg;
    return slc_txn_exec(txn, err, "UPDATE enrolment_tokens SET expires_at = 1000", "");
}

static bool move_nodes_to_prod(slc_txn *txn, void *arg, slc_error *err)
{
    (void)arg;
    return slc_txn_exec(
        txn, err, "UPDATE gateway_nodes SET \"group\" = (SELECT id FROM gateway_groups WHERE name = 'prod')",
        "");
}

START_TEST(token_makes_a_node_with_a_certificate)
{
    char *token = plane_token(&plane, "{'group':'dev'}"), uri[200];
    slc_error err;
    X509 *leaf;
    json_t *node;

    plane_enrol(&plane, token, key, &answer);
    expect(SLC_RPC_OK);
    ck_assert_str_eq(answer.group, "dev");
    ck_assert_str_eq(answer.bundle_pem, plane.ca_pem);
    leaf = slc_x509_read_cert(answer.certificate_pem, &err);
    ck_assert(slc_x509_uri(leaf, uri, sizeof uri));
    ck_assert_ptr_nonnull(strstr(uri, answer.node_id));
    ck_assert_int_eq(strncmp(uri, "spiffe://sluice/group/dev/node/", 31), 0);
    X509_free(leaf);
    node = t_get("gateway-nodes", answer.node_id);
    ck_assert_str_eq(t_text(node, "group"), "dev");
    ck_assert_str_eq(t_text(node, "state"), "never");
    json_decref(node);
    free(token);
}
END_TEST

START_TEST(token_has_as_many_uses_as_it_says)
{
    char *token = plane_token(&plane, "{'group':'dev','uses':2}");

    for (unsigned i = 0; i < 2; i++) {
        plane_enrol(&plane, token, key, &answer);
        expect(SLC_RPC_OK);
        answer_release(&answer);
    }
    plane_enrol(&plane, token, key, &answer);
    expect(SLC_RPC_UNAUTHENTICATED);
    free(token);
}
END_TEST

#define AT_ONCE 20

START_TEST(as_many_pass_as_there_are_uses_however_many_ask_at_once)
{
    char *token = plane_token(&plane, "{'group':'dev','uses':5}");
    slc_rpc_channel *channels[AT_ONCE];
    struct answer answers[AT_ONCE];
    unsigned passed = 0, refused = 0;

    for (unsigned i = 0; i < AT_ONCE; i++)
        channels[i] = plane_enrol_begin(&plane, token, key, &answers[i]);
    for (unsigned i = 0; i < AT_ONCE; i++) {
        WAIT_FOR(&plane, answers[i].ended);
        passed += answers[i].status == SLC_RPC_OK;
        refused += answers[i].status == SLC_RPC_UNAUTHENTICATED;
        answer_release(&answers[i]);
        slc_rpc_channel_free(channels[i]);
    }
    ck_assert_uint_eq(passed, 5);
    ck_assert_uint_eq(refused, AT_ONCE - 5);
    ck_assert_str_eq(t_sql("SELECT count(*) FROM gateway_nodes"), "5");
    ck_assert_str_eq(t_sql("SELECT min(uses_left) FROM enrolment_tokens"), "0");
    free(token);
}
END_TEST

START_TEST(a_node_joins_the_group_of_its_token_and_no_other)
{
    struct node node;
    slc_error err;
    char *prod_csr_key = slc_key_generate();

    t_make("gateway-groups", "{'name':'prod','environment':'prod'}");
    char *token = plane_token(&plane, "{'group':'prod'}");
    plane_enrol(&plane, token, prod_csr_key, &answer);
    expect(SLC_RPC_OK);
    ck_assert_str_eq(answer.group, "prod");
    ck_assert_str_eq(
        t_sql("SELECT g.name FROM gateway_nodes AS n JOIN gateway_groups AS g ON g.id = n.\"group\""), "prod");
    /* A node that was moved behind its back: the certificate says another group than the catalog. */
    node_enrol(&plane, &node);
    ck_assert(t_write(move_nodes_to_prod, NULL, &err));
    node_connect(&node);
    node_hello(&node, NULL);
    WAIT_FOR(&plane, node.ended);
    ck_assert_int_eq(node.status, SLC_RPC_PERMISSION_DENIED);
    node_free(&node);
    free(token);
    free(prod_csr_key);
}
END_TEST

START_TEST(expired_token_is_refused)
{
    char *token = plane_token(&plane, "{'group':'dev'}");
    slc_error err;

    ck_assert(t_write(set_expired, NULL, &err));
    plane_enrol(&plane, token, key, &answer);
    expect(SLC_RPC_UNAUTHENTICATED);
    free(token);
}
END_TEST

START_TEST(wrong_secret_is_refused_and_uses_nothing_up)
{
    char *token = plane_token(&plane, "{'group':'dev'}"), *wrong = slc_strdup(token);
    char *last = wrong + strlen(wrong) - 1;

    *last = *last == '0' ? '1' : '0';
    plane_enrol(&plane, wrong, key, &answer);
    expect(SLC_RPC_UNAUTHENTICATED);
    plane_enrol(&plane, "slc_nothing_nothing", key, &answer);
    expect(SLC_RPC_UNAUTHENTICATED);
    plane_enrol(&plane, "", key, &answer);
    expect(SLC_RPC_UNAUTHENTICATED);
    plane_enrol(&plane, token, key, &answer);
    expect(SLC_RPC_OK);
    free(wrong);
    free(token);
}
END_TEST

/* ---- renewal ---- */

struct renewal {
    Sluice__Enrolment__V1__RenewRequest request;
    char *new_key;
};

static void enrol(void)
{
    char *token = plane_token(&plane, "{'group':'dev'}");

    plane_enrol(&plane, token, key, &answer);
    expect(SLC_RPC_OK);
    free(token);
}

/* As a node would ask, signed by `with` at `at_ms`. */
static void prepare(struct renewal *renewal, const char *certificate, const char *with, int64_t at_ms)
{
    static const char context[] = "sluice-renew-v1";
    uint8_t *text;
    size_t len;
    slc_error err;

    sluice__enrolment__v1__renew_request__init(&renewal->request);
    renewal->new_key = slc_key_generate();
    renewal->request.certificate_pem = (char *)certificate;
    renewal->request.csr_der.data = slc_key_request(renewal->new_key, &renewal->request.csr_der.len, &err);
    renewal->request.signed_at_ms = at_ms;
    len = strlen(context) + 8 + renewal->request.csr_der.len;
    text = slc_malloc(len);
    memcpy(text, context, strlen(context));
    for (unsigned i = 0; i < 8; i++)
        text[strlen(context) + i] = (uint8_t)((uint64_t)at_ms >> (56 - 8 * i));
    memcpy(text + strlen(context) + 8, renewal->request.csr_der.data, renewal->request.csr_der.len);
    renewal->request.signature.data = slc_key_sign(with, text, len, &renewal->request.signature.len, &err);
    free(text);
}

static void renewal_release(struct renewal *renewal)
{
    free(renewal->request.csr_der.data);
    free(renewal->request.signature.data);
    free(renewal->new_key);
}

START_TEST(certificate_renews_for_a_new_key)
{
    struct answer renewed;
    struct renewal renewal;
    int64_t before_ms, after_ms;
    slc_error err;

    enrol();
    prepare(&renewal, answer.certificate_pem, key, slc_wall_ms());
    plane_renew(&plane, &renewal.request, &renewed);
    ck_assert_int_eq(renewed.status, SLC_RPC_OK);
    ck_assert_str_eq(renewed.node_id, answer.node_id);
    ck_assert(slc_key_check_certificate(renewal.new_key, renewed.certificate_pem, &before_ms, &after_ms, &err));
    ck_assert_int_le(before_ms, slc_wall_ms() - 9 * 60 * 1000);
    ck_assert_int_ge(after_ms, slc_wall_ms() + 23 * 3600 * 1000LL);
    answer_release(&renewed);
    renewal_release(&renewal);
}
END_TEST

static void renewal_fails(struct renewal *renewal, enum slc_rpc_status status)
{
    struct answer renewed;

    plane_renew(&plane, &renewal->request, &renewed);
    ck_assert_msg(renewed.status == status, "ended with %d: %s", renewed.status, renewed.message);
    ck_assert_ptr_null(renewed.certificate_pem);
    renewal_release(renewal);
}

START_TEST(proof_by_another_key_is_refused)
{
    char *other = slc_key_generate();
    struct renewal renewal;

    enrol();
    prepare(&renewal, answer.certificate_pem, other, slc_wall_ms());
    renewal_fails(&renewal, SLC_RPC_UNAUTHENTICATED);
    free(other);
}
END_TEST

START_TEST(proof_for_another_request_is_refused)
{
    struct renewal renewal, other;

    enrol();
    prepare(&renewal, answer.certificate_pem, key, slc_wall_ms());
    prepare(&other, answer.certificate_pem, key, slc_wall_ms());
    free(renewal.request.signature.data);
    renewal.request.signature.data = slc_memdup(other.request.signature.data, other.request.signature.len);
    renewal.request.signature.len = other.request.signature.len;
    renewal_release(&other);
    renewal_fails(&renewal, SLC_RPC_UNAUTHENTICATED);
}
END_TEST

START_TEST(proof_of_another_time_is_refused)
{
    struct renewal renewal;

    enrol();
    prepare(&renewal, answer.certificate_pem, key, slc_wall_ms() - 11 * 60 * 1000);
    renewal_fails(&renewal, SLC_RPC_UNAUTHENTICATED);
    prepare(&renewal, answer.certificate_pem, key, slc_wall_ms() + 11 * 60 * 1000);
    renewal_fails(&renewal, SLC_RPC_UNAUTHENTICATED);
    prepare(&renewal, answer.certificate_pem, key, slc_wall_ms());
    renewal.request.signed_at_ms += 1000; /* not what was signed */
    renewal_fails(&renewal, SLC_RPC_UNAUTHENTICATED);
}
END_TEST

START_TEST(certificate_of_somebody_else_is_refused)
{
    slc_x509_spec ca_spec = {.common_name = "other CA",
                             .not_before_ms = slc_wall_ms() - 1000,
                             .not_after_ms = slc_wall_ms() + 3600000};
    slc_x509_spec spec = {.common_name = "node",
                          .subject_alt_name = "URI:spiffe://sluice/group/dev/node/0123456789abcdef",
                          .usage = "clientAuth",
                          .not_before_ms = ca_spec.not_before_ms,
                          .not_after_ms = ca_spec.not_after_ms};
    EVP_PKEY *ca_key = slc_x509_new_key(), *node_key;
    slc_error err;
    X509 *ca = slc_x509_sign(&ca_spec, ca_key, NULL, ca_key, &err), *forged;
    struct renewal renewal;
    char *pem;

    node_key = slc_x509_read_key(key, strlen(key), &err);
    forged = slc_x509_sign(&spec, node_key, ca, ca_key, &err);
    pem = slc_x509_cert_pem(forged);
    prepare(&renewal, pem, key, slc_wall_ms());
    renewal_fails(&renewal, SLC_RPC_UNAUTHENTICATED);
    prepare(&renewal, "not a certificate", key, slc_wall_ms());
    renewal_fails(&renewal, SLC_RPC_INVALID_ARGUMENT);
    free(pem);
    X509_free(forged);
    X509_free(ca);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(node_key);
}
END_TEST

START_TEST(revoked_node_cannot_renew)
{
    struct renewal renewal;

    enrol();
    json_decref(t_act("gateway-nodes", answer.node_id, "revoke"));
    prepare(&renewal, answer.certificate_pem, key, slc_wall_ms());
    renewal_fails(&renewal, SLC_RPC_PERMISSION_DENIED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("enrolment");
    TCase *tcase = tcase_create("enrolment");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, token_makes_a_node_with_a_certificate);
    tcase_add_test(tcase, token_has_as_many_uses_as_it_says);
    tcase_add_test(tcase, as_many_pass_as_there_are_uses_however_many_ask_at_once);
    tcase_add_test(tcase, a_node_joins_the_group_of_its_token_and_no_other);
    tcase_add_test(tcase, expired_token_is_refused);
    tcase_add_test(tcase, wrong_secret_is_refused_and_uses_nothing_up);
    tcase_add_test(tcase, certificate_renews_for_a_new_key);
    tcase_add_test(tcase, proof_by_another_key_is_refused);
    tcase_add_test(tcase, proof_for_another_request_is_refused);
    tcase_add_test(tcase, proof_of_another_time_is_refused);
    tcase_add_test(tcase, certificate_of_somebody_else_is_refused);
    tcase_add_test(tcase, revoked_node_cannot_renew);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
