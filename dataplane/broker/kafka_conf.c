/* From a backend of the snapshot to a librdkafka configuration: one table for each role, then security. */
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/buf.h"
#include "common/log.h"
#include "dataplane/broker/kafka_inflate.h"
#include "dataplane/broker/kafka_private.h"
#include "dataplane/config/secret.h"

/* As long as it takes to hand over what has gathered: without it librdkafka's thread, which the first record
 * wakes, would send a request for every few of them. */
#define BULK_LINGER_MS "0.5"

struct property {
    const char *name;
    const char *value;
};

static const struct property common_table[] = {
    {"client.id", "sluice"},
    {"log.connection.close", "false"},
    {"socket.keepalive.enable", "true"},
    {"socket.nagle.disable", "true"},
    {"socket.connection.setup.timeout.ms", "5000"},
    {"reconnect.backoff.ms", "100"},
    {"reconnect.backoff.max.ms", "2000"},
    {"topic.metadata.refresh.interval.ms", "60000"},
    {"allow.auto.create.topics", "false"},
    {NULL, NULL},
};

/* message.max.bytes would limit a record: mediation did that already, by the event API and the topic.
 * librdkafka's own partitioner sends the same key elsewhere than Java's clients do.
 */
static const struct property producer_table[] = {
    {"acks", "all"},
    {"enable.idempotence", "true"},
    {"partitioner", "murmur2_random"},
    {"message.max.bytes", "104857600"},
    {"queue.buffering.max.messages", "1000000"},
    {"queue.buffering.max.kbytes", "1048576"},
    {NULL, NULL},
};

static const struct property single_table[] = {
    {"batch.num.messages", "1"},
    {NULL, NULL},
};

/* The group is named because librdkafka asks for one; it is never joined. */
static const struct property consumer_table[] = {
    {"group.id", "sluice-reader"},
    {"enable.auto.commit", "false"},
    {"enable.auto.offset.store", "false"},
    {"auto.offset.reset", "error"},
    {"enable.partition.eof", "true"},
    {"isolation.level", "read_committed"},
    {"check.crcs", "true"},
    {"queued.min.messages", "1000000"},
    {"fetch.error.backoff.ms", "100"},
    {"max.poll.interval.ms", "86400000"},
    {NULL, NULL},
};

static const struct property query_table[] = {
    {"group.id", "sluice-query"},
    {"enable.auto.commit", "false"},
    {NULL, NULL},
};

static bool set(rd_kafka_conf_t *conf, const char *name, const char *value, slc_error *err)
{
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) == RD_KAFKA_CONF_OK)
        return true;
    /* Never the value: it may be a secret. */
    return slc_fail(err, SLC_INVALID, NULL, "librdkafka refuses the setting %s", name);
}

static bool set_text(rd_kafka_conf_t *conf, const char *name, const char *value, slc_error *err)
{
    return value == NULL || value[0] == '\0' || set(conf, name, value, err);
}

static bool set_int(rd_kafka_conf_t *conf, const char *name, int64_t value, slc_error *err)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    return set(conf, name, text, err);
}

static bool set_table(rd_kafka_conf_t *conf, const struct property *table, slc_error *err)
{
    for (; table->name != NULL; table++) {
        if (!set(conf, table->name, table->value, err))
            return false;
    }
    return true;
}

static bool set_secret(rd_kafka_conf_t *conf, const char *name, const Sluice__Snapshot__V1__Secret *secret,
                       slc_error *err)
{
    size_t len;
    char *value = slc_secret_resolve(secret, &len, err);
    if (value == NULL)
        return slc_fail_context(err, "%s of the backend", name);
    bool ok = set(conf, name, value, err);
    slc_free_secret(value, len);
    return ok;
}

static bool set_bootstrap(rd_kafka_conf_t *conf, const Sluice__Snapshot__V1__Backend *msg, slc_error *err)
{
    slc_buf list;
    slc_buf_init(&list, 64 * 1024);
    for (size_t i = 0; i < msg->n_bootstrap_servers; i++)
        slc_buf_addf(&list, "%s%s", i > 0 ? "," : "", msg->bootstrap_servers[i]);
    bool ok = list.len > 0 && !list.overflow;
    if (!ok)
        slc_fail(err, SLC_INVALID, "/bootstrap_servers", "the backend %s has no usable bootstrap servers",
                 msg->name);
    ok = ok && set(conf, "bootstrap.servers", (const char *)list.data, err);
    slc_buf_release(&list);
    return ok;
}

/* librdkafka checks the name that it dialled. A configured server name is checked here instead. */
static int verify_server_name(rd_kafka_t *rk, const char *broker_name, int32_t broker_id, int *x509_error,
                              int depth, const char *der, size_t size, char *text, size_t text_size,
                              void *opaque)
{
    (void)rk;
    (void)broker_id;
    if (*x509_error != X509_V_OK)
        return 0;
    if (depth != 0)
        return 1;
    const slc_kafka_handle *handle = opaque;
    const char *name = handle->backend->msg->tls->server_name;
    const unsigned char *at = (const unsigned char *)der;
    X509 *certificate = d2i_X509(NULL, &at, (long)size);
    int match = certificate != NULL && (X509_check_host(certificate, name, 0, 0, NULL) == 1 ||
                                        X509_check_ip_asc(certificate, name, 0) == 1);
    X509_free(certificate);
    if (!match) {
        *x509_error = X509_V_ERR_HOSTNAME_MISMATCH;
        snprintf(text, text_size, "the certificate of %s is not for %s", broker_name, name);
    }
    return match;
}

static bool set_tls(rd_kafka_conf_t *conf, const Sluice__Snapshot__V1__ClientTls *tls, slc_error *err)
{
    if (!set_text(conf, "ssl.ca.pem", tls->ca_pem, err))
        return false;
    if (tls->certificate_pem != NULL && tls->certificate_pem[0] != '\0') {
        if (!set(conf, "ssl.certificate.pem", tls->certificate_pem, err) ||
            !set_secret(conf, "ssl.key.pem", tls->key, err))
            return false;
    }
    if (tls->skip_verify)
        return set(conf, "enable.ssl.certificate.verification", "false", err) &&
               set(conf, "ssl.endpoint.identification.algorithm", "none", err);
    if (tls->server_name != NULL && tls->server_name[0] != '\0') {
        rd_kafka_conf_set_ssl_cert_verify_cb(conf, verify_server_name);
        return set(conf, "ssl.endpoint.identification.algorithm", "none", err);
    }
    return true;
}

static bool set_sasl(rd_kafka_conf_t *conf, const Sluice__Snapshot__V1__Backend *msg, slc_error *err)
{
    if (!set(conf, "sasl.mechanism", msg->mechanism, err))
        return false;
    if (strcmp(msg->mechanism, "OAUTHBEARER") == 0)
        return true; /* see kafka_oauth.c */
    return set_text(conf, "sasl.username", msg->username, err) &&
           set_secret(conf, "sasl.password", msg->password, err);
}

static bool set_security(rd_kafka_conf_t *conf, const slc_backend *backend, slc_error *err)
{
    /* Nothing that only works on TCP: it is a local socket. */
    static const struct property tunnel_table[] = {
        {"security.protocol", "plaintext"},
        {"socket.nagle.disable", "false"},
        {"socket.keepalive.enable", "false"},
        {NULL, NULL},
    };
    const Sluice__Snapshot__V1__Backend *msg = backend->msg;
    bool tls = msg->tls != NULL && msg->tls->enabled;
    bool sasl = msg->mechanism != NULL && msg->mechanism[0] != '\0' && strcmp(msg->mechanism, "none") != 0;
    const char *protocol = tls ? (sasl ? "sasl_ssl" : "ssl") : (sasl ? "sasl_plaintext" : "plaintext");
    if (slc_kafka_tunnel_needed(backend))
        return set_table(conf, tunnel_table, err);
    return set(conf, "security.protocol", protocol, err) && (!tls || set_tls(conf, msg->tls, err)) &&
           (!sasl || set_sasl(conf, msg, err));
}

bool slc_kafka_conf_batch(rd_kafka_conf_t *conf, int64_t bytes, slc_error *err)
{
    return set_int(conf, "batch.size", bytes, err);
}

static bool set_producer(rd_kafka_conf_t *conf, const slc_kafka *kafka, const char *linger_ms, slc_error *err)
{
    /* librdkafka looks for expired records once a second: that much less, and as much as there is for a machine
     * that is busy, lets it say what became of a record before the client must be told that nobody knows. */
    int64_t deadline_ms = kafka->settings.publish_deadline_ms, margin_ms = deadline_ms * 2 / 5;
    margin_ms = margin_ms < 1500 ? 1500 : margin_ms > 2500 ? 2500 : margin_ms;
    int64_t timeout_ms = deadline_ms - margin_ms < 500 ? 500 : deadline_ms - margin_ms;
    /* Time for a topic that was made just now to be known everywhere, before it counts as missing. */
    return set_table(conf, producer_table, err) && set(conf, "linger.ms", linger_ms, err) &&
           set_int(conf, "message.timeout.ms", timeout_ms, err) &&
           set_int(conf, "topic.metadata.propagation.max.ms", timeout_ms / 2, err);
}

/* What a consumer holds in advance is small: librdkafka's default is 64 MiB for each, and it takes three times
 * the bytes of small records. A fetch that is larger than a broker's batch limit (message.max.bytes) would be
 * raised to that. */
static bool set_consumer(rd_kafka_conf_t *conf, slc_kafka *kafka, slc_error *err)
{
    int64_t bytes = kafka->settings.fetch_bytes;
    /* A real broker answers a waiting fetch as soon as there is data; the mock cluster sits the time out. But
     * librdkafka has one fetch under way for a broker, without the partitions whose prefetch is full: when the
     * others are at their end, those wait for it. */
    return set_table(conf, consumer_table, err) &&
           set_int(conf, "fetch.wait.max.ms", atomic_load(&kafka->embedded) ? 50 : 100, err) &&
           set_int(conf, "queued.max.messages.kbytes", bytes / 2 / 1024, err) &&
           set_int(conf, "message.max.bytes", bytes, err) && set_int(conf, "fetch.max.bytes", bytes, err) &&
           set_int(conf, "fetch.message.max.bytes", bytes, err);
}

static bool set_role(rd_kafka_conf_t *conf, slc_kafka *kafka, enum slc_kafka_use role, slc_error *err)
{
    switch (role) {
    case SLC_KAFKA_QUICK_PRODUCER:
        return set_producer(conf, kafka, "0", err);
    case SLC_KAFKA_BULK_PRODUCER:
        return set_producer(conf, kafka, BULK_LINGER_MS, err);
    case SLC_KAFKA_SINGLE_PRODUCER:
        return set_producer(conf, kafka, "0", err) && set_table(conf, single_table, err);
    case SLC_KAFKA_CONSUMER:
        slc_kafka_limit_inflated(conf, (size_t)kafka->settings.inflated_bytes);
        return set_consumer(conf, kafka, err);
    case SLC_KAFKA_QUERY:
        return set_table(conf, query_table, err);
    }
    SLC_BUG_ON(true);
    return false;
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    static const enum slc_log_level levels[] = {SLC_LOG_ERROR, SLC_LOG_ERROR, SLC_LOG_ERROR, SLC_LOG_WARN,
                                                SLC_LOG_WARN,  SLC_LOG_INFO,  SLC_LOG_DEBUG, SLC_LOG_DEBUG};
    if (strcmp(facility, "AUTOCREATE") == 0) /* the mock cluster, with each metadata request */
        level = 7;
    const slc_kafka_handle *handle = rk != NULL ? rd_kafka_opaque(rk) : NULL;
    const char *backend = handle != NULL ? handle->backend->msg->name : NULL;
    slc_log(levels[level < 0 || level > 7 ? 7 : level], "librdkafka", LS("backend", backend),
            LS("facility", facility), LS("text", text));
}

rd_kafka_conf_t *slc_kafka_conf_new(slc_kafka *kafka, enum slc_kafka_use role, slc_error *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (set_table(conf, common_table, err) && set_bootstrap(conf, kafka->backend->msg, err) &&
        set_security(conf, kafka->backend, err) && set_role(conf, kafka, role, err)) {
        rd_kafka_conf_set_log_cb(conf, on_log);
        return conf;
    }
    rd_kafka_conf_destroy(conf);
    return NULL;
}
