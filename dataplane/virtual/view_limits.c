/* How much a namespace may hold. What it holds is counted in the broker's own list of topics, before a request
 * that would make more; two gateways that count at the same time may both let one through. */
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "dataplane/virtual/view_private.h"

#define POLICY_VIOLATION 44

struct slc_view_own {
    char *name; /* on the backend */
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
    view->own[view->own_count++] = (struct slc_view_own){slc_strndup((const char *)name, len), len, partitions};
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
        } else if (ev.kind == SLC_KAFKA_EV_ARRAY && strcmp(ev.field->name, "Partitions") == 0) {
            add_own(view, name, name_len, ev.number);
        }
    }
    return step == SLC_KAFKA_DONE;
}

/* ---- a request against what there is ---- */

struct growth {
    const slc_view *view;
    bool creates; /* topics; else partitions */
    const uint8_t *name;
    size_t len;
    int64_t wanted, assigned; /* partitions of the topic at hand */
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

/* Adds what the topic at hand would add. What is there already is the broker's to refuse. */
static void settle(struct growth *growth)
{
    if (growth->name == NULL)
        return;
    const struct slc_view_own *own = find_own(growth->view, growth->name, growth->len);
    int64_t partitions = growth->wanted > 0 ? growth->wanted : growth->assigned > 0 ? growth->assigned : 1;
    if (growth->creates && own == NULL) {
        growth->topics++;
        growth->partitions += partitions;
    } else if (!growth->creates && own != NULL && partitions > own->partitions) {
        growth->partitions += partitions - own->partitions;
    }
}

static void look(struct growth *growth, const slc_kafka_event *ev)
{
    if (ev->kind == SLC_KAFKA_EV_VALUE && ev->field->role == SLC_KAFKA_ROLE_TOPIC) {
        settle(growth);
        growth->name = ev->data;
        growth->len = ev->len;
        growth->wanted = growth->assigned = 0;
    } else if (ev->kind == SLC_KAFKA_EV_VALUE &&
               (strcmp(ev->field->name, "NumPartitions") == 0 || strcmp(ev->field->name, "Count") == 0)) {
        growth->wanted = ev->number;
    } else if (ev->kind == SLC_KAFKA_EV_ARRAY && strcmp(ev->field->name, "Assignments") == 0) {
        growth->assigned = ev->number;
    }
}

bool slc_view_limits(const slc_view *view, int key)
{
    const slc_names_limits limits = slc_names_limits_of(view->names);
    return (key == KEY_CREATE_TOPICS || key == KEY_CREATE_PARTITIONS) &&
           (limits.topics > 0 || limits.partitions > 0);
}

enum slc_view_outcome slc_view_check_limits(slc_view *view, slc_view_request *request, slc_error *err)
{
    const slc_names_limits limits = slc_names_limits_of(view->names);
    struct growth growth = {.view = view, .creates = request->header->key == KEY_CREATE_TOPICS};
    slc_kafka_walk walk;
    slc_kafka_event ev;
    enum slc_kafka_step step;
    if (!begin(&walk, request->header->message, request->header->version, request->body, request->len, err))
        return SLC_VIEW_FAIL;
    while ((step = slc_kafka_walk_next(&walk, &ev, err)) == SLC_KAFKA_EVENT)
        look(&growth, &ev);
    if (step != SLC_KAFKA_DONE)
        return SLC_VIEW_FAIL;
    settle(&growth);
    if (growth.topics > 0 && limits.topics > 0 && (int64_t)view->own_count + growth.topics > limits.topics) {
        request->refusal = POLICY_VIOLATION;
        snprintf(request->why, sizeof request->why, "The virtual cluster allows %u topics and has %zu.",
                 limits.topics, view->own_count);
        return SLC_VIEW_REFUSE;
    }
    if (growth.partitions > 0 && limits.partitions > 0 &&
        view->own_partitions + growth.partitions > limits.partitions) {
        request->refusal = POLICY_VIOLATION;
        snprintf(request->why, sizeof request->why,
                 "The virtual cluster allows %u partitions and has %lld; the request adds %lld.",
                 limits.partitions, (long long)view->own_partitions, (long long)growth.partitions);
        return SLC_VIEW_REFUSE;
    }
    return SLC_VIEW_SEND;
}
