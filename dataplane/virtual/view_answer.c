/* Answers: what the backend says becomes what the client may see. What has no way back is left out with the
 * array element that it is in; where it is in none, the answer as a whole fails. */
#include "common/clock.h"
#include "dataplane/kafka/wire.h"
#include "dataplane/virtual/pattern.h"
#include "dataplane/virtual/view_private.h"

#define METADATA_COMPACT_SINCE 9

uint64_t slc_view_answer_roles(int key)
{
    uint64_t roles = WANT(TOPIC) | WANT(TOPIC_ID) | WANT(GROUP) | WANT(TXN_ID) | WANT(CONFIG_RESOURCE) |
                     WANT(RESOURCE) | WANT(COORDINATOR_KEY) | WANT(PATTERN) | WANT(PROTOCOL_TYPE) |
                     WANT(SUBSCRIPTION) | WANT(ASSIGNMENT) | WANT(ERROR_TEXT);
    if (slc_view_is_acl(key)) /* pattern types have none */
        roles |= WANT(NONE);
    if (slc_view_may_be_over(key) || key == KEY_DELETE_TOPICS || key == KEY_METADATA)
        roles |= WANT(ERROR_CODE);
    return roles;
}

void slc_view_note(slc_view *view, int key, int version, const uint8_t *body, size_t len)
{
    if (key != KEY_FETCH || version < FETCH_SESSIONS_SINCE || len < 10)
        return;
    int32_t session = (int32_t)slc_kafka_get32(body + 6); /* behind the throttle time and the error */
    if (session != 0)
        view->fetch_session = session;
}

static const slc_names *names_for(const slc_view_answer *answer)
{
    const slc_view *view = answer->view;
    return answer->key == KEY_FETCH && view->next != NULL ? view->next : view->names;
}

static enum slc_kafka_verdict unmap_name(slc_view_answer *answer, enum slc_name_kind kind,
                                         const slc_kafka_event *event, slc_kafka_value *out)
{
    if (event->data == NULL)
        return SLC_KAFKA_KEEP;
    if (!slc_names_unmap(names_for(answer), kind, event->data, event->len, &out->body))
        return SLC_KAFKA_DROP;
    return out->body.data == event->data && out->body.len == event->len ? SLC_KAFKA_KEEP : SLC_KAFKA_REPLACE;
}

/* An empty group or coordinator key stands for none. */
static enum slc_kafka_verdict unmap_key(slc_view_answer *answer, enum slc_name_kind kind,
                                        const slc_kafka_event *event, slc_kafka_value *out)
{
    return event->len == 0 ? SLC_KAFKA_KEEP : unmap_name(answer, kind, event, out);
}

/* The answer does not say of which kind it is; both are mapped alike, but only groups are filtered. */
static enum slc_kafka_verdict unmap_coordinator_key(slc_view_answer *answer, const slc_kafka_event *event,
                                                    slc_kafka_value *out)
{
    enum slc_kafka_verdict verdict = unmap_key(answer, SLC_NAME_GROUP, event, out);
    return verdict == SLC_KAFKA_DROP ? unmap_key(answer, SLC_NAME_TXN_ID, event, out) : verdict;
}

static enum slc_kafka_verdict unmap_cursor(slc_view_answer *answer, const slc_kafka_event *event,
                                           slc_kafka_value *out)
{
    const char *prefix = slc_names_prefix(answer->view->names);
    size_t len = strlen(prefix) < event->len ? strlen(prefix) : event->len;
    enum slc_kafka_verdict verdict = unmap_name(answer, SLC_NAME_TOPIC, event, out);
    if (verdict != SLC_KAFKA_DROP)
        return verdict;
    int order = memcmp(event->data, prefix, len);
    const char *place =
        order < 0 || (order == 0 && event->len < strlen(prefix)) ? CURSOR_BEFORE : CURSOR_BEHIND;
    out->body = (slc_kafka_span){place, strlen(place)};
    return SLC_KAFKA_REPLACE;
}

static enum slc_kafka_verdict unmap_topic(slc_view_answer *answer, const slc_kafka_event *event,
                                          slc_kafka_value *out)
{
    answer->topic = NULL;
    answer->over = slc_view_may_be_over(answer->key) && event->data != NULL &&
                   slc_view_was_over(answer->view->names, event->data, event->len);
    if (slc_view_is_cursor(answer->key, event))
        return unmap_cursor(answer, event, out);
    enum slc_kafka_verdict verdict = unmap_name(answer, SLC_NAME_TOPIC, event, out);
    slc_conflict_found conflict;
    answer->client = verdict == SLC_KAFKA_REPLACE ? out->body : (slc_kafka_span){event->data, event->len};
    answer->backend = (slc_kafka_span){event->data, event->len};
    if (verdict != SLC_KAFKA_DROP) {
        answer->topic = event->data;
        answer->topic_len = event->len;
    } else if (slc_names_shadowed(answer->view->names, event->data, event->len, &conflict)) {
        answer->view->shadowed++;
        slc_conflicts_note(&conflict, slc_wall_ms());
    }
    return verdict;
}

static enum slc_kafka_verdict unmap_blob_topic(void *ctx, const slc_kafka_event *event, slc_kafka_value *out,
                                               slc_error *err)
{
    (void)err;
    return unmap_name(ctx, SLC_NAME_TOPIC, event, out);
}

/* In these answers the name comes just before the id. */
static bool teaches(int key)
{
    return key == KEY_METADATA || key == KEY_CREATE_TOPICS || key == KEY_DESCRIBE_TOPIC_PARTITIONS;
}

/* A member keeps what it was assigned before the topic left the namespace, until it hears otherwise; a group
 * keeps its offsets; a fetch has it until it is answered. What id it is, the worker has learnt when the topic
 * was still there. */
static bool has_left(const slc_view_answer *answer, const slc_kafka_event *event)
{
    bool fetch = answer->key == KEY_FETCH && answer->view->next != NULL;
    slc_kafka_span client;
    size_t len;
    if (!fetch && answer->key != KEY_CONSUMER_GROUP_HEARTBEAT && answer->key != KEY_SHARE_GROUP_HEARTBEAT &&
        answer->key != KEY_OFFSET_FETCH)
        return false;
    const uint8_t *name = slc_topic_ids_find(answer->view->ids, event->data, &len);
    if (name == NULL)
        return fetch && slc_view_id_back(answer->view, event->data) == NULL;
    return !slc_names_unmap(names_for(answer), SLC_NAME_TOPIC, name, len, &client);
}

/* Whose records come behind its id. */
static void note_topic(slc_view_answer *answer, const uint8_t *id)
{
    size_t len;
    const uint8_t *name = answer->edits != NULL ? slc_topic_ids_find(answer->view->ids, id, &len) : NULL;
    answer->client = (slc_kafka_span){0};
    answer->backend = (slc_kafka_span){name, name != NULL ? len : 0};
    if (name != NULL && !slc_names_unmap(names_for(answer), SLC_NAME_TOPIC, name, len, &answer->client))
        answer->client = (slc_kafka_span){0};
}

static enum slc_kafka_verdict unmap_id(slc_view_answer *answer, const slc_kafka_event *event,
                                       slc_kafka_value *out)
{
    if (teaches(answer->key) && answer->topic != NULL)
        slc_topic_ids_learn(answer->view->ids, event->data, answer->topic, answer->topic_len);
    if (has_left(answer, event))
        return SLC_KAFKA_DROP;
    note_topic(answer, event->data);
    const slc_view_id *written = slc_view_id_back(answer->view, event->data);
    if (written == NULL)
        return SLC_KAFKA_KEEP;
    out->body = (slc_kafka_span){written->id, SLC_TOPIC_ID_BYTES};
    return SLC_KAFKA_REPLACE;
}

static enum slc_kafka_verdict unmap_resource(slc_view_answer *answer, const slc_kafka_event *event,
                                             slc_kafka_value *out)
{
    if (slc_names_is_identity(answer->view->names))
        return unmap_name(answer, SLC_NAME_TOPIC, event, out);
    switch (event->resource_type) {
    case SLC_KAFKA_CONFIG_TOPIC:
        return unmap_name(answer, SLC_NAME_TOPIC, event, out);
    case SLC_KAFKA_CONFIG_GROUP:
        return unmap_name(answer, SLC_NAME_GROUP, event, out);
    case SLC_KAFKA_CONFIG_BROKER: /* node ids */
    case SLC_KAFKA_CONFIG_BROKER_LOGGER:
        return answer->key == KEY_LIST_CONFIG_RESOURCES ? SLC_KAFKA_KEEP : SLC_KAFKA_DROP;
    default:
        return SLC_KAFKA_DROP;
    }
}

static enum slc_kafka_verdict unmap_pattern(slc_view_answer *answer, const slc_kafka_event *event,
                                            slc_kafka_value *out)
{
    if (event->data == NULL || event->len == 0 || slc_names_is_identity(answer->view->names))
        return SLC_KAFKA_KEEP;
    slc_buf_clear(&answer->view->scratch);
    /* One that is made by who knows the backend is shown as empty. */
    (void)slc_pattern_unmap(answer->view->names, event->data, event->len, &answer->view->scratch);
    out->body = (slc_kafka_span){answer->view->scratch.data, answer->view->scratch.len};
    return SLC_KAFKA_REPLACE;
}

/* Kafka names other topics in one text: when a new one's metrics would collide with theirs. */
static size_t without_others(const slc_view_answer *answer, const slc_kafka_event *event)
{
    static const char others[] = "existing topics:";
    const uint8_t *found =
        answer->key == KEY_CREATE_TOPICS ? memmem(event->data, event->len, others, sizeof others - 1) : NULL;
    return found != NULL ? (size_t)(found - event->data) + sizeof others - 2 : event->len;
}

/* The name that stands behind an error code of Metadata. */
static bool name_behind(const slc_view_answer *answer, size_t at, slc_kafka_span *name)
{
    bool compact = answer->version >= METADATA_COMPACT_SINCE;
    const uint8_t *data = answer->body;
    size_t len = answer->len, size = 0;
    if (data == NULL || at + 2 > len)
        return false;
    for (unsigned shift = 0; compact && shift < 21; shift += 7) {
        size |= (size_t)(data[at] & 0x7f) << shift;
        if (data[at++] < 0x80 || at == len)
            break;
    }
    size = compact ? size - 1 : slc_kafka_get16(data + at);
    at += compact ? 0 : 2;
    *name = (slc_kafka_span){data + at, size};
    return size <= SLC_KAFKA_MAX_STRING && at <= len && size <= len - at; /* null is larger */
}

/* To a client a topic that filters leave out is one that is not there; the broker takes it for an impossible
 * name. */
static enum slc_kafka_verdict unmap_metadata_code(const slc_view_answer *answer, const slc_kafka_event *event,
                                                  slc_kafka_value *out)
{
    slc_kafka_span name;
    if (event->number != INVALID_TOPIC_EXCEPTION || !name_behind(answer, event->at + 2, &name) ||
        !slc_names_filtered_out(answer->view->names, name.data, name.len))
        return SLC_KAFKA_KEEP;
    out->number = UNKNOWN_TOPIC_OR_PARTITION;
    return SLC_KAFKA_REPLACE;
}

/* The text comes behind it. */
static enum slc_kafka_verdict unmap_code(slc_view_answer *answer, const slc_kafka_event *event,
                                         slc_kafka_value *out)
{
    if (answer->key == KEY_METADATA)
        return unmap_metadata_code(answer, event, out);
    enum slc_kafka_verdict verdict = answer->over ? slc_view_over_code(event, out) : SLC_KAFKA_KEEP;
    answer->over = verdict == SLC_KAFKA_REPLACE;
    return verdict;
}

/* A broker repeats an expression that its own engine (RE2/J) does not take as it was sent: with the names of
 * the backend in it, and not as they are written elsewhere. */
static bool repeats_pattern(const slc_view_answer *answer, const slc_kafka_event *event)
{
    static const char about[] = "regular expression", group[] = "(?:";
    return !slc_names_is_identity(answer->view->names) &&
           (answer->key == KEY_CONSUMER_GROUP_HEARTBEAT || answer->key == KEY_STREAMS_GROUP_HEARTBEAT) &&
           memmem(event->data, event->len, about, sizeof about - 1) != NULL &&
           memmem(event->data, event->len, group, sizeof group - 1) != NULL;
}

static enum slc_kafka_verdict unmap_text(slc_view_answer *answer, const slc_kafka_event *event,
                                         slc_kafka_value *out)
{
    slc_buf *scratch = &answer->view->scratch;
    if (event->data == NULL || event->len == 0)
        return SLC_KAFKA_KEEP;
    slc_buf_clear(scratch);
    if (answer->over)
        slc_view_over_text(answer->view, scratch);
    else if (repeats_pattern(answer, event))
        slc_buf_adds(scratch, "The broker does not take the pattern as a regular expression of RE2/J.");
    else
        slc_names_text(answer->view->names, event->data, without_others(answer, event), scratch);
    out->body = (slc_kafka_span){scratch->data, scratch->len};
    return SLC_KAFKA_REPLACE;
}

static enum slc_kafka_verdict unmap_blob(slc_view_answer *answer, const slc_kafka_event *event,
                                         slc_kafka_value *out, slc_error *err)
{
    return answer->consumer ? slc_view_blob(answer->view, event, unmap_blob_topic, answer, out, err)
                            : SLC_KAFKA_KEEP;
}

enum slc_kafka_verdict slc_view_unmap(void *ctx, const slc_kafka_event *event, slc_kafka_value *out,
                                      slc_error *err)
{
    slc_view_answer *answer = ctx;
    enum slc_kafka_verdict verdict;
    slc_view_note_made(answer, event);
    if (event->kind == SLC_KAFKA_EV_VALUE && event->field->role == SLC_KAFKA_ROLE_ERROR_CODE)
        slc_view_note_code(answer, event);
    if ((answer->view->guard != NULL || answer->view->span_count > 0) &&
        slc_view_guard_unmap(answer, event, out, &verdict))
        return verdict;
    if (event->kind != SLC_KAFKA_EV_VALUE)
        return SLC_KAFKA_KEEP;
    switch (event->field->role) {
    case SLC_KAFKA_ROLE_TOPIC:
        return unmap_topic(answer, event, out);
    case SLC_KAFKA_ROLE_TOPIC_ID:
        return unmap_id(answer, event, out);
    case SLC_KAFKA_ROLE_GROUP:
        return unmap_key(answer, SLC_NAME_GROUP, event, out);
    case SLC_KAFKA_ROLE_COORDINATOR_KEY:
        return unmap_coordinator_key(answer, event, out);
    case SLC_KAFKA_ROLE_TXN_ID:
        return unmap_key(answer, SLC_NAME_TXN_ID, event, out);
    case SLC_KAFKA_ROLE_CONFIG_RESOURCE:
        return unmap_resource(answer, event, out);
    case SLC_KAFKA_ROLE_PATTERN:
        return unmap_pattern(answer, event, out);
    case SLC_KAFKA_ROLE_PROTOCOL_TYPE:
        if (event->data != NULL)
            answer->consumer = slc_view_is_text(event, "consumer");
        return SLC_KAFKA_KEEP;
    case SLC_KAFKA_ROLE_SUBSCRIPTION:
    case SLC_KAFKA_ROLE_ASSIGNMENT:
        return unmap_blob(answer, event, out, err);
    case SLC_KAFKA_ROLE_ERROR_TEXT:
        return unmap_text(answer, event, out);
    case SLC_KAFKA_ROLE_ERROR_CODE:
        return unmap_code(answer, event, out);
    case SLC_KAFKA_ROLE_RECORDS:
        return slc_view_unmap_records(answer, event, out, err);
    case SLC_KAFKA_ROLE_RESOURCE:
        if (slc_names_is_identity(answer->view->names))
            return SLC_KAFKA_KEEP;
        return slc_view_unmap_acl(answer->view->names, event, &answer->acl_pattern, out);
    case SLC_KAFKA_ROLE_NONE:
        if (answer->edits != NULL && strcmp(event->field->name, "PartitionIndex") == 0)
            answer->partition = (int32_t)event->number;
        if (!slc_view_is_acl(answer->key) || slc_names_is_identity(answer->view->names))
            return SLC_KAFKA_KEEP;
        return slc_view_put_pattern(event, &answer->acl_pattern, out);
    default: /* what a guard alone wants to see */
        return SLC_KAFKA_KEEP;
    }
}
