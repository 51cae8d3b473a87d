/* Ends: servers that stop or vanish, channels that are closed, and the whole that is stopped in the middle. */
#include <arpa/inet.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

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

static void open_streams(struct peer *clients, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        clients[i].keep_reading = true;
        peer_call(&clients[i], rig.channel, "/test.Test/Stream", 0);
    }
    WAIT_FOR(&rig, rig.stream_count == count);
}

START_TEST(stop_cancels_what_is_open_after_the_grace)
{
    struct peer clients[5] = {0};
    open_streams(clients, 5);
    int64_t since = slc_monotonic_ms();
    rig_server_stop(&rig, 2000);
    peer_send(&clients[0], "0 within the grace");
    WAIT_FOR(&rig, rig.streams[0].received + rig.streams[4].received > 0);
    ck_assert(!rig.server_done);
    WAIT_FOR(&rig, rig.server_done);
    ck_assert_int_ge(slc_monotonic_ms() - since, 1990);
    for (size_t i = 0; i < 5; i++) {
        ck_assert(rig.streams[i].ended); /* before done */
        ck_assert_int_eq(rig.streams[i].status, SLC_RPC_CANCELLED);
        WAIT_FOR(&rig, clients[i].ended);
        ck_assert_int_eq(clients[i].status, SLC_RPC_UNAVAILABLE);
    }
}
END_TEST

/* Established connections, as the server's side sees them. */
static unsigned connections_to(uint16_t port)
{
    static const char *const tables[] = {"/proc/self/net/tcp", "/proc/self/net/tcp6"};
    unsigned count = 0;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        char line[300];
        unsigned local, state;
        FILE *table = fopen(tables[i], "r");
        ck_assert_ptr_nonnull(table);
        while (fgets(line, sizeof line, table) != NULL)
            if (sscanf(line, " %*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x", &local, &state) == 2)
                count += local == port && state == 1;
        fclose(table);
    }
    return count;
}

START_TEST(a_connection_without_a_call_is_closed_and_made_again)
{
    struct peer client = {.keep_reading = true};
    slc_rpc_channel_free(rig.channel);
    rig_server_stop(&rig, 0);
    WAIT_FOR(&rig, rig.server_done);
    rig.idle_ms = 200;
    rig_server(&rig, true);
    uint16_t port = slc_rpc_server_port(rig.server);
    rig.channel = rig_connect(&rig, port);
    peer_call(&client, rig.channel, "/test.Test/Stream", 0);
    WAIT_FOR(&rig, rig.stream_count == 1);
    int64_t since = slc_monotonic_ms();
    while (slc_monotonic_ms() - since < 500) /* longer than the limit */
        rig_turn(&rig, since, "time to pass");
    ck_assert(!client.ended);
    ck_assert_uint_eq(connections_to(port), 1);
    slc_rpc_call_finish(client.call, SLC_RPC_CANCELLED, NULL);
    WAIT_FOR(&rig, client.ended);
    WAIT_FOR(&rig, connections_to(port) == 0);
    ck_assert(rig_echo(&rig, rig.channel, "again"));
}
END_TEST

START_TEST(stop_is_done_when_the_streams_have_ended)
{
    struct peer clients[5] = {0};
    open_streams(clients, 5);
    rig_server_stop(&rig, 60000);
    for (size_t i = 0; i < 5; i++) {
        peer_send(&rig.streams[i], "0 goodbye");
        slc_rpc_call_finish(rig.streams[i].call, SLC_RPC_UNAVAILABLE, "shutting down");
    }
    WAIT_FOR(&rig, rig.server_done);
    for (size_t i = 0; i < 5; i++) {
        WAIT_FOR(&rig, clients[i].ended);
        ck_assert_str_eq(clients[i].last, "0 goodbye");
        ck_assert_str_eq(clients[i].message, "shutting down");
    }
}
END_TEST

START_TEST(stop_without_grace_is_immediate)
{
    struct peer clients[3] = {0};
    open_streams(clients, 3);
    rig_server_stop(&rig, 0);
    WAIT_FOR(&rig, rig.server_done);
    for (size_t i = 0; i < 3; i++) {
        WAIT_FOR(&rig, clients[i].ended);
        ck_assert_int_eq(clients[i].status, SLC_RPC_UNAVAILABLE);
    }
}
END_TEST

START_TEST(stop_of_an_idle_server)
{
    ck_assert(rig_echo(&rig, rig.channel, "leaves an idle connection"));
    rig_server_stop(&rig, 60000);
    WAIT_FOR(&rig, rig.server_done);
    ck_assert_int_eq(rig_echo_status(&rig, rig.channel), SLC_RPC_UNAVAILABLE);
}
END_TEST

/* A peer that neither speaks TLS nor goes away must not hold up the stop. */
START_TEST(stop_does_not_wait_for_a_silent_connection)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(slc_rpc_server_port(rig.server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert(rig_echo(&rig, rig.channel, "so the silent one was accepted"));
    int64_t since = slc_monotonic_ms();
    rig_server_stop(&rig, 100);
    WAIT_FOR(&rig, rig.server_done);
    ck_assert_int_lt(slc_monotonic_ms() - since, 15000);
    close(fd);
}
END_TEST

START_TEST(server_can_be_started_again_on_its_port)
{
    uint16_t port = slc_rpc_server_port(rig.server);
    struct peer client = {0};
    open_streams(&client, 1);
    rig_server_stop(&rig, 0);
    WAIT_FOR(&rig, rig.server_done && client.ended);
    char address[32];
    snprintf(address, sizeof(address), "127.0.0.1:%u", port);
    rig_server_at(&rig, address, true);
    ck_assert_uint_eq(slc_rpc_server_port(rig.server), port);
    /* The same channel finds it again, once its backoff has passed. */
    WAIT_FOR(&rig, rig_echo_status(&rig, rig.channel) == SLC_RPC_OK);
}
END_TEST

START_TEST(taken_port_is_an_error)
{
    char address[32];
    snprintf(address, sizeof(address), "127.0.0.1:%u", slc_rpc_server_port(rig.server));
    slc_error err = {.code = SLC_OK};
    ck_assert(!rig_try_server(&rig, address, &err));
    ck_assert_int_eq(err.code, SLC_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(err.message, address));
    ck_assert(!rig_try_server(&rig, "not an address", &err));
    ck_assert(rig_echo(&rig, rig.channel, "the first one is unharmed"));
}
END_TEST

START_TEST(nobody_listens)
{
    slc_rpc_channel *channel = rig_connect(&rig, 1);
    ck_assert_int_eq(rig_echo_status(&rig, channel), SLC_RPC_UNAVAILABLE);
    /* Fails at once while the channel waits to try again. */
    int64_t since = slc_monotonic_ms();
    ck_assert_int_eq(rig_echo_status(&rig, channel), SLC_RPC_UNAVAILABLE);
    ck_assert_int_lt(slc_monotonic_ms() - since, 15000);
    slc_rpc_channel_free(channel);
}
END_TEST

START_TEST(closed_channel_ends_its_calls)
{
    struct peer clients[3] = {0};
    open_streams(clients, 3);
    slc_rpc_channel_free(rig.channel);
    rig.channel = NULL;
    for (size_t i = 0; i < 3; i++) {
        WAIT_FOR(&rig, clients[i].ended && rig.streams[i].ended);
        ck_assert_int_eq(clients[i].status, SLC_RPC_CANCELLED);
        ck_assert_int_eq(rig.streams[i].status, SLC_RPC_CANCELLED);
    }
}
END_TEST

START_TEST(stop_of_all_waits_for_the_calls_of_closed_channels)
{
    static struct peer clients[3]; /* on_end comes from within slc_rpc_stop */
    memset(clients, 0, sizeof(clients));
    open_streams(clients, 3);
    slc_rpc_channel_free(rig.channel);
    rig.channel = NULL;
    rig_server_stop(&rig, 0);
    WAIT_FOR(&rig, rig.server_done);
    /* A call that will never connect, cancelled in the same breath. */
    slc_rpc_channel *channel = rig_connect(&rig, 1);
    struct peer lost = {.keep_reading = true};
    peer_call(&lost, channel, "/test.Test/Stream", 0);
    slc_rpc_channel_free(channel);
    slc_rpc_stop(rig.rpc);
    rig.rpc = NULL;
    ck_assert(lost.ended);
    for (size_t i = 0; i < 3; i++)
        ck_assert(clients[i].ended);
}
END_TEST

static void stop_everything(void *arg)
{
    (void)arg;
    rig.server_done = true;
    slc_rpc_channel_free(rig.channel);
    rig.channel = NULL;
    slc_rpc_stop(rig.rpc);
    rig.rpc = NULL;
}

START_TEST(everything_can_be_stopped_from_done)
{
    static struct peer clients[3];
    memset(clients, 0, sizeof(clients));
    open_streams(clients, 3);
    slc_rpc_server_stop(rig.server, 0, stop_everything, NULL);
    rig.server = NULL;
    WAIT_FOR(&rig, rig.server_done);
    for (size_t i = 0; i < 3; i++)
        ck_assert(clients[i].ended && rig.streams[i].ended);
}
END_TEST

START_TEST(start_and_stop_again_and_again)
{
    for (int i = 0; i < 10; i++) {
        struct rig other;
        rig_start(&other);
        rig_server(&other, false);
        other.channel = rig_connect(&other, slc_rpc_server_port(other.server));
        ck_assert(rig_echo(&other, other.channel, "once more"));
        rig_stop(&other);
    }
}
END_TEST

/* ---- a server in a process of its own ---- */

static struct {
    pid_t pid;
    int stop_fd; /* closing it ends the process */
    uint16_t port;
} child;

static void child_main(int port_fd, int stop_fd)
{
    rig_server(&rig, true);
    uint16_t port = slc_rpc_server_port(rig.server);
    if (write(port_fd, &port, sizeof(port)) != sizeof(port))
        _exit(1);
    char byte;
    while (recv(stop_fd, &byte, 1, MSG_DONTWAIT) != 0)
        rig_turn(&rig, slc_monotonic_ms(), "the parent's end");
    _exit(0);
}

/* Both processes share the CA, which is made before the fork; gRPC starts after it. */
static void setup_child(void)
{
    rig_prepare(&rig);
    int ports[2], stop[2];
    ck_assert_int_eq(pipe(ports), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, stop), 0);
    child.pid = fork();
    ck_assert_int_ge(child.pid, 0);
    if (child.pid == 0) {
        close(stop[0]);
        rig_start_rpc(&rig);
        child_main(ports[1], stop[1]);
    }
    close(ports[1]);
    close(stop[1]);
    child.stop_fd = stop[0];
    ck_assert_int_eq(read(ports[0], &child.port, sizeof(child.port)), sizeof(child.port));
    close(ports[0]);
    rig_start_rpc(&rig);
    rig.channel = rig_connect_pinging(&rig, child.port, 500, 500);
}

static void teardown_child(void)
{
    kill(child.pid, SIGKILL);
    waitpid(child.pid, NULL, 0);
    close(child.stop_fd);
    rig_stop(&rig);
}

START_TEST(killed_server_is_unavailable)
{
    struct peer client = {.keep_reading = true};
    peer_call(&client, rig.channel, "/test.Test/Stream", 0);
    ck_assert(rig_echo(&rig, rig.channel, "connected"));
    kill(child.pid, SIGKILL);
    WAIT_FOR(&rig, client.ended);
    ck_assert_int_eq(client.status, SLC_RPC_UNAVAILABLE);
    ck_assert_str_ne(client.message, "");
    ck_assert_int_eq(rig_echo_status(&rig, rig.channel), SLC_RPC_UNAVAILABLE);
}
END_TEST

/* Its kernel still answers, but nobody reads: only the pings can tell. */
START_TEST(frozen_server_is_unavailable)
{
    struct peer client = {.keep_reading = true};
    peer_call(&client, rig.channel, "/test.Test/Stream", 0);
    ck_assert(rig_echo(&rig, rig.channel, "connected"));
    kill(child.pid, SIGSTOP);
    WAIT_FOR(&rig, client.ended);
    ck_assert_int_eq(client.status, SLC_RPC_UNAVAILABLE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rpc_end");
    TCase *ends = tcase_create("ends");
    tcase_add_checked_fixture(ends, setup, teardown);
    tcase_set_timeout(ends, 60);
    tcase_add_test(ends, stop_cancels_what_is_open_after_the_grace);
    tcase_add_test(ends, a_connection_without_a_call_is_closed_and_made_again);
    tcase_add_test(ends, stop_is_done_when_the_streams_have_ended);
    tcase_add_test(ends, stop_without_grace_is_immediate);
    tcase_add_test(ends, stop_of_an_idle_server);
    tcase_add_test(ends, stop_does_not_wait_for_a_silent_connection);
    tcase_add_test(ends, server_can_be_started_again_on_its_port);
    tcase_add_test(ends, taken_port_is_an_error);
    tcase_add_test(ends, nobody_listens);
    tcase_add_test(ends, closed_channel_ends_its_calls);
    tcase_add_test(ends, stop_of_all_waits_for_the_calls_of_closed_channels);
    tcase_add_test(ends, everything_can_be_stopped_from_done);
    tcase_add_test(ends, start_and_stop_again_and_again);
    suite_add_tcase(suite, ends);
    TCase *processes = tcase_create("processes");
    tcase_add_checked_fixture(processes, setup_child, teardown_child);
    tcase_set_timeout(processes, 60);
    tcase_add_test(processes, killed_server_is_unavailable);
    tcase_add_test(processes, frozen_server_is_unavailable);
    suite_add_tcase(suite, processes);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
