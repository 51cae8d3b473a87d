#include "dataplane/records_command.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/json.h"
#include "common/log.h"
#include "common/settings.h"

#define CONFIG_MAX_BYTES (1 << 20)

typedef struct slc_records_settings {
    char *config, *topic, *to, *state, *virtual_cluster;
    int64_t progress_ms, wait_ms, buffer_bytes;
} slc_records_settings;

#define AT(member) offsetof(slc_records_settings, member)

static const slc_setting table[] = {
    {"job", SLC_SET_STRING, NULL, "YAML file with kafka, key_ring and policy", AT(config), 0, 0},
    {"topic", SLC_SET_STRING, NULL, "the topic, as the cluster names it", AT(topic), 0, 0},
    {"to", SLC_SET_STRING, NULL, "reencrypt: the topic that the records go to, with as many partitions", AT(to),
     0, 0},
    {"state", SLC_SET_STRING, NULL, "file that remembers what was done, to go on from there", AT(state), 0, 0},
    {"virtual-cluster", SLC_SET_STRING, "", "its name, where {virtual_cluster} is used", AT(virtual_cluster), 0,
     0},
    {"progress", SLC_SET_DURATION, "5s", "how often progress is told and remembered", AT(progress_ms), 100,
     3600000},
    {"key-wait", SLC_SET_DURATION, "30s", "longest wait for a key or for Kafka", AT(wait_ms), 100, 3600000},
    {"buffer", SLC_SET_SIZE, "16MiB", "records in memory, read and to be written each", AT(buffer_bytes),
     1 << 20, 1LL << 30},
    {NULL, SLC_SET_STRING, NULL, NULL, 0, 0, 0},
};

static const char usage[] =
    "usage: sluice-gateway records verify|reencrypt --job FILE --topic TOPIC\n"
    "                              [--to TOPIC] [--state FILE]\n"
    "\n"
    "  verify      opens every record up to the present end and tells how many are encrypted, plain or bad\n"
    "  reencrypt   writes each into another topic, encrypted under the policy's key as it is now\n"
    "\n"
    "The file has `kafka` (properties of librdkafka, bootstrap.servers among them), `key_ring` (provider and "
    "the\n"
    "settings of a key ring) and `policy` (the settings of an encrypt policy). Progress goes to stderr.\n"
    "Exit status: 0 all is well; 1 usage; 2 some record is bad, or plain without a migration window; 3 Kafka "
    "or a\n"
    "key service is out of reach, or it was interrupted: run it again with the same state file.\n";

static json_t *load_config(const char *path, slc_error *err)
{
    size_t len;
    char *text = slc_file_read(path, CONFIG_MAX_BYTES, &len, err);
    json_t *root = text != NULL ? slc_yaml_parse(text, len, CONFIG_MAX_BYTES, err) : NULL;
    free(text);
    if (root == NULL)
        slc_fail_context(err, "%s", path);
    return root;
}

static int run(bool reencrypts, const slc_records_settings *settings, slc_error *err)
{
    if (settings->config == NULL || settings->topic == NULL || reencrypts != (settings->to != NULL)) {
        slc_fail(err, SLC_INVALID, NULL, "%s is missing",
                 settings->config == NULL  ? "--job"
                 : settings->topic == NULL ? "--topic"
                 : reencrypts              ? "--to"
                                           : "reencrypt (verify writes nothing)");
        return SLC_RECORDS_USAGE;
    }
    json_t *root = load_config(settings->config, err);
    if (root == NULL)
        return SLC_RECORDS_USAGE;
    const slc_records_job job = {.topic = settings->topic,
                                 .to = settings->to,
                                 .state = settings->state,
                                 .virtual_cluster = settings->virtual_cluster,
                                 .progress_ms = settings->progress_ms,
                                 .wait_ms = settings->wait_ms,
                                 .buffer_bytes = settings->buffer_bytes,
                                 .kafka = json_object_get(root, "kafka"),
                                 .key_ring = json_object_get(root, "key_ring"),
                                 .policy = json_object_get(root, "policy")};
    int status = SLC_RECORDS_USAGE;
    if (json_is_object(job.kafka) && json_is_object(job.key_ring) && json_is_object(job.policy))
        status = slc_records_run(&job, err);
    else
        slc_fail(err, SLC_INVALID, NULL, "%s: kafka, key_ring and policy must be objects", settings->config);
    json_decref(root);
    return status;
}

int slc_records_command(int argc, char **argv)
{
    slc_records_settings settings = {0};
    slc_error err = {0};
    bool reencrypts = argc > 1 && strcmp(argv[1], "reencrypt") == 0;
    if (argc < 2 || (!reencrypts && strcmp(argv[1], "verify") != 0)) {
        fputs(usage, stderr);
        return SLC_RECORDS_USAGE;
    }
    slc_log_init("records", SLC_LOG_ERROR, false);
    int loaded = slc_settings_load(table, "sluice-gateway records", usage, argc - 1, argv + 1, &settings, &err);
    int status = loaded > 0   ? SLC_RECORDS_GOOD
                 : loaded < 0 ? SLC_RECORDS_USAGE
                              : run(reencrypts, &settings, &err);
    if (status != SLC_RECORDS_GOOD && err.code != SLC_OK)
        fprintf(stderr, "sluice-gateway records: %s\n", err.message);
    slc_settings_release(table, &settings);
    return status;
}
