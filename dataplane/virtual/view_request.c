/* Requests: what the client says becomes what the backend is told, or is refused, or has to wait until it is
 * known whose topic id it names. */
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "dataplane/kafka/wire.h"
#include "dataplane/virtual/pattern.h"
#include "dataplane/virtual/view_private.h"

/* Kafka's error codes. */
enum {
    INVALID_GROUP_ID = 24,
    GROUP_AUTHORIZATION_FAILED = 30,
    CLUSTER_AUTHORIZATION_FAILED = 31,
    INVALID_REQUEST = 42,
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53,
    FETCH_SESSION_ID_NOT_FOUND = 70,
    INVALID_REGULAR_EXPRESSION = 128,
};

#define ROLES                                                                                                  \
    (WANT(TOPIC) | WANT(TOPIC_ID) | WANT(GROUP) | WANT(TXN_ID) | WANT(CONFIG_RESOURCE) | WANT(RESOURCE) |      \
     WANT(COORDINATOR_KEY) | WANT(PATTERN) | WANT(PROTOCOL_TYPE) | WANT(SUBSCRIPTION) | WANT(ASSIGNMENT))

struct mapping {
    slc_view *view;
    slc_view_request *request;
    slc_error *err;
    bool refused;
    int16_t acl_pattern;
    size_t topics;                /* of the request, until now */
    bool outside;                 /* one of them is not the namespace's own */
    slc_view_partition partition; /* at hand, where records are looked at */
    slc_kafka_span topic;         /* the client's name of the one at hand; NULL: it is nobody's, or not his */
    bool uncreatable;             /* a topic was named that may not be made by the way */
};

static enum slc_kafka_verdict refuse(struct mapping *m, int16_t code, const char *why)
{
    m->refused = true;
    m->request->refusal = code;
    snprintf(m->request->why, sizeof m->request->why, "%s", why);
    return SLC_KAFKA_REFUSE;
}

/* In place of a name that the guard denies; the answer will say which error. */
static enum slc_kafka_verdict deny(struct mapping *m, int16_t code, const slc_kafka_event *event,
                                   slc_kafka_value *out)
{
    m->request->denied = code;
    m->topic = (slc_kafka_span){0};
    m->topics +=
        event->field->role == SLC_KAFKA_ROLE_TOPIC || (event->field->role == SLC_KAFKA_ROLE_CONFIG_RESOURCE &&
                                                       event->resource_type == SLC_KAFKA_CONFIG_TOPIC);
    m->view->fetch_denied = m->view->fetch_denied || m->request->header->key == KEY_FETCH;
    slc_names_void(m->view->names, &out->head);
    out->body = (slc_kafka_span){event->data, event->len};
    return SLC_KAFKA_REPLACE;
}

static enum slc_kafka_verdict put(const slc_kafka_event *event, const slc_name *name, slc_kafka_value *out)
{
    if (name->head.len == 0 && name->body.data == event->data)
        return SLC_KAFKA_KEEP;
    out->head = name->head;
    out->body = name->body;
    return SLC_KAFKA_REPLACE;
}

/* ---- topics ---- */

/* What changes a topic is for the namespace's own. */
static bool needs_own(int key)
{
    return key == KEY_CREATE_TOPICS || key == KEY_DELETE_TOPICS || key == KEY_DELETE_RECORDS ||
           key == KEY_CREATE_PARTITIONS || key == KEY_ALTER_CONFIGS || key == KEY_INCREMENTAL_ALTER_CONFIGS;
}

/* ---- topics that brokers make when they are asked for them (auto.create.topics.enable) ---- */

/* Where what may be made is limited, and outside the namespace, none is. */
static bool must_not_make(const struct mapping *m)
{
    const slc_names_limits limits = slc_names_limits_of(m->view->names);
    return m->request->header->key == KEY_METADATA &&
           (m->outside || limits.topics > 0 || limits.partitions > 0 ||
            slc_view_is_demanded(m->view, SLC_DEMAND_TOPIC));
}

/* Can the request say that it makes none? */
static bool may_look_only(struct mapping *m)
{
    return !must_not_make(m) || m->request->header->version >= SLC_VIEW_METADATA_MIN ||
           slc_fail(
               m->err, SLC_UNSUPPORTED, "versions",
               "Metadata version %d makes topics, which this virtual cluster's limits, rules or extra topics "
               "do not let it; "
               "clients since Kafka 0.11 can do without",
               m->request->header->version);
}

/* At a field of Metadata without a role. */
static enum slc_kafka_verdict look_only(const struct mapping *m, const slc_kafka_event *event,
                                        slc_kafka_value *out)
{
    if (strcmp(event->field->name, "AllowAutoTopicCreation") != 0 || event->number == 0 ||
        (!must_not_make(m) && !m->uncreatable))
        return SLC_KAFKA_KEEP;
    out->number = 0;
    return SLC_KAFKA_REPLACE;
}

static enum slc_kafka_verdict map_cursor(struct mapping *m, const slc_kafka_event *event, slc_kafka_value *out)
{
    const char *prefix = slc_names_prefix(m->view->names);
    slc_name name;
    if (slc_view_is_text(event, CURSOR_BEHIND))
        return refuse(m, 0, "");
    if (slc_view_is_text(event, CURSOR_BEFORE)) {
        out->body = (slc_kafka_span){prefix, strlen(prefix)};
        return SLC_KAFKA_REPLACE;
    }
    slc_names_map(m->view->names, SLC_NAME_TOPIC, event->data, event->len, &name);
    return put(event, &name, out);
}

static enum slc_kafka_verdict map_topic(struct mapping *m, const slc_kafka_event *event, slc_kafka_value *out)
{
    slc_name name;
    if (event->data == NULL)
        return SLC_KAFKA_KEEP;
    slc_names_map(m->view->names, SLC_NAME_TOPIC, event->data, event->len, &name);
    bool over = m->topics < m->view->over_count && m->view->over[m->topics];
    m->topics++;
    m->topic = (slc_kafka_span){event->data, event->len};
    m->outside = m->outside || (name.visible && !name.owned);
    if (!may_look_only(m))
        return SLC_KAFKA_REFUSE;
    if (over)
        m->request->denied = POLICY_VIOLATION;
    if (over || (name.visible && !name.owned && needs_own(m->request->header->key))) {
        slc_names_void(m->view->names, &name.head);
        name.body = (slc_kafka_span){event->data, event->len};
    }
    return put(event, &name, out);
}

/* Metadata makes topics by the way; before version 4 nobody can say that it shall not, so the topic must be
 * there. */
static bool may_make(struct mapping *m, const slc_kafka_event *event)
{
    const slc_kafka_request_header *header = m->request->header;
    if (header->key != KEY_METADATA || slc_guard_look_cluster(m->view->guard, SLC_OP_CREATE) ||
        slc_guard_look(m->view->guard, SLC_OP_CREATE, SLC_RESOURCE_TOPIC, event->data, event->len))
        return true;
    m->uncreatable = true;
    return header->version >= METADATA_SAYS_CREATE || slc_view_has_own(m->view, event->data, event->len);
}

static enum slc_kafka_verdict guard_topic(struct mapping *m, const slc_kafka_event *event, slc_kafka_value *out)
{
    const slc_view *view = m->view;
    int key = m->request->header->key;
    int16_t code = slc_guard_code(SLC_RESOURCE_TOPIC);
    if (view->guard == NULL || event->data == NULL ||
        (slc_view_may_topic(view, key, event->data, event->len) && may_make(m, event)))
        return map_topic(m, event, out);
    return slc_guard_rule_of(key)->whole ? refuse(m, code, slc_guard_text(code)) : deny(m, code, event, out);
}

static enum slc_kafka_verdict map_blob_topic(void *ctx, const slc_kafka_event *event, slc_kafka_value *out,
                                             slc_error *err)
{
    (void)err;
    return map_topic(ctx, event, out);
}

/* ---- topic ids ---- */

static bool is_ours(const struct mapping *m, const uint8_t *name, size_t len)
{
    slc_kafka_span client;
    slc_name back;
    if (!slc_names_unmap(m->view->names, SLC_NAME_TOPIC, name, len, &client))
        return false;
    slc_names_map(m->view->names, SLC_NAME_TOPIC, client.data, client.len, &back);
    return back.visible && (back.owned || !needs_own(m->request->header->key));
}

/* Does the guard deny the topic of this id, which is ours? */
static bool is_denied(struct mapping *m, const uint8_t *name, size_t len)
{
    slc_kafka_span client;
    int key = m->request->header->key;
    if (m->view->guard == NULL || slc_guard_rule_of(key)->whole ||
        !slc_names_unmap(m->view->names, SLC_NAME_TOPIC, name, len, &client) ||
        slc_view_may_topic(m->view, key, client.data, client.len))
        return false;
    m->request->denied = slc_guard_code(SLC_RESOURCE_TOPIC);
    m->view->fetch_denied = m->view->fetch_denied || key == KEY_FETCH;
    return true;
}

static bool note_missing(slc_view *view, const uint8_t *id)
{
    if (view->missing_count == SLC_VIEW_MAX_MISSING)
        return false;
    if (view->missing_count == view->missing_cap) {
        view->missing_cap = view->missing_cap == 0 ? 16 : view->missing_cap * 2;
        view->missing = slc_realloc(view->missing, view->missing_cap * SLC_TOPIC_ID_BYTES);
    }
    memcpy(view->missing + view->missing_count++ * SLC_TOPIC_ID_BYTES, id, SLC_TOPIC_ID_BYTES);
    return true;
}

/* What is sent in place of an id that is not ours; NULL: the connection has named too many. */
static const slc_view_id *make_foreign(slc_view *view, const uint8_t *id, bool unknown, bool denied)
{
    for (size_t i = 0; i < view->foreign_count; i++)
        if (memcmp(view->foreign[i].id, id, SLC_TOPIC_ID_BYTES) == 0) {
            view->foreign[i].denied = denied;
            return &view->foreign[i];
        }
    if (view->foreign_count == SLC_VIEW_MAX_FOREIGN)
        return NULL;
    view->foreign = slc_realloc(view->foreign, (view->foreign_count + 1) * sizeof *view->foreign);
    slc_view_id *foreign = &view->foreign[view->foreign_count++];
    memcpy(foreign->id, id, sizeof foreign->id);
    for (size_t i = 0; i < sizeof foreign->sent; i++)
        foreign->sent[i] = id[i] ^ view->secret[i];
    foreign->unknown = unknown;
    foreign->denied = denied;
    return foreign;
}

static enum slc_kafka_verdict map_id(struct mapping *m, const slc_kafka_event *event, slc_kafka_value *out)
{
    static const uint8_t zero[SLC_TOPIC_ID_BYTES];
    size_t len;
    m->topic = (slc_kafka_span){0};
    if (memcmp(event->data, zero, sizeof zero) == 0)
        return SLC_KAFKA_KEEP;
    const uint8_t *name = slc_topic_ids_find(m->view->ids, event->data, &len);
    bool ours = name != NULL && is_ours(m, name, len), denied = ours && is_denied(m, name, len), full = false;
    if (ours && !denied) {
        (void)slc_names_unmap(m->view->names, SLC_NAME_TOPIC, name, len, &m->topic);
        return SLC_KAFKA_KEEP;
    }
    if (name == NULL && !m->request->asked) {
        full = !note_missing(m->view, event->data);
        if (!full)
            return SLC_KAFKA_KEEP; /* it comes again */
    }
    const slc_view_id *foreign = full ? NULL : make_foreign(m->view, event->data, name == NULL, denied);
    if (foreign == NULL) {
        slc_fail(m->err, SLC_LIMIT, "limit",
                 "the client names more than %d topic ids that are not of its virtual cluster",
                 SLC_VIEW_MAX_FOREIGN);
        return SLC_KAFKA_REFUSE;
    }
    out->body = (slc_kafka_span){foreign->sent, sizeof foreign->sent};
    return SLC_KAFKA_REPLACE;
}

/* Some id of an open fetch session was nobody's and is ours now: the broker's session holds another in its
 * place, so the client must begin anew. */
static bool is_stale(struct mapping *m)
{
    slc_view *view = m->view;
    bool stale = false;
    for (size_t i = 0; i < view->foreign_count;) {
        slc_view_id *foreign = &view->foreign[i];
        size_t len;
        const uint8_t *name = foreign->unknown ? slc_topic_ids_find(view->ids, foreign->id, &len) : NULL;
        if (name != NULL && is_ours(m, name, len)) {
            *foreign = view->foreign[--view->foreign_count];
            stale = true;
            continue;
        }
        if (name != NULL)
            foreign->unknown = false;
        i++;
    }
    return stale;
}

/* Asks again, at most once in a while, for ids of the fetch session that were nobody's. */
static void recheck(struct mapping *m)
{
    slc_view *view = m->view;
    if (m->request->asked || m->request->now_ms < view->recheck_at_ms)
        return;
    view->recheck_at_ms = m->request->now_ms + SLC_VIEW_RECHECK_MS;
    for (size_t i = 0; i < view->foreign_count; i++)
        if (view->foreign[i].unknown)
            (void)note_missing(view, view->foreign[i].id);
}

static enum slc_kafka_verdict check_fetch_session(struct mapping *m)
{
    const slc_view_request *request = m->request;
    size_t at = request->header->version <= 14 ? 17 : 13; /* version 15 moved the replica id into a tag */
    if (request->header->key != KEY_FETCH || request->header->version < FETCH_SESSIONS_SINCE ||
        request->len < at + 8)
        return SLC_KAFKA_KEEP;
    int32_t session = (int32_t)slc_kafka_get32(request->body + at);
    if (session == 0)
        return SLC_KAFKA_KEEP;
    if (session != m->view->fetch_session || is_stale(m)) {
        m->view->fetch_session = 0;
        return refuse(m, FETCH_SESSION_ID_NOT_FOUND, "");
    }
    recheck(m);
    return SLC_KAFKA_KEEP;
}

/* ---- groups and transactional ids ---- */

/* Is it one of several in the request, each with an answer of its own? */
static bool is_listed(const slc_kafka_request_header *header)
{
    switch (header->key) {
    case KEY_OFFSET_FETCH:
        return header->version >= 8;
    case KEY_DESCRIBE_GROUPS:
    case KEY_DELETE_GROUPS:
    case KEY_DESCRIBE_TRANSACTIONS:
    case KEY_CONSUMER_GROUP_DESCRIBE:
    case KEY_SHARE_GROUP_DESCRIBE:
    case KEY_STREAMS_GROUP_DESCRIBE:
    case KEY_DESCRIBE_SHARE_GROUP_OFFSETS:
        return true;
    default:
        return false;
    }
}

static enum slc_kafka_verdict map_group(struct mapping *m, const slc_kafka_event *event, slc_kafka_value *out)
{
    slc_name name;
    if (event->data == NULL)
        return SLC_KAFKA_KEEP;
    if (!slc_view_may_group(m->view, m->request->header->key, event->data, event->len)) {
        int16_t code = slc_guard_code(SLC_RESOURCE_GROUP);
        return is_listed(m->request->header) ? deny(m, code, event, out)
                                             : refuse(m, code, slc_guard_text(code));
    }
    slc_names_map(m->view->names, SLC_NAME_GROUP, event->data, event->len, &name);
    if (!name.visible && !is_listed(m->request->header))
        return refuse(m, event->len == 0 ? INVALID_GROUP_ID : GROUP_AUTHORIZATION_FAILED,
                      "The group is not one of this virtual cluster's.");
    return put(event, &name, out);
}

/* An idempotent producer without transactions: who may write anything may have one. */
static bool may_have_producer_id(const slc_view *view)
{
    slc_guard *guard = view->guard;
    return guard == NULL || slc_guard_look_cluster(guard, SLC_OP_IDEMPOTENT_WRITE) ||
           guard->allows(guard, SLC_OP_WRITE, SLC_RESOURCE_TOPIC, SLC_GUARD_SOME, NULL, 0);
}

static enum slc_kafka_verdict map_txn_id(struct mapping *m, const slc_kafka_event *event, slc_kafka_value *out)
{
    slc_name name;
    int key = m->request->header->key;
    if (event->data == NULL && key == KEY_INIT_PRODUCER_ID && !may_have_producer_id(m->view))
        return refuse(m, slc_guard_code(SLC_RESOURCE_CLUSTER),
                      slc_guard_text(slc_guard_code(SLC_RESOURCE_CLUSTER)));
    if (event->data == NULL)
        return SLC_KAFKA_KEEP;
    if (!slc_view_may_txn_id(m->view, key, event->data, event->len)) {
        int16_t code = slc_guard_code(SLC_RESOURCE_TXN_ID);
        return is_listed(m->request->header) ? deny(m, code, event, out)
                                             : refuse(m, code, slc_guard_text(code));
    }
    slc_names_map(m->view->names, SLC_NAME_TXN_ID, event->data, event->len, &name);
    if (!name.visible && !is_listed(m->request->header))
        return refuse(m, event->len == 0 ? INVALID_REQUEST : TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
                      "The transactional id is not one of this virtual cluster's.");
    return put(event, &name, out);
}

static enum slc_kafka_verdict map_coordinator_key(struct mapping *m, const slc_kafka_event *event,
                                                  slc_kafka_value *out)
{
    bool txn = event->resource_type == SLC_KAFKA_COORDINATOR_TXN;
    const slc_kafka_request_header *header = m->request->header;
    slc_name name;
    if (!txn && event->resource_type != SLC_KAFKA_COORDINATOR_GROUP)
        return refuse(m, INVALID_REQUEST, "Coordinators are found for groups and transactional ids.");
    if (!(txn ? slc_view_may_txn_id : slc_view_may_group)(m->view, header->key, event->data, event->len)) {
        int16_t code = slc_guard_code(txn ? SLC_RESOURCE_TXN_ID : SLC_RESOURCE_GROUP);
        return header->version >= 4 ? deny(m, code, event, out) : refuse(m, code, slc_guard_text(code));
    }
    slc_names_map(m->view->names, txn ? SLC_NAME_TXN_ID : SLC_NAME_GROUP, event->data, event->len, &name);
    return put(event, &name, out);
}

/* ---- the rest ---- */

static enum slc_kafka_verdict map_resource(struct mapping *m, const slc_kafka_event *event,
                                           slc_kafka_value *out)
{
    slc_name name;
    int16_t code;
    bool of_group = event->resource_type == SLC_KAFKA_CONFIG_GROUP;
    if (!slc_view_may_resource(m->view, m->request->header->key, event->resource_type, event->data, event->len,
                               &code))
        return deny(m, code, event, out);
    if (event->resource_type == SLC_KAFKA_CONFIG_TOPIC)
        return map_topic(m, event, out);
    if (!of_group && slc_names_is_identity(m->view->names))
        return SLC_KAFKA_KEEP;
    if (!of_group)
        return refuse(m, CLUSTER_AUTHORIZATION_FAILED,
                      "A virtual cluster has configurations of topics and groups alone.");
    slc_names_map(m->view->names, SLC_NAME_GROUP, event->data, event->len, &name);
    if (!name.visible && m->request->header->key != KEY_DESCRIBE_CONFIGS) /* it would be made */
        return refuse(m, GROUP_AUTHORIZATION_FAILED, "The group is not one of this virtual cluster's.");
    return put(event, &name, out);
}

static enum slc_kafka_verdict map_pattern(struct mapping *m, const slc_kafka_event *event, slc_kafka_value *out)
{
    enum slc_name_kind kind =
        m->request->header->key == KEY_LIST_TRANSACTIONS ? SLC_NAME_TXN_ID : SLC_NAME_TOPIC;
    slc_error err = {0};
    if (event->data == NULL || event->len == 0) /* none */
        return SLC_KAFKA_KEEP;
    slc_guard *guard = m->view->guard;
    if (kind == SLC_NAME_TOPIC && guard != NULL && /* no expression can say what is allowed */
        !guard->allows(guard, SLC_OP_DESCRIBE, SLC_RESOURCE_TOPIC, SLC_GUARD_EVERY, NULL, 0))
        return refuse(m, INVALID_REGULAR_EXPRESSION, "Patterns are for those who may describe every topic.");
    if (slc_names_is_identity(m->view->names))
        return SLC_KAFKA_KEEP;
    slc_buf_clear(&m->view->scratch);
    if (!slc_pattern_map(m->view->names, kind, event->data, event->len, &m->view->scratch, &err))
        return refuse(m, INVALID_REGULAR_EXPRESSION, err.message);
    out->body = (slc_kafka_span){m->view->scratch.data, m->view->scratch.len};
    return SLC_KAFKA_REPLACE;
}

static enum slc_kafka_verdict map_acl(struct mapping *m, const slc_kafka_event *event, slc_kafka_value *out)
{
    int key = m->request->header->key;
    enum slc_kafka_verdict verdict = slc_view_map_acl(m->view->names, key, event, &m->acl_pattern, out);
    if (verdict != SLC_KAFKA_REFUSE)
        return verdict;
    return refuse(
        m, CLUSTER_AUTHORIZATION_FAILED,
        key == KEY_DELETE_ACLS
            ? "ACLs are deleted here by the type and name of a topic, group or transactional id, with the "
              "pattern type literal, prefixed or any."
            : "ACLs are made here for topics, groups and transactional ids of this virtual cluster.");
}

/* A broker holds it against the group's. Where a request does not say it, its blobs are taken for a consumer's
 * if they can be read as that. */
static void note_protocol(struct mapping *m, const slc_kafka_event *event)
{
    if (event->data != NULL)
        m->request->consumer = slc_view_is_text(event, "consumer");
}

/* A client that calls itself a broker's replica would be taken for one: it would see what is not committed, and
 * move what is. Consumers are -1. */
static bool may_claim_replica(int key)
{
    return key == KEY_FETCH || key == KEY_LIST_OFFSETS || key == KEY_OFFSET_FOR_LEADER_EPOCH;
}

static enum slc_kafka_verdict map_replica(const slc_kafka_event *event, slc_kafka_value *out)
{
    if (strcmp(event->field->name, "ReplicaId") != 0 || event->number < 0)
        return SLC_KAFKA_KEEP;
    out->number = -1;
    return SLC_KAFKA_REPLACE;
}

static enum slc_kafka_verdict map_records(struct mapping *m, const slc_kafka_event *event, slc_kafka_value *out)
{
    slc_view_failure failure = {0};
    enum slc_kafka_verdict verdict =
        slc_view_map_records(m->view, &m->partition, m->topic, event, out, &failure, m->err);
    if (verdict == SLC_KAFKA_REFUSE)
        return refuse(m, failure.code, failure.why);
    if (m->partition.refused)
        m->request->denied = m->partition.code;
    return verdict;
}

/* Fields without a role: patterns of ACLs, and whether Metadata may make topics. */
static enum slc_kafka_verdict map_plain(struct mapping *m, const slc_kafka_event *event, slc_kafka_value *out)
{
    if (m->request->header->key == KEY_METADATA)
        return look_only(m, event, out);
    if (m->request->header->key == KEY_PRODUCE)
        return slc_view_map_partition(m->view, m->request, &m->partition, event, out);
    if (m->request->header->key == KEY_FETCH) {
        slc_view_note_offset(m->view, &m->partition, m->topic, event);
        return SLC_KAFKA_KEEP;
    }
    return slc_names_is_identity(m->view->names) ? SLC_KAFKA_KEEP
                                                 : slc_view_put_pattern(event, &m->acl_pattern, out);
}

static enum slc_kafka_verdict map(void *ctx, const slc_kafka_event *event, slc_kafka_value *out, slc_error *err)
{
    struct mapping *m = ctx;
    m->err = err;
    switch (event->field->role) {
    case SLC_KAFKA_ROLE_TOPIC:
        return slc_view_is_cursor(m->request->header->key, event) ? map_cursor(m, event, out)
                                                                  : guard_topic(m, event, out);
    case SLC_KAFKA_ROLE_TOPIC_ID:
        return map_id(m, event, out);
    case SLC_KAFKA_ROLE_GROUP:
        return map_group(m, event, out);
    case SLC_KAFKA_ROLE_TXN_ID:
        return map_txn_id(m, event, out);
    case SLC_KAFKA_ROLE_COORDINATOR_KEY:
        return map_coordinator_key(m, event, out);
    case SLC_KAFKA_ROLE_CONFIG_RESOURCE:
        return map_resource(m, event, out);
    case SLC_KAFKA_ROLE_PATTERN:
        return map_pattern(m, event, out);
    case SLC_KAFKA_ROLE_PROTOCOL_TYPE:
        note_protocol(m, event);
        return SLC_KAFKA_KEEP;
    case SLC_KAFKA_ROLE_SUBSCRIPTION:
    case SLC_KAFKA_ROLE_ASSIGNMENT:
        return m->request->consumer ? slc_view_blob(m->view, event, map_blob_topic, m, out, err)
                                    : SLC_KAFKA_KEEP;
    case SLC_KAFKA_ROLE_BROKER_ID:
        return map_replica(event, out);
    case SLC_KAFKA_ROLE_RECORDS:
        return map_records(m, event, out);
    case SLC_KAFKA_ROLE_NONE:
        return map_plain(m, event, out);
    default:
        return slc_names_is_identity(m->view->names) ? SLC_KAFKA_KEEP : map_acl(m, event, out);
    }
}

/* As far as it is there: DONE, MORE, WAIT or FAILED. */
static enum slc_kafka_step rewrite(const slc_view_request *request, const slc_kafka_rewrite_ops *ops,
                                   struct mapping *m, slc_kafka_edits *edits, slc_error *err)
{
    slc_kafka_rewriter rewriter;
    if (!slc_kafka_rewriter_init(&rewriter, request->header->message, request->header->version, request->len,
                                 ops, m, edits, err))
        return SLC_KAFKA_FAILED;
    slc_kafka_rewriter_feed(&rewriter, request->body, request->there);
    return slc_kafka_rewriter_run(&rewriter, err);
}

enum slc_view_outcome slc_view_map(slc_view *view, slc_view_request *request, slc_kafka_edits *edits,
                                   slc_error *err)
{
    const slc_kafka_request_header *header = request->header;
    if (slc_view_check_client_id(view, request) == SLC_VIEW_REFUSE)
        return SLC_VIEW_REFUSE;
    view->over_count = 0;
    if (!slc_view_check_demands(view, request, err))
        return SLC_VIEW_FAIL;
    /* Also fields without a role. */
    const bool changes = slc_view_changes_records(view, header->key);
    const uint64_t records = changes && header->key == KEY_PRODUCE ? WANT(RECORDS) : 0;
    const bool follows = changes && header->key == KEY_FETCH;
    bool all = slc_view_is_acl(header->key) || header->key == KEY_METADATA || view->batch_refused || changes;
    /* Brokers ignore what follows the last field, and librdkafka sends such bytes in Metadata 11 and later. */
    const uint64_t more = (all ? WANT(NONE) : 0) | (may_claim_replica(header->key) ? WANT(BROKER_ID) : 0);
    const slc_kafka_rewrite_ops ops = {.roles = ROLES | records | more,
                                       .whole = WANT(SUBSCRIPTION) | WANT(ASSIGNMENT) | records,
                                       .trailing_ok = true,
                                       .map = map};
    struct mapping m = {.view = view, .request = request, .partition.edits = edits};
    request->consumer = true;
    request->denied = 0;
    view->missing_count = 0;
    view->shares = view->shares || header->key == KEY_SHARE_FETCH || header->key == KEY_SHARE_ACKNOWLEDGE;
    if (slc_view_check_cluster(view, request) == SLC_VIEW_REFUSE)
        return SLC_VIEW_REFUSE;
    if (check_fetch_session(&m) == SLC_KAFKA_REFUSE)
        return SLC_VIEW_REFUSE;
    view->counting = slc_view_counts(view, header->key) || slc_view_wants_topics(view, request);
    if (view->counting && !request->asked)
        return SLC_VIEW_COUNT;
    if (slc_view_limits(view, header->key) && !slc_view_check_limits(view, request, err)) {
        slc_view_forget_own(view);
        return SLC_VIEW_FAIL;
    }
    if (follows)
        slc_view_begin_offsets(view, request);
    enum slc_kafka_step done = rewrite(request, &ops, &m, edits, err);
    slc_view_forget_own(view);
    if (done == SLC_KAFKA_WAIT)
        return SLC_VIEW_LATER;
    if (done == SLC_KAFKA_FAILED)
        return m.refused ? SLC_VIEW_REFUSE : SLC_VIEW_FAIL;
    return view->missing_count > 0 ? SLC_VIEW_ASK : SLC_VIEW_SEND;
}
