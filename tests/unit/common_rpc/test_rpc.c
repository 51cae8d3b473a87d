/* Calls: messages both ways, back-pressure, ends that the two sides choose. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "rig.h"

static struct rig rig;

static void setup(void)
{
    rig_start(&rig);
    rig_server(&rig, true);
    rig.channel = rig_connect(&rig, slc_rpc_server_port(rig.server));
}

static void teardown(void)
{
    rig_stop(&rig);
}

START_TEST(unary_call_is_echoed)
{
    ck_assert(rig_echo(&rig, rig.channel, "hello"));
    ck_assert_str_eq(rig.unary.last, "hello");
    WAIT_FOR(&rig, rig.unary.ended);
    ck_assert_int_eq(rig.unary.status, SLC_RPC_OK);
}
END_TEST

START_TEST(empty_message_is_a_message)
{
    ck_assert(rig_echo(&rig, rig.channel, ""));
    ck_assert_uint_eq(rig.unary.received, 1);
    ck_assert_uint_eq(rig.unary.received_bytes, 0);
}
END_TEST

START_TEST(large_message_arrives_in_one_piece)
{
    size_t len = 3 << 20;
    char *text = slc_malloc(len + 1);
    memset(text, 'x', len);
    text[len] = '\0';
    struct peer client = {.keep_reading = true};
    peer_call(&client, rig.channel, "/test.Test/Echo", 30000);
    peer_send(&client, text);
    WAIT_FOR(&rig, client.ended);
    ck_assert_int_eq(client.status, SLC_RPC_OK);
    ck_assert_uint_eq(client.received_bytes, len);
    ck_assert_uint_eq(rig.unary.received_bytes, len);
    free(text);
}
END_TEST

START_TEST(client_knows_the_server_after_the_first_message)
{
    struct peer client = {.keep_reading = false};
    peer_call(&client, rig.channel, "/test.Test/Stream", 0);
    ck_assert_str_eq(slc_rpc_call_peer_address(client.call), "");
    slc_rpc_call_read(client.call);
    WAIT_FOR(&rig, rig.stream_count == 1);
    peer_send(&rig.streams[0], "0 hello");
    WAIT_FOR(&rig, client.received == 1);
    ck_assert_ptr_nonnull(strstr(slc_rpc_call_peer_address(client.call), "127.0.0.1"));
    ck_assert_ptr_nonnull(slc_rpc_call_peer_pem(client.call));
    ck_assert_ptr_null(
        slc_rpc_call_peer_spiffe(client.call)); /* the server's certificate has a DNS name only */
    slc_rpc_call_finish(client.call, SLC_RPC_CANCELLED, NULL);
    WAIT_FOR(&rig, client.ended && rig.streams[0].ended);
}
END_TEST

#define MANY      10000
#define PAD_BYTES 1024

/* Far more than the windows hold: the sender must stall while the receiver doesn't read. */
static void assert_stalls(struct peer *sender, struct peer *receiver)
{
    for (int i = 0; i < 50; i++)
        ck_assert(rig_echo(&rig, rig.channel, "time passes"));
    ck_assert_uint_lt(sender->sent, MANY);
    ck_assert_uint_eq(receiver->received, 0);
    receiver->keep_reading = true;
    slc_rpc_call_read(receiver->call);
    WAIT_FOR(&rig, receiver->received == MANY);
    ck_assert(!receiver->out_of_order);
    WAIT_FOR(&rig, sender->sent == MANY);
}

START_TEST(stream_is_ordered_and_waits_for_its_reader)
{
    rig.streams_read = false;
    struct peer client = {.keep_reading = false};
    peer_call(&client, rig.channel, "/test.Test/Stream", 0);
    WAIT_FOR(&rig, rig.stream_count == 1);
    struct peer *server = &rig.streams[0];
    peer_send_numbered(&client, MANY, PAD_BYTES);
    peer_send_numbered(server, MANY, PAD_BYTES);
    assert_stalls(&client, server);
    assert_stalls(server, &client);
    slc_rpc_call_finish(client.call, SLC_RPC_OK, NULL);
    WAIT_FOR(&rig, server->half_closed);
    slc_rpc_call_finish(server->call, SLC_RPC_OK, "bye");
    WAIT_FOR(&rig, client.ended && server->ended);
    ck_assert_int_eq(client.status, SLC_RPC_OK);
    ck_assert_str_eq(client.message, "bye");
    ck_assert_int_eq(server->status, SLC_RPC_OK);
}
END_TEST

#define FAN_OUT 50

START_TEST(bytes_are_shared_by_many_streams)
{
    struct peer clients[FAN_OUT] = {0};
    for (size_t i = 0; i < FAN_OUT; i++) {
        clients[i].keep_reading = true;
        peer_call(&clients[i], rig.channel, "/test.Test/Stream", 0);
    }
    WAIT_FOR(&rig, rig.stream_count == FAN_OUT);
    size_t len = 100000;
    uint8_t *data = slc_calloc(1, len);
    memcpy(data, "0 shared", 8);
    slc_rpc_bytes *bytes = slc_rpc_bytes_new(data, len);
    free(data);
    for (size_t i = 0; i < FAN_OUT; i++)
        ck_assert(slc_rpc_call_send(rig.streams[i].call, bytes));
    slc_rpc_bytes_unref(bytes);
    for (size_t i = 0; i < FAN_OUT; i++)
        WAIT_FOR(&rig, clients[i].received == 1);
    for (size_t i = 0; i < FAN_OUT; i++) {
        ck_assert_uint_eq(clients[i].received_bytes, len);
        ck_assert(!clients[i].out_of_order);
        slc_rpc_call_finish(rig.streams[i].call, SLC_RPC_OK, NULL);
    }
    for (size_t i = 0; i < FAN_OUT; i++)
        WAIT_FOR(&rig, clients[i].ended && rig.streams[i].ended);
}
END_TEST

static void count_done(void *arg)
{
    atomic_fetch_add((atomic_uint *)arg, 1);
}

START_TEST(a_borrowed_body_is_let_go_after_the_last_stream)
{
    static char body[] = "and a body";
    static atomic_uint done;
    struct peer clients[3] = {0};
    atomic_store(&done, 0);
    for (size_t i = 0; i < 3; i++) {
        clients[i].keep_reading = true;
        peer_call(&clients[i], rig.channel, "/test.Test/Stream", 0);
    }
    WAIT_FOR(&rig, rig.stream_count == 3);
    slc_rpc_bytes *bytes = slc_rpc_bytes_wrap("0 a head ", 9, body, strlen(body), count_done, (void *)&done);
    for (size_t i = 0; i < 3; i++)
        ck_assert(slc_rpc_call_send(rig.streams[i].call, bytes));
    ck_assert_uint_eq(atomic_load(&done), 0);
    slc_rpc_bytes_unref(bytes);
    for (size_t i = 0; i < 3; i++) {
        WAIT_FOR(&rig, clients[i].received == 1);
        ck_assert_str_eq(clients[i].last, "0 a head and a body");
        slc_rpc_call_finish(rig.streams[i].call, SLC_RPC_OK, NULL);
    }
    for (size_t i = 0; i < 3; i++)
        WAIT_FOR(&rig, clients[i].ended && rig.streams[i].ended);
    WAIT_FOR(&rig, atomic_load(&done) == 1);
}
END_TEST

START_TEST(message_in_flight_is_sent_before_the_status)
{
    struct peer client = {.keep_reading = true};
    peer_call(&client, rig.channel, "/test.Test/Stream", 0);
    WAIT_FOR(&rig, rig.stream_count == 1);
    peer_send(&rig.streams[0], "0 last words");
    slc_rpc_call_finish(rig.streams[0].call, SLC_RPC_ABORTED, "that was it");
    ck_assert(!slc_rpc_call_can_send(rig.streams[0].call));
    WAIT_FOR(&rig, client.ended && rig.streams[0].ended);
    ck_assert_str_eq(client.last, "0 last words");
    ck_assert_int_eq(client.status, SLC_RPC_ABORTED);
    ck_assert_str_eq(client.message, "that was it");
    ck_assert_int_eq(rig.streams[0].status, SLC_RPC_ABORTED);
}
END_TEST

START_TEST(status_waits_for_unread_messages)
{
    struct peer client = {.keep_reading = false};
    peer_call(&client, rig.channel, "/test.Test/Stream", 0);
    WAIT_FOR(&rig, rig.stream_count == 1);
    peer_send(&rig.streams[0], "0 read me");
    slc_rpc_call_finish(rig.streams[0].call, SLC_RPC_OK, NULL);
    WAIT_FOR(&rig, rig.streams[0].ended);
    ck_assert(rig_echo(&rig, rig.channel, "time passes"));
    ck_assert(!client.ended);
    slc_rpc_call_read(client.call);
    WAIT_FOR(&rig, client.ended);
    ck_assert_str_eq(client.last, "0 read me");
    ck_assert_int_eq(client.status, SLC_RPC_OK);
}
END_TEST

START_TEST(status_carries_a_message)
{
    struct peer client = {.keep_reading = true};
    peer_call(&client, rig.channel, "/test.Test/Deny", 30000);
    peer_send(&client, "may I?");
    WAIT_FOR(&rig, client.ended);
    ck_assert_int_eq(client.status, SLC_RPC_PERMISSION_DENIED);
    ck_assert_str_eq(client.message, "100% nicht f\303\274r dich");
    ck_assert_uint_eq(client.received, 0);
}
END_TEST

START_TEST(unknown_method_is_unimplemented)
{
    struct peer client = {.keep_reading = true};
    peer_call(&client, rig.channel, "/test.Test/Nothing", 30000);
    peer_send(&client, "hello?");
    WAIT_FOR(&rig, client.ended);
    ck_assert_int_eq(client.status, SLC_RPC_UNIMPLEMENTED);
    ck_assert(rig_echo(&rig, rig.channel, "and on it goes"));
}
END_TEST

START_TEST(half_close_ends_a_call_by_default)
{
    struct peer client = {.keep_reading = true};
    peer_call(&client, rig.channel, "/test.Test/Default", 30000);
    peer_send(&client, "something");
    slc_rpc_call_finish(client.call, SLC_RPC_OK, NULL);
    WAIT_FOR(&rig, client.ended);
    ck_assert_int_eq(client.status, SLC_RPC_OK);
    ck_assert_uint_eq(rig.unary.received, 1);
}
END_TEST

START_TEST(half_close_without_a_message_is_invalid)
{
    struct peer client = {.keep_reading = true};
    peer_call(&client, rig.channel, "/test.Test/Default", 30000);
    slc_rpc_call_finish(client.call, SLC_RPC_OK, NULL);
    WAIT_FOR(&rig, client.ended);
    ck_assert_int_eq(client.status, SLC_RPC_INVALID_ARGUMENT);
}
END_TEST

START_TEST(deadline_ends_a_call)
{
    struct peer client = {.keep_reading = true};
    peer_call(&client, rig.channel, "/test.Test/Stream", 200);
    WAIT_FOR(&rig, client.ended);
    ck_assert_int_eq(client.status, SLC_RPC_DEADLINE_EXCEEDED);
    /* The server saw it, or it never got that far. */
    WAIT_FOR(&rig, rig.stream_count == 0 || rig.streams[0].ended);
    if (rig.stream_count > 0)
        ck_assert_int_eq(rig.streams[0].status, SLC_RPC_CANCELLED);
}
END_TEST

START_TEST(cancel_reaches_the_server)
{
    struct peer client = {.keep_reading = true};
    peer_call(&client, rig.channel, "/test.Test/Stream", 0);
    WAIT_FOR(&rig, rig.stream_count == 1);
    slc_rpc_call_finish(client.call, SLC_RPC_CANCELLED, "changed my mind");
    slc_rpc_call_finish(client.call, SLC_RPC_ABORTED, "ignored");
    WAIT_FOR(&rig, client.ended && rig.streams[0].ended);
    ck_assert_int_eq(client.status, SLC_RPC_CANCELLED);
    ck_assert_str_eq(client.message, "changed my mind");
    ck_assert_int_eq(rig.streams[0].status, SLC_RPC_CANCELLED);
    ck_assert(!rig.streams[0].half_closed);
}
END_TEST

/* The server is not reading and has a message under way that nobody takes: it must hear of the cancel all the
 * same. */
START_TEST(cancel_reaches_a_server_that_is_busy_sending)
{
    rig.streams_read = false;
    struct peer client = {.keep_reading = false};
    peer_call(&client, rig.channel, "/test.Test/Stream", 0);
    WAIT_FOR(&rig, rig.stream_count == 1);
    peer_send_numbered(&rig.streams[0], 1, 7 << 20); /* no window is that large */
    slc_rpc_call_finish(rig.streams[0].call, SLC_RPC_OK, "waits for the message in flight");
    ck_assert(rig_echo(&rig, rig.channel, "time passes"));
    slc_rpc_call_finish(client.call, SLC_RPC_CANCELLED, "enough");
    WAIT_FOR(&rig, client.ended && rig.streams[0].ended);
    ck_assert_int_eq(rig.streams[0].status, SLC_RPC_CANCELLED);
}
END_TEST

START_TEST(cancel_after_a_half_close)
{
    struct peer client = {.keep_reading = true};
    peer_call(&client, rig.channel, "/test.Test/Stream", 0);
    slc_rpc_call_finish(client.call, SLC_RPC_OK, NULL);
    WAIT_FOR(&rig, rig.stream_count == 1 && rig.streams[0].half_closed);
    slc_rpc_call_finish(client.call, SLC_RPC_CANCELLED, "too slow");
    WAIT_FOR(&rig, client.ended && rig.streams[0].ended);
    ck_assert_int_eq(client.status, SLC_RPC_CANCELLED);
    ck_assert_int_eq(rig.streams[0].status, SLC_RPC_CANCELLED);
}
END_TEST

START_TEST(message_over_the_servers_limit_ends_its_call_only)
{
    struct peer other = {.keep_reading = true};
    peer_call(&other, rig.channel, "/test.Test/Stream", 0);
    WAIT_FOR(&rig, rig.stream_count == 1);
    struct peer client = {.keep_reading = true};
    peer_call(&client, rig.channel, "/test.Test/Stream", 0);
    WAIT_FOR(&rig, rig.stream_count == 2);
    peer_send_numbered(&client, 1, (8 << 20) + 1);
    WAIT_FOR(&rig, client.ended && rig.streams[1].ended);
    ck_assert_int_eq(client.status, SLC_RPC_RESOURCE_EXHAUSTED);
    ck_assert_int_eq(rig.streams[1].status, SLC_RPC_RESOURCE_EXHAUSTED);
    ck_assert_uint_eq(rig.streams[1].received, 0);
    ck_assert(!other.ended);
    peer_send(&other, "0 still here");
    WAIT_FOR(&rig, rig.streams[0].received == 1);
    slc_rpc_call_finish(other.call, SLC_RPC_CANCELLED, NULL);
    WAIT_FOR(&rig, other.ended && rig.streams[0].ended);
}
END_TEST

START_TEST(message_over_the_clients_limit_ends_its_call)
{
    struct peer client = {.keep_reading = true};
    peer_call(&client, rig.channel, "/test.Test/Stream", 0);
    WAIT_FOR(&rig, rig.stream_count == 1);
    peer_send_numbered(&rig.streams[0], 1, (8 << 20) + 1);
    WAIT_FOR(&rig, client.ended && rig.streams[0].ended);
    ck_assert_int_eq(client.status, SLC_RPC_RESOURCE_EXHAUSTED);
    ck_assert_int_eq(rig.streams[0].status, SLC_RPC_CANCELLED);
}
END_TEST

START_TEST(more_calls_than_requests_outstanding)
{
    enum { CALLS = 300 };
    static struct peer clients[CALLS];
    memset(clients, 0, sizeof(clients));
    for (size_t i = 0; i < CALLS; i++) {
        clients[i].keep_reading = true;
        peer_call(&clients[i], rig.channel, "/test.Test/Deny", 30000);
    }
    for (size_t i = 0; i < CALLS; i++) {
        WAIT_FOR(&rig, clients[i].ended);
        ck_assert_int_eq(clients[i].status, SLC_RPC_PERMISSION_DENIED);
    }
}
END_TEST

/* Only a floor: a client that pings a quiet stream as often as it may must not be sent away. */
START_TEST(pings_on_a_quiet_stream_are_tolerated)
{
    slc_rpc_channel *channel = rig_connect_pinging(&rig, slc_rpc_server_port(rig.server), 100, 5000);
    struct peer client = {.keep_reading = true};
    peer_call(&client, channel, "/test.Test/Stream", 0);
    WAIT_FOR(&rig, rig.stream_count == 1);
    int64_t since = slc_monotonic_ms();
    WAIT_FOR(&rig, slc_monotonic_ms() - since > 1500);
    ck_assert(!client.ended);
    slc_rpc_call_finish(client.call, SLC_RPC_CANCELLED, NULL);
    WAIT_FOR(&rig, client.ended && rig.streams[0].ended);
    slc_rpc_channel_free(channel);
}
END_TEST

START_TEST(status_codes_map_both_ways)
{
    const enum slc_code lossless[] = {SLC_OK,      SLC_INVALID,     SLC_NOT_FOUND, SLC_CONFLICT,
                                      SLC_STALE,   SLC_DENIED,      SLC_LIMIT,     SLC_UNSUPPORTED,
                                      SLC_TIMEOUT, SLC_UNAVAILABLE, SLC_INTERNAL,  SLC_UNAUTHENTICATED};
    for (size_t i = 0; i < sizeof(lossless) / sizeof(lossless[0]); i++)
        ck_assert_int_eq(slc_rpc_status_code(slc_code_rpc_status(lossless[i])), lossless[i]);
    for (int code = SLC_OK + 1; code <= SLC_INTERNAL; code++)
        ck_assert_int_ne(slc_code_rpc_status((enum slc_code)code), SLC_RPC_OK);
    for (int status = 1; status < 40; status++)
        ck_assert_int_ne(slc_rpc_status_code((enum slc_rpc_status)status), SLC_OK);
    ck_assert_int_eq(slc_rpc_status_code((enum slc_rpc_status)(-1)), SLC_INTERNAL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rpc");
    TCase *calls = tcase_create("calls");
    tcase_add_checked_fixture(calls, setup, teardown);
    tcase_set_timeout(calls, 60);
    tcase_add_test(calls, unary_call_is_echoed);
    tcase_add_test(calls, empty_message_is_a_message);
    tcase_add_test(calls, large_message_arrives_in_one_piece);
    tcase_add_test(calls, client_knows_the_server_after_the_first_message);
    tcase_add_test(calls, stream_is_ordered_and_waits_for_its_reader);
    tcase_add_test(calls, bytes_are_shared_by_many_streams);
    tcase_add_test(calls, a_borrowed_body_is_let_go_after_the_last_stream);
    tcase_add_test(calls, message_in_flight_is_sent_before_the_status);
    tcase_add_test(calls, status_waits_for_unread_messages);
    tcase_add_test(calls, status_carries_a_message);
    tcase_add_test(calls, unknown_method_is_unimplemented);
    tcase_add_test(calls, half_close_ends_a_call_by_default);
    tcase_add_test(calls, half_close_without_a_message_is_invalid);
    tcase_add_test(calls, deadline_ends_a_call);
    tcase_add_test(calls, cancel_reaches_the_server);
    tcase_add_test(calls, cancel_reaches_a_server_that_is_busy_sending);
    tcase_add_test(calls, cancel_after_a_half_close);
    tcase_add_test(calls, message_over_the_servers_limit_ends_its_call_only);
    tcase_add_test(calls, message_over_the_clients_limit_ends_its_call);
    tcase_add_test(calls, more_calls_than_requests_outstanding);
    tcase_add_test(calls, pings_on_a_quiet_stream_are_tolerated);
    suite_add_tcase(suite, calls);
    TCase *codes = tcase_create("codes");
    tcase_set_timeout(codes, 60);
    tcase_add_test(codes, status_codes_map_both_ways);
    suite_add_tcase(suite, codes);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
