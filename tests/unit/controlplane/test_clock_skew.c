/* A control plane and a real node whose clocks differ: the control plane's certificates are made by a clock
 * that is off, everything else goes by the machine's, so the node sees what it would if its own clock were off.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../dataplane/config/folder.h"
#include "common/alloc.h"
#include "common/metrics.h"
#include "controlplane/ca/ca.h"
#include "dataplane/config/client.h"
#include "dataplane/config/keys.h"
#include "plane.h"

#define MINUTE_MS 60000LL

static struct plane plane;
static struct folder folder;
static slc_config_client *client;
static int64_t ahead_ms; /* of the control plane's clock */

static int64_t shifted_clock(void)
{
    return slc_wall_ms() + ahead_ms;
}

static bool apply(void *arg, slc_snapshot *snapshot, slc_error *err)
{
    (void)arg, (void)snapshot;
    return slc_fail(err, SLC_UNSUPPORTED, NULL, "this node serves nothing");
}

static void nothing_stale(void *arg, bool stale)
{
    (void)arg, (void)stale;
}

static void no_status(void *arg, slc_config_status *out)
{
    (void)arg, (void)out;
}

static void start_plane(int64_t minutes)
{
    ahead_ms = minutes * MINUTE_MS;
    memset(&plane, 0, sizeof plane);
    plane.options.clock = shifted_clock;
    plane.options.certificate_ms =
        20 * MINUTE_MS; /* the shortest that is allowed for clocks ten minutes apart */
    plane.options.renewal_window_ms = 0;
    plane.options.clock_skew_ms = 10 * MINUTE_MS;
    plane_start(&plane);
}

static void start_client(void)
{
    slc_config_gateway gateway = {.apply = apply, .stale = nothing_stale, .status = no_status};
    char *join = plane_join(&plane, "{'group':'dev'}");
    slc_config_client_options options = {.state_dir = folder.path,
                                         .join = join,
                                         .build = "test",
                                         .reconnect_min_ms = 20,
                                         .reconnect_max_ms = 200,
                                         .retry_enrol_ms = 50};
    slc_error err;

    client = slc_config_client_new(&options, &gateway, &err);
    ck_assert_msg(client != NULL, "%s", err.message);
    free(join);
}

static void setup(void)
{
    folder_make(&folder);
    slc_config_client_register_metrics();
}

static void teardown(void)
{
    slc_config_client_free(client);
    plane_stop(&plane);
    folder_remove(&folder);
}

static bool rotate(slc_txn *txn, void *arg, slc_error *err)
{
    (void)arg;
    return slc_ca_rotate(slc_control_grpc_ca(plane.grpc), txn, err);
}

static bool is_of_active_authority(void)
{
    return strcmp(t_sql("SELECT count(*) FROM gateway_nodes AS n JOIN node_ca AS c ON c.id = "
                        "n.certificate_authority "
                        "WHERE c.state = 'active'"),
                  "1") == 0;
}

static const int minutes_that_work[] = {-9, 0, 9};

START_TEST(nine_minutes_are_no_hindrance)
{
    slc_error err;

    start_plane(minutes_that_work[_i]);
    start_client();
    WAIT_FOR(&plane, slc_config_client_connected(client));
    ck_assert(is_of_active_authority());
    ck_assert_int_le(llabs(slc_series_value(slc_metrics_series("sluice_clock_ahead_seconds", NULL)) +
                           minutes_that_work[_i] * 60),
                     60); /* the way to the node may take long */
    ck_assert_msg(t_write(rotate, NULL, &err), "%s", err.message);
    WAIT_FOR(&plane, is_of_active_authority()); /* it has renewed */
    ck_assert(slc_config_client_connected(client));
}
END_TEST

/* What the node is told when it asks; the raw node says that its clock is off by `minutes`. */
static void refused_enrolment(int minutes, const char *expected)
{
    char *token = plane_token(&plane, "{'group':'dev','uses':2}"), *key = slc_key_generate();
    struct answer answer;

    plane.node_clock_off_ms = minutes * MINUTE_MS;
    plane_enrol(&plane, token, key, &answer);
    ck_assert_int_eq(answer.status, SLC_RPC_UNAUTHENTICATED);
    ck_assert_msg(strstr(answer.message, expected) != NULL, "%s", answer.message);
    answer_release(&answer);
    plane.node_clock_off_ms = 0;
    plane_enrol(&plane, token, key, &answer); /* the refusal used nothing up */
    ck_assert_int_eq(answer.status, SLC_RPC_OK);
    answer_release(&answer);
    free(token);
    free(key);
}

START_TEST(eleven_minutes_are_refused_with_how_much_it_is)
{
    start_plane(0);
    refused_enrolment(-11, "the clocks differ: the node's is 11 min");
    refused_enrolment(11, "the clocks differ: the node's is 10 min "); /* time passes on the way */
    ck_assert_str_eq(t_sql("SELECT count(*) FROM gateway_nodes"), "2");
}
END_TEST

/* The handshake comes first, and to it a certificate of the future is no certificate: still the clocks are
 * named. */
START_TEST(a_certificate_of_the_future_is_called_a_wrong_clock)
{
    slc_error err;
    slc_join join;
    char *text;

    ahead_ms = 0;
    start_plane(0);
    text = plane_join(&plane, "{'group':'dev'}");
    ck_assert(slc_join_parse(text, strlen(text), &join, &err));
    free(text);
    ahead_ms = 40LL * 24 * 60 * MINUTE_MS; /* long enough for another certificate of the ports */
    ck_assert_ptr_null(slc_pin_fetch_ca(&join, "sluice-control", 20000, &err));
    ck_assert_int_eq(err.code, SLC_DENIED);
    ck_assert_msg(strstr(err.message, "the clocks differ") != NULL && strstr(err.message, "begins in 575"),
                  "%s", err.message);
    ahead_ms = 0;
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("clock skew");
    TCase *tc = tcase_create("skew");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, nine_minutes_are_no_hindrance, 0,
                        (int)(sizeof minutes_that_work / sizeof *minutes_that_work));
    tcase_add_test(tc, eleven_minutes_are_refused_with_how_much_it_is);
    tcase_add_test(tc, a_certificate_of_the_future_is_called_a_wrong_clock);
    suite_add_tcase(s, tc);
    return s;
}

TEST_MAIN(suite)
