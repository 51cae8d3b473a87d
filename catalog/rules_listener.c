/* Rules: listeners. No two of a group may want the same port of the same address. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/entity.h"
#include "catalog/store.h"
#include "common/alloc.h"

#define HOST_CHARS 256
#define RANGES_MAX 17 /* its own port and the brokers' */

/* ---- addresses ---- */

struct ports {
    char host[HOST_CHARS]; /* empty: all addresses */
    size_t count;
    struct {
        int64_t first, last;
    } ranges[RANGES_MAX];
};

static void split_address(const char *address, struct ports *out)
{
    const char *colon = strrchr(address, ':');
    snprintf(out->host, sizeof(out->host), "%.*s", (int)(colon - address), address);
    if (strcmp(out->host, "0.0.0.0") == 0 || strcmp(out->host, "[::]") == 0)
        out->host[0] = '\0';
    int64_t port = strtol(colon + 1, NULL, 10);
    out->ranges[0].first = out->ranges[0].last = port;
    out->count = 1;
}

static void add_broker_ports(const json_t *kafka, struct ports *out)
{
    size_t index;
    json_t *range;
    json_array_foreach (json_object_get(kafka, "port_ranges"), index, range) {
        if (out->count == RANGES_MAX)
            return;
        int64_t base = slc_get_int(range, "port_base");
        out->ranges[out->count].first = base;
        out->ranges[out->count++].last =
            base + slc_get_int(range, "last_node_id") - slc_get_int(range, "first_node_id");
    }
}

static int64_t common_port(const struct ports *a, size_t i, const struct ports *b, size_t j)
{
    int64_t first = a->ranges[i].first > b->ranges[j].first ? a->ranges[i].first : b->ranges[j].first;
    int64_t last = a->ranges[i].last < b->ranges[j].last ? a->ranges[i].last : b->ranges[j].last;
    return first <= last ? first : 0;
}

/* A port that both want, or 0. */
static int64_t clash(const struct ports *a, const struct ports *b)
{
    if (a->host[0] != '\0' && b->host[0] != '\0' && strcmp(a->host, b->host) != 0)
        return 0;
    for (size_t i = 0; i < a->count; i++)
        for (size_t j = 0; j < b->count; j++)
            if (common_port(a, i, b, j) != 0)
                return common_port(a, i, b, j);
    return 0;
}

static bool check_clash(slc_txn *txn, const slc_change *change, const struct ports *mine, slc_error *err)
{
    static const char sql[] = "SELECT key, address, kafka FROM listeners WHERE gateway_group = ?1 AND id <> ?2";
    sqlite3_stmt *stmt =
        slc_txn_query(txn, err, sql, "ss", slc_get_text(change->next, "gateway_group"), change->id);
    if (stmt == NULL)
        return false;
    int rc;
    bool ok = true;
    while (ok && (rc = slc_txn_step(txn, stmt, err)) == 1) {
        struct ports other;
        json_t *kafka = slc_column_json(stmt, 2);
        split_address(slc_column_text(stmt, 1), &other);
        add_broker_ports(kafka, &other);
        json_decref(kafka);
        int64_t port = clash(mine, &other);
        if (port != 0)
            ok = slc_fail(err, SLC_CONFLICT, "/address", "port %lld is taken by listener %s of the same group",
                          (long long)port, slc_column_text(stmt, 0));
    }
    slc_txn_finish(txn, stmt);
    return ok && rc == 0;
}

/* ---- kafka ---- */

static bool check_range(slc_txn *txn, const struct ports *ports, const json_t *ranges, size_t index,
                        slc_error *err)
{
    char pointer[SLC_POINTER_CHARS];
    snprintf(pointer, sizeof(pointer), "/kafka/port_ranges/%zu", index);
    const json_t *range = json_array_get(ranges, index);
    int64_t first = slc_get_int(range, "first_node_id");
    int64_t last = slc_get_int(range, "last_node_id");
    if (last < first)
        return slc_txn_problem(txn, pointer, err, "last_node_id is below first_node_id");
    if (ports->ranges[index + 1].last > 65535)
        return slc_txn_problem(txn, pointer, err, "its ports would go beyond 65535");
    for (size_t i = 0; i <= index; i++)
        if (common_port(ports, i, ports, index + 1) != 0)
            return slc_txn_problem(txn, pointer, err, "port %lld is used by the listener already",
                                   (long long)common_port(ports, i, ports, index + 1));
    for (size_t i = 0; i < index; i++) {
        const json_t *other = json_array_get(ranges, i);
        if (first <= slc_get_int(other, "last_node_id") && slc_get_int(other, "first_node_id") <= last)
            return slc_txn_problem(txn, pointer, err, "its node ids are in another range already");
    }
    return true;
}

static bool check_kafka(slc_txn *txn, const json_t *next, const struct ports *ports, slc_error *err)
{
    const json_t *kafka = json_object_get(next, "kafka");
    bool wanted = strcmp(slc_get_text(next, "protocol"), "kafka") == 0;
    if (wanted != (kafka != NULL))
        return slc_txn_problem(txn, "/kafka", err,
                               wanted ? "is required on a kafka listener" : "is only for kafka listeners");
    if (wanted && json_object_get(next, "http") != NULL)
        return slc_txn_problem(txn, "/http", err, "is only for http listeners");
    if (!wanted)
        return true;
    const json_t *ranges = json_object_get(kafka, "port_ranges");
    if (strcmp(slc_get_text(kafka, "routing"), "sni") == 0) {
        if (json_object_get(kafka, "sni_suffix") == NULL)
            return slc_txn_problem(txn, "/kafka/sni_suffix", err, "is required for routing by sni");
        if (json_object_get(next, "tls") == NULL)
            return slc_txn_problem(txn, "/tls", err, "is required for routing by sni");
        if (json_array_size(ranges) > 0)
            return slc_txn_problem(txn, "/kafka/port_ranges", err, "has no meaning with routing by sni");
        return true;
    }
    if (json_object_get(kafka, "virtual_cluster") == NULL)
        return slc_txn_problem(txn, "/kafka/virtual_cluster", err, "is required for routing by ports");
    if (json_array_size(ranges) == 0)
        return slc_txn_problem(txn, "/kafka/port_ranges", err, "is required for routing by ports");
    if (json_object_get(next, "advertised_port") != NULL)
        return slc_txn_problem(txn, "/advertised_port", err,
                               "has no meaning with routing by ports: clients are told those of port_ranges");
    for (size_t i = 0; i < json_array_size(ranges); i++)
        if (!check_range(txn, ports, ranges, i, err))
            return false;
    return true;
}

/* ---- TLS ---- */

static bool key_fits(const char *certificate_pem, const char *key_pem)
{
    BIO *cert_bio = BIO_new_mem_buf(certificate_pem, -1);
    BIO *key_bio = BIO_new_mem_buf(key_pem, -1);
    X509 *cert = PEM_read_bio_X509(cert_bio, NULL, NULL, NULL);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(key_bio, NULL, NULL, NULL);
    bool fits = cert != NULL && key != NULL && X509_check_private_key(cert, key) == 1;
    ERR_clear_error();
    EVP_PKEY_free(key);
    X509_free(cert);
    BIO_free(key_bio);
    BIO_free(cert_bio);
    return fits;
}

/* A key that is only referred to is checked by the gateway. */
static bool check_tls(slc_txn *txn, const slc_change *change, slc_error *err)
{
    const json_t *tls = json_object_get(change->next, "tls");
    if (tls == NULL)
        return true;
    if (strcmp(slc_get_text(tls, "client_auth"), "none") != 0 && json_object_get(tls, "client_ca_pem") == NULL)
        return slc_txn_problem(txn, "/tls/client_ca_pem", err, "is required to verify client certificates");
    const char *pem = slc_get_text(tls, "certificate_pem"), *file = slc_get_text(tls, "certificate_file");
    if ((pem == NULL) == (file == NULL))
        return slc_txn_problem(txn, "/tls/certificate_pem", err,
                               pem == NULL ? "is required, unless certificate_file names a file of the gateways"
                                           : "cannot be there beside certificate_file");
    enum slc_secret_source source;
    char *key;
    size_t len;
    if (!slc_secret_open(txn, change->kind, change->id, "tls.key_pem", json_object_get(tls, "key_pem"), &source,
                         &key, &len, err))
        return false;
    bool ok = source != SLC_SECRET_VALUE || (pem != NULL && key_fits(pem, key));
    slc_free_secret(key, len);
    if (file != NULL && source != SLC_SECRET_FILE)
        return slc_txn_problem(
            txn, "/tls/key_pem", err,
            "must be {\"file\": ...} where the certificate is a file: one is renewed with the other");
    return ok || slc_txn_problem(txn, "/tls/key_pem", err, "is not the key of the certificate");
}

/* ---- the whole ---- */

static bool check_deployments(slc_txn *txn, const slc_change *change, slc_error *err)
{
    const char *virtual_cluster = slc_get_text(json_object_get(change->next, "kafka"), "virtual_cluster");
    if (virtual_cluster == NULL)
        return true;
    sqlite3_stmt *stmt =
        slc_txn_query(txn, err, "SELECT key FROM deployments WHERE listener = ?1 AND virtual_cluster <> ?2",
                      "ss", change->id, virtual_cluster);
    int rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    if (rc == 1)
        slc_fail(err, SLC_CONFLICT, "/kafka/virtual_cluster",
                 "deployment %s serves another virtual cluster on it", slc_column_text(stmt, 0));
    slc_txn_finish(txn, stmt);
    return rc == 0;
}

static bool check_listener(slc_txn *txn, slc_change *change, slc_error *err)
{
    struct ports ports;
    split_address(slc_get_text(change->next, "address"), &ports);
    add_broker_ports(json_object_get(change->next, "kafka"), &ports);
    return check_kafka(txn, change->next, &ports, err) && check_tls(txn, change, err) &&
           slc_identifying_kept(txn, change, err);
}

static bool listener_settled(slc_txn *txn, const slc_change *change, slc_error *err)
{
    struct ports ports;
    split_address(slc_get_text(change->next, "address"), &ports);
    add_broker_ports(json_object_get(change->next, "kafka"), &ports);
    return check_deployments(txn, change, err) && check_clash(txn, change, &ports, err);
}

const struct slc_kind_rules slc_rules_listener = {.check = check_listener, .settled = listener_settled};
