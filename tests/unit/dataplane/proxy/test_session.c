/* session: what passes, what is rewritten, and both sides cut at every place. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/kafka/encode.h"
#include "dataplane/kafka/wire.h"
#include "stage.h"
#include "tests/unit/common/unit.h"

#define METADATA         3
#define PRODUCE          0
#define FETCH            1
#define LIST_GROUPS      16
#define DESCRIBE_CLUSTER 60
#define FIND_COORDINATOR 10
#define SHARE_FETCH      78

static struct stage stage;
static slc_buf request, answer;
static slc_error err;

static void begin(const char *authentication)
{
    stage_init(&stage, authentication, NULL);
    stage_connect(&stage);
    slc_buf_init(&request, 1 << 20);
    slc_buf_init(&answer, 1 << 24);
}

static void end(void)
{
    stage_release(&stage);
    slc_buf_release(&request);
    slc_buf_release(&answer);
}

/* Metadata of version 1 for no topics, and an answer with one broker. */
static void make_metadata(int32_t id, const char *host)
{
    size_t at = slc_kafka_request_begin(&request, METADATA, 1, id, "unit");
    slc_kafka_add_count(&request, false, 0);
    ck_assert(slc_kafka_frame_end(&request, at, &err));
    at = slc_kafka_response_begin(&answer, METADATA, 1, id);
    slc_kafka_add_count(&answer, false, 1);
    slc_kafka_add_int32(&answer, 2);
    slc_kafka_add_string(&answer, false, host, strlen(host));
    slc_kafka_add_int32(&answer, 9092);
    slc_kafka_add_string(&answer, false, NULL, 0);
    slc_kafka_add_int32(&answer, 2);
    slc_kafka_add_count(&answer, false, 0);
    ck_assert(slc_kafka_frame_end(&answer, at, &err));
}

/* ListGroups of version 0: an answer of `len` bytes that holds no address. */
static void make_groups(int32_t id, size_t len)
{
    static const char group[1000];
    size_t at = slc_kafka_request_begin(&request, LIST_GROUPS, 0, id, NULL);
    ck_assert(slc_kafka_frame_end(&request, at, &err));
    at = slc_kafka_response_begin(&answer, LIST_GROUPS, 0, id);
    slc_kafka_add_int16(&answer, 0);
    slc_kafka_add_count(&answer, false, (int32_t)(len / sizeof group));
    for (size_t i = 0; i < len / sizeof group; i++) {
        slc_kafka_add_string(&answer, false, group, sizeof group);
        slc_kafka_add_string(&answer, false, "", 0);
    }
    ck_assert(slc_kafka_frame_end(&answer, at, &err));
}

/* An array of one node: 2. */
static void add_node(const char *host)
{
    slc_kafka_add_count(&answer, true, 1);
    slc_kafka_add_int32(&answer, 2);
    slc_kafka_add_string(&answer, true, host, strlen(host));
    slc_kafka_add_int32(&answer, 9092);
    slc_kafka_add_string(&answer, true, NULL, 0);
    slc_kafka_add_no_tags(&answer);
}

/* ShareFetch of version 1: an answer with `len` bytes of records, and one node endpoint. */
static void make_share_fetch(int32_t id, const char *host, size_t len)
{
    static const uint8_t records[300000];
    size_t at = slc_kafka_request_begin(&request, SHARE_FETCH, 1, id, "unit");
    ck_assert(slc_kafka_frame_end(&request, at, &err));
    at = slc_kafka_response_begin(&answer, SHARE_FETCH, 1, id);
    slc_kafka_add_int32(&answer, 0); /* throttle */
    slc_kafka_add_int16(&answer, 0);
    slc_kafka_add_string(&answer, true, NULL, 0);
    slc_kafka_add_int32(&answer, 30000);
    slc_kafka_add_count(&answer, true, 1);
    slc_buf_add(&answer, records, 16); /* a topic's id */
    slc_kafka_add_count(&answer, true, 1);
    slc_kafka_add_int32(&answer, 0);
    for (int i = 0; i < 2; i++) { /* of the fetch, of the acknowledgement */
        slc_kafka_add_int16(&answer, 6);
        slc_kafka_add_string(&answer, true, NULL, 0);
    }
    slc_kafka_add_int32(&answer, 2); /* the leader is node 2, of epoch 5 */
    slc_kafka_add_int32(&answer, 5);
    slc_kafka_add_no_tags(&answer);
    slc_kafka_add_bytes(&answer, true, records, len);
    slc_kafka_add_count(&answer, true, 0);
    slc_kafka_add_no_tags(&answer);
    slc_kafka_add_no_tags(&answer);
    add_node(host);
    slc_kafka_add_no_tags(&answer);
    ck_assert(slc_kafka_frame_end(&answer, at, &err));
}

/* The tag with which answers name the nodes to ask instead (KIP-951). */
static void add_node_tag(const char *host)
{
    slc_kafka_add_uvarint(&answer, 1);
    slc_kafka_add_uvarint(&answer, 0);
    slc_kafka_add_uvarint(&answer, (uint32_t)(1 + 4 + 1 + strlen(host) + 4 + 1 + 1));
    add_node(host);
}

/* Fetch of version 16, Produce of 10, DescribeCluster of 0; `len` bytes of records. */
static void make_answer(int key, int version, const char *host, size_t len)
{
    static const uint8_t records[300000];
    size_t at = slc_kafka_request_begin(&request, key, version, 5, "unit");
    if (key == PRODUCE)
        slc_buf_add(&request, "\0\0\1\0\0\0\0\1\0", 9); /* acks=1, no topics */
    ck_assert(slc_kafka_frame_end(&request, at, &err));
    at = slc_kafka_response_begin(&answer, key, version, 5);
    if (key == PRODUCE)
        slc_kafka_add_count(&answer, true, 0);
    slc_kafka_add_int32(&answer, 0); /* throttle */
    if (key != PRODUCE)
        slc_kafka_add_int16(&answer, 0);
    if (key == DESCRIBE_CLUSTER) {
        slc_kafka_add_string(&answer, true, NULL, 0);
        slc_kafka_add_string(&answer, true, "cluster", 7);
        slc_kafka_add_int32(&answer, 2);
        add_node(host);
        slc_kafka_add_int32(&answer, 0);
        slc_kafka_add_no_tags(&answer);
    } else if (key == FETCH) {
        slc_kafka_add_int32(&answer, 0); /* session */
        slc_kafka_add_count(&answer, true, 1);
        slc_buf_add(&answer, records, 16);
        slc_kafka_add_count(&answer, true, 1);
        slc_buf_add(&answer, records, 4 + 2 + 8 + 8 + 8); /* partition, error, three offsets */
        slc_kafka_add_count(&answer, true, -1);
        slc_kafka_add_int32(&answer, -1);
        slc_kafka_add_bytes(&answer, true, records, len);
        slc_kafka_add_no_tags(&answer);
        slc_kafka_add_no_tags(&answer);
    }
    if (key != DESCRIBE_CLUSTER)
        add_node_tag(host);
    ck_assert(slc_kafka_frame_end(&answer, at, &err));
}

static void broker_got(const void *data, size_t len)
{
    static uint8_t got[1 << 16];
    ck_assert_uint_eq(stage_receive(stage.broker, got, sizeof got, NULL), len);
    ck_assert_mem_eq(got, data, len);
}

START_TEST(bytes_pass_and_addresses_become_the_gateways)
{
    uint8_t got[512];
    begin("anonymous");
    make_metadata(5, "kafka-2.internal");
    ck_assert_uint_eq(stage_send(&stage, stage.client, request.data, request.len), request.len);
    broker_got(request.data, request.len);
    stage_send(&stage, stage.broker, answer.data, answer.len);
    size_t len = stage_receive(stage.client, got, sizeof got, NULL);
    ck_assert_uint_eq(len, answer.len - strlen("kafka-2.internal") + strlen("127.0.0.1"));
    ck_assert_uint_eq(slc_kafka_get32(got), len - 4);
    ck_assert_ptr_null(memmem(got, len, "internal", 8));
    ck_assert_uint_eq(slc_kafka_get32(got + len - 4 - 4 - 2 - 4), STAGE_PORT + 1); /* node 2 */
    ck_assert_str_eq(slc_topology_node(stage.topology, 2)->host, "kafka-2.internal");
    ck_assert_uint_eq(stage.front->pool.taken_bytes, 0); /* an idle session holds no chunk */
    end();
}
END_TEST

START_TEST(what_holds_no_address_passes_as_it_is)
{
    static uint8_t got[1 << 16];
    begin("anonymous");
    make_groups(9, 30000);
    stage_send(&stage, stage.client, request.data, request.len);
    stage_send(&stage, stage.broker, answer.data, answer.len);
    ck_assert_uint_eq(stage_receive(stage.client, got, sizeof got, NULL), answer.len);
    ck_assert_mem_eq(got, answer.data, answer.len);
    end();
}
END_TEST

START_TEST(byte_by_byte_is_the_same)
{
    uint8_t got[512];
    begin("anonymous");
    make_metadata(5, "kafka-2.internal");
    for (size_t i = 0; i < request.len; i++)
        stage_send(&stage, stage.client, request.data + i, 1);
    broker_got(request.data, request.len);
    for (size_t i = 0; i < answer.len; i++)
        stage_send(&stage, stage.broker, answer.data + i, 1);
    size_t len = stage_receive(stage.client, got, sizeof got, NULL);
    ck_assert_uint_eq(len, answer.len - strlen("kafka-2.internal") + strlen("127.0.0.1"));
    end();
}
END_TEST

START_TEST(a_client_that_is_cut_off_anywhere_ends_the_session)
{
    for (size_t cut = 0; cut < 22; cut++) { /* of 22 bytes */
        begin("anonymous");
        make_metadata(5, "kafka-2.internal");
        ck_assert_uint_gt(request.len, cut);
        stage_send(&stage, stage.client, request.data, cut);
        stage_disconnect(&stage, &stage.client);
        bool over = false;
        uint8_t got[64];
        while (stage_receive(stage.broker, got, sizeof got, &over) > 0)
            ;
        ck_assert(over); /* the close was passed on */
        stage_disconnect(&stage, &stage.broker);
        ck_assert_uint_eq(stage_open_sessions(&stage), 0);
        end();
    }
}
END_TEST

START_TEST(a_broker_that_is_cut_off_anywhere_ends_the_session)
{
    for (size_t cut = 0; cut < 40; cut++) {
        begin("anonymous");
        make_groups(9, 0);
        make_metadata(10, "kafka-2.internal");
        stage_send(&stage, stage.client, request.data, request.len);
        stage_send(&stage, stage.broker, answer.data, cut);
        stage_disconnect(&stage, &stage.broker);
        bool over = false;
        uint8_t got[64];
        while (stage_receive(stage.client, got, sizeof got, &over) > 0)
            ;
        ck_assert(over);
        ck_assert_uint_eq(stage_open_sessions(&stage), 0);
        end();
    }
}
END_TEST

START_TEST(an_answer_that_nobody_asked_for_ends_the_session)
{
    begin("anonymous");
    make_groups(9, 0);
    stage_send(&stage, stage.broker, answer.data, answer.len);
    ck_assert_uint_eq(stage_open_sessions(&stage), 0);
    end();

    begin("anonymous");
    make_groups(9, 0);
    stage_send(&stage, stage.client, request.data, request.len);
    answer.data[7]++; /* the correlation id */
    stage_send(&stage, stage.broker, answer.data, answer.len);
    ck_assert_uint_eq(stage_open_sessions(&stage), 0);
    end();
}
END_TEST

/* What is held for a client that reads nothing is one chunk or pipe and what was rewritten; then the broker is
 * not read any more. */
START_TEST(a_client_that_reads_nothing_is_waited_for)
{
    begin("anonymous");
    for (int32_t id = 0; id < 8; id++)
        make_groups(id, 1000000);
    ck_assert_uint_eq(stage_send(&stage, stage.client, request.data, request.len), request.len);
    size_t sent = 0, more;
    while ((more = stage_send(&stage, stage.broker, answer.data + sent, answer.len - sent)) > 0)
        sent += more;
    ck_assert_uint_lt(sent, answer.len);
    ck_assert_uint_le(stage.front->pool.taken_bytes, SLC_PIPE_BYTES);
    ck_assert_uint_le(slc_end_waiting(&stage.session->client), SLC_SESSION_OUT_HIGH);

    uint8_t *all = malloc(answer.len);
    size_t got = 0;
    while (got < answer.len) { /* and nothing is lost when it reads again */
        got += stage_receive(stage.client, all + got, answer.len - got, NULL);
        sent += stage_send(&stage, stage.broker, answer.data + sent, answer.len - sent);
    }
    ck_assert_mem_eq(all, answer.data, answer.len);
    free(all);
    end();
}
END_TEST

START_TEST(nothing_passes_before_authentication)
{
    uint8_t got[64];
    begin("plain");
    make_metadata(5, "kafka-2.internal");
    stage_send(&stage, stage.client, request.data, request.len);
    ck_assert_uint_eq(stage_receive(stage.broker, got, sizeof got, NULL), 0);
    ck_assert_uint_eq(stage_open_sessions(&stage), 0);
    end();
}
END_TEST

/* The request to the broker and its answer to the client: how many bytes of it came. */
static size_t exchange(uint8_t *got, size_t room)
{
    size_t sent = 0, len = 0, more;
    stage_send(&stage, stage.client, request.data, request.len);
    broker_got(request.data, request.len);
    do {
        sent += stage_send(&stage, stage.broker, answer.data + sent, answer.len - sent);
        more = stage_receive(stage.client, got + len, room - len, NULL);
        len += more;
    } while (sent < answer.len || more > 0);
    return len;
}

START_TEST(every_answer_that_names_nodes_names_the_gateway)
{
    static const struct {
        int key, version;
        bool tag;
    } answers[] = {{PRODUCE, 10, true}, {FETCH, 16, true}, {DESCRIBE_CLUSTER, 0, false}};
    uint8_t got[1024];
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        begin("anonymous");
        make_answer(answers[i].key, answers[i].version, "kafka-2.internal", 100);
        size_t len = exchange(got, sizeof got);
        ck_assert_uint_eq(len, answer.len - strlen("kafka-2.internal") + strlen("127.0.0.1"));
        ck_assert_uint_eq(slc_kafka_get32(got), len - 4);
        ck_assert_ptr_null(memmem(got, len, "internal", 8));
        size_t behind = answers[i].tag ? 2 : 2 + 4 + 1; /* rack and tags; operations and tags */
        ck_assert_uint_eq(slc_kafka_get32(got + len - behind - 4), STAGE_PORT + 1);
        end();
    }
}
END_TEST

/* A large answer is not held: its tag becomes one that clients do not know, and nothing else changes. */
START_TEST(the_nodes_behind_many_records_are_hidden)
{
    static uint8_t got[400000];
    begin("anonymous");
    make_answer(FETCH, 16, "kafka-2.internal", 300000);
    size_t len = exchange(got, sizeof got);
    size_t tag = len - 2 - 4 - strlen("kafka-2.internal") - 1 - 4 - 1 - 1 - 1;
    ck_assert_uint_eq(len, answer.len);
    ck_assert_uint_eq(answer.data[tag], 0);
    ck_assert_uint_eq(got[tag], 0x7f);
    got[tag] = 0;
    ck_assert_mem_eq(got, answer.data, len);
    ck_assert_uint_eq(stage.front->pool.taken_bytes, 0);
    end();
}
END_TEST

START_TEST(addresses_behind_many_records_become_the_gateways)
{
    static uint8_t got[400000];
    const size_t sizes[] = {100, 300000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        begin("anonymous");
        make_share_fetch(5, "kafka-2.internal", sizes[i]);
        size_t len = exchange(got, sizeof got);
        ck_assert_uint_eq(len, answer.len - strlen("kafka-2.internal") + strlen("127.0.0.1"));
        ck_assert_uint_eq(slc_kafka_get32(got), len - 4);
        ck_assert_ptr_null(memmem(got, len, "internal", 8));
        ck_assert_uint_eq(slc_kafka_get32(got + len - 7),
                          STAGE_PORT + 1); /* before rack and two sections of tags */
        end();
    }
}
END_TEST

static int16_t after_dialling(int16_t fetch_max)
{
    static slc_kafka_api_versions versions;
    static slc_buf features;
    versions.of[FETCH].max = fetch_max;
    slc_topology_narrow(stage.topology, &(slc_dialled){.fd = -1, .versions = &versions, .features = &features});
    return stage.topology->versions.of[FETCH].max;
}

/* The gateway answers ApiVersions itself, in versions that a broker may not have. */
/* In one piece with what passes before it. */
START_TEST(an_unknown_version_of_api_versions_behind_a_request_is_answered)
{
    uint8_t got[200];
    begin("anonymous");
    make_groups(1, 0);
    size_t passing = request.len;
    size_t at = slc_kafka_request_begin(&request, SLC_KAFKA_API_VERSIONS_KEY, 3, 2, "unit");
    ck_assert(slc_kafka_frame_end(&request, at, &err));
    request.data[at + 7] = 99; /* the version */
    stage_send(&stage, stage.client, request.data, request.len);
    broker_got(request.data, passing);
    stage_send(&stage, stage.broker, answer.data, answer.len);
    size_t len = stage_receive(stage.client, got, sizeof got, NULL);
    ck_assert_uint_gt(len, answer.len + 10);
    ck_assert_mem_eq(got, answer.data, answer.len);
    ck_assert_uint_eq(slc_kafka_get32(got + answer.len + 4), 2);
    ck_assert_uint_eq(slc_kafka_get16(got + answer.len + 8), 35); /* UNSUPPORTED_VERSION */
    end();
}
END_TEST

START_TEST(an_older_broker_need_not_know_our_api_versions)
{
    slc_kafka_api_versions shown = {0}, versions;
    shown.of[SLC_KAFKA_API_VERSIONS_KEY].max = 5;
    versions = shown;
    versions.of[SLC_KAFKA_API_VERSIONS_KEY].max = 4;
    ck_assert(slc_versions_cover(&versions, &shown));
    shown.of[FETCH].max = 1;
    ck_assert(!slc_versions_cover(&versions, &shown));
}
END_TEST

/* Brokers that are upgraded one after the other, while sessions are open. */
START_TEST(an_upgraded_backend_can_do_more)
{
    begin("anonymous");
    stage.topology->known = false;
    ck_assert_int_eq(after_dialling(17), 17);
    stage.topology->known = true;
    ck_assert_int_eq(after_dialling(18), 17);
    stage.topology->lately_ms -= SLC_TOPOLOGY_LATELY_MS; /* one broker is still old */
    ck_assert_int_eq(after_dialling(18), 17);
    ck_assert_int_eq(after_dialling(17), 17);
    stage.topology->lately_ms -= SLC_TOPOLOGY_LATELY_MS; /* now all are new */
    ck_assert_int_eq(after_dialling(18), 17);
    stage.topology->lately_ms -= SLC_TOPOLOGY_LATELY_MS;
    ck_assert_int_eq(after_dialling(18), 18);
    ck_assert_int_eq(after_dialling(16), 16); /* and back, at once */
    end();
}
END_TEST

/* A session to node 2, of which nobody has told where it is now. */
START_TEST(a_node_that_cannot_be_reached_is_asked_for_again)
{
    begin("anonymous");
    make_metadata(5, "127.0.0.1");
    slc_topology_learn(stage.topology, 2, "127.0.0.1", 9, 1); /* nobody listens there */
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    stage.front->session_count++;
    slc_session_pump(slc_session_new(&stage.listener, pair[1], 2, "203.0.113.8:40124"));
    stage_send(&stage, pair[0], request.data, request.len);
    for (int i = 0; i < 1000 && stage_open_sessions(&stage) > 1; i++)
        stage_run(&stage);
    ck_assert_uint_eq(stage_open_sessions(&stage), 1);
    ck_assert_ptr_null(slc_topology_node(stage.topology, 2));
    close(pair[0]);
    end();
}
END_TEST

START_TEST(a_drain_ends_a_busy_session_with_its_answer)
{
    uint8_t got[512];
    begin("anonymous");
    make_metadata(5, "kafka-2.internal");
    stage_send(&stage, stage.client, request.data, request.len);
    broker_got(request.data, request.len);
    slc_proxy_front_drain(stage.front);
    stage_send(&stage, stage.client, request.data, request.len); /* one more, at once, as a busy client does */
    ck_assert_uint_eq(stage_receive(stage.broker, got, sizeof got, NULL), 0);
    stage_send(&stage, stage.broker, answer.data, answer.len);
    ck_assert_uint_gt(stage_receive(stage.client, got, sizeof got, NULL), 0);
    ck_assert_uint_eq(stage_open_sessions(&stage), 0);
    end();
}
END_TEST

START_TEST(a_silent_client_without_a_broker_is_closed)
{
    begin("anonymous");
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    stage.front->session_count++;
    slc_session *silent = slc_session_new(&stage.listener, pair[1], 1, "203.0.113.8:40124");
    slc_session_pump(silent);
    slc_session_tick(silent, silent->active_ms + stage.settings.limits.kafka_idle_timeout_ms - 1);
    ck_assert_uint_eq(stage_open_sessions(&stage), 2);
    slc_session_tick(stage.session, silent->active_ms + stage.settings.limits.kafka_idle_timeout_ms);
    slc_session_tick(silent, silent->active_ms + stage.settings.limits.kafka_idle_timeout_ms);
    ck_assert_uint_eq(stage_open_sessions(&stage), 1); /* the other has a broker */
    close(pair[0]);
    end();
}
END_TEST

static int64_t errors_counted(const char *api, const char *code)
{
    const char *const labels[] = {STAGE_CLUSTER, api, code};
    return slc_series_value(slc_metrics_series("sluice_kafka_answer_errors_total", labels));
}

/* A request without a body to speak of: the test's broker does not read it. */
static void ask(int key, int version, int32_t id)
{
    size_t at = slc_kafka_request_begin(&request, key, version, id, "unit");
    slc_kafka_add_int32(&request, 0);
    ck_assert(slc_kafka_frame_end(&request, at, &err));
    ck_assert_uint_eq(stage_send(&stage, stage.client, request.data, request.len), request.len);
    slc_buf_clear(&request);
}

/* Behind the throttle time or at once, in an old or a flexible header, in pieces; and in an answer that is
 * walked. */
static void count_errors(size_t step)
{
    uint8_t got[512];
    begin("anonymous");
    ask(LIST_GROUPS, 0, 1);
    size_t at = slc_kafka_response_begin(&answer, LIST_GROUPS, 0, 1);
    slc_kafka_add_int16(&answer, 15);
    slc_kafka_add_count(&answer, false, 0);
    ck_assert(slc_kafka_frame_end(&answer, at, &err));
    ask(LIST_GROUPS, 3, 2);
    at = slc_kafka_response_begin(&answer, LIST_GROUPS, 3, 2);
    slc_kafka_add_int32(&answer, 0);
    slc_kafka_add_int16(&answer, 16);
    slc_kafka_add_count(&answer, true, 0);
    slc_kafka_add_no_tags(&answer);
    ck_assert(slc_kafka_frame_end(&answer, at, &err));
    ask(LIST_GROUPS, 0, 3);
    at = slc_kafka_response_begin(&answer, LIST_GROUPS, 0, 3);
    slc_kafka_add_int16(&answer, 0);
    slc_kafka_add_count(&answer, false, 0);
    ck_assert(slc_kafka_frame_end(&answer, at, &err));
    ask(FIND_COORDINATOR, 0, 4);
    at = slc_kafka_response_begin(&answer, FIND_COORDINATOR, 0, 4);
    slc_kafka_add_int16(&answer, 14);
    slc_kafka_add_int32(&answer, -1);
    slc_kafka_add_string(&answer, false, "", 0);
    slc_kafka_add_int32(&answer, -1);
    ck_assert(slc_kafka_frame_end(&answer, at, &err));
    for (size_t sent = 0; sent < answer.len; sent += step)
        stage_send(&stage, stage.broker, answer.data + sent,
                   answer.len - sent < step ? answer.len - sent : step);
    stage_run(&stage);
    ck_assert_uint_eq(stage_receive(stage.client, got, sizeof got, NULL), answer.len);
    ck_assert_mem_eq(got, answer.data, answer.len);
    ck_assert_int_eq(errors_counted("ListGroups", "15"), 1);
    ck_assert_int_eq(errors_counted("ListGroups", "16"), 1);
    ck_assert_int_eq(errors_counted("ListGroups", "0"), 0);
    ck_assert_int_eq(errors_counted("FindCoordinator", "14"), 1);
    end();
}

START_TEST(error_codes_of_answers_are_counted)
{
    count_errors(1000);
}
END_TEST

START_TEST(error_codes_of_answers_that_come_in_pieces_are_counted)
{
    count_errors(1);
}
END_TEST

/* A frame of 60,000 bytes with a client id of 30,000, of which there is nothing yet. */
static const uint8_t claim[] = {0, 0, 0xea, 0x60, 0, 18, 0, 3, 0, 0, 0, 1, 0x75, 0x30};

START_TEST(who_claims_much_and_sends_little_holds_little)
{
    begin("plain");
    stage_send(&stage, stage.client, claim, sizeof claim);
    ck_assert_uint_eq(stage.front->pool.taken_bytes, SLC_CHUNK_SMALL);
    ck_assert_uint_eq(stage.front->pool.stranger_bytes, SLC_CHUNK_SMALL);
    stage_disconnect(&stage, &stage.client);
    stage_disconnect(&stage, &stage.broker);
    ck_assert_uint_eq(stage.front->pool.stranger_bytes, 0);
    end();
    begin("anonymous");
    stage_send(&stage, stage.client, claim, sizeof claim);
    ck_assert_uint_eq(stage.front->pool.taken_bytes, SLC_CHUNK_SMALL);
    ck_assert_uint_eq(stage.front->pool.stranger_bytes, 0);
    end();
}
END_TEST

/* A quarter of the memory is theirs: then they wait for each other, and others do not. */
START_TEST(strangers_share_a_part_of_the_memory)
{
    begin("plain");
    slc_pool *pool = &stage.front->pool;
    pool->stranger_bytes = pool->limit_bytes / 4;
    stage_send(&stage, stage.client, claim, sizeof claim);
    ck_assert_uint_eq(pool->taken_bytes, 0);
    ck_assert_uint_eq(stage_open_sessions(&stage), 1);
    pool->stranger_bytes = 0;
    slc_pool_retry(pool);
    stage_run(&stage);
    ck_assert_uint_eq(pool->taken_bytes, SLC_CHUNK_SMALL);
    stage_disconnect(&stage, &stage.client);
    stage_disconnect(&stage, &stage.broker);
    ck_assert_uint_eq(pool->stranger_bytes, 0);
    end();
    begin("anonymous");
    pool = &stage.front->pool;
    pool->stranger_bytes = pool->limit_bytes / 4;
    stage_send(&stage, stage.client, claim, sizeof claim);
    ck_assert_uint_eq(pool->taken_bytes, SLC_CHUNK_SMALL);
    pool->stranger_bytes = 0;
    end();
}
END_TEST

UNIT_MAIN("dataplane/proxy/session", bytes_pass_and_addresses_become_the_gateways,
          every_answer_that_names_nodes_names_the_gateway, the_nodes_behind_many_records_are_hidden,
          addresses_behind_many_records_become_the_gateways, an_upgraded_backend_can_do_more,
          an_unknown_version_of_api_versions_behind_a_request_is_answered,
          an_older_broker_need_not_know_our_api_versions, a_node_that_cannot_be_reached_is_asked_for_again,
          a_drain_ends_a_busy_session_with_its_answer, a_silent_client_without_a_broker_is_closed,
          what_holds_no_address_passes_as_it_is, byte_by_byte_is_the_same,
          a_client_that_is_cut_off_anywhere_ends_the_session,
          a_broker_that_is_cut_off_anywhere_ends_the_session, an_answer_that_nobody_asked_for_ends_the_session,
          a_client_that_reads_nothing_is_waited_for, nothing_passes_before_authentication,
          error_codes_of_answers_are_counted, error_codes_of_answers_that_come_in_pieces_are_counted,
          who_claims_much_and_sends_little_holds_little, strangers_share_a_part_of_the_memory)
