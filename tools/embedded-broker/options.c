/* The command line of sluice-embedded-broker. */
#include "tools/embedded-broker/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A whole decimal number within the bounds, or -1. */
static int parse_count(const char *text, int max)
{
    char *end;
    long value = strtol(text, &end, 10);

    if (end == text || *end != '\0' || value < 1 || value > max)
        return -1;
    return (int)value;
}

/* Kafka's rule for names: letters, digits, '.', '_' and '-', neither "." nor "..". */
static bool valid_topic_name(const char *name, size_t length)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

    if (length == 0 || length > BROKER_MAX_TOPIC_NAME || strspn(name, allowed) < length)
        return false;
    return !(name[0] == '.' && (length == 1 || (length == 2 && name[1] == '.')));
}

static bool add_topic(struct broker_options *options, const char *text)
{
    const char *colon = strchr(text, ':');
    size_t length = colon != NULL ? (size_t)(colon - text) : strlen(text);
    int partitions = colon != NULL ? parse_count(colon + 1, BROKER_MAX_PARTITIONS) : 1;
    struct broker_topic *topic;

    if (!valid_topic_name(text, length) || partitions < 0) {
        fprintf(stderr,
                "sluice-embedded-broker: --topic wants NAME:PARTITIONS with 1 to %d partitions, not '%s'\n",
                BROKER_MAX_PARTITIONS, text);
        return false;
    }
    if (options->topic_count == BROKER_MAX_TOPICS) {
        fprintf(stderr, "sluice-embedded-broker: more than %d topics\n", BROKER_MAX_TOPICS);
        return false;
    }
    topic = &options->topics[options->topic_count++];
    memcpy(topic->name, text, length);
    topic->name[length] = '\0';
    topic->partitions = partitions;
    return true;
}

static bool set_broker_count(struct broker_options *options, const char *text)
{
    options->broker_count = parse_count(text, BROKER_MAX_BROKERS);
    if (options->broker_count > 0)
        return true;
    fprintf(stderr, "sluice-embedded-broker: --brokers wants a number from 1 to %d, not '%s'\n",
            BROKER_MAX_BROKERS, text);
    return false;
}

bool broker_options_parse(struct broker_options *options, int argc, char **argv)
{
    static const struct option known[] = {
        {"topic", required_argument, NULL, 't'},
        {"brokers", required_argument, NULL, 'b'},
        {"address-file", required_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    bool ok = true;
    int option;

    memset(options, 0, sizeof(*options));
    options->broker_count = 1;
    while (ok && (option = getopt_long(argc, argv, "h", known, NULL)) != -1) {
        switch (option) {
        case 't':
            ok = add_topic(options, optarg);
            break;
        case 'b':
            ok = set_broker_count(options, optarg);
            break;
        case 'a':
            options->address_file = optarg;
            break;
        case 'h':
            options->help = true;
            return true;
        default: /* getopt has said what is wrong */
            return false;
        }
    }
    if (ok && optind < argc) {
        fprintf(stderr, "sluice-embedded-broker: unexpected argument '%s'\n", argv[optind]);
        return false;
    }
    return ok;
}
