/* address: where clients are told that brokers are. */
#include <check.h>
#include <string.h>

#include "dataplane/kafka/encode.h"
#include "stage.h"
#include "tests/unit/common/unit.h"

#define METADATA         3
#define FIND_COORDINATOR 10

static struct stage stage;

/* The body of a FindCoordinator answer of version 0, rewritten; into `out`, which is empty. */
static void rewritten(int32_t node, const char *host, int32_t port, slc_buf *out)
{
    slc_buf body;
    slc_kafka_edits edits;
    slc_error err = {0};
    slc_flight flight = {.key = FIND_COORDINATOR};
    slc_buf_init(&body, 4096);
    slc_kafka_edits_init(&edits, 16, 4096);
    slc_kafka_add_int16(&body, 0);
    slc_kafka_add_int32(&body, node);
    slc_kafka_add_string(&body, false, host, strlen(host));
    slc_kafka_add_int32(&body, port);
    ck_assert_int_eq(slc_address_rewrite(stage.session, &flight, body.data, body.len, &edits, &err),
                     SLC_KAFKA_DONE);
    ck_assert(slc_kafka_edits_apply(&edits, body.data, body.len, out, &err));
    slc_kafka_edits_release(&edits);
    slc_buf_release(&body);
}

static void becomes(int32_t node, const char *host, int32_t port, const char *new_host, int32_t new_port)
{
    slc_buf wanted, got;
    slc_buf_init(&wanted, 4096);
    slc_buf_init(&got, 4096);
    rewritten(node, host, port, &got);
    slc_kafka_add_int16(&wanted, 0);
    slc_kafka_add_int32(&wanted, node);
    slc_kafka_add_string(&wanted, false, new_host, strlen(new_host));
    slc_kafka_add_int32(&wanted, new_port);
    ck_assert_uint_eq(got.len, wanted.len);
    ck_assert_mem_eq(got.data, wanted.data, wanted.len);
    slc_buf_release(&got);
    slc_buf_release(&wanted);
}

START_TEST(ports_tell_nodes_apart)
{
    stage_init(&stage, "anonymous", NULL);
    stage_connect(&stage);
    becomes(1, "kafka-1.internal", 9092, "127.0.0.1", STAGE_PORT);
    becomes(3, "kafka-3.internal", 9093, "127.0.0.1", STAGE_PORT + 2);
    ck_assert_int_eq(slc_topology_node(stage.topology, 3)->port, 9093);
    stage.listener_msg.advertised_host = (char *)"kafka.example";
    becomes(1, "kafka-1.internal", 9092, "kafka.example", STAGE_PORT);
    stage_release(&stage);
}
END_TEST

START_TEST(names_tell_nodes_apart)
{
    stage_init(&stage, "anonymous", NULL);
    stage_connect(&stage);
    stage.listener_msg.kafka_routing = (char *)"sni";
    stage.listener_msg.sni_suffix = (char *)"kafka.example";
    stage.listener_msg.advertised_port = 443;
    becomes(12, "kafka-12.internal", 9092, "b12-" STAGE_CLUSTER ".kafka.example", 443);
    stage_release(&stage);
}
END_TEST

/* It is a mistake in the configuration; the real address must not be told instead. */
START_TEST(a_node_without_a_port_is_sent_nowhere)
{
    stage_init(&stage, "anonymous", NULL);
    stage_connect(&stage);
    becomes(4, "kafka-4.internal", 9092, "not-served-by-the-gateway.invalid", 9);
    stage_release(&stage);
}
END_TEST

START_TEST(no_node_stays_no_node)
{
    stage_init(&stage, "anonymous", NULL);
    stage_connect(&stage);
    becomes(-1, "", -1, "", -1);
    ck_assert_ptr_null(slc_topology_node(stage.topology, -1));
    stage_release(&stage);
}
END_TEST

START_TEST(the_table_says_which_answers_hold_addresses)
{
    ck_assert(slc_address_in(METADATA, 0) && slc_address_in(METADATA, 13) &&
              slc_address_in(FIND_COORDINATOR, 4));
    ck_assert(!slc_address_in(0, 9) && slc_address_in(0, 10));  /* Produce, KIP-951 */
    ck_assert(!slc_address_in(1, 15) && slc_address_in(1, 16)); /* Fetch */
    ck_assert(!slc_address_in(11, 5));                          /* JoinGroup */
    ck_assert(slc_address_in(0, 1000));                         /* not known: looked at rather than passed */
}
END_TEST

UNIT_MAIN("dataplane/proxy/address", ports_tell_nodes_apart, names_tell_nodes_apart,
          a_node_without_a_port_is_sent_nowhere, no_node_stays_no_node,
          the_table_says_which_answers_hold_addresses)
