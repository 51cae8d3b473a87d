/* The command line of sluice-embedded-broker. */
#ifndef SLC_TOOLS_EMBEDDED_BROKER_OPTIONS_H
#define SLC_TOOLS_EMBEDDED_BROKER_OPTIONS_H

#include <stdbool.h>

enum {
    BROKER_MAX_TOPICS = 64,
    BROKER_MAX_BROKERS = 16,
    BROKER_MAX_PARTITIONS = 1024,
    BROKER_MAX_TOPIC_NAME = 249, /* Kafka's own limit */
};

struct broker_topic {
    char name[BROKER_MAX_TOPIC_NAME + 1];
    int partitions;
};

struct broker_options {
    struct broker_topic topics[BROKER_MAX_TOPICS];
    int topic_count;
    int broker_count;
    const char *address_file; /* NULL: the addresses go to standard output; borrowed from argv */
    bool help;
};

/* Fills `options` from the command line. Returns false after a message on standard error; with `help` set there
 * is nothing else to do than to show the usage. */
bool broker_options_parse(struct broker_options *options, int argc, char **argv);

#endif
