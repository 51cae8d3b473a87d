/* sluice-embedded-broker: a Kafka broker in memory, for trying Sluice without an Apache Kafka.
 *
 * It is librdkafka's mock cluster in a process of its own. It speaks the part of the protocol that librdkafka's
 * producers and consumers need; nothing survives its end, timestamps cannot be looked up, and other clients may
 * not work. Its ports are chosen by the kernel (the mock cluster has no setting for them), so it tells them
 * when it is ready: on standard output or, atomically, in the file of --address-file.
 */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tools/embedded-broker/options.h"

static const char usage[] =
    "usage: sluice-embedded-broker [--topic NAME:PARTITIONS]... [--brokers N] [--address-file FILE]\n"
    "\n"
    "A Kafka broker in memory, for trying things. Runs until SIGTERM or SIGINT.\n"
    "  --topic NAME:PARTITIONS  create a topic (repeatable); others appear when a client asks for them\n"
    "  --brokers N              number of brokers, each with a port of its own (default 1)\n"
    "  --address-file FILE      write the bootstrap servers to FILE when ready; by default they are\n"
    "                           printed as bootstrap.servers=HOST:PORT,...\n";

/* The file appears complete or not at all: whoever waits for it reads whole addresses. */
static bool write_address_file(const char *path, const char *addresses)
{
    char part[PATH_MAX];
    FILE *file;
    bool ok;

    if (snprintf(part, sizeof(part), "%s.%ld", path, (long)getpid()) >= (int)sizeof(part)) {
        fprintf(stderr, "sluice-embedded-broker: the name of the address file is too long\n");
        return false;
    }
    file = fopen(part, "we");
    if (file == NULL) {
        perror(part);
        return false;
    }
    ok = fprintf(file, "%s\n", addresses) > 0;
    ok = fclose(file) == 0 && ok;
    if (ok && rename(part, path) == 0)
        return true;
    perror(path);
    unlink(part);
    return false;
}

static bool announce(const struct broker_options *options, const char *addresses)
{
    if (options->address_file != NULL)
        return write_address_file(options->address_file, addresses);
    return printf("bootstrap.servers=%s\n", addresses) > 0 && fflush(stdout) == 0;
}

static bool create_topics(rd_kafka_mock_cluster_t *cluster, const struct broker_options *options)
{
    for (int i = 0; i < options->topic_count; i++) {
        const struct broker_topic *topic = &options->topics[i];
        rd_kafka_resp_err_t err =
            rd_kafka_mock_topic_create(cluster, topic->name, topic->partitions, options->broker_count);

        if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            fprintf(stderr, "sluice-embedded-broker: topic %s: %s\n", topic->name, rd_kafka_err2str(err));
            return false;
        }
    }
    return true;
}

/* The mock cluster lives in a client instance, which is otherwise unused. */
static rd_kafka_t *new_client(void)
{
    char message[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_t *client = NULL;

    /* Warnings and worse: it would also note that it has nothing to connect to. */
    if (rd_kafka_conf_set(conf, "log_level", "4", message, sizeof(message)) == RD_KAFKA_CONF_OK)
        client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, message, sizeof(message));
    if (client == NULL) {
        rd_kafka_conf_destroy(conf);
        fprintf(stderr, "sluice-embedded-broker: %s\n", message);
    }
    return client;
}

static int serve(const struct broker_options *options, const sigset_t *ending)
{
    rd_kafka_mock_cluster_t *cluster = NULL;
    rd_kafka_t *client = new_client();
    int status = EXIT_FAILURE;
    int received;

    if (client == NULL)
        return EXIT_FAILURE;
    cluster = rd_kafka_mock_cluster_new(client, options->broker_count);
    if (cluster == NULL) {
        fprintf(stderr, "sluice-embedded-broker: the brokers could not be started\n");
        goto done;
    }
    if (!create_topics(cluster, options) || !announce(options, rd_kafka_mock_cluster_bootstraps(cluster)))
        goto done;
    sigwait(ending, &received);
    if (options->address_file != NULL)
        unlink(options->address_file);
    status = EXIT_SUCCESS;

done:
    if (cluster != NULL)
        rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(client);
    return status;
}

int main(int argc, char **argv)
{
    struct broker_options options;
    sigset_t ending;

    if (!broker_options_parse(&options, argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    if (options.help)
        return fputs(usage, stdout) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;

    /* Blocked before librdkafka's threads exist, so that only sigwait receives them. */
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    sigprocmask(SIG_BLOCK, &ending, NULL);
    return serve(&options, &ending);
}
