/* How much a namespace may hold. What it holds is counted in the broker's own list of topics, before a request
 * that would make more; two gateways that count at the same time may both let one through. As with a broker's
 * own policy each topic is refused for itself: it is sent under a name that the broker refuses, and its answer
 * then says what the limits are. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "dataplane/virtual/lately.h"
#include "dataplane/virtual/view_private.h"

/* Kafka's error codes: it is there, whoever made it; and nobody waited for whether it will be. */
enum {
    REQUEST_TIMED_OUT = 7,
    TOPIC_ALREADY_EXISTS = 36,
};

struct slc_view_own {
    uint8_t *name; /* on the backend */
    size_t len;
    int64_t partitions;
};

static void add_own(slc_view *view, const uint8_t *name, size_t len, int64_t partitions)
{
    slc_kafka_span client;
    slc_name back;
    if (name == NULL || !slc_names_unmap(view->names, SLC_NAME_TOPIC, name, len, &client))
        return;
    slc_names_map(view->names, SLC_NAME_TOPIC, client.data, client.len, &back);
    if (!back.owned)
        return;
    if (view->own_count == view->own_cap) {
        view->own_cap = view->own_cap == 0 ? 64 : view->own_cap * 2;
        view->own = slc_realloc(view->own, view->own_cap * sizeof *view->own);
    }
    view->own[view->own_count++] = (struct slc_view_own){slc_memdup(name, len), len, partitions};
    view->own_partitions += partitions;
}

void slc_view_forget_own(slc_view *view)
{
    for (size_t i = 0; i < view->own_count; i++)
        free(view->own[i].name);
    free(view->own);
    view->own = NULL;
    view->own_count = view->own_cap = 0;
    view->own_partitions = 0;
}

/* Begins a walk over everything in a message. */
static bool begin(slc_kafka_walk *walk, const slc_kafka_message *message, int version, const uint8_t *body,
                  size_t len, slc_error *err)
{
    const slc_kafka_walk_options options = {.wants = SLC_KAFKA_WANT_FIELDS | SLC_KAFKA_WANT_SHAPE,
                                            .trailing_ok = true};
    if (!slc_kafka_walk_init(walk, message, version, len, &options, err))
        return false;
    slc_kafka_walk_feed(walk, body, len);
    return true;
}

bool slc_view_count(slc_view *view, int version, const uint8_t *body, size_t len, slc_error *err)
{
    slc_kafka_walk walk;
    slc_kafka_event ev;
    enum slc_kafka_step step;
    const uint8_t *name = NULL;
    size_t name_len = 0;
    slc_view_forget_own(view);
    if (!begin(&walk, slc_kafka_apis[KEY_METADATA].response, version, body, len, err))
        return false;
    while ((step = slc_kafka_walk_next(&walk, &ev, err)) == SLC_KAFKA_EVENT) {
        if (ev.kind == SLC_KAFKA_EV_VALUE && ev.field->role == SLC_KAFKA_ROLE_TOPIC) {
            name = ev.data;
            name_len = ev.len;
        } else if (ev.kind == SLC_KAFKA_EV_VALUE && ev.field->role == SLC_KAFKA_ROLE_TOPIC_ID && name != NULL) {
            slc_topic_ids_learn(view->ids, ev.data, name, name_len);
        } else if (ev.kind == SLC_KAFKA_EV_ARRAY && strcmp(ev.field->name, "Partitions") == 0) {
            add_own(view, name, name_len, ev.number);
        }
    }
    return step == SLC_KAFKA_DONE;
}

/* ---- what the list does not show yet ---- */

static struct slc_view_own *find_backend_name(const slc_view *view, const uint8_t *name, size_t len)
{
    for (size_t i = 0; i < view->own_count; i++)
        if (view->own[i].len == len && memcmp(view->own[i].name, name, len) == 0)
            return &view->own[i];
    return NULL;
}

static void correct(void *ctx, const uint8_t *name, size_t len, int64_t partitions)
{
    slc_view *view = ctx;
    struct slc_view_own *own = find_backend_name(view, name, len);
    if (own == NULL && partitions > 0) {
        add_own(view, name, len, partitions);
    } else if (own != NULL && partitions == 0) {
        view->own_partitions -= own->partitions;
        free(own->name);
        *own = view->own[--view->own_count];
    } else if (own != NULL && partitions > own->partitions) {
        view->own_partitions += partitions - own->partitions;
        own->partitions = partitions;
    }
}

void slc_view_note_made(const slc_view_answer *answer, const slc_kafka_event *event)
{
    const slc_names *names = answer->view->names;
    const slc_names_limits limits = slc_names_limits_of(names);
    slc_kafka_span head;
    bool deletes = answer->key == KEY_DELETE_TOPICS;
    if ((limits.topics == 0 && limits.partitions == 0) || (!deletes && !slc_view_may_be_over(answer->key)) ||
        event->kind != SLC_KAFKA_EV_VALUE || event->field->role != SLC_KAFKA_ROLE_ERROR_CODE ||
        answer->topic == NULL)
        return;
    slc_names_void(names, &head);
    if (answer->topic_len >= head.len && memcmp(answer->topic, head.data, head.len) == 0)
        return; /* the gateway's own doing */
    int64_t code = event->number;
    const char *backend = slc_names_backend(names);
    if (deletes && code == 0)
        slc_lately_note(backend, answer->topic, answer->topic_len, 0, slc_monotonic_ms());
    else if (!deletes && (code == 0 || code == TOPIC_ALREADY_EXISTS || code == REQUEST_TIMED_OUT))
        slc_lately_answered(backend, answer->topic, answer->topic_len, slc_monotonic_ms());
    else if (!deletes)
        slc_lately_undo(backend, answer->topic, answer->topic_len);
}

/* ---- a request against what there is ---- */

struct growth {
    slc_view *view;
    slc_names_limits limits;
    int64_t now_ms;
    bool creates; /* topics; else partitions */
    bool tries;   /* the request only asks whether it could */
    const uint8_t *name;
    size_t len;
    int64_t wanted, assigned;       /* partitions of the topic at hand */
    int32_t replicas, fewest, most; /* its replication factor; replicas of its assignments */
    slc_kafka_span config;          /* name of its configuration at hand */
    bool forbidden;                 /* a configuration of it is */
    int64_t topics, partitions;
};

static const struct slc_view_own *find_own(const slc_view *view, const uint8_t *client, size_t len)
{
    slc_name name;
    slc_names_map(view->names, SLC_NAME_TOPIC, client, len, &name);
    for (size_t i = 0; name.owned && i < view->own_count; i++) {
        const struct slc_view_own *own = &view->own[i];
        if (own->len == name.head.len + name.body.len &&
            (name.head.len == 0 || memcmp(own->name, name.head.data, name.head.len) == 0) &&
            memcmp(own->name + name.head.len, name.body.data, name.body.len) == 0)
            return own;
    }
    return NULL;
}

bool slc_view_has_own(const slc_view *view, const uint8_t *name, size_t len)
{
    return find_own(view, name, len) != NULL;
}

void slc_view_note_over(slc_view *view, bool over)
{
    if (view->over_count == view->over_cap) {
        view->over_cap = view->over_cap == 0 ? 16 : view->over_cap * 2;
        view->over = slc_realloc(view->over, view->over_cap * sizeof *view->over);
    }
    view->over[view->over_count++] = over;
}

static bool is_over(uint32_t limit, size_t there, int64_t growth, int64_t more)
{
    return limit > 0 && more > 0 && (int64_t)there + growth + more > limit;
}

/* Is the topic at hand as it is demanded? */
static bool meets(const struct growth *growth)
{
    bool assigned = growth->wanted <= 0 && growth->assigned > 0;
    const slc_demand demand = {.kind = SLC_DEMAND_TOPIC,
                               .topic = growth->name,
                               .topic_len = growth->len,
                               .made = growth->creates,
                               .partitions = growth->wanted > 0 ? growth->wanted
                                             : assigned         ? growth->assigned
                                                                : -1,
                               .replicas = assigned ? growth->fewest : growth->replicas,
                               .most_replicas = assigned ? growth->most : growth->replicas,
                               .whole = true,
                               .configs = growth->view->configs,
                               .config_count = growth->view->config_count};
    return slc_view_meets(growth->view, &demand) == 0;
}

/* From now on others count it too, unless it is not made: then its answer says so. */
static void note(const struct growth *growth, int64_t partitions)
{
    const slc_view *view = growth->view;
    int key = growth->creates ? KEY_CREATE_TOPICS : KEY_CREATE_PARTITIONS;
    uint8_t backend[SLC_LATELY_LONGEST];
    slc_name name;
    slc_names_map(view->names, SLC_NAME_TOPIC, growth->name, growth->len, &name);
    if (growth->tries || !slc_view_counts(view, key) || !name.owned ||
        name.head.len + name.body.len > sizeof backend ||
        !slc_view_looks_allowed(view, key, growth->name, growth->len))
        return;
    if (name.head.len > 0)
        memcpy(backend, name.head.data, name.head.len);
    memcpy(backend + name.head.len, name.body.data, name.body.len);
    slc_lately_note(slc_names_backend(view->names), backend, name.head.len + name.body.len, partitions,
                    growth->now_ms);
}

/* Adds what the topic at hand would add, unless that is too much. What is there already is the broker's to
 * refuse. */
static void settle(struct growth *growth)
{
    slc_view *view = growth->view;
    int64_t topics = 0, more = 0;
    if (growth->name == NULL)
        return;
    const struct slc_view_own *own = find_own(view, growth->name, growth->len);
    int64_t partitions = growth->wanted > 0 ? growth->wanted : growth->assigned > 0 ? growth->assigned : 1;
    if (growth->creates && own == NULL) {
        topics = 1;
        more = partitions;
    } else if (!growth->creates && own != NULL && partitions > own->partitions) {
        more = partitions - own->partitions;
    }
    bool over = growth->forbidden || !meets(growth) ||
                is_over(growth->limits.topics, view->own_count, growth->topics, topics) ||
                is_over(growth->limits.partitions, (size_t)view->own_partitions, growth->partitions, more);
    growth->topics += over ? 0 : topics;
    growth->partitions += over ? 0 : more;
    if (!over && more > 0)
        note(growth, partitions);
    slc_view_note_over(view, over);
    view->config_count = 0;
}

/* An array of integers is one value. */
static void note_replicas(struct growth *growth, const slc_kafka_event *ev)
{
    int32_t count = (int32_t)(ev->total / sizeof(int32_t));
    growth->fewest = growth->fewest < 0 || count < growth->fewest ? count : growth->fewest;
    growth->most = count > growth->most ? count : growth->most;
}

static void look(struct growth *growth, const slc_kafka_event *ev)
{
    if (ev->kind == SLC_KAFKA_EV_VALUE && ev->field->role == SLC_KAFKA_ROLE_TOPIC) {
        settle(growth);
        growth->name = ev->data;
        growth->len = ev->len;
        growth->wanted = growth->assigned = 0;
        growth->replicas = growth->fewest = growth->most = -1;
        growth->forbidden = false;
    } else if (ev->kind == SLC_KAFKA_EV_VALUE && ev->field->role == SLC_KAFKA_ROLE_CONFIG_NAME) {
        growth->config = (slc_kafka_span){ev->data, ev->len};
        growth->forbidden = growth->forbidden ||
                            (ev->data != NULL && !slc_names_may_set(growth->view->names, ev->data, ev->len));
    } else if (ev->kind == SLC_KAFKA_EV_VALUE &&
               (strcmp(ev->field->name, "NumPartitions") == 0 || strcmp(ev->field->name, "Count") == 0)) {
        growth->wanted = ev->number;
    } else if (ev->kind == SLC_KAFKA_EV_VALUE && ev->field->role == SLC_KAFKA_ROLE_CONFIG_VALUE) {
        slc_view_add_config(growth->view,
                            &(const slc_demand_config){.name = growth->config, .value = {ev->data, ev->len}});
    } else if (ev->kind == SLC_KAFKA_EV_VALUE && strcmp(ev->field->name, "ReplicationFactor") == 0) {
        growth->replicas = ev->number > 0 ? (int32_t)ev->number : -1;
    } else if (ev->kind == SLC_KAFKA_EV_ARRAY && strcmp(ev->field->name, "Assignments") == 0) {
        growth->assigned = ev->number;
    } else if (growth->creates && strcmp(ev->field->name, "BrokerIds") == 0) {
        note_replicas(growth, ev);
    }
}

bool slc_view_counts(const slc_view *view, int key)
{
    const slc_names_limits limits = slc_names_limits_of(view->names);
    return (key == KEY_CREATE_TOPICS || key == KEY_CREATE_PARTITIONS) &&
           (limits.topics > 0 || limits.partitions > 0);
}

bool slc_view_limits(const slc_view *view, int key)
{
    return slc_view_counts(view, key) ||
           (key == KEY_CREATE_TOPICS && slc_names_limits_of(view->names).topic_configs) ||
           ((key == KEY_CREATE_TOPICS || key == KEY_CREATE_PARTITIONS) &&
            slc_view_is_demanded(view, SLC_DEMAND_TOPIC));
}

/* That stands behind the topics. */
static bool only_tries(const slc_view_request *request)
{
    slc_kafka_walk walk;
    slc_kafka_event ev;
    slc_error err = {0};
    bool tries = false;
    if (!begin(&walk, request->header->message, request->header->version, request->body, request->len, &err))
        return false;
    while (slc_kafka_walk_next(&walk, &ev, &err) == SLC_KAFKA_EVENT)
        if (ev.kind == SLC_KAFKA_EV_VALUE && strcasecmp(ev.field->name, "ValidateOnly") == 0)
            tries = ev.number != 0;
    return tries;
}

static bool check(slc_view *view, const slc_view_request *request, slc_error *err)
{
    struct growth growth = {.view = view,
                            .limits = slc_names_limits_of(view->names),
                            .now_ms = request->now_ms,
                            .creates = request->header->key == KEY_CREATE_TOPICS,
                            .tries = only_tries(request)};
    slc_kafka_walk walk;
    slc_kafka_event ev;
    enum slc_kafka_step step;
    view->config_count = 0;
    if (!begin(&walk, request->header->message, request->header->version, request->body, request->len, err))
        return false;
    if (slc_view_counts(view, request->header->key)) /* the list is as old as the question for it */
        slc_lately_each(slc_names_backend(view->names), request->asked_ms - request->list_lag_ms, correct,
                        view);
    while ((step = slc_kafka_walk_next(&walk, &ev, err)) == SLC_KAFKA_EVENT)
        look(&growth, &ev);
    if (step != SLC_KAFKA_DONE)
        return false;
    settle(&growth);
    return true;
}

bool slc_view_check_limits(slc_view *view, const slc_view_request *request, slc_error *err)
{
    slc_lately_begin();
    bool checked = check(view, request, err);
    slc_lately_end();
    return checked;
}

/* ---- answers ---- */

bool slc_view_was_over(const slc_names *names, const uint8_t *data, size_t len)
{
    slc_kafka_span head;
    slc_name name;
    slc_names_void(names, &head);
    if (len < head.len || memcmp(data, head.data, head.len) != 0)
        return false;
    slc_names_map(names, SLC_NAME_TOPIC, data + head.len, len - head.len, &name);
    return name.owned; /* which goes into the void for this reason alone */
}

enum slc_kafka_verdict slc_view_over_code(const slc_kafka_event *event, slc_kafka_value *out)
{
    if (event->number != INVALID_TOPIC_EXCEPTION && event->number != UNKNOWN_TOPIC_OR_PARTITION)
        return SLC_KAFKA_KEEP; /* such as "ask the controller" */
    out->number = POLICY_VIOLATION;
    return SLC_KAFKA_REPLACE;
}

void slc_view_over_text(slc_view *view, slc_buf *out)
{
    const slc_names *names = view->names;
    const slc_names_limits limits = slc_names_limits_of(names);
    const char *before = "";
    if (slc_view_is_demanded(view, SLC_DEMAND_TOPICS)) {
        slc_view_demand_text(view, POLICY_VIOLATION, out);
        if (limits.topics == 0 && limits.partitions == 0 && !limits.topic_configs)
            return;
        slc_buf_addc(out, ' ');
    }
    slc_buf_adds(out, "The limits of the virtual cluster: ");
    if (limits.topics > 0) {
        slc_buf_addf(out, "%u topics", limits.topics);
        before = ", ";
    }
    if (limits.partitions > 0) {
        slc_buf_addf(out, "%s%u partitions in all", before, limits.partitions);
        before = ", ";
    }
    if (limits.topic_configs) {
        slc_buf_addf(out, "%sof configurations ", before);
        slc_names_add_configs(names, out);
    }
    slc_buf_adds(out, ".");
}
