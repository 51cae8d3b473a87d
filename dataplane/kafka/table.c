/* Look-ups in the generated table. */
#include "dataplane/kafka/table.h"

#define KEY_API_VERSIONS 18

static const char *const role_names[SLC_KAFKA_ROLES] = {
    [SLC_KAFKA_ROLE_NONE] = "none",
    [SLC_KAFKA_ROLE_TOPIC] = "topic",
    [SLC_KAFKA_ROLE_TOPIC_ID] = "topic-id",
    [SLC_KAFKA_ROLE_GROUP] = "group",
    [SLC_KAFKA_ROLE_TXN_ID] = "transactional-id",
    [SLC_KAFKA_ROLE_RESOURCE] = "resource",
    [SLC_KAFKA_ROLE_CONFIG_RESOURCE] = "config-resource",
    [SLC_KAFKA_ROLE_COORDINATOR_KEY] = "coordinator-key",
    [SLC_KAFKA_ROLE_PATTERN] = "pattern",
    [SLC_KAFKA_ROLE_HOST] = "host",
    [SLC_KAFKA_ROLE_PORT] = "port",
    [SLC_KAFKA_ROLE_RECORDS] = "records",
    [SLC_KAFKA_ROLE_SUBSCRIPTION] = "subscription",
    [SLC_KAFKA_ROLE_ASSIGNMENT] = "assignment",
    [SLC_KAFKA_ROLE_TELEMETRY] = "telemetry",
    [SLC_KAFKA_ROLE_PROTOCOL_TYPE] = "protocol-type",
    [SLC_KAFKA_ROLE_ERROR_TEXT] = "error-text",
    [SLC_KAFKA_ROLE_ERROR_CODE] = "error-code",
    [SLC_KAFKA_ROLE_THROTTLE] = "throttle",
    [SLC_KAFKA_ROLE_CLUSTER_ID] = "cluster-id",
    [SLC_KAFKA_ROLE_BROKER_ID] = "broker-id",
    [SLC_KAFKA_ROLE_PRODUCER_ID] = "producer-id",
    [SLC_KAFKA_ROLE_PRINCIPAL] = "principal",
    [SLC_KAFKA_ROLE_SECRET] = "secret",
    [SLC_KAFKA_ROLE_CONFIG_NAME] = "config-name",
    [SLC_KAFKA_ROLE_CONFIG_VALUE] = "config-value",
    [SLC_KAFKA_ROLE_ACKS] = "acks",
    [SLC_KAFKA_ROLE_CLIENT_ID] = "client-id",
    [SLC_KAFKA_ROLE_CORRELATION_ID] = "correlation-id",
};

static const uint8_t type_sizes[] = {
    [SLC_KAFKA_BOOL] = 1,  [SLC_KAFKA_INT8] = 1,   [SLC_KAFKA_INT16] = 2, [SLC_KAFKA_UINT16] = 2,
    [SLC_KAFKA_INT32] = 4, [SLC_KAFKA_UINT32] = 4, [SLC_KAFKA_INT64] = 8, [SLC_KAFKA_FLOAT64] = 8,
    [SLC_KAFKA_UUID] = 16, [SLC_KAFKA_STRUCT] = 0,
};

const slc_kafka_api *slc_kafka_api_find(int key)
{
    return key >= 0 && key < SLC_KAFKA_KEYS ? &slc_kafka_apis[key] : NULL;
}

const slc_kafka_message *slc_kafka_message_find(int key, int version, enum slc_kafka_kind kind, slc_error *err)
{
    const slc_kafka_api *api = slc_kafka_api_find(key);
    const slc_kafka_message *message = NULL;
    if (api != NULL)
        message = kind == SLC_KAFKA_REQUEST ? api->request : api->response;
    if (message == NULL) {
        slc_fail(err, SLC_UNSUPPORTED, NULL, "Kafka API key %d is not known.", key);
        return NULL;
    }
    if (!slc_kafka_within(message->in, version)) {
        slc_fail(err, SLC_UNSUPPORTED, NULL, "%s has no version %d; it has %d to %d.", message->name, version,
                 message->in.since, message->in.until);
        return NULL;
    }
    return message;
}

int slc_kafka_header_version(const slc_kafka_message *message, int version)
{
    bool flexible = slc_kafka_within(message->flexible_in, version);
    if (message->kind == SLC_KAFKA_REQUEST)
        return flexible ? 2 : 1;
    return flexible && message->key != KEY_API_VERSIONS ? 1 : 0;
}

/* Recursion is bounded by the table, whose depth is asserted in table_generated.c. */
static uint64_t node_roles(uint16_t number, int version)
{
    const slc_kafka_node *node = &slc_kafka_nodes[number];
    uint64_t roles = 0;
    for (unsigned i = 0; i < node->count; i++) {
        const slc_kafka_field *field = &slc_kafka_fields[node->first + i];
        if (!slc_kafka_within(field->in, version))
            continue;
        if (field->role != SLC_KAFKA_ROLE_NONE)
            roles |= SLC_KAFKA_WANT(field->role);
        if (field->type == SLC_KAFKA_STRUCT)
            roles |= node_roles(field->node, version);
    }
    return roles;
}

uint64_t slc_kafka_message_roles(const slc_kafka_message *message, int version)
{
    return node_roles(message->node, version);
}

const char *slc_kafka_role_name(enum slc_kafka_role role)
{
    return (unsigned)role < SLC_KAFKA_ROLES ? role_names[role] : "unknown";
}

size_t slc_kafka_type_size(enum slc_kafka_type type)
{
    return type_sizes[type];
}
