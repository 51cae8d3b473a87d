#include "catalog/question.h"

#include <string.h>

#include "catalog/entity.h"
#include "catalog/kinds.h"
#include "catalog/store.h"

#define TEXT(x)    #x
#define NUMBER(x)  TEXT(x)
#define MAX_CLAIMS 16384

static const char *const protocol_values[] = {"rest", "sse", "kafka", NULL};
static const char *const resource_values[] = {"topic", "group", "transactional-id", "cluster", NULL};

static const slc_field resource_fields[] = {
    {.name = "type",
     .type = SLC_F_ENUM,
     .flags = SLC_F_REQUIRED,
     .values = resource_values,
     .help = "What kind of resource it is."},
    {.name = "name", .type = SLC_F_STRING, .max = 249, .help = "As clients name it; absent for the cluster."},
    SLC_FIELD_END,
};

static const slc_field request_fields[] = {
    {.name = "method", .type = SLC_F_STRING, .max = 20, .help = "Method; absent: POST or GET."},
    {.name = "path", .type = SLC_F_STRING, .max = 1000, .help = "Path of the URL; absent: that of the events."},
    {.name = "headers", .type = SLC_F_MAP, .max = 50, .help = "Fields of the request."},
    {.name = "query", .type = SLC_F_MAP, .max = 50, .help = "Parameters of the URL, decoded."},
    {.name = "body_bytes", .type = SLC_F_INT, .max = INT32_MAX, .help = "Size of the body."},
    SLC_FIELD_END,
};

static const char *const acks_values[] = {"all", "1", "0", NULL};
static const char *const compression_values[] = {"none", "gzip", "snappy", "lz4", "zstd", NULL};

static const slc_field kafka_request_fields[] = {
    {.name = "client_id",
     .type = SLC_F_STRING,
     .max = 1000,
     .help = "What the client calls itself; absent: nothing."},
    {.name = "acks",
     .type = SLC_F_ENUM,
     .values = acks_values,
     .default_json = "\"all\"",
     .help = "write: of the batch."},
    {.name = "compression",
     .type = SLC_F_ENUM,
     .values = compression_values,
     .default_json = "\"none\"",
     .help = "write: of the batch."},
    {.name = "idempotent", .type = SLC_F_BOOL, .default_json = "true", .help = "write: is the producer?"},
    {.name = "partitions",
     .type = SLC_F_INT,
     .min = 1,
     .max = INT32_MAX,
     .help = "create and alter of a topic: as many as it gets; absent: the broker's default."},
    {.name = "replication_factor",
     .type = SLC_F_INT,
     .min = 1,
     .max = INT16_MAX,
     .help = "create of a topic; absent: the broker's default."},
    {.name = "configs",
     .type = SLC_F_MAP,
     .max = 50,
     .help = "create of a topic, alter-configs: configurations that are set."},
    SLC_FIELD_END,
};

const slc_field slc_question_fields[] = {
    {.name = "gateway_group",
     .type = SLC_F_REF,
     .ref = "gateway-groups",
     .flags = SLC_F_REQUIRED,
     .help = "Whose gateways are asked."},
    {.name = "application",
     .type = SLC_F_REF,
     .ref = "applications",
     .help = "Who asks, by whichever of its live credentials is let in."},
    {.name = "credential", .type = SLC_F_REF, .ref = "credentials", .help = "Or by this credential."},
    {.name = "issuer", .type = SLC_F_REF, .ref = "issuers", .help = "Or by an access token of this issuer..."},
    {.name = "claims",
     .type = SLC_F_JSON,
     .max = MAX_CLAIMS,
     .help = "...with these claims; iss and exp may be left out."},
    {.name = "event_api", .type = SLC_F_REF, .ref = "event-apis", .help = "What is asked for: an event API."},
    {.name = "virtual_cluster",
     .type = SLC_F_REF,
     .ref = "virtual-clusters",
     .help = "Or a resource of a virtual cluster, by native Kafka."},
    {.name = "protocol",
     .type = SLC_F_ENUM,
     .values = protocol_values,
     .help = "rest, sse or kafka; absent: rest, or kafka for a virtual cluster."},
    {.name = "operation",
     .type = SLC_F_STRING,
     .flags = SLC_F_REQUIRED,
     .min = 1,
     .max = 40,
     .help = "publish or read; on a resource of a virtual cluster Kafka's: read, write, create, describe, ..."},
    {.name = "resource", .type = SLC_F_OBJECT, .fields = resource_fields, .help = "Of the virtual cluster."},
    {.name = "listener",
     .type = SLC_F_REF,
     .ref = "listeners",
     .help = "By which native listener; absent: the first that serves the virtual cluster."},
    {.name = "address",
     .type = SLC_F_STRING,
     .max = 45,
     .help = "IP address of the client; absent: not known."},
    {.name = "time", .type = SLC_F_TIMESTAMP, .help = "When; absent: now."},
    {.name = "request", .type = SLC_F_OBJECT, .fields = request_fields, .help = "Of HTTP, for conditions."},
    {.name = "kafka_request",
     .type = SLC_F_OBJECT,
     .fields = kafka_request_fields,
     .help = "Of native Kafka: what kafka-requests policies look at; absent: they are not asked."},
    SLC_FIELD_END,
};

/* ---- the body ---- */

static bool has(const json_t *question, const char *name)
{
    return json_object_get(question, name) != NULL;
}

static bool check_who(slc_txn *txn, const json_t *question, slc_error *err)
{
    int ways = has(question, "application") + has(question, "credential") + has(question, "claims");
    if (ways > 1)
        return slc_txn_problem(txn, "", err, "at most one of application, credential and claims may be set");
    if (has(question, "claims") != has(question, "issuer"))
        return slc_txn_problem(txn, has(question, "claims") ? "/issuer" : "/claims", err,
                               "issuer and claims go together");
    return true;
}

static bool check_what(slc_txn *txn, const json_t *question, slc_error *err)
{
    bool api = has(question, "event_api"), vcluster = has(question, "virtual_cluster");
    if (api == vcluster)
        return slc_txn_problem(txn, "", err, "one of event_api and virtual_cluster must be set");
    if (vcluster != has(question, "resource"))
        return slc_txn_problem(txn, "/resource", err,
                               vcluster ? "must be set for a virtual cluster"
                                        : "an event API is a resource itself");
    const char *protocol = slc_get_text(question, "protocol");
    bool native = protocol != NULL ? strcmp(protocol, "kafka") == 0 : vcluster;
    return native || !has(question, "kafka_request") ||
           slc_txn_problem(txn, "/kafka_request", err, "is only for the protocol kafka");
}

static void settle_defaults(json_t *question)
{
    const char *text = has(question, "virtual_cluster") ? "kafka" : "rest";
    json_t *time = json_object_get(question, "time");
    if (!has(question, "protocol"))
        json_object_set_new(question, "protocol", json_string(text));
    if (time != NULL)
        json_object_set(question, "time_ms", time);
}

#define CREDENTIALS                                                                                            \
    "SELECT id, type, json_extract(oidc, '$.issuer'), certificate FROM credentials WHERE id = ?1 OR "          \
    "(application = ?2 AND "                                                                                   \
    "disabled = 0 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) "                        \
    "ORDER BY created_at, id LIMIT " NUMBER(SLC_QUESTION_CREDENTIALS)

static bool add_credentials(slc_txn *txn, json_t *question, slc_error *err)
{
    json_t *list = json_array(), *time = json_object_get(question, "time");
    sqlite3_stmt *stmt = slc_txn_query(txn, err, CREDENTIALS, "ssi", slc_get_text(question, "credential"),
                                       slc_get_text(question, "application"),
                                       time != NULL ? (int64_t)json_integer_value(time) : slc_txn_now_ms(txn));
    int rc = stmt == NULL ? -1 : 0;
    while (stmt != NULL && (rc = slc_txn_step(txn, stmt, err)) == 1) {
        json_t *one = json_pack("{s:s, s:s}", "id", slc_column_text(stmt, 0), "type", slc_column_text(stmt, 1));
        const char *issuer = slc_column_text(stmt, 2);
        if (issuer != NULL)
            json_object_set_new(one, "issuer", json_string(issuer));
        json_t *certificate = slc_column_json(stmt, 3);
        const char *wrong;
        const char *property =
            certificate != NULL ? slc_certificate_property(certificate, NULL, 0, &wrong) : NULL;
        if (property != NULL)
            json_object_set_new(one, "property", json_string(property));
        json_decref(certificate);
        json_array_append_new(list, one);
    }
    slc_txn_finish(txn, stmt);
    json_object_set_new(question, "credentials", list);
    return rc == 0;
}

json_t *slc_question_read(slc_txn *txn, const json_t *body, slc_error *err)
{
    json_t *question = slc_body_take(txn, slc_question_fields, body, err);
    if (question == NULL)
        return NULL;
    settle_defaults(question);
    if (check_who(txn, question, err) && check_what(txn, question, err) && add_credentials(txn, question, err))
        return question;
    json_decref(question);
    return NULL;
}

/* ---- the answer ---- */

#define STATE                                                                                                  \
    "SELECT CASE WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN disabled THEN 'disabled' "                    \
    "WHEN expires_at <= ?2 THEN 'expired' ELSE 'live' END, application, type FROM credentials WHERE id = ?1"

/* `*application` (new) is whose it is. */
static bool add_state(slc_txn *txn, const char *id, json_t *answer, json_t **application, slc_error *err)
{
    sqlite3_stmt *stmt = slc_txn_query(txn, err, STATE, "si", id, slc_txn_now_ms(txn));
    int rc = stmt != NULL ? slc_txn_step(txn, stmt, err) : -1;
    if (rc == 1) {
        json_t *credential = json_object_get(answer, "credential");
        if (credential == NULL) {
            credential = json_pack("{s:s, s:s}", "id", id, "type", slc_column_text(stmt, 2));
            json_object_set_new(answer, "credential", credential);
        }
        json_object_set_new(credential, "state", json_string(slc_column_text(stmt, 0)));
        *application = json_string(slc_column_text(stmt, 1));
    }
    slc_txn_finish(txn, stmt);
    return rc >= 0;
}

#define SUBSCRIPTIONS                                                                                          \
    "SELECT s.id, p.key, s.state, s.expires_at FROM subscriptions s JOIN plans p ON p.id = s.plan "            \
    "JOIN gateway_groups g ON g.environment = s.environment WHERE s.application = ?1 AND g.id = ?2 "           \
    "ORDER BY s.created_at DESC, s.id LIMIT 100"

static bool add_subscriptions(slc_txn *txn, const char *application, const char *group, json_t *answer,
                              slc_error *err)
{
    json_t *list = json_array();
    sqlite3_stmt *stmt = slc_txn_query(txn, err, SUBSCRIPTIONS, "ss", application, group);
    int rc = stmt == NULL ? -1 : 0;
    while (stmt != NULL && (rc = slc_txn_step(txn, stmt, err)) == 1)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "id", slc_column_text(stmt, 0), "plan",
                                              slc_column_text(stmt, 1), "state", slc_column_text(stmt, 2)));
    slc_txn_finish(txn, stmt);
    json_object_set_new(answer, "subscriptions", list);
    return rc == 0;
}

bool slc_question_complete(slc_txn *txn, const json_t *question, json_t *answer, slc_error *err)
{
    const char *credential = json_string_value(json_object_get(question, "credential"));
    const char *application = json_string_value(json_object_get(question, "application"));
    json_t *owner = NULL;
    bool ok = credential == NULL || add_state(txn, credential, answer, &owner, err);
    if (application == NULL)
        application = owner != NULL
                          ? json_string_value(owner)
                          : json_string_value(json_object_get(json_object_get(answer, "application"), "id"));
    ok = ok && (application == NULL ||
                add_subscriptions(txn, application, slc_get_text(question, "gateway_group"), answer, err));
    json_decref(owner);
    return ok;
}
