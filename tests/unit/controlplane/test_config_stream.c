/* Config.Stream: what nodes are told, and what becomes of those that break the rules, while others go on. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "plane.h"

static struct plane plane;
static struct node good, bad;

static void setup(void)
{
    memset(&plane, 0, sizeof plane);
    plane.options.answer_timeout_ms = 60000;
    plane_start(&plane);
    node_settle(&plane, &good);
}

static void setup_impatient(void)
{
    memset(&plane, 0, sizeof plane);
    plane.options.answer_timeout_ms = 300;
    plane_start(&plane);
}

static void setup_without_heartbeats(void)
{
    memset(&plane, 0, sizeof plane);
    plane.options.lost_after_ms = 600;
    plane_start(&plane);
}

static void teardown(void)
{
    node_free(&good);
    if (bad.plane != NULL)
        node_free(&bad);
    plane_stop(&plane);
}

static void teardown_impatient(void)
{
    node_free(&bad);
    plane_stop(&plane);
}

/* ---- the way it should go ---- */

START_TEST(acknowledged_version_is_on_record)
{
    WAIT_FOR(&plane, node_applied(&good, good.manifest->version));
    ck_assert(node_has(&good, "state", "connected"));
    node_status(&good);
    WAIT_FOR(&plane, node_has(&good, "connections", "7"));
    node_disconnect(&good);
    WAIT_FOR(&plane, node_has(&good, "state", "lost"));
}
END_TEST

START_TEST(change_moves_the_chunks_that_changed_alone)
{
    Sluice__Snapshot__V1__Manifest *before;
    size_t shared = 0;

    WAIT_FOR(&plane, node_applied(&good, good.manifest->version));
    before = good.manifest;
    good.manifest = NULL;
    t_make("credentials", "{'application':'demo','type':'secret'}");
    WAIT_FOR(&plane, good.pushes == 2);
    for (size_t i = 0; i < good.manifest->n_chunks; i++)
        for (size_t k = 0; k < before->n_chunks; k++)
            shared += memcmp(good.manifest->chunks[i]->sha256.data, before->chunks[k]->sha256.data, 32) == 0;
    ck_assert_uint_ge(shared, before->n_chunks - 1);
    ck_assert_uint_le(good.manifest->n_chunks - shared, 1);
    sluice__snapshot__v1__manifest__free_unpacked(before, NULL);
}
END_TEST

START_TEST(held_version_is_not_sent_again)
{
    unsigned pushes;

    node_disconnect(&good);
    node_connect(&good);
    node_hello(&good, good.digest);
    WAIT_FOR(&plane, good.welcomes == 1);
    node_status(&good);
    WAIT_FOR(&plane, node_has(&good, "connections", "7"));
    pushes = good.pushes;
    ck_assert_uint_eq(pushes, 0);
    plane_change();
    WAIT_FOR(&plane, good.pushes == 1);
}
END_TEST

START_TEST(restart_of_the_control_plane_sends_nothing_again)
{
    WAIT_FOR(&plane, node_applied(&good, good.manifest->version));
    plane_restart(&plane);
    WAIT_FOR(&plane, good.call == NULL);
    node_connect(&good);
    node_hello(&good, good.digest);
    WAIT_FOR(&plane, good.welcomes == 1);
    node_status(&good);
    WAIT_FOR(&plane, node_has(&good, "connections", "7"));
    ck_assert_uint_eq(good.pushes, 0);
}
END_TEST

START_TEST(nodes_are_told_how_many_they_are)
{
    WAIT_FOR(&plane, good.group_size == 1);
    node_settle(&plane, &bad);
    WAIT_FOR(&plane, good.group_size == 2 && bad.group_size == 2);
    node_disconnect(&bad);
    WAIT_FOR(&plane, good.group_size == 1);
}
END_TEST

START_TEST(only_the_latest_waits_behind_the_one_in_flight)
{
    uint64_t last;

    plane_change();
    WAIT_FOR(&plane, good.pushes == 2);
    for (unsigned i = 0; i < 5; i++) {
        plane_change();
        node_status(&good); /* time passes */
        WAIT_FOR(&plane, node_has(&good, "connections", "7"));
    }
    node_settle(&plane, &bad); /* by now the last is compiled, or will be pushed to this one too */
    WAIT_FOR(&plane, node_applied(&bad, bad.manifest->version));
    ck_assert_uint_eq(good.pushes, 2);
    last = bad.manifest->version;
    node_ack(&good, good.nonce);
    WAIT_FOR(&plane, good.pushes == 3);
    ck_assert_uint_ge(good.manifest->version, last);
}
END_TEST

START_TEST(refusal_is_on_record_and_not_offered_again)
{
    uint64_t refused;

    plane_change();
    WAIT_FOR(&plane, good.pushes == 2);
    refused = good.manifest->version;
    node_nack(&good, "listener/edge", "the address is in use");
    json_t *object = NULL, *nack;
    do {
        json_decref(object);
        plane_turn(&plane, slc_monotonic_ms(), "the refusal");
        object = t_get("gateway-nodes", good.identity.node_id);
        nack = json_object_get(object, "last_nack");
    } while (!json_is_object(nack));
    ck_assert_str_eq(json_string_value(json_object_get(nack, "entity")), "listener/edge");
    ck_assert_str_eq(json_string_value(json_object_get(nack, "message")), "the address is in use");
    ck_assert_uint_eq((uint64_t)json_integer_value(json_object_get(nack, "version")), refused);
    json_decref(object);
    t_make("users", "{'name':'somebody'}"); /* a commit that changes no configuration */
    node_settle(&plane, &bad);
    ck_assert_uint_eq(good.pushes, 2);
    plane_change();
    WAIT_FOR(&plane, good.pushes == 3);
}
END_TEST

/* The node's own affair: it tries again, and says how that went. */
START_TEST(refusal_is_forgotten_when_a_retry_has_worked)
{
    plane_change();
    WAIT_FOR(&plane, good.pushes == 2);
    node_nack(&good, "listener/edge", "the address is in use");
    WAIT_FOR(&plane, node_has_nack(&good, "the address is in use"));
    node_retried(&good, false, "the key is missing \xc3");
    WAIT_FOR(&plane, node_has_nack(&good, "the key is missing ?"));
    node_retried(&good, true, "");
    WAIT_FOR(&plane, node_applied(&good, good.manifest->version));
    ck_assert(!node_has_nack(&good, NULL));
    node_retried(&good, true, ""); /* of nothing that is refused: late, and no fault */
    plane_change();
    WAIT_FOR(&plane, good.pushes == 3);
}
END_TEST

/* ---- nodes that come and go ---- */

static void expect_cut(enum slc_rpc_status status)
{
    WAIT_FOR(&plane, bad.ended);
    ck_assert_msg(bad.status == status, "ended with %d: %s", bad.status, bad.message);
    /* Nobody else noticed. */
    ck_assert_ptr_nonnull(good.call);
    unsigned before = good.pushes;
    plane_change();
    WAIT_FOR(&plane, good.pushes > before);
    node_request_all(&good);
    node_ack(&good, good.nonce);
    WAIT_FOR(&plane, node_applied(&good, good.manifest->version));
}

static void pushed(void)
{
    node_enrol(&plane, &bad);
    node_connect(&bad);
    node_hello(&bad, NULL);
    WAIT_FOR(&plane, bad.pushes == 1);
}

START_TEST(newer_stream_of_a_node_replaces_the_older)
{
    slc_rpc_call *older;

    pushed();
    older = bad.call;
    bad.call = NULL; /* forget it without ending it */
    slc_rpc_channel *channel = bad.channel;
    bad.channel = NULL;
    node_connect(&bad);
    node_hello(&bad, NULL);
    WAIT_FOR(&plane, bad.pushes == 1);
    ck_assert_ptr_ne(bad.call, older);
    WAIT_FOR(&plane, node_has(&bad, "state", "connected"));
    slc_rpc_channel_free(channel);
}
END_TEST

/* ---- revocation ---- */

START_TEST(revoked_node_is_cut_and_stays_out)
{
    pushed();
    json_decref(t_act("gateway-nodes", bad.identity.node_id, "revoke"));
    expect_cut(SLC_RPC_PERMISSION_DENIED);
    node_connect(&bad);
    node_hello(&bad, NULL);
    expect_cut(SLC_RPC_PERMISSION_DENIED);
    ck_assert_uint_eq(bad.pushes, 0);
}
END_TEST

START_TEST(deleted_node_is_cut_and_stays_out)
{
    pushed();
    t_delete("gateway-nodes", bad.identity.node_id);
    WAIT_FOR(&plane, bad.ended);
    node_connect(&bad);
    WAIT_FOR(&plane, bad.ended);
    ck_assert_int_ne(bad.status, SLC_RPC_OK);
    ck_assert_uint_eq(bad.welcomes, 0);
}
END_TEST

START_TEST(stream_without_a_certificate_is_not_seen)
{
    node_enrol(&plane, &bad);
    free(bad.identity.certificate_pem);
    bad.identity.certificate_pem = NULL;
    node_connect(&bad);
    node_hello(&bad, NULL);
    expect_cut(SLC_RPC_UNAVAILABLE);
    ck_assert_uint_eq(bad.welcomes, 0);
}
END_TEST

/* ---- impatience ---- */

START_TEST(node_that_does_not_answer_a_push_is_cut)
{
    node_enrol(&plane, &bad);
    node_connect(&bad);
    node_hello(&bad, NULL);
    while (!bad.ended) {
        plane_turn(&plane, slc_monotonic_ms(), "the end");
        if (bad.queue_len == 0 && bad.pushes == 1 && bad.call != NULL) {
            node_status(&bad); /* heartbeats are no answer */
            int64_t since = slc_monotonic_ms();
            while (!bad.ended && slc_monotonic_ms() - since < 100)
                plane_turn(&plane, since, "100 ms");
        }
    }
    ck_assert_int_eq(bad.status, SLC_RPC_DEADLINE_EXCEEDED);
    ck_assert_ptr_nonnull(strstr(bad.message, "answer"));
}
END_TEST

START_TEST(node_that_says_nothing_is_cut)
{
    node_enrol(&plane, &bad);
    node_connect(&bad);
    WAIT_FOR(&plane, bad.ended);
    ck_assert_int_eq(bad.status, SLC_RPC_DEADLINE_EXCEEDED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config stream");
    TCase *tcase = tcase_create("patient"), *impatient = tcase_create("impatient"),
          *silent = tcase_create("silent");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, acknowledged_version_is_on_record);
    tcase_add_test(tcase, change_moves_the_chunks_that_changed_alone);
    tcase_add_test(tcase, held_version_is_not_sent_again);
    tcase_add_test(tcase, restart_of_the_control_plane_sends_nothing_again);
    tcase_add_test(tcase, nodes_are_told_how_many_they_are);
    tcase_add_test(tcase, only_the_latest_waits_behind_the_one_in_flight);
    tcase_add_test(tcase, refusal_is_on_record_and_not_offered_again);
    tcase_add_test(tcase, refusal_is_forgotten_when_a_retry_has_worked);
    tcase_add_test(tcase, newer_stream_of_a_node_replaces_the_older);
    tcase_add_test(tcase, revoked_node_is_cut_and_stays_out);
    tcase_add_test(tcase, deleted_node_is_cut_and_stays_out);
    tcase_add_test(tcase, stream_without_a_certificate_is_not_seen);
    suite_add_tcase(suite, tcase);
    tcase_add_checked_fixture(impatient, setup_impatient, teardown_impatient);
    tcase_set_timeout(impatient, 60);
    tcase_add_test(impatient, node_that_does_not_answer_a_push_is_cut);
    suite_add_tcase(suite, impatient);
    tcase_add_checked_fixture(silent, setup_without_heartbeats, teardown_impatient);
    tcase_set_timeout(silent, 60);
    tcase_add_test(silent, node_that_says_nothing_is_cut);
    suite_add_tcase(suite, silent);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
