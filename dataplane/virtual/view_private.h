/* What the two directions of a view share. */
#ifndef SLC_DATAPLANE_VIRTUAL_VIEW_PRIVATE_H
#define SLC_DATAPLANE_VIRTUAL_VIEW_PRIVATE_H

#include <string.h>

#include "dataplane/virtual/view.h"

#define WANT(role) SLC_KAFKA_WANT(SLC_KAFKA_ROLE_##role)

/* Kafka's error codes. */
enum {
    UNKNOWN_TOPIC_OR_PARTITION = 3,
    INVALID_TOPIC_EXCEPTION = 17,
    POLICY_VIOLATION = SLC_KAFKA_POLICY_VIOLATION,
    UNKNOWN_TOPIC_ID = 100,
};

enum {
    KEY_PRODUCE = 0,
    KEY_FETCH = 1,
    KEY_LIST_OFFSETS = 2,
    KEY_METADATA = 3,
    KEY_OFFSET_FETCH = 9,
    KEY_FIND_COORDINATOR = 10,
    KEY_JOIN_GROUP = 11,
    KEY_DESCRIBE_GROUPS = 15,
    KEY_LIST_GROUPS = 16,
    KEY_CREATE_TOPICS = 19,
    KEY_DELETE_TOPICS = 20,
    KEY_DELETE_RECORDS = 21,
    KEY_INIT_PRODUCER_ID = 22,
    KEY_OFFSET_FOR_LEADER_EPOCH = 23,
    KEY_DESCRIBE_ACLS = 29,
    KEY_CREATE_ACLS = 30,
    KEY_DELETE_ACLS = 31,
    KEY_DESCRIBE_CONFIGS = 32,
    KEY_ALTER_CONFIGS = 33,
    KEY_CREATE_PARTITIONS = 37,
    KEY_DELETE_GROUPS = 42,
    KEY_INCREMENTAL_ALTER_CONFIGS = 44,
    KEY_DESCRIBE_CLUSTER = 60,
    KEY_DESCRIBE_TRANSACTIONS = 65,
    KEY_LIST_TRANSACTIONS = 66,
    KEY_CONSUMER_GROUP_HEARTBEAT = 68,
    KEY_CONSUMER_GROUP_DESCRIBE = 69,
    KEY_LIST_CONFIG_RESOURCES = 74,
    KEY_DESCRIBE_TOPIC_PARTITIONS = 75,
    KEY_SHARE_GROUP_HEARTBEAT = 76,
    KEY_SHARE_GROUP_DESCRIBE = 77,
    KEY_SHARE_FETCH = 78,
    KEY_SHARE_ACKNOWLEDGE = 79,
    KEY_STREAMS_GROUP_HEARTBEAT = 88,
    KEY_STREAMS_GROUP_DESCRIBE = 89,
    KEY_DESCRIBE_SHARE_GROUP_OFFSETS = 90,
};

/* Cursors of DescribeTopicPartitions that stand among other tenants' topics. */
#define CURSOR_BEFORE "\x1f<"
#define CURSOR_BEHIND "\x1f>"

#define FETCH_SESSIONS_SINCE 7  /* KIP-227 */
#define METADATA_SAYS_CREATE 4  /* whether topics may be made by the way */
#define OFFSETS_BY_ID        10 /* OffsetFetch */

static inline bool slc_view_is_text(const slc_kafka_event *event, const char *text)
{
    return event->data != NULL && event->len == strlen(text) && memcmp(event->data, text, event->len) == 0;
}

/* The cursor, not a topic of the list: both hold a role TOPIC. */
static inline bool slc_view_is_cursor(int key, const slc_kafka_event *event)
{
    return key == KEY_DESCRIBE_TOPIC_PARTITIONS && strcmp(event->field->name, "TopicName") == 0;
}

static inline bool slc_view_is_acl(int key)
{
    return key == KEY_DESCRIBE_ACLS || key == KEY_CREATE_ACLS || key == KEY_DELETE_ACLS;
}

/* view_acl.c. `*pattern` is what the pattern type behind the name becomes, 0 when it stays. REFUSE: the request
 * is for what is not the namespace's, or may be. */
enum slc_kafka_verdict slc_view_map_acl(const slc_names *names, int key, const slc_kafka_event *event,
                                        int16_t *pattern, slc_kafka_value *out);
enum slc_kafka_verdict slc_view_unmap_acl(const slc_names *names, const slc_kafka_event *event,
                                          int16_t *pattern, slc_kafka_value *out);
/* At a field without a role. */
enum slc_kafka_verdict slc_view_put_pattern(const slc_kafka_event *event, int16_t *pattern,
                                            slc_kafka_value *out);

/* view_limits.c. Does the key make what is limited here, and must be counted for it? */
bool slc_view_limits(const slc_view *view, int key);
bool slc_view_counts(const slc_view *view, int key);
/* Reads all topics from a Metadata answer. */
bool slc_view_count(slc_view *view, int version, const uint8_t *body, size_t len, slc_error *err) SLC_CHECKED;
/* Fills view->over: for each topic of the request, in order, whether it is too much. */
bool slc_view_check_limits(slc_view *view, const slc_view_request *request, slc_error *err) SLC_CHECKED;
/* In answers: is it the name of a topic that was? Then its error and the text say so. */
bool slc_view_was_over(const slc_names *names, const uint8_t *data, size_t len);
enum slc_kafka_verdict slc_view_over_code(const slc_kafka_event *event, slc_kafka_value *out);
void slc_view_over_text(slc_view *view, slc_buf *out);
/* Notes whether the next topic is too much, or not what is demanded. */
void slc_view_note_over(slc_view *view, bool over);
/* Does the answer tell of topics that limits may have refused? */
static inline bool slc_view_may_be_over(int key)
{
    return key == KEY_CREATE_TOPICS || key == KEY_CREATE_PARTITIONS;
}
void slc_view_forget_own(slc_view *view);
/* At each value of an answer: topics that were not made after all, or that were deleted. */
void slc_view_note_made(const slc_view_answer *answer, const slc_kafka_event *event);
/* view_records.c. A partition of a Produce request. */
typedef struct slc_view_partition {
    slc_kafka_edits *edits;
    int64_t index;
    size_t at; /* of the index */
    slc_kafka_edits_mark mark;
    int16_t code; /* why it is refused */
    bool refused;
} slc_view_partition;
/* At a field of a Produce without a role: its index, which says that it is refused if something was demanded.
 */
enum slc_kafka_verdict slc_view_map_partition(slc_view *view, slc_view_request *request,
                                              slc_view_partition *partition, const slc_kafka_event *event,
                                              slc_kafka_value *out);
/* REFUSE: the request as a whole. */
enum slc_kafka_verdict slc_view_map_records(slc_view *view, slc_view_partition *partition, slc_kafka_span topic,
                                            const slc_kafka_event *event, slc_kafka_value *out,
                                            slc_view_failure *failure, slc_error *err);
enum slc_kafka_verdict slc_view_unmap_records(slc_view_answer *answer, const slc_kafka_event *event,
                                              slc_kafka_value *out, slc_error *err);
/* view_offsets.c: from where a connection fetches, so that it can always read past records that fail. */
/* A Fetch that says it of all partitions begins, or one that says what is new; and then each field without a
 * role. */
void slc_view_begin_offsets(slc_view *view, const slc_view_request *request);
void slc_view_note_offset(slc_view *view, slc_view_partition *partition, slc_kafka_span topic,
                          const slc_kafka_event *event);
/* INT64_MIN: not known. */
int64_t slc_view_from_offset(const slc_view *view, slc_kafka_span topic, int32_t partition);

/* An error code passes: that of records which may come behind it. */
void slc_view_note_code(slc_view_answer *answer, const slc_kafka_event *event);
/* Is it a topic of the namespace that was counted? `name` is the client's. */
bool slc_view_has_own(const slc_view *view, const uint8_t *name, size_t len);

/* view_demands.c: does anybody demand such things? */
bool slc_view_is_demanded(const slc_view *view, unsigned kinds);
/* 0, or the error. */
int16_t slc_view_meets(const slc_view *view, const slc_demand *demand);
void slc_view_add_config(slc_view *view, const slc_demand_config *config);
/* SLC_VIEW_SEND or SLC_VIEW_REFUSE. */
enum slc_view_outcome slc_view_check_client_id(const slc_view *view, slc_view_request *request);
/* Of Produce: the partitions' errors. Of changed configurations: view->over, in which topics alone count. */
bool slc_view_check_demands(slc_view *view, const slc_view_request *request, slc_error *err) SLC_CHECKED;
/* At a field of Produce without a role: a partition that is refused becomes one that does not exist. */
enum slc_kafka_verdict slc_view_put_partition(slc_view *view, slc_view_request *request,
                                              const slc_kafka_event *event, slc_kafka_value *out);
/* In answers: is it such a partition? */
bool slc_view_was_refused(const slc_view_answer *answer, const slc_kafka_event *event, int64_t *index,
                          int16_t *code);
void slc_view_demand_text(slc_view *view, int16_t code, slc_buf *out);

/* view_guard.c: is it allowed for what the key does? `name` is the client's. */
bool slc_view_may_topic(const slc_view *view, int key, const uint8_t *name, size_t len);
/* The same, and nobody is told when it is not. */
bool slc_view_looks_allowed(const slc_view *view, int key, const uint8_t *name, size_t len);
bool slc_view_may_group(const slc_view *view, int key, const uint8_t *name, size_t len);
bool slc_view_may_txn_id(const slc_view *view, int key, const uint8_t *name, size_t len);
/* A resource of a configuration; `*code` gets the error when it is not. */
bool slc_view_may_resource(const slc_view *view, int key, int16_t type, const uint8_t *name, size_t len,
                           int16_t *code);
/* Has the request to wait for a list of all topics, because its answer tells of them by ids alone? */
bool slc_view_wants_topics(const slc_view *view, const slc_view_request *request);
/* What needs no name: SLC_VIEW_SEND or SLC_VIEW_REFUSE with its code. */
enum slc_view_outcome slc_view_check_cluster(const slc_view *view, slc_view_request *request);
/* The guard's part of slc_view_unmap. False: go on. */
bool slc_view_guard_unmap(slc_view_answer *answer, const slc_kafka_event *event, slc_kafka_value *out,
                          enum slc_kafka_verdict *verdict);

/* Rewrites a subscription or an assignment; what no broker can read is kept. REFUSE with `err`: names do not
 * fit. */
enum slc_kafka_verdict slc_view_blob(slc_view *view, const slc_kafka_event *event, slc_kafka_map_fn *map,
                                     void *ctx, slc_kafka_value *out, slc_error *err);

#endif
