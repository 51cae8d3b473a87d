/* The table of the Kafka protocol: every message of every key and version as data.
 *
 * Generated into table_generated.c by proto/kafka/generate.py from Kafka's own message definitions (KIP-482 and
 * the KIPs of each version) and proto/kafka/overlay.json; constant, so it may be read by every thread. The
 * design is docs/decisions/0003-wire-walker.md, what is done with each key is docs/kafka-api.md.
 */
#ifndef SLC_DATAPLANE_KAFKA_TABLE_H
#define SLC_DATAPLANE_KAFKA_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define SLC_KAFKA_KEYS       95    /* keys 0 to 94, Kafka 4.4.0 */
#define SLC_KAFKA_OPEN       127   /* as a range's end: "and later" */
#define SLC_KAFKA_MAX_STRING 32767 /* bytes; Kafka's own limit, also for compact strings */

/* Wire types. */
enum slc_kafka_type {
    SLC_KAFKA_BOOL,
    SLC_KAFKA_INT8,
    SLC_KAFKA_INT16,
    SLC_KAFKA_UINT16,
    SLC_KAFKA_INT32,
    SLC_KAFKA_UINT32,
    SLC_KAFKA_INT64,
    SLC_KAFKA_FLOAT64,
    SLC_KAFKA_UUID,
    SLC_KAFKA_STRING,
    SLC_KAFKA_BYTES,
    SLC_KAFKA_RECORDS,
    SLC_KAFKA_STRUCT,
};

/* What a field means to a gateway. Kinds of fields: string unless said otherwise. */
enum slc_kafka_role {
    SLC_KAFKA_ROLE_NONE,
    SLC_KAFKA_ROLE_TOPIC,
    SLC_KAFKA_ROLE_TOPIC_ID, /* uuid */
    SLC_KAFKA_ROLE_GROUP,
    SLC_KAFKA_ROLE_TXN_ID,
    SLC_KAFKA_ROLE_RESOURCE,        /* of an ACL; named by the type and pattern beside it */
    SLC_KAFKA_ROLE_CONFIG_RESOURCE, /* of a configuration; named by the type beside it */
    SLC_KAFKA_ROLE_COORDINATOR_KEY, /* a group, transactional id or share key by its type (KIP-932) */
    SLC_KAFKA_ROLE_PATTERN,         /* an RE2 expression over names */
    SLC_KAFKA_ROLE_HOST,            /* of a broker or controller */
    SLC_KAFKA_ROLE_PORT,            /* int32 or uint16 */
    SLC_KAFKA_ROLE_RECORDS,         /* records */
    SLC_KAFKA_ROLE_SUBSCRIPTION,    /* bytes: consumer protocol, when the protocol type is "consumer" */
    SLC_KAFKA_ROLE_ASSIGNMENT,      /* bytes: likewise */
    SLC_KAFKA_ROLE_TELEMETRY,       /* bytes (KIP-714) */
    SLC_KAFKA_ROLE_PROTOCOL_TYPE,
    SLC_KAFKA_ROLE_ERROR_TEXT, /* free text of a broker; it may quote names */
    SLC_KAFKA_ROLE_ERROR_CODE, /* int16 */
    SLC_KAFKA_ROLE_THROTTLE,   /* int32, milliseconds */
    SLC_KAFKA_ROLE_CLUSTER_ID,
    SLC_KAFKA_ROLE_BROKER_ID,   /* int32, also arrays of it */
    SLC_KAFKA_ROLE_PRODUCER_ID, /* int64, also arrays of it */
    SLC_KAFKA_ROLE_PRINCIPAL,
    SLC_KAFKA_ROLE_SECRET, /* bytes: SASL tokens, HMACs, salted passwords; never log */
    SLC_KAFKA_ROLE_CONFIG_NAME,
    SLC_KAFKA_ROLE_CONFIG_VALUE,
    SLC_KAFKA_ROLE_ACKS, /* int16 */
    SLC_KAFKA_ROLE_CLIENT_ID,
    SLC_KAFKA_ROLE_CORRELATION_ID, /* int32 */
    SLC_KAFKA_ROLES,
};

/* A set of roles, for the walker's and the rewriter's masks. */
#define SLC_KAFKA_WANT(role) (UINT64_C(1) << (role))
/* All fields, also those without a role. */
#define SLC_KAFKA_WANT_FIELDS (SLC_KAFKA_WANT(SLC_KAFKA_ROLES) - 1)

enum slc_kafka_kind {
    SLC_KAFKA_REQUEST,
    SLC_KAFKA_RESPONSE,
    SLC_KAFKA_HEADER,
    SLC_KAFKA_DATA, /* embedded in a bytes field */
};

/* What the gateway does with a key. */
enum slc_kafka_disposition {
    SLC_KAFKA_DO_REFUSE,
    SLC_KAFKA_DO_ABSENT,   /* no version exists any more */
    SLC_KAFKA_DO_OPTIONAL, /* refused unless the virtual cluster opens it */
    SLC_KAFKA_DO_REWRITE,
    SLC_KAFKA_DO_LOCAL, /* answered by the gateway */
};

/* Resource types as they stand on the wire. ACLs (KIP-11, KIP-290) and configurations (KIP-133) number them
 * differently. */
enum {
    SLC_KAFKA_ACL_TOPIC = 2,
    SLC_KAFKA_ACL_GROUP = 3,
    SLC_KAFKA_ACL_CLUSTER = 4,
    SLC_KAFKA_ACL_TXN_ID = 5,
    SLC_KAFKA_CONFIG_TOPIC = 2,
    SLC_KAFKA_CONFIG_BROKER = 4,
    SLC_KAFKA_CONFIG_BROKER_LOGGER = 8,
    SLC_KAFKA_CONFIG_CLIENT_METRICS = 16,
    SLC_KAFKA_CONFIG_GROUP = 32,
    SLC_KAFKA_COORDINATOR_GROUP = 0,
    SLC_KAFKA_COORDINATOR_TXN = 1,
    SLC_KAFKA_COORDINATOR_SHARE = 2,
};

/* Bits of slc_kafka_field.flags. */
enum {
    SLC_KAFKA_FIELD_ARRAY = 1,
    SLC_KAFKA_FIELD_RIGID = 2,      /* keeps the old length prefix in flexible versions (the client id) */
    SLC_KAFKA_FIELD_IS_TYPE = 4,    /* its value is the resource type of a sibling */
    SLC_KAFKA_FIELD_IS_PATTERN = 8, /* its value is the pattern type of a sibling */
    SLC_KAFKA_FIELD_HAS_TYPE = 16,  /* named by a sibling's resource type */
    SLC_KAFKA_FIELD_HAS_PATTERN = 32,
};

/* Both ends are included; since > until means never. */
typedef struct slc_kafka_range {
    int8_t since;
    int8_t until;
} slc_kafka_range;

typedef struct slc_kafka_field {
    const char *name;
    uint16_t node; /* of a struct: index into slc_kafka_nodes */
    uint8_t type;  /* enum slc_kafka_type; of the elements, for an array */
    uint8_t role;  /* enum slc_kafka_role */
    uint8_t flags;
    uint8_t tag; /* in the versions in which it is tagged */
    slc_kafka_range in;
    slc_kafka_range null_in;
    slc_kafka_range tagged_in;
    int8_t type_default; /* where the sibling does not exist: its default */
    int8_t pattern_default;
} slc_kafka_field;

/* A struct: a run of fields in wire order. */
typedef struct slc_kafka_node {
    uint16_t first; /* index into slc_kafka_fields */
    uint16_t count;
} slc_kafka_node;

typedef struct slc_kafka_message {
    const char *name;
    int16_t key; /* -1 for headers and embedded data */
    uint16_t node;
    uint8_t kind; /* enum slc_kafka_kind */
    slc_kafka_range in;
    slc_kafka_range flexible_in;
} slc_kafka_message;

typedef struct slc_kafka_api {
    const char *name;
    int16_t key;
    uint8_t disposition;              /* enum slc_kafka_disposition */
    slc_kafka_range served;           /* what the gateway serves at most; empty when it refuses the key */
    const slc_kafka_message *request; /* NULL when absent */
    const slc_kafka_message *response;
} slc_kafka_api;

extern const slc_kafka_field slc_kafka_fields[];
extern const slc_kafka_node slc_kafka_nodes[];
extern const slc_kafka_api slc_kafka_apis[SLC_KAFKA_KEYS];
extern const slc_kafka_message *const slc_kafka_request_header_message;
extern const slc_kafka_message *const slc_kafka_response_header_message;
extern const slc_kafka_message *const slc_kafka_consumer_protocol_subscription_message;
extern const slc_kafka_message *const slc_kafka_consumer_protocol_assignment_message;

static inline bool slc_kafka_within(slc_kafka_range range, int version)
{
    return version >= range.since && version <= range.until;
}

/* NULL for a key that is not in the table; a key without versions is there and has no messages. */
const slc_kafka_api *slc_kafka_api_find(int key);

/* NULL (and `err`: SLC_UNSUPPORTED) unless the table has this key in this version. `kind` is request or
 * response. */
const slc_kafka_message *slc_kafka_message_find(int key, int version, enum slc_kafka_kind kind,
                                                slc_error *err) SLC_CHECKED;

/* Header versions (KIP-482): requests have 2 when the message is flexible, else 1; responses 1, else 0, and
 * ApiVersions always 0, since a client must read it before it knows anything (KIP-511). The message must be of
 * a key. */
int slc_kafka_header_version(const slc_kafka_message *message, int version);

/* The roles that a message holds in a version, as a mask. A message without a role that concerns the caller may
 * be forwarded unread. Walks the table: remember the answer. */
uint64_t slc_kafka_message_roles(const slc_kafka_message *message, int version);

/* "topic-id", ...; for metrics, logs and tests. */
const char *slc_kafka_role_name(enum slc_kafka_role role);

/* Bytes of a fixed-size type, 0 for the others. */
size_t slc_kafka_type_size(enum slc_kafka_type type);

#endif
