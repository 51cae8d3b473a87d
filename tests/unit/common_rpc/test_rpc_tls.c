/* Who the peers are: certificates, verification, hot reload. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "rig.h"

static struct rig rig;
static uint16_t port;

static void setup(void)
{
    rig_start(&rig);
}

static void teardown(void)
{
    rig_stop(&rig);
}

static void start_server(bool require_client_cert)
{
    rig_server(&rig, require_client_cert);
    port = slc_rpc_server_port(rig.server);
}

/* The client's certificate as the identity of its calls. */
START_TEST(server_sees_the_spiffe_id_and_the_certificate)
{
    start_server(true);
    rig.channel = rig_connect(&rig, port);
    ck_assert(rig_echo(&rig, rig.channel, "it is me"));
    ck_assert_str_eq(rig.unary.spiffe, RIG_NODE_SPIFFE);
    ck_assert(rig.unary.has_pem);
}
END_TEST

START_TEST(anonymous_client_has_no_identity)
{
    start_server(false);
    rig.channel = rig_connect_with(&rig, port, NULL, NULL);
    ck_assert(rig_echo(&rig, rig.channel, "it is I"));
    ck_assert_str_eq(rig.unary.spiffe, "");
    ck_assert(!rig.unary.has_pem);
}
END_TEST

/* A server that asks for no certificate must not believe one either. */
START_TEST(certificate_that_was_not_asked_for_is_not_seen)
{
    start_server(false);
    test_ca *foreign = test_ca_new("foreign CA");
    char *cert, *key;
    test_ca_issue(foreign, "node", "URI:" RIG_NODE_SPIFFE, &cert, &key);
    rig.channel = rig_connect_with(&rig, port, cert, key);
    ck_assert(rig_echo(&rig, rig.channel, "trust me"));
    ck_assert_str_eq(rig.unary.spiffe, "");
    ck_assert(!rig.unary.has_pem);
    free(cert);
    free(key);
    test_ca_free(foreign);
}
END_TEST

START_TEST(client_without_a_certificate_is_refused)
{
    start_server(true);
    rig.channel = rig_connect_with(&rig, port, NULL, NULL);
    ck_assert_int_eq(rig_echo_status(&rig, rig.channel), SLC_RPC_UNAVAILABLE);
    ck_assert_ptr_null(rig.unary.call);
    ck_assert_uint_eq(rig.unary.received, 0);
}
END_TEST

START_TEST(client_of_a_foreign_ca_is_refused)
{
    start_server(true);
    test_ca *foreign = test_ca_new("test CA"); /* the same name, another key */
    char *cert, *key;
    test_ca_issue(foreign, "node", "URI:" RIG_NODE_SPIFFE, &cert, &key);
    rig.channel = rig_connect_with(&rig, port, cert, key);
    ck_assert_int_eq(rig_echo_status(&rig, rig.channel), SLC_RPC_UNAVAILABLE);
    ck_assert_uint_eq(rig.unary.received, 0);
    slc_rpc_channel *good = rig_connect(&rig, port);
    ck_assert(rig_echo(&rig, good, "but I am known"));
    slc_rpc_channel_free(good);
    free(cert);
    free(key);
    test_ca_free(foreign);
}
END_TEST

START_TEST(two_spiffe_ids_are_none)
{
    start_server(true);
    char *cert, *key;
    test_ca_issue(rig.ca, "node", "URI:" RIG_NODE_SPIFFE ",URI:spiffe://sluice.test/group/g2/node/n2", &cert,
                  &key);
    rig.channel = rig_connect_with(&rig, port, cert, key);
    rig_echo_status(&rig, rig.channel);
    ck_assert_str_eq(rig.unary.spiffe, "");
    free(cert);
    free(key);
}
END_TEST

START_TEST(client_refuses_a_server_of_another_name)
{
    rig_new_server_cert(&rig, "DNS:somebody-else");
    start_server(true);
    rig.channel = rig_connect(&rig, port);
    ck_assert_int_eq(rig_echo_status(&rig, rig.channel), SLC_RPC_UNAVAILABLE);
    ck_assert_uint_eq(rig.unary.received, 0);
}
END_TEST

START_TEST(client_refuses_a_server_of_a_foreign_ca)
{
    start_server(false);
    test_ca *foreign = test_ca_new("test CA");
    char target[32];
    snprintf(target, sizeof(target), "127.0.0.1:%u", port);
    slc_rpc_channel_options options = rig_channel_options(&rig, target);
    options.ca_pem = test_ca_pem(foreign);
    slc_error err;
    rig.channel = slc_rpc_channel_new(rig.rpc, &options, &err);
    ck_assert_ptr_nonnull(rig.channel);
    ck_assert_int_eq(rig_echo_status(&rig, rig.channel), SLC_RPC_UNAVAILABLE);
    /* Several trust anchors in one text: any of them will do. */
    char *both = slc_asprintf("%s%s", test_ca_pem(foreign), test_ca_pem(rig.ca));
    options.ca_pem = both;
    slc_rpc_channel *channel = slc_rpc_channel_new(rig.rpc, &options, &err);
    ck_assert_ptr_nonnull(channel);
    ck_assert(rig_echo(&rig, channel, "one of them"));
    slc_rpc_channel_free(channel);
    free(both);
    test_ca_free(foreign);
}
END_TEST

/* Without server_name the host of the target is what the certificate must say. */
START_TEST(server_name_defaults_to_the_targets_host)
{
    rig_new_server_cert(&rig, "DNS:localhost,IP:127.0.0.1");
    start_server(false);
    char target[32];
    snprintf(target, sizeof(target), "127.0.0.1:%u", port);
    slc_rpc_channel_options options = rig_channel_options(&rig, target);
    options.server_name = NULL;
    slc_error err;
    rig.channel = slc_rpc_channel_new(rig.rpc, &options, &err);
    ck_assert_ptr_nonnull(rig.channel);
    ck_assert(rig_echo(&rig, rig.channel, "by address"));
}
END_TEST

/* The certificate changes under a stream: the stream goes on, new connections see the new one. */
START_TEST(new_certificate_is_served_to_new_connections)
{
    start_server(true);
    rig.channel = rig_connect(&rig, port);
    struct peer client = {.keep_reading = true};
    peer_call(&client, rig.channel, "/test.Test/Stream", 0);
    WAIT_FOR(&rig, rig.stream_count == 1);
    peer_send(&rig.streams[0], "0 before");
    WAIT_FOR(&rig, client.received == 1);
    char *before = slc_strdup(slc_rpc_call_peer_pem(client.call));

    rig_new_server_cert(&rig, "DNS:" RIG_SERVER_NAME);
    slc_rpc_channel *channel = rig_connect(&rig, port);
    struct peer second = {.keep_reading = true};
    peer_call(&second, channel, "/test.Test/Stream", 0);
    WAIT_FOR(&rig, rig.stream_count == 2);
    peer_send(&rig.streams[1], "0 after");
    WAIT_FOR(&rig, second.received == 1);
    ck_assert_str_ne(slc_rpc_call_peer_pem(second.call), before);
    ck_assert_str_eq(slc_rpc_call_peer_pem(client.call), before);

    peer_send(&rig.streams[0], "1 still here");
    WAIT_FOR(&rig, client.received == 2);
    ck_assert(!client.ended);
    slc_rpc_call_finish(client.call, SLC_RPC_CANCELLED, NULL);
    slc_rpc_call_finish(second.call, SLC_RPC_CANCELLED, NULL);
    WAIT_FOR(&rig, client.ended && second.ended && rig.streams[0].ended && rig.streams[1].ended);
    slc_rpc_channel_free(channel);
    free(before);
}
END_TEST

/* A client CA that was replaced is not believed any longer. */
START_TEST(new_client_ca_holds_for_new_connections)
{
    start_server(true);
    rig.channel = rig_connect(&rig, port);
    ck_assert(rig_echo(&rig, rig.channel, "known"));
    test_ca *next = test_ca_new("next CA");
    pthread_mutex_lock(&rig.identity_lock);
    rig.client_ca = test_ca_pem(next);
    pthread_mutex_unlock(&rig.identity_lock);
    slc_rpc_channel *old = rig_connect(&rig, port);
    ck_assert_int_eq(rig_echo_status(&rig, old), SLC_RPC_UNAVAILABLE);
    char *cert, *key;
    test_ca_issue(next, "node", "URI:" RIG_NODE_SPIFFE, &cert, &key);
    slc_rpc_channel *new = rig_connect_with(&rig, port, cert, key);
    ck_assert(rig_echo(&rig, new, "known by now"));
    slc_rpc_channel_free(old);
    slc_rpc_channel_free(new);
    rig_server_stop(&rig, 0);
    WAIT_FOR(&rig, rig.server_done);
    test_ca_free(next);
    free(cert);
    free(key);
}
END_TEST

static void replace_key(const char *text)
{
    pthread_mutex_lock(&rig.identity_lock);
    free(rig.server_key);
    rig.server_key = slc_strdup(text);
    pthread_mutex_unlock(&rig.identity_lock);
}

START_TEST(bad_new_certificate_keeps_the_old_one)
{
    start_server(true);
    unsigned fetches = rig.fetches;
    replace_key("not a key");
    rig.channel = rig_connect(&rig, port);
    ck_assert(rig_echo(&rig, rig.channel, "the old one will do"));
    replace_key(rig.node_key); /* a key, but another's */
    slc_rpc_channel *second = rig_connect(&rig, port);
    ck_assert(rig_echo(&rig, second, "still"));
    slc_rpc_channel_free(second);
    pthread_mutex_lock(&rig.identity_lock);
    ck_assert_uint_gt(rig.fetches, fetches);
    rig.no_identity = true;
    pthread_mutex_unlock(&rig.identity_lock);
    slc_rpc_channel *third = rig_connect(&rig, port);
    ck_assert(rig_echo(&rig, third, "even then"));
    slc_rpc_channel_free(third);
}
END_TEST

static bool fetch_texts(void *arg, char **cert_chain_pem, char **key_pem, char **client_ca_pem)
{
    const char *const *texts = arg;
    *cert_chain_pem = texts[0] != NULL ? slc_strdup(texts[0]) : NULL;
    *key_pem = texts[1] != NULL ? slc_strdup(texts[1]) : NULL;
    *client_ca_pem = texts[2] != NULL ? slc_strdup(texts[2]) : NULL;
    return texts[0] != NULL;
}

static void assert_no_server(const char *cert, const char *key, const char *ca, enum slc_code code)
{
    static const slc_rpc_method none[] = {{NULL, NULL, NULL}};
    const char *texts[] = {cert, key, ca};
    slc_rpc_server_identity identity = {.fetch = fetch_texts, .arg = texts, .require_client_cert = true};
    slc_rpc_server_limits limits = {.receive_bytes = 1000};
    slc_error err = {.code = SLC_OK};
    ck_assert_ptr_null(slc_rpc_server_new(rig.rpc, "127.0.0.1:0", &identity, &limits, none, &err));
    ck_assert_int_eq(err.code, code);
    ck_assert_str_ne(err.message, "");
}

START_TEST(server_with_bad_texts_does_not_start)
{
    const char *ca = test_ca_pem(rig.ca);
    assert_no_server(NULL, NULL, NULL, SLC_UNAVAILABLE);
    assert_no_server("nonsense", rig.server_key, ca, SLC_INVALID);
    assert_no_server(rig.server_cert, NULL, ca, SLC_INVALID);
    assert_no_server(rig.server_cert, "nonsense", ca, SLC_INVALID);
    assert_no_server(rig.server_cert, rig.node_key, ca, SLC_INVALID);
    assert_no_server(rig.server_cert, rig.server_key, "nonsense", SLC_INVALID);
    assert_no_server(rig.server_cert, rig.server_key, NULL, SLC_INVALID);
}
END_TEST

static void assert_no_channel(const char *cert, const char *key, const char *ca)
{
    slc_rpc_channel_options options = rig_channel_options(&rig, "127.0.0.1:1");
    options.cert_chain_pem = cert;
    options.key_pem = key;
    options.ca_pem = ca;
    slc_error err = {.code = SLC_OK};
    ck_assert_ptr_null(slc_rpc_channel_new(rig.rpc, &options, &err));
    ck_assert_int_eq(err.code, SLC_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "127.0.0.1:1"));
}

START_TEST(channel_with_bad_texts_is_an_error)
{
    const char *ca = test_ca_pem(rig.ca);
    assert_no_channel(NULL, NULL, NULL);
    assert_no_channel(NULL, NULL, "nonsense");
    assert_no_channel("nonsense", rig.node_key, ca);
    assert_no_channel(rig.node_cert, NULL, ca);
    assert_no_channel(rig.node_cert, rig.server_key, ca);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rpc_tls");
    TCase *tls = tcase_create("tls");
    tcase_add_checked_fixture(tls, setup, teardown);
    tcase_set_timeout(tls, 60);
    tcase_add_test(tls, server_sees_the_spiffe_id_and_the_certificate);
    tcase_add_test(tls, anonymous_client_has_no_identity);
    tcase_add_test(tls, certificate_that_was_not_asked_for_is_not_seen);
    tcase_add_test(tls, client_without_a_certificate_is_refused);
    tcase_add_test(tls, client_of_a_foreign_ca_is_refused);
    tcase_add_test(tls, two_spiffe_ids_are_none);
    tcase_add_test(tls, client_refuses_a_server_of_another_name);
    tcase_add_test(tls, client_refuses_a_server_of_a_foreign_ca);
    tcase_add_test(tls, server_name_defaults_to_the_targets_host);
    tcase_add_test(tls, new_certificate_is_served_to_new_connections);
    tcase_add_test(tls, new_client_ca_holds_for_new_connections);
    tcase_add_test(tls, bad_new_certificate_keeps_the_old_one);
    tcase_add_test(tls, server_with_bad_texts_does_not_start);
    tcase_add_test(tls, channel_with_bad_texts_is_an_error);
    suite_add_tcase(suite, tls);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
