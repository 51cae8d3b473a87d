#include "dataplane/virtual/guard.h"

#include <string.h>

#include "dataplane/kafka/table.h"

/* Kafka's error codes. */
enum {
    TOPIC_AUTHORIZATION_FAILED = 29,
    GROUP_AUTHORIZATION_FAILED = 30,
    CLUSTER_AUTHORIZATION_FAILED = 31,
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53,
};

#define READ             SLC_OP_READ
#define WRITE            SLC_OP_WRITE
#define CREATE           SLC_OP_CREATE
#define DELETE           SLC_OP_DELETE
#define ALTER            SLC_OP_ALTER
#define DESCRIBE         SLC_OP_DESCRIBE
#define DESCRIBE_CONFIGS SLC_OP_DESCRIBE_CONFIGS
#define ALTER_CONFIGS    SLC_OP_ALTER_CONFIGS

/* As the broker asks its authoriser for each request. What is not here asks for nothing, or is special: see
 * view_guard.c. */
static const slc_guard_rule rules[SLC_KAFKA_KEYS] = {
    [0] = {.topic = WRITE, .txn_id = WRITE},                       /* Produce */
    [1] = {.topic = READ},                                         /* Fetch */
    [2] = {.topic = DESCRIBE},                                     /* ListOffsets */
    [3] = {.topic = DESCRIBE},                                     /* Metadata */
    [8] = {.topic = READ, .group = READ},                          /* OffsetCommit */
    [9] = {.topic = DESCRIBE, .group = DESCRIBE},                  /* OffsetFetch */
    [10] = {.group = DESCRIBE, .txn_id = DESCRIBE},                /* FindCoordinator */
    [11] = {.group = READ},                                        /* JoinGroup */
    [12] = {.group = READ},                                        /* Heartbeat */
    [13] = {.group = READ},                                        /* LeaveGroup */
    [14] = {.group = READ},                                        /* SyncGroup */
    [15] = {.group = DESCRIBE},                                    /* DescribeGroups */
    [19] = {.topic = CREATE},                                      /* CreateTopics */
    [20] = {.topic = DELETE},                                      /* DeleteTopics */
    [21] = {.topic = DELETE},                                      /* DeleteRecords */
    [22] = {.txn_id = WRITE},                                      /* InitProducerId */
    [23] = {.topic = DESCRIBE},                                    /* OffsetForLeaderEpoch */
    [24] = {.topic = WRITE, .txn_id = WRITE},                      /* AddPartitionsToTxn */
    [25] = {.group = READ, .txn_id = WRITE},                       /* AddOffsetsToTxn */
    [26] = {.txn_id = WRITE},                                      /* EndTxn */
    [28] = {.topic = READ, .group = READ, .txn_id = WRITE},        /* TxnOffsetCommit */
    [29] = {.cluster = DESCRIBE},                                  /* DescribeAcls */
    [30] = {.cluster = ALTER},                                     /* CreateAcls */
    [31] = {.cluster = ALTER},                                     /* DeleteAcls */
    [32] = {.topic = DESCRIBE_CONFIGS, .group = DESCRIBE_CONFIGS}, /* DescribeConfigs */
    [33] = {.topic = ALTER_CONFIGS, .group = ALTER_CONFIGS},       /* AlterConfigs */
    [34] = {.cluster = ALTER},                                     /* AlterReplicaLogDirs */
    [35] = {.cluster = DESCRIBE},                                  /* DescribeLogDirs */
    [37] = {.topic = ALTER},                                       /* CreatePartitions */
    [38] = {.cluster = CREATE},                                    /* CreateDelegationToken */
    [39] = {.cluster = ALTER},                                     /* RenewDelegationToken */
    [40] = {.cluster = ALTER},                                     /* ExpireDelegationToken */
    [41] = {.cluster = DESCRIBE},                                  /* DescribeDelegationToken */
    [42] = {.group = DELETE},                                      /* DeleteGroups */
    [43] = {.cluster = ALTER},                                     /* ElectLeaders */
    [44] = {.topic = ALTER_CONFIGS, .group = ALTER_CONFIGS},       /* IncrementalAlterConfigs */
    [45] = {.cluster = ALTER},                                     /* AlterPartitionReassignments */
    [46] = {.cluster = DESCRIBE},                                  /* ListPartitionReassignments */
    [47] = {.topic = READ, .group = DELETE},                       /* OffsetDelete */
    [48] = {.cluster = DESCRIBE_CONFIGS},                          /* DescribeClientQuotas */
    [49] = {.cluster = ALTER_CONFIGS},                             /* AlterClientQuotas */
    [50] = {.cluster = DESCRIBE},                                  /* DescribeUserScramCredentials */
    [51] = {.cluster = ALTER},                                     /* AlterUserScramCredentials */
    [55] = {.cluster = DESCRIBE},                                  /* DescribeQuorum */
    [61] = {.topic = READ},                                        /* DescribeProducers */
    [65] = {.txn_id = DESCRIBE},                                   /* DescribeTransactions */
    [68] = {.topic = DESCRIBE, .group = READ, .whole = true},      /* ConsumerGroupHeartbeat */
    [69] = {.group = DESCRIBE},                                    /* ConsumerGroupDescribe */
    [74] = {.cluster = DESCRIBE_CONFIGS},                          /* ListConfigResources */
    [75] = {.topic = DESCRIBE},                                    /* DescribeTopicPartitions */
    [76] = {.topic = DESCRIBE, .group = READ, .whole = true},      /* ShareGroupHeartbeat */
    [77] = {.group = DESCRIBE},                                    /* ShareGroupDescribe */
    [78] = {.topic = READ, .group = READ},                         /* ShareFetch */
    [79] = {.topic = READ, .group = READ},                         /* ShareAcknowledge */
    [88] = {.topic = DESCRIBE, .group = READ, .whole = true},      /* StreamsGroupHeartbeat */
    [89] = {.group = DESCRIBE},                                    /* StreamsGroupDescribe */
    [90] = {.topic = DESCRIBE, .group = DESCRIBE},                 /* DescribeShareGroupOffsets */
    [91] = {.topic = READ, .group = READ},                         /* AlterShareGroupOffsets */
    [92] = {.topic = READ, .group = DELETE},                       /* DeleteShareGroupOffsets */
    [93] = {.group = READ},                                        /* StreamsGroupTopologyDescriptionUpdate */
};

const slc_guard_rule *slc_guard_rule_of(int key)
{
    static const slc_guard_rule none;
    return key >= 0 && key < SLC_KAFKA_KEYS ? &rules[key] : &none;
}

bool slc_guard_one(slc_guard *guard, enum slc_operation operation, enum slc_resource resource,
                   const uint8_t *name, size_t len)
{
    return guard == NULL || guard->allows(guard, operation, resource, SLC_GUARD_ONE, name, len);
}

bool slc_guard_look(slc_guard *guard, enum slc_operation operation, enum slc_resource resource,
                    const uint8_t *name, size_t len)
{
    return guard == NULL || guard->allows(guard, operation, resource, SLC_GUARD_LOOK, name, len);
}

bool slc_guard_look_cluster(slc_guard *guard, enum slc_operation operation)
{
    return slc_guard_look(guard, operation, SLC_RESOURCE_CLUSTER, (const uint8_t *)SLC_GUARD_CLUSTER,
                          strlen(SLC_GUARD_CLUSTER));
}

bool slc_guard_cluster(slc_guard *guard, enum slc_operation operation)
{
    return slc_guard_one(guard, operation, SLC_RESOURCE_CLUSTER, (const uint8_t *)SLC_GUARD_CLUSTER,
                         strlen(SLC_GUARD_CLUSTER));
}

#define BIT(operation) (1u << (operation))

/* As Kafka supports them on each. */
static const uint16_t supported[SLC_RESOURCES] = {
    [SLC_RESOURCE_TOPIC] = BIT(READ) | BIT(WRITE) | BIT(CREATE) | BIT(DESCRIBE) | BIT(DELETE) | BIT(ALTER) |
                           BIT(DESCRIBE_CONFIGS) | BIT(ALTER_CONFIGS),
    [SLC_RESOURCE_GROUP] = BIT(READ) | BIT(DESCRIBE) | BIT(DELETE) | BIT(DESCRIBE_CONFIGS) | BIT(ALTER_CONFIGS),
    [SLC_RESOURCE_CLUSTER] = BIT(CREATE) | BIT(SLC_OP_CLUSTER_ACTION) | BIT(DESCRIBE_CONFIGS) |
                             BIT(ALTER_CONFIGS) | BIT(SLC_OP_IDEMPOTENT_WRITE) | BIT(ALTER) | BIT(DESCRIBE),
    [SLC_RESOURCE_TXN_ID] = BIT(DESCRIBE) | BIT(WRITE),
};

int32_t slc_guard_bits(slc_guard *guard, enum slc_resource resource, const uint8_t *name, size_t len)
{
    uint32_t bits = 0;
    for (unsigned operation = 0; operation < SLC_OPERATIONS; operation++)
        if ((supported[resource] & BIT(operation)) != 0 &&
            slc_guard_look(guard, operation, resource, name, len))
            bits |= BIT(operation);
    return (int32_t)bits;
}

int16_t slc_guard_code(enum slc_resource resource)
{
    static const int16_t codes[SLC_RESOURCES] = {
        [SLC_RESOURCE_TOPIC] = TOPIC_AUTHORIZATION_FAILED,
        [SLC_RESOURCE_GROUP] = GROUP_AUTHORIZATION_FAILED,
        [SLC_RESOURCE_CLUSTER] = CLUSTER_AUTHORIZATION_FAILED,
        [SLC_RESOURCE_TXN_ID] = TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    };
    return codes[resource];
}

const char *slc_guard_text(int16_t code)
{
    switch (code) {
    case TOPIC_AUTHORIZATION_FAILED:
        return "Topic authorization failed.";
    case GROUP_AUTHORIZATION_FAILED:
        return "Group authorization failed.";
    case CLUSTER_AUTHORIZATION_FAILED:
        return "Cluster authorization failed.";
    case TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
        return "Transactional Id authorization failed.";
    default:
        return NULL;
    }
}
