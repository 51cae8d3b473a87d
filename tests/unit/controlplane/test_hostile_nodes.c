/* Nodes that break the rules of Config.Stream, and questions to nodes: whoever lies is cut, the others do not
 * notice. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "plane.h"

#define QUESTION_MS 4000

static struct plane plane;
static struct node good, bad;

static void setup(void)
{
    memset(&plane, 0, sizeof plane);
    plane.options.answer_timeout_ms = 60000;
    plane.options.question_timeout_ms = QUESTION_MS;
    plane_start(&plane);
    node_settle(&plane, &good);
}

static void teardown(void)
{
    node_free(&good);
    if (bad.plane != NULL)
        node_free(&bad);
    plane_stop(&plane);
}

/* ---- questions ---- */

struct asked {
    bool done;
    enum slc_code code;
    size_t count;
    int64_t total;
    bool truncated;
};

static void on_answer(void *arg, json_t *answer, const slc_error *err)
{
    struct asked *asked = arg;
    asked->code = answer != NULL ? SLC_OK : err->code;
    asked->count = json_array_size(json_object_get(answer, "connections"));
    asked->total = json_integer_value(json_object_get(answer, "total"));
    asked->truncated = json_is_true(json_object_get(answer, "truncated"));
    asked->done = true;
}

static void ask(const struct node *node, struct asked *asked)
{
    *asked = (struct asked){0};
    slc_control_grpc_connections(plane.grpc, node->identity.node_id, plane.loop, on_answer, asked);
}

START_TEST(those_who_ask_at_once_share_the_answer)
{
    static struct asked asked[70];
    unsigned limited = 0;

    for (unsigned i = 0; i < 70; i++)
        ask(&good, &asked[i]);
    WAIT_FOR(&plane, good.questions == 1 && asked[69].done);
    node_connections(&good, good.question, 200, false);
    node_connections(&good, good.question, 3, true);
    for (unsigned i = 0; i < 70; i++) {
        WAIT_FOR(&plane, asked[i].done);
        limited += asked[i].code == SLC_LIMIT;
        if (asked[i].code == SLC_OK) {
            ck_assert_uint_eq(asked[i].count, 203);
            ck_assert_int_eq(asked[i].total, 7000);
            ck_assert(asked[i].truncated);
        }
    }
    ck_assert_uint_eq(limited, 6);
    ck_assert_uint_eq(good.questions, 1);
    ask(&good, &asked[0]);
    WAIT_FOR(&plane, good.questions == 2);
    node_connections(&good, good.question, 0, true);
    WAIT_FOR(&plane, asked[0].done);
    ck_assert_int_eq(asked[0].code, SLC_OK);
}
END_TEST

START_TEST(a_late_answer_serves_those_who_still_wait)
{
    struct asked first, second;

    ask(&good, &first);
    WAIT_FOR(&plane, first.done); /* in vain: QUESTION_MS */
    ck_assert_int_eq(first.code, SLC_TIMEOUT);
    ask(&good, &second);
    node_connections(&good, good.question, 1, true);
    WAIT_FOR(&plane, second.done);
    ck_assert_int_eq(second.code, SLC_OK);
    ck_assert_uint_eq(good.questions, 1);
}
END_TEST

START_TEST(a_node_that_goes_fails_its_questions)
{
    struct asked asked;

    ask(&good, &asked);
    WAIT_FOR(&plane, good.questions == 1);
    node_disconnect(&good);
    WAIT_FOR(&plane, asked.done);
    ck_assert_int_eq(asked.code, SLC_CONFLICT);
    ask(&good, &asked);
    WAIT_FOR(&plane, asked.done);
    ck_assert_int_eq(asked.code, SLC_CONFLICT);
}
END_TEST

/* ---- hostile nodes ---- */

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

START_TEST(foreign_digest_is_cut)
{
    uint8_t unknown[32] = {7};
    ProtobufCBinaryData digest = {32, unknown};

    pushed();
    node_request(&bad, bad.nonce, &digest, 1);
    expect_cut(SLC_RPC_INVALID_ARGUMENT);
}
END_TEST

START_TEST(short_digest_is_cut)
{
    ProtobufCBinaryData digest = {31, bad.digest};

    pushed();
    node_request(&bad, bad.nonce, &digest, 1);
    expect_cut(SLC_RPC_INVALID_ARGUMENT);
}
END_TEST

START_TEST(too_many_digests_are_cut)
{
    ProtobufCBinaryData *digests = slc_calloc(1025, sizeof *digests);

    pushed();
    for (unsigned i = 0; i < 1025; i++)
        digests[i] = bad.manifest->chunks[0]->sha256;
    node_request(&bad, bad.nonce, digests, 1025);
    free(digests);
    expect_cut(SLC_RPC_INVALID_ARGUMENT);
}
END_TEST

START_TEST(chunk_asked_for_again_and_again_is_cut)
{
    pushed();
    for (unsigned i = 0; i < 3; i++)
        node_request(&bad, bad.nonce, &bad.manifest->chunks[0]->sha256, 1);
    expect_cut(SLC_RPC_RESOURCE_EXHAUSTED);
}
END_TEST

START_TEST(made_up_nonce_is_cut)
{
    pushed();
    node_ack(&bad, "made up");
    expect_cut(SLC_RPC_FAILED_PRECONDITION);
}
END_TEST

START_TEST(replayed_acknowledgement_is_cut)
{
    pushed();
    node_ack(&bad, bad.nonce);
    WAIT_FOR(&plane, node_applied(&bad, bad.manifest->version));
    node_ack(&bad, bad.nonce);
    expect_cut(SLC_RPC_FAILED_PRECONDITION);
}
END_TEST

START_TEST(second_hello_is_cut)
{
    pushed();
    node_hello(&bad, NULL);
    expect_cut(SLC_RPC_FAILED_PRECONDITION);
}
END_TEST

START_TEST(anything_before_hello_is_cut)
{
    node_enrol(&plane, &bad);
    node_connect(&bad);
    node_status(&bad);
    expect_cut(SLC_RPC_FAILED_PRECONDITION);
}
END_TEST

START_TEST(garbage_is_cut)
{
    pushed();
    node_send_bytes(&bad, "\xff\xff\xff\xff", 4);
    expect_cut(SLC_RPC_INVALID_ARGUMENT);
}
END_TEST

START_TEST(oversized_message_is_cut)
{
    size_t len = 4 << 20;
    uint8_t *data = slc_calloc(1, len);

    pushed();
    node_send_bytes(&bad, data, len);
    free(data);
    expect_cut(SLC_RPC_RESOURCE_EXHAUSTED);
}
END_TEST

START_TEST(flood_is_cut)
{
    pushed();
    for (unsigned i = 0; i < 1000; i++)
        node_status(&bad);
    expect_cut(SLC_RPC_RESOURCE_EXHAUSTED);
}
END_TEST

START_TEST(answer_that_nobody_asked_for_is_cut)
{
    pushed();
    node_connections(&bad, "made up", 1, true);
    expect_cut(SLC_RPC_FAILED_PRECONDITION);
}
END_TEST

START_TEST(answer_without_end_is_cut)
{
    struct asked asked;

    pushed();
    ask(&bad, &asked);
    WAIT_FOR(&plane, bad.questions == 1);
    for (unsigned i = 0; i < 20; i++)
        node_connections(&bad, bad.question, 0, false);
    expect_cut(SLC_RPC_INVALID_ARGUMENT);
    WAIT_FOR(&plane, asked.done);
    ck_assert_int_eq(asked.code, SLC_CONFLICT);
}
END_TEST

START_TEST(answer_with_more_than_was_asked_for_is_cut)
{
    struct asked asked;

    pushed();
    ask(&bad, &asked);
    WAIT_FOR(&plane, bad.questions == 1);
    for (unsigned i = 0; i < 6; i++)
        node_connections(&bad, bad.question, 200, false);
    expect_cut(SLC_RPC_INVALID_ARGUMENT);
    WAIT_FOR(&plane, asked.done);
}
END_TEST

START_TEST(retry_with_a_digest_that_is_none_is_cut)
{
    Sluice__Config__V1__Retried body = SLUICE__CONFIG__V1__RETRIED__INIT;
    Sluice__Config__V1__FromNode message = SLUICE__CONFIG__V1__FROM_NODE__INIT;

    pushed();
    message.message_case = SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_RETRIED;
    message.retried = &body;
    node_send(&bad, &message);
    expect_cut(SLC_RPC_INVALID_ARGUMENT);
}
END_TEST

/* A few bytes that would decode to very many. */
START_TEST(message_that_unfolds_is_cut)
{
    size_t len = 200 * 1024;
    uint8_t *data = slc_malloc(len);

    pushed();
    data[0] = 0x32; /* Connections */
    data[1] = (uint8_t)((len - 4) & 0x7f) | 0x80;
    data[2] = (uint8_t)(((len - 4) >> 7) & 0x7f) | 0x80;
    data[3] = (uint8_t)((len - 4) >> 14);
    for (size_t i = 4; i < len; i += 2) { /* empty ones */
        data[i] = 0x1a;
        data[i + 1] = 0;
    }
    node_send_bytes(&bad, data, len);
    free(data);
    expect_cut(SLC_RPC_INVALID_ARGUMENT);
}
END_TEST

/* It costs a look into the catalog each time. */
START_TEST(node_that_opens_streams_all_the_time_waits)
{
    unsigned refused = 0;

    node_enrol(&plane, &bad);
    for (unsigned i = 0; i < 40; i++) {
        node_connect(&bad);
        node_hello(&bad, NULL);
        WAIT_FOR(&plane, bad.ended || bad.welcomes == 1);
        refused += bad.ended && bad.status == SLC_RPC_RESOURCE_EXHAUSTED;
        node_disconnect(&bad);
    }
    ck_assert_uint_gt(refused, 0);
    /* Not for ever, and nobody else does. */
    node_disconnect(&good);
    node_connect(&good);
    node_hello(&good, good.digest);
    WAIT_FOR(&plane, good.welcomes == 1);
    do {
        node_connect(&bad);
        node_hello(&bad, NULL);
        WAIT_FOR(&plane, bad.ended || bad.welcomes == 1);
        if (bad.ended)
            node_disconnect(&bad);
    } while (bad.call == NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hostile nodes");
    TCase *tcase = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, those_who_ask_at_once_share_the_answer);
    tcase_add_test(tcase, a_late_answer_serves_those_who_still_wait);
    tcase_add_test(tcase, a_node_that_goes_fails_its_questions);
    tcase_add_test(tcase, foreign_digest_is_cut);
    tcase_add_test(tcase, short_digest_is_cut);
    tcase_add_test(tcase, too_many_digests_are_cut);
    tcase_add_test(tcase, chunk_asked_for_again_and_again_is_cut);
    tcase_add_test(tcase, made_up_nonce_is_cut);
    tcase_add_test(tcase, replayed_acknowledgement_is_cut);
    tcase_add_test(tcase, second_hello_is_cut);
    tcase_add_test(tcase, anything_before_hello_is_cut);
    tcase_add_test(tcase, garbage_is_cut);
    tcase_add_test(tcase, oversized_message_is_cut);
    tcase_add_test(tcase, flood_is_cut);
    tcase_add_test(tcase, answer_that_nobody_asked_for_is_cut);
    tcase_add_test(tcase, answer_without_end_is_cut);
    tcase_add_test(tcase, answer_with_more_than_was_asked_for_is_cut);
    tcase_add_test(tcase, retry_with_a_digest_that_is_none_is_cut);
    tcase_add_test(tcase, message_that_unfolds_is_cut);
    tcase_add_test(tcase, node_that_opens_streams_all_the_time_waits);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
