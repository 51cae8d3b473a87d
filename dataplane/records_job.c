/* One pass over a topic, from its start (or from where an earlier one got) to what is its end now. */
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/json.h"
#include "dataplane/broker/kafka_inflate.h"
#include "dataplane/policy/encryption.h"
#include "dataplane/policy/records.h"
#include "dataplane/records_command.h"

#define INFLATED_BUFFERS 4 /* that a batch may inflate to */
#define POLL_MS          200
#define TRY_AGAIN_US     20000
#define HEADERS_MAX      1000
#define STATE_MAX        (1 << 20)

struct partition {
    int64_t next, end; /* offsets: to be read, and where it was over when this began */
};

struct pass {
    const slc_records_job *job;
    slc_keys *keys;
    slc_key_ring *ring;
    void *policy;
    slc_encryption *opens, *seals;
    rd_kafka_t *consumer, *producer;
    struct partition *partitions;
    int32_t count;
    slc_record_scratch scratch;
    uint64_t records, encrypted, plain, empty, bad, written;
    char first_bad[300];
    int64_t told_ms;
    rd_kafka_resp_err_t failed; /* of what was written */
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

/* ---- the configuration ---- */

static char *text_of(const json_t *object, const char *member)
{
    const char *text = json_string_value(json_object_get(object, member));
    return text != NULL ? slc_strdup(text) : NULL;
}

static slc_key_secret secret_of(const json_t *object, const char *member)
{
    const json_t *value = json_object_get(object, member);
    slc_key_secret secret = {.file = text_of(value, "file"), .env = text_of(value, "env")};
    if (json_is_string(value)) {
        secret.value = slc_strdup(json_string_value(value));
        secret.len = strlen(secret.value);
    }
    return secret;
}

static bool open_ring(struct pass *pass, slc_error *err)
{
    const json_t *config = pass->job->key_ring;
    const slc_keys_options usual = SLC_KEYS_DEFAULTS;
    slc_key_ring_options options = {.name = slc_strdup("records"),
                                    .provider = text_of(config, "provider"),
                                    .path = text_of(config, "path"),
                                    .passphrase = secret_of(config, "passphrase"),
                                    .url = text_of(config, "url"),
                                    .mount = text_of(config, "mount"),
                                    .namespace_name = text_of(config, "namespace"),
                                    .ca_pem = text_of(config, "ca_pem"),
                                    .token = secret_of(config, "token"),
                                    .region = text_of(config, "region"),
                                    .access_key_id = text_of(config, "access_key_id"),
                                    .secret_access_key = secret_of(config, "secret_access_key"),
                                    .session_token = secret_of(config, "session_token"),
                                    .mac_key = text_of(config, "mac_key")};
    bool ok = slc_key_ring_options_check(&options, err);
    if (ok) {
        pass->keys = slc_keys_new(&usual);
        pass->ring = slc_key_ring_get(pass->keys, &options);
    }
    slc_key_ring_options_release(&options);
    return ok;
}

static bool open_policy(struct pass *pass, slc_error *err)
{
    const slc_records_job *job = pass->job;
    const char *key = json_string_value(json_object_get(job->key_ring, "key"));
    json_t *config = json_copy((json_t *)job->policy);
    if (json_object_get(config, "key_ring") == NULL)
        json_object_set_new(config, "key_ring", json_string("records"));
    bool ok = slc_policy_encrypt.compile(config, &pass->policy, err);
    json_decref(config);
    if (!ok)
        return false;
    pass->opens = slc_encryption_new(pass->policy, pass->ring, key != NULL ? key : "", job->topic,
                                     job->virtual_cluster, err);
    if (pass->opens == NULL || job->to == NULL)
        return pass->opens != NULL;
    pass->seals = slc_encryption_new(pass->policy, pass->ring, key != NULL ? key : "", job->to,
                                     job->virtual_cluster, err);
    return pass->seals != NULL;
}

/* ---- Kafka ---- */

static bool set(rd_kafka_conf_t *conf, const char *name, const char *value, slc_error *err)
{
    char why[200];
    return rd_kafka_conf_set(conf, name, value, why, sizeof why) == RD_KAFKA_CONF_OK ||
           slc_fail(err, SLC_INVALID, NULL, "kafka: %s", why);
}

static bool set_all(rd_kafka_conf_t *conf, const json_t *properties, slc_error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)properties, name, value) {
        char *text =
            json_is_string(value) ? slc_strdup(json_string_value(value)) : json_dumps(value, JSON_ENCODE_ANY);
        bool ok = set(conf, name, text, err);
        free(text);
        if (!ok)
            return false;
    }
    return true;
}

static void on_delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *arg)
{
    struct pass *pass = arg;
    (void)rk;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        pass->written++;
    else if (pass->failed == RD_KAFKA_RESP_ERR_NO_ERROR)
        pass->failed = message->err;
}

static rd_kafka_t *open_kafka(struct pass *pass, rd_kafka_type_t type, slc_error *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char why[300], kbytes[24];
    bool reads = type == RD_KAFKA_CONSUMER;
    snprintf(kbytes, sizeof kbytes, "%lld", (long long)pass->job->buffer_bytes / 1024);
    rd_kafka_conf_set_opaque(conf, pass);
    slc_kafka_limit_inflated(conf, INFLATED_BUFFERS * (size_t)pass->job->buffer_bytes);
    bool ok = set_all(conf, pass->job->kafka, err);
    if (ok && reads)
        ok = set(conf, "group.id", "sluice-records", err) && set(conf, "enable.auto.commit", "false", err) &&
             set(conf, "enable.partition.eof", "true", err) &&
             set(conf, "auto.offset.reset", "earliest", err) &&
             set(conf, "queued.max.messages.kbytes", kbytes, err);
    else if (ok)
        ok = set(conf, "enable.idempotence", "true", err) &&
             set(conf, "queue.buffering.max.kbytes", kbytes, err);
    if (ok && !reads)
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivered);
    rd_kafka_t *rk = ok ? rd_kafka_new(type, conf, why, sizeof why) : NULL;
    if (rk == NULL)
        rd_kafka_conf_destroy(conf);
    if (ok && rk == NULL)
        slc_fail(err, SLC_INVALID, NULL, "kafka: %s", why);
    return rk;
}

/* -1 with err. */
static int32_t count_partitions(rd_kafka_t *rk, const char *topic, int64_t wait_ms, slc_error *err)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
    rd_kafka_resp_err_t code =
        handle != NULL ? rd_kafka_metadata(rk, 0, handle, &metadata, (int)wait_ms) : rd_kafka_last_error();
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        code = metadata->topics[0].err;
    int32_t count = code == RD_KAFKA_RESP_ERR_NO_ERROR ? metadata->topics[0].partition_cnt : -1;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        slc_fail(err, SLC_UNAVAILABLE, NULL, "topic %s: %s", topic, rd_kafka_err2str(code));
    if (metadata != NULL)
        rd_kafka_metadata_destroy(metadata);
    if (handle != NULL)
        rd_kafka_topic_destroy(handle);
    return count;
}

/* ---- where it got to ---- */

static bool load_state(struct pass *pass, slc_error *err)
{
    const slc_records_job *job = pass->job;
    size_t len;
    if (job->state == NULL || !slc_file_exists(job->state))
        return true;
    char *text = slc_file_read(job->state, STATE_MAX, &len, err);
    json_t *root = text != NULL ? slc_json_parse(text, len, STATE_MAX, err) : NULL;
    const char *topic = json_string_value(json_object_get(root, "topic"));
    const char *to = json_string_value(json_object_get(root, "to"));
    free(text);
    bool ok = root != NULL;
    if (ok && (topic == NULL || strcmp(topic, job->topic) != 0 || (to == NULL) != (job->to == NULL) ||
               (to != NULL && strcmp(to, job->to) != 0)))
        ok = slc_fail(err, SLC_CONFLICT, NULL, "%s is of another topic", job->state);
    for (int32_t i = 0; ok && i < pass->count; i++) {
        int64_t next = json_integer_value(json_array_get(json_object_get(root, "next"), (size_t)i));
        pass->partitions[i].next = next > pass->partitions[i].next ? next : pass->partitions[i].next;
    }
    json_decref(root);
    return ok;
}

/* After all that was read before it has been written. */
static bool save_state(struct pass *pass, slc_error *err)
{
    const slc_records_job *job = pass->job;
    if (pass->producer != NULL &&
        rd_kafka_flush(pass->producer, (int)job->wait_ms) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return slc_fail(err, SLC_UNAVAILABLE, NULL, "records were not written in time");
    if (pass->failed != RD_KAFKA_RESP_ERR_NO_ERROR)
        return slc_fail(err, SLC_UNAVAILABLE, NULL, "a record was not written: %s",
                        rd_kafka_err2str(pass->failed));
    if (job->state == NULL)
        return true;
    json_t *root = json_pack("{s:s}", "topic", job->topic), *next = json_array();
    if (job->to != NULL)
        json_object_set_new(root, "to", json_string(job->to));
    for (int32_t i = 0; i < pass->count; i++)
        json_array_append_new(next, json_integer(pass->partitions[i].next));
    json_object_set_new(root, "next", next);
    size_t len;
    char *text = slc_json_print(root, &len);
    bool ok = slc_file_write_atomic(job->state, text, len, 0600, err);
    free(text);
    json_decref(root);
    return ok;
}

static int64_t left_of(const struct pass *pass)
{
    int64_t left = 0;
    for (int32_t i = 0; i < pass->count; i++)
        if (pass->partitions[i].next < pass->partitions[i].end)
            left += pass->partitions[i].end - pass->partitions[i].next;
    return left;
}

static bool tell(struct pass *pass, bool now, slc_error *err)
{
    int64_t now_ms = slc_monotonic_ms();
    if (!now && now_ms - pass->told_ms < pass->job->progress_ms)
        return true;
    pass->told_ms = now_ms;
    if (!save_state(pass, err))
        return false;
    fprintf(stderr, "%s: %llu records, %lld left, %llu bad\n", pass->job->topic,
            (unsigned long long)pass->records, (long long)left_of(pass), (unsigned long long)pass->bad);
    return true;
}

/* ---- a record ---- */

static uint32_t read_headers(const rd_kafka_message_t *message, slc_record_header *headers)
{
    rd_kafka_headers_t *all = NULL;
    const char *name;
    const void *value;
    size_t len;
    uint32_t count = 0;
    if (rd_kafka_message_headers(message, &all) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    while (count < HEADERS_MAX &&
           rd_kafka_header_get_all(all, count, &name, &value, &len) == RD_KAFKA_RESP_ERR_NO_ERROR)
        headers[count++] = (slc_record_header){
            .name = name, .name_len = (uint32_t)strlen(name), .value = value, .value_len = (uint32_t)len};
    return count;
}

/* Keys that are not there yet are waited for. */
static enum slc_record_verdict ask(struct pass *pass, slc_policy_record_fn *fn, slc_encryption *encryption,
                                   slc_policy_record *record, slc_record_problem *problem)
{
    int64_t until_ms = slc_monotonic_ms() + pass->job->wait_ms;
    slc_record_turn turn = {.scratch = &pass->scratch};
    for (;;) {
        slc_policy_record tried = *record;
        enum slc_record_verdict verdict = fn(encryption, &turn, &tried, problem);
        if (verdict != SLC_RECORD_REJECT || problem->code != SLC_UNAVAILABLE ||
            slc_monotonic_ms() >= until_ms || interrupted) {
            *record = tried;
            return verdict;
        }
        usleep(TRY_AGAIN_US);
    }
}

static bool write_record(struct pass *pass, const rd_kafka_message_t *message, const slc_policy_record *record,
                         slc_error *err)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(record->header_count);
    for (uint32_t i = 0; i < record->header_count; i++)
        rd_kafka_header_add(headers, record->headers[i].name, (ssize_t)record->headers[i].name_len,
                            record->headers[i].value, (ssize_t)record->headers[i].value_len);
    const rd_kafka_vu_t parts[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = pass->job->to},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = message->partition},
        {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = rd_kafka_message_timestamp(message, NULL)},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)record->key, record->key_len}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)record->value, record->value_len}},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
    };
    int64_t until_ms = slc_monotonic_ms() + pass->job->wait_ms;
    rd_kafka_resp_err_t code;
    do {
        rd_kafka_error_t *error = rd_kafka_produceva(pass->producer, parts, sizeof parts / sizeof *parts);
        code = error != NULL ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
        if (error != NULL)
            rd_kafka_error_destroy(error);
        rd_kafka_poll(pass->producer, code == RD_KAFKA_RESP_ERR__QUEUE_FULL ? POLL_MS : 0);
    } while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL && slc_monotonic_ms() < until_ms && !interrupted);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return true;
    rd_kafka_headers_destroy(headers);
    return slc_fail(err, SLC_UNAVAILABLE, NULL, "a record was not written: %s", rd_kafka_err2str(code));
}

static bool stop_at(const rd_kafka_message_t *message, const slc_record_problem *problem, slc_error *err)
{
    return slc_fail(err, problem->code, NULL, "partition %d, offset %lld: %s", message->partition,
                    (long long)message->offset, problem->why);
}

static void note_bad(struct pass *pass, const rd_kafka_message_t *message, const slc_record_problem *problem)
{
    if (pass->bad++ == 0)
        snprintf(pass->first_bad, sizeof pass->first_bad, "partition %d, offset %lld: %s", message->partition,
                 (long long)message->offset, problem->why);
}

/* False: stop, as `err` says. */
static bool take(struct pass *pass, const rd_kafka_message_t *message, slc_error *err)
{
    slc_record_header headers[HEADERS_MAX];
    slc_record_problem problem = {0};
    slc_policy_record record = {.partition = message->partition,
                                .offset = message->offset,
                                .timestamp_ms = -1,
                                .key = message->key,
                                .key_len = message->key_len,
                                .value = message->payload,
                                .value_len = message->len,
                                .headers = headers};
    record.header_count = read_headers(message, headers);
    if (record.header_count == HEADERS_MAX) {
        (void)slc_record_reject(&problem, SLC_TOO_LARGE, "it has %d headers or more", HEADERS_MAX);
        return stop_at(message, &problem, err);
    }
    slc_record_scratch_reset(&pass->scratch);
    enum slc_record_verdict verdict = ask(pass, slc_decrypt_record, pass->opens, &record, &problem);
    if (verdict == SLC_RECORD_REJECT && (problem.code == SLC_UNAVAILABLE || pass->job->to != NULL))
        return stop_at(message, &problem, err);
    pass->records++;
    if (verdict == SLC_RECORD_REJECT)
        note_bad(pass, message, &problem);
    else if (verdict == SLC_RECORD_CHANGE)
        pass->encrypted++;
    else if (message->payload == NULL)
        pass->empty++;
    else
        pass->plain++;
    if (pass->job->to == NULL)
        return true;
    if (ask(pass, slc_encrypt_record, pass->seals, &record, &problem) == SLC_RECORD_REJECT)
        return stop_at(message, &problem, err);
    return write_record(pass, message, &record, err);
}

/* ---- the pass ---- */

static bool assign(struct pass *pass, slc_error *err)
{
    const slc_records_job *job = pass->job;
    pass->count = count_partitions(pass->consumer, job->topic, job->wait_ms, err);
    if (pass->count < 0)
        return false;
    int32_t room = job->to != NULL ? count_partitions(pass->producer, job->to, job->wait_ms, err) : pass->count;
    if (room < 0)
        return false;
    if (room < pass->count)
        return slc_fail(err, SLC_INVALID, NULL, "%s has fewer partitions than %s", job->to, job->topic);
    pass->partitions = slc_calloc((size_t)pass->count, sizeof *pass->partitions);
    for (int32_t i = 0; i < pass->count; i++) {
        rd_kafka_resp_err_t code =
            rd_kafka_query_watermark_offsets(pass->consumer, job->topic, i, &pass->partitions[i].next,
                                             &pass->partitions[i].end, (int)job->wait_ms);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            return slc_fail(err, SLC_UNAVAILABLE, NULL, "topic %s: %s", job->topic, rd_kafka_err2str(code));
    }
    if (!load_state(pass, err))
        return false;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(pass->count);
    for (int32_t i = 0; i < pass->count; i++)
        if (pass->partitions[i].next < pass->partitions[i].end)
            rd_kafka_topic_partition_list_add(list, job->topic, i)->offset = pass->partitions[i].next;
    rd_kafka_resp_err_t code = rd_kafka_assign(pass->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
           slc_fail(err, SLC_UNAVAILABLE, NULL, "%s", rd_kafka_err2str(code));
}

/* What compaction or aborted transactions leave behind is no record: where the reader stands tells. */
static void follow(struct pass *pass)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    if (rd_kafka_assignment(pass->consumer, &list) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    rd_kafka_position(pass->consumer, list);
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &list->elems[i];
        if (at->offset > pass->partitions[at->partition].next)
            pass->partitions[at->partition].next = at->offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
}

static bool read_on(struct pass *pass, int64_t *heard_ms, slc_error *err)
{
    rd_kafka_message_t *message = rd_kafka_consumer_poll(pass->consumer, POLL_MS);
    bool ok = true;
    if (message == NULL) {
        follow(pass);
        return slc_monotonic_ms() - *heard_ms < pass->job->wait_ms ||
               slc_fail(err, SLC_UNAVAILABLE, NULL, "Kafka sends nothing more of %s", pass->job->topic);
    }
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        *heard_ms = slc_monotonic_ms();
        struct partition *partition = &pass->partitions[message->partition];
        if (message->offset < partition->end)
            ok = take(pass, message, err);
        if (ok)
            partition->next = message->offset + 1;
    } else if (slc_kafka_is_unreadable(message->err)) {
        ok = slc_fail(
            err, SLC_CORRUPT, NULL,
            "partition %d, offset %lld: its batch cannot be read: it is damaged, or inflates to more than "
            "%d times --buffer (%s)",
            message->partition, (long long)message->offset, INFLATED_BUFFERS, rd_kafka_err2str(message->err));
    } else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        pass->partitions[message->partition].next = message->offset;
    } else if (message->err != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN &&
               message->err != RD_KAFKA_RESP_ERR__TRANSPORT) {
        ok = slc_fail(err, SLC_UNAVAILABLE, NULL, "topic %s: %s", pass->job->topic,
                      rd_kafka_message_errstr(message));
    }
    rd_kafka_message_destroy(message);
    return ok;
}

static bool read_all(struct pass *pass, slc_error *err)
{
    int64_t heard_ms = slc_monotonic_ms();
    pass->told_ms = heard_ms;
    while (left_of(pass) > 0) {
        if (interrupted)
            return slc_fail(err, SLC_UNAVAILABLE, NULL, "interrupted");
        if (!read_on(pass, &heard_ms, err) || !tell(pass, false, err))
            return false;
    }
    return true;
}

static void print_result(const struct pass *pass)
{
    json_t *result = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "topic", pass->job->topic, "records",
                               (json_int_t)pass->records, "encrypted", (json_int_t)pass->encrypted, "plaintext",
                               (json_int_t)pass->plain, "tombstones", (json_int_t)pass->empty, "bad",
                               (json_int_t)pass->bad, "written", (json_int_t)pass->written);
    if (pass->bad > 0)
        json_object_set_new(result, "first_bad", json_string(pass->first_bad));
    char *text = slc_json_print(result, NULL);
    printf("%s\n", text);
    free(text);
    json_decref(result);
}

static void release(struct pass *pass)
{
    if (pass->consumer != NULL) {
        rd_kafka_consumer_close(pass->consumer);
        rd_kafka_destroy(pass->consumer);
    }
    if (pass->producer != NULL)
        rd_kafka_destroy(pass->producer);
    slc_encryption_free(pass->opens);
    slc_encryption_free(pass->seals);
    if (pass->policy != NULL)
        slc_policy_encrypt.release(pass->policy);
    slc_key_ring_unref(pass->ring);
    slc_keys_free(pass->keys);
    slc_record_scratch_release(&pass->scratch);
    free(pass->partitions);
}

int slc_records_run(const slc_records_job *job, slc_error *err)
{
    struct pass pass = {.job = job};
    const struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    slc_record_scratch_init(&pass.scratch, (size_t)job->buffer_bytes);
    int status = SLC_RECORDS_USAGE;
    if (open_ring(&pass, err) && open_policy(&pass, err) &&
        (pass.consumer = open_kafka(&pass, RD_KAFKA_CONSUMER, err)) != NULL &&
        (job->to == NULL || (pass.producer = open_kafka(&pass, RD_KAFKA_PRODUCER, err)) != NULL)) {
        bool ok = assign(&pass, err) && read_all(&pass, err), told = ok;
        slc_error later = {0};
        if (pass.partitions != NULL)
            told = tell(&pass, true, ok ? err : &later);
        print_result(&pass);
        status = ok && told                     ? pass.bad > 0 ? SLC_RECORDS_BAD : SLC_RECORDS_GOOD
                 : err->code == SLC_UNAVAILABLE ? SLC_RECORDS_STOPPED
                 : err->code == SLC_INVALID || err->code == SLC_CONFLICT ? SLC_RECORDS_USAGE
                                                                         : SLC_RECORDS_BAD;
    }
    release(&pass);
    return status;
}
