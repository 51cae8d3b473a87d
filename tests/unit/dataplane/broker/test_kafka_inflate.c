/* The limit for what librdkafka inflates, against its mock cluster; and whether it would be seen if there were
 * none. */
#include <check.h>
#include <dlfcn.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "dataplane/broker/interposed.h"
#include "dataplane/broker/kafka_inflate.h"

#define LIMIT_BYTES ((size_t)1 << 20)
#define WAIT_MS     60000

static const char *const codecs[] = {"gzip", "lz4", "zstd"};

static rd_kafka_t *client(rd_kafka_type_t type, const char *servers, const char *name, const char *value,
                          size_t limit_bytes)
{
    char text[256];
    const char *const properties[][2] = {
        {"bootstrap.servers", servers}, {"group.id", "g"}, {"message.max.bytes", "8388608"}, {name, value}};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (size_t i = 0; i < sizeof properties / sizeof properties[0]; i++)
        ck_assert_msg(rd_kafka_conf_set(conf, properties[i][0], properties[i][1], text, sizeof text) ==
                          RD_KAFKA_CONF_OK,
                      "%s", text);
    if (limit_bytes > 0)
        slc_kafka_limit_inflated(conf, limit_bytes);
    rd_kafka_t *rk = rd_kafka_new(type, conf, text, sizeof text);
    ck_assert_msg(rk != NULL, "%s", text);
    return rk;
}

/* So many zero bytes, in a batch of their own. */
static void produce(const char *servers, const char *codec, size_t size)
{
    rd_kafka_t *rk = client(RD_KAFKA_PRODUCER, servers, "compression.type", codec, 0);
    void *zeros = calloc(1, size);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, "t", NULL);
    ck_assert_ptr_nonnull(topic);
    ck_assert_int_eq(rd_kafka_produce(topic, 0, RD_KAFKA_MSG_F_COPY, zeros, size, NULL, 0, NULL), 0);
    ck_assert_int_eq(rd_kafka_flush(rk, WAIT_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
    free(zeros);
}

/* The error in place of the first record of the partition, or none; `size` is the record's. */
static rd_kafka_resp_err_t consume(const char *servers, size_t limit_bytes, size_t *size)
{
    rd_kafka_t *rk = client(RD_KAFKA_CONSUMER, servers, "check.crcs", "true", limit_bytes);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "t", 0)->offset = 0;
    ck_assert_int_eq(rd_kafka_assign(rk, list), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_message_t *message = NULL;
    for (int64_t until_ms = slc_monotonic_ms() + WAIT_MS; message == NULL && slc_monotonic_ms() < until_ms;)
        message = rd_kafka_consumer_poll(rk, 1000);
    ck_assert_ptr_nonnull(message);
    rd_kafka_resp_err_t code = message->err;
    *size = code == RD_KAFKA_RESP_ERR_NO_ERROR ? message->len : 0;
    rd_kafka_message_destroy(message);
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    return code;
}

START_TEST(a_batch_over_the_limit_is_an_error_of_the_consumer)
{
    size_t size;
    rd_kafka_t *rk = client(RD_KAFKA_PRODUCER, "", "client.id", "mock", 0);
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(rk, 1);
    const char *servers = rd_kafka_mock_cluster_bootstraps(cluster);
    rd_kafka_mock_topic_create(cluster, "t", 1, 1);
    produce(servers, codecs[_i], 2 * LIMIT_BYTES);
    ck_assert_int_eq(consume(servers, LIMIT_BYTES, &size), RD_KAFKA_RESP_ERR__BAD_COMPRESSION);
    ck_assert_int_eq(consume(servers, 3 * LIMIT_BYTES, &size), RD_KAFKA_RESP_ERR_NO_ERROR);
    ck_assert_uint_eq(size, 2 * LIMIT_BYTES);
    ck_assert_int_eq(consume(servers, 0, &size), RD_KAFKA_RESP_ERR_NO_ERROR); /* without the limit as ever */
    ck_assert_uint_eq(size, 2 * LIMIT_BYTES);
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(rk);
}
END_TEST

START_TEST(librdkafka_calls_the_functions_that_have_the_limit)
{
    const char *name = slc_kafka_inflates_unlimited();
    ck_assert_msg(name == NULL, "librdkafka calls another %s", name);
}
END_TEST

START_TEST(what_a_library_calls_is_known)
{
    const uintptr_t in_librdkafka = (uintptr_t)rd_kafka_version;
    uintptr_t really = (uintptr_t)dlsym(RTLD_DEFAULT, "ZSTD_isError");
    ck_assert_uint_ne(really, 0);
    ck_assert(slc_is_interposed(in_librdkafka, "ZSTD_isError", really));
    ck_assert(!slc_is_interposed(in_librdkafka, "ZSTD_isError", (uintptr_t)consume));
    /* It has that itself, as it would have what it was linked with statically. */
    ck_assert(!slc_is_interposed(in_librdkafka, "rd_kafka_version", in_librdkafka));
    ck_assert(!slc_is_interposed(in_librdkafka, "there_is_none", (uintptr_t)consume));
    ck_assert(!slc_is_interposed(really, "inflate", (uintptr_t)consume)); /* of another library */
    ck_assert(!slc_is_interposed(0, "inflate", (uintptr_t)consume));
    ck_assert(slc_is_interposed((uintptr_t)consume, "inflate", (uintptr_t)consume));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kafka inflate");
    TCase *tcase = tcase_create("limit");
    tcase_set_timeout(tcase, 240);
    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, a_batch_over_the_limit_is_an_error_of_the_consumer, 0,
                        sizeof codecs / sizeof codecs[0]);
    tcase_add_test(tcase, librdkafka_calls_the_functions_that_have_the_limit);
    tcase_add_test(tcase, what_a_library_calls_is_known);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
