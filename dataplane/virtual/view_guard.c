/* A view's guard: what it is asked for each key, and answers that speak of what it denied. What is denied goes
 * to the backend as a name, or an id, that cannot exist, so that the answer has the shape that the broker gives
 * it; its errors are then made those of an authoriser. */
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "dataplane/virtual/view_private.h"

#define NAMES                                                                                                  \
    (WANT(TOPIC) | WANT(TOPIC_ID) | WANT(GROUP) | WANT(TXN_ID) | WANT(COORDINATOR_KEY) | WANT(CONFIG_RESOURCE))

void slc_view_set_guard(slc_view *view, slc_guard *guard)
{
    view->guard = guard;
    view->fetch_session = 0;
}

/* ---- requests ---- */

bool slc_view_may_topic(const slc_view *view, int key, const uint8_t *name, size_t len)
{
    enum slc_operation operation = slc_guard_rule_of(key)->topic;
    if (view->guard == NULL || operation == 0)
        return true;
    if (key == KEY_CREATE_TOPICS && slc_guard_look_cluster(view->guard, SLC_OP_CREATE))
        return true;
    return slc_guard_one(view->guard, operation, SLC_RESOURCE_TOPIC, name, len);
}

bool slc_view_looks_allowed(const slc_view *view, int key, const uint8_t *name, size_t len)
{
    return (key == KEY_CREATE_TOPICS && slc_guard_look_cluster(view->guard, SLC_OP_CREATE)) ||
           slc_guard_look(view->guard, slc_guard_rule_of(key)->topic, SLC_RESOURCE_TOPIC, name, len);
}

bool slc_view_may_group(const slc_view *view, int key, const uint8_t *name, size_t len)
{
    enum slc_operation operation = slc_guard_rule_of(key)->group;
    return operation == 0 || slc_guard_one(view->guard, operation, SLC_RESOURCE_GROUP, name, len);
}

bool slc_view_may_txn_id(const slc_view *view, int key, const uint8_t *name, size_t len)
{
    enum slc_operation operation = slc_guard_rule_of(key)->txn_id;
    return operation == 0 || slc_guard_one(view->guard, operation, SLC_RESOURCE_TXN_ID, name, len);
}

bool slc_view_may_resource(const slc_view *view, int key, int16_t type, const uint8_t *name, size_t len,
                           int16_t *code)
{
    enum slc_resource resource = type == SLC_KAFKA_CONFIG_TOPIC   ? SLC_RESOURCE_TOPIC
                                 : type == SLC_KAFKA_CONFIG_GROUP ? SLC_RESOURCE_GROUP
                                                                  : SLC_RESOURCE_CLUSTER;
    enum slc_operation operation = slc_guard_rule_of(key)->topic;
    *code = slc_guard_code(resource);
    if (resource == SLC_RESOURCE_CLUSTER)
        return slc_guard_cluster(view->guard, operation);
    return slc_guard_one(view->guard, operation, resource, name, len);
}

enum slc_view_outcome slc_view_check_cluster(const slc_view *view, slc_view_request *request)
{
    enum slc_operation operation = slc_guard_rule_of(request->header->key)->cluster;
    if (view->guard == NULL || operation == 0 || slc_guard_cluster(view->guard, operation))
        return SLC_VIEW_SEND;
    request->refusal = slc_guard_code(SLC_RESOURCE_CLUSTER);
    snprintf(request->why, sizeof request->why, "%s", slc_guard_text(request->refusal));
    return SLC_VIEW_REFUSE;
}

/* Are all topics of some group asked for? */
static bool wants_all_offsets(const slc_view_request *request)
{
    const slc_kafka_walk_options options = {.wants = SLC_KAFKA_WANT_FIELDS, .trailing_ok = true};
    slc_kafka_walk walk;
    slc_kafka_event event;
    slc_error err = {0};
    if (!slc_kafka_walk_init(&walk, request->header->message, request->header->version, request->len, &options,
                             &err))
        return false;
    slc_kafka_walk_feed(&walk, request->body, request->len);
    while (slc_kafka_walk_next(&walk, &event, &err) == SLC_KAFKA_EVENT)
        if (event.data == NULL && strcmp(event.field->name, "Topics") == 0)
            return true;
    return false;
}

/* May a group have offsets of topics that its clients may not see? */
static bool hides_topics(const slc_view *view)
{
    return view->guard != NULL || slc_names_filters(view->names, SLC_NAME_TOPIC) ||
           slc_names_has_extras(view->names);
}

bool slc_view_wants_topics(const slc_view *view, const slc_view_request *request)
{
    int key = request->header->key, version = request->header->version;
    return (view->guard != NULL && key == KEY_METADATA && version < METADATA_SAYS_CREATE) ||
           (key == KEY_OFFSET_FETCH && version >= OFFSETS_BY_ID && hides_topics(view) &&
            wants_all_offsets(request));
}

/* ---- answers: what there is to say ---- */

/* Are the topics in the answer those that the client may see of what there is? */
static bool is_filtered(int key)
{
    return key == KEY_METADATA || key == KEY_OFFSET_FETCH || key == KEY_DESCRIBE_TRANSACTIONS ||
           key == KEY_DESCRIBE_TOPIC_PARTITIONS || key == KEY_DESCRIBE_SHARE_GROUP_OFFSETS;
}

/* Do groups' members tell which topics they read? Then the group is shown to those alone who may see all of
 * them. */
static bool tells_members(int key)
{
    return key == KEY_CONSUMER_GROUP_DESCRIBE || key == KEY_SHARE_GROUP_DESCRIBE ||
           key == KEY_STREAMS_GROUP_DESCRIBE;
}

static bool shows_bits(int key)
{
    return key == KEY_METADATA || key == KEY_DESCRIBE_GROUPS || key == KEY_DESCRIBE_CLUSTER ||
           key == KEY_DESCRIBE_TOPIC_PARTITIONS || tells_members(key);
}

bool slc_view_guards(const slc_view *view, int key)
{
    return view->guard != NULL &&
           (slc_guard_rule_of(key)->cluster != 0 || shows_bits(key) || key == KEY_INIT_PRODUCER_ID);
}

/* What the client called it; false: it has no name here. */
static bool client_name(const slc_view_answer *answer, enum slc_name_kind kind, const slc_kafka_event *event,
                        slc_kafka_span *client)
{
    return event->data != NULL && slc_names_unmap(answer->view->names, kind, event->data, event->len, client);
}

static bool is_void(const slc_view_answer *answer, const slc_kafka_event *event)
{
    slc_kafka_span head;
    slc_names_void(answer->view->names, &head);
    return event->data != NULL && event->len >= head.len && memcmp(event->data, head.data, head.len) == 0;
}

static bool may_describe(const slc_view_answer *answer, enum slc_resource resource,
                         const slc_kafka_span *client)
{
    return slc_guard_look(answer->view->guard, SLC_OP_DESCRIBE, resource, client->data, client->len);
}

/* The error that the element with this name gets; 0: none. */
static int16_t denied_code(const slc_view_answer *answer, const slc_kafka_event *event)
{
    const slc_view *view = answer->view;
    const slc_view_id *id;
    slc_kafka_span client;
    int16_t code = 0;
    switch (event->field->role) {
    case SLC_KAFKA_ROLE_TOPIC_ID:
        id = slc_view_id_back(view, event->data);
        return id != NULL && id->denied ? slc_guard_code(SLC_RESOURCE_TOPIC) : 0;
    case SLC_KAFKA_ROLE_COORDINATOR_KEY:
        return is_void(answer, event) ? answer->denied : 0;
    case SLC_KAFKA_ROLE_TOPIC:
        if (is_void(answer, event) && client_name(answer, SLC_NAME_TOPIC, event, &client) &&
            !slc_view_may_topic(view, answer->key, client.data, client.len))
            code = slc_guard_code(SLC_RESOURCE_TOPIC);
        return code;
    case SLC_KAFKA_ROLE_GROUP:
        if (is_void(answer, event) && client_name(answer, SLC_NAME_GROUP, event, &client) &&
            !slc_view_may_group(view, answer->key, client.data, client.len))
            code = slc_guard_code(SLC_RESOURCE_GROUP);
        return code;
    case SLC_KAFKA_ROLE_TXN_ID:
        if (is_void(answer, event) && client_name(answer, SLC_NAME_TXN_ID, event, &client) &&
            !slc_view_may_txn_id(view, answer->key, client.data, client.len))
            code = slc_guard_code(SLC_RESOURCE_TXN_ID);
        return code;
    case SLC_KAFKA_ROLE_CONFIG_RESOURCE:
        if (!is_void(answer, event) || !client_name(answer, SLC_NAME_TOPIC, event, &client))
            return 0;
        return !slc_view_may_resource(view, answer->key, event->resource_type, client.data, client.len, &code)
                   ? code
               : slc_view_was_over(view->names, event->data, event->len) ? POLICY_VIOLATION
                                                                         : 0;
    default:
        return 0;
    }
}

/* Elements that are open: where they began, and the span that was made for each. */
struct ahead {
    slc_view_answer *answer;
    unsigned depth;
    struct {
        size_t begin;
        int64_t span; /* -1: none */
    } open[SLC_KAFKA_WALK_DEPTH];
};

static void mark(struct ahead *ahead, unsigned depth, int16_t code, bool hollow)
{
    slc_view *view = ahead->answer->view;
    if (ahead->open[depth].span >= 0)
        return;
    if (view->span_count == view->span_cap) {
        view->span_cap = view->span_cap == 0 ? 16 : view->span_cap * 2;
        view->spans = slc_realloc(view->spans, view->span_cap * sizeof *view->spans);
    }
    ahead->open[depth].span = (int64_t)view->span_count;
    view->spans[view->span_count++] =
        (slc_view_span){.begin = ahead->open[depth].begin, .end = SIZE_MAX, .code = code, .hollow = hollow};
}

static void look(struct ahead *ahead, const slc_kafka_event *event)
{
    slc_view_answer *answer = ahead->answer;
    slc_kafka_span client;
    int64_t index;
    int16_t code;
    switch (event->kind) {
    case SLC_KAFKA_EV_ELEMENT:
        SLC_BUG_ON(ahead->depth == SLC_KAFKA_WALK_DEPTH);
        ahead->open[ahead->depth].begin = event->at;
        ahead->open[ahead->depth++].span = -1;
        break;
    case SLC_KAFKA_EV_ELEMENT_END:
        SLC_BUG_ON(ahead->depth == 0);
        if (ahead->open[--ahead->depth].span >= 0)
            answer->view->spans[ahead->open[ahead->depth].span].end = event->at;
        break;
    case SLC_KAFKA_EV_VALUE:
        if (ahead->depth > 0 && slc_view_was_refused(answer, event, &index, &code))
            mark(ahead, ahead->depth - 1, code, false);
        if (ahead->depth == 0 || event->data == NULL)
            break;
        code = denied_code(answer, event);
        if (code != 0)
            mark(ahead, ahead->depth - 1, code, event->field->role == SLC_KAFKA_ROLE_GROUP);
        else if (tells_members(answer->key) && event->field->role == SLC_KAFKA_ROLE_TOPIC && ahead->depth > 1 &&
                 client_name(answer, SLC_NAME_TOPIC, event, &client) &&
                 !may_describe(answer, SLC_RESOURCE_TOPIC, &client))
            mark(ahead, 0, slc_guard_code(SLC_RESOURCE_TOPIC), true);
        break;
    default:
        break;
    }
}

bool slc_view_look_ahead(slc_view_answer *answer, int version, const uint8_t *body, size_t len, uint64_t *roles,
                         slc_error *err)
{
    const uint64_t plain = answer->key == KEY_PRODUCE ? WANT(NONE) : 0;
    const slc_kafka_walk_options options = {.wants = NAMES | SLC_KAFKA_WANT_SHAPE | plain};
    slc_view *view = answer->view;
    struct ahead ahead = {.answer = answer};
    slc_kafka_walk walk;
    slc_kafka_event event;
    enum slc_kafka_step step;
    *roles = 0;
    view->span_count = 0;
    answer->span = 0;
    if (view->guard == NULL && answer->denied == 0)
        return true;
    if (shows_bits(answer->key))
        *roles |= WANT(NONE);
    bool denied = answer->denied != 0 || (answer->key == KEY_FETCH && view->fetch_denied);
    if (!denied && !tells_members(answer->key))
        return true;
    *roles |= WANT(ERROR_CODE) | WANT(ERROR_TEXT) | SLC_KAFKA_WANT_SHAPE | plain;
    if (!slc_kafka_walk_init(&walk, slc_kafka_apis[answer->key].response, version, len, &options, err))
        return false;
    slc_kafka_walk_feed(&walk, body, len);
    while ((step = slc_kafka_walk_next(&walk, &event, err)) == SLC_KAFKA_EVENT)
        look(&ahead, &event);
    return step == SLC_KAFKA_DONE;
}

/* ---- answers: saying it ---- */

/* The span that the event lies in. */
static const slc_view_span *span_of(slc_view_answer *answer, const slc_kafka_event *event)
{
    const slc_view *view = answer->view;
    while (answer->span < view->span_count && view->spans[answer->span].end <= event->at)
        answer->span++;
    const slc_view_span *span = answer->span < view->span_count ? &view->spans[answer->span] : NULL;
    return span != NULL && span->begin <= event->at ? span : NULL;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* The broker shows what the gateway's own credentials may. */
static enum slc_kafka_verdict show_bits(const slc_view_answer *answer, const slc_kafka_event *event,
                                        bool denied, slc_kafka_value *out)
{
    slc_guard *guard = answer->view->guard;
    bool topics = answer->key == KEY_METADATA || answer->key == KEY_DESCRIBE_TOPIC_PARTITIONS;
    if (!ends_with(event->field->name, "AuthorizedOperations") ||
        event->number == INT32_MIN) /* not asked for */
        return SLC_KAFKA_KEEP;
    if (denied)
        out->number = INT32_MIN;
    else if (strcmp(event->field->name, "ClusterAuthorizedOperations") == 0)
        out->number = slc_guard_bits(guard, SLC_RESOURCE_CLUSTER, (const uint8_t *)SLC_GUARD_CLUSTER,
                                     strlen(SLC_GUARD_CLUSTER));
    else if (answer->named != NULL)
        out->number = slc_guard_bits(guard, topics ? SLC_RESOURCE_TOPIC : SLC_RESOURCE_GROUP, answer->named,
                                     answer->named_len);
    return SLC_KAFKA_REPLACE;
}

/* Is it one of a list that the client has not named, and may not see? */
static bool is_hidden(const slc_view_answer *answer, const slc_kafka_event *event)
{
    slc_kafka_span client;
    if (event->data == NULL || (event->field->role != SLC_KAFKA_ROLE_TOPIC_ID && is_void(answer, event)))
        return false;
    const uint8_t *name;
    size_t len;
    switch (event->field->role) {
    case SLC_KAFKA_ROLE_TOPIC_ID: /* the answer has no names; all were asked for before */
        if (answer->key != KEY_OFFSET_FETCH || slc_view_id_back(answer->view, event->data) != NULL)
            return false;
        name = slc_topic_ids_find(answer->view->ids, event->data, &len);
        return name == NULL || !slc_names_unmap(answer->view->names, SLC_NAME_TOPIC, name, len, &client) ||
               !may_describe(answer, SLC_RESOURCE_TOPIC, &client);
    case SLC_KAFKA_ROLE_TOPIC:
        return is_filtered(answer->key) && !slc_view_is_cursor(answer->key, event) &&
               client_name(answer, SLC_NAME_TOPIC, event, &client) &&
               !may_describe(answer, SLC_RESOURCE_TOPIC, &client);
    case SLC_KAFKA_ROLE_GROUP:
        return answer->key == KEY_LIST_GROUPS && client_name(answer, SLC_NAME_GROUP, event, &client) &&
               !slc_guard_look_cluster(answer->view->guard, SLC_OP_DESCRIBE) &&
               !may_describe(answer, SLC_RESOURCE_GROUP, &client);
    case SLC_KAFKA_ROLE_TXN_ID:
        return answer->key == KEY_LIST_TRANSACTIONS && client_name(answer, SLC_NAME_TXN_ID, event, &client) &&
               !may_describe(answer, SLC_RESOURCE_TXN_ID, &client);
    default:
        return false;
    }
}

static void note_name(slc_view_answer *answer, const slc_kafka_event *event)
{
    enum slc_name_kind kind = event->field->role == SLC_KAFKA_ROLE_TOPIC ? SLC_NAME_TOPIC : SLC_NAME_GROUP;
    slc_kafka_span client;
    bool groups = answer->key == KEY_DESCRIBE_GROUPS || tells_members(answer->key);
    if (!shows_bits(answer->key) || (kind == SLC_NAME_TOPIC) == groups)
        return;
    answer->named = client_name(answer, kind, event, &client) ? client.data : NULL;
    answer->named_len = answer->named != NULL ? client.len : 0;
}

/* Until the next one. */
static slc_kafka_span text_of(const slc_view_answer *answer, int16_t code)
{
    slc_view *view = answer->view;
    const char *text = slc_guard_text(code);
    if (text != NULL)
        return (slc_kafka_span){text, strlen(text)};
    slc_buf_clear(&view->scratch);
    if (answer->key == KEY_PRODUCE)
        slc_view_demand_text(view, code, &view->scratch);
    else
        slc_view_over_text(view, &view->scratch);
    return (slc_kafka_span){view->scratch.data, view->scratch.len};
}

bool slc_view_guard_unmap(slc_view_answer *answer, const slc_kafka_event *event, slc_kafka_value *out,
                          enum slc_kafka_verdict *verdict)
{
    const slc_view_span *span = span_of(answer, event);
    int16_t code;
    *verdict = SLC_KAFKA_KEEP;
    if (event->kind != SLC_KAFKA_EV_VALUE) {
        if (event->kind == SLC_KAFKA_EV_ELEMENT && span != NULL && span->hollow && event->at > span->begin)
            *verdict = SLC_KAFKA_DROP;
        return true;
    }
    switch (event->field->role) {
    case SLC_KAFKA_ROLE_NONE:
        if (slc_view_was_refused(answer, event, &out->number, &code)) {
            *verdict = SLC_KAFKA_REPLACE;
            return true;
        }
        if (!shows_bits(answer->key))
            return false;
        *verdict = show_bits(answer, event, span != NULL, out);
        return true;
    case SLC_KAFKA_ROLE_ERROR_CODE:
        if (span == NULL)
            return false;
        out->number = span->code;
        *verdict = SLC_KAFKA_REPLACE;
        return true;
    case SLC_KAFKA_ROLE_ERROR_TEXT:
        if (span == NULL)
            return false;
        out->body = text_of(answer, span->code);
        *verdict = SLC_KAFKA_REPLACE;
        return true;
    case SLC_KAFKA_ROLE_TOPIC:
    case SLC_KAFKA_ROLE_GROUP:
        note_name(answer, event);
        break;
    default:
        break;
    }
    if (!is_hidden(answer, event))
        return false;
    *verdict = SLC_KAFKA_DROP;
    return true;
}
