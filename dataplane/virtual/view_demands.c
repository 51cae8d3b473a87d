/* A view's part in what is demanded of requests: it reads what they want, before they are mapped, and notes
 * what its guard refuses. Topics that are made are looked at with the limits. */
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "dataplane/virtual/view_private.h"

bool slc_view_is_demanded(const slc_view *view, unsigned kinds)
{
    return view->guard != NULL && (view->guard->demands & kinds) != 0;
}

static bool alters(int key)
{
    return key == KEY_ALTER_CONFIGS || key == KEY_INCREMENTAL_ALTER_CONFIGS;
}

/* Is there anything that the configurations of a topic must not be? */
static bool binds_configs(const slc_view *view)
{
    return slc_names_limits_of(view->names).topic_configs || slc_view_is_demanded(view, SLC_DEMAND_CONFIGS);
}

bool slc_view_judges(const slc_view *view, int key)
{
    unsigned kinds =
        key == KEY_PRODUCE ? SLC_DEMAND_BATCH
        : key == KEY_METADATA || key == KEY_CREATE_TOPICS || key == KEY_CREATE_PARTITIONS || alters(key)
            ? SLC_DEMAND_TOPICS
            : 0;
    /* Whoever asks where the brokers are may call himself anything: a refusal would look as if there were none.
     */
    kinds |= key != KEY_METADATA ? SLC_DEMAND_CLIENT_ID : 0;
    return slc_view_is_demanded(view, kinds);
}

int16_t slc_view_meets(const slc_view *view, const slc_demand *demand)
{
    return slc_view_is_demanded(view, demand->kind) ? view->guard->meets(view->guard, demand) : 0;
}

void slc_view_add_config(slc_view *view, const slc_demand_config *config)
{
    if (view->config_count == view->config_cap) {
        view->config_cap = view->config_cap == 0 ? 16 : view->config_cap * 2;
        view->configs = slc_realloc(view->configs, view->config_cap * sizeof *view->configs);
    }
    view->configs[view->config_count++] = *config;
}

enum slc_view_outcome slc_view_check_client_id(const slc_view *view, slc_view_request *request)
{
    const slc_demand demand = {.kind = SLC_DEMAND_CLIENT_ID,
                               .client_id = request->header->client_id,
                               .client_id_len = request->header->client_id_len};
    if (request->header->key == KEY_METADATA)
        return SLC_VIEW_SEND;
    request->refusal = slc_view_meets(view, &demand);
    if (request->refusal == 0)
        return SLC_VIEW_SEND;
    snprintf(request->why, sizeof request->why, "The client.id is not one of those that are allowed here.");
    return SLC_VIEW_REFUSE;
}

/* ---- batches ---- */

struct producing {
    slc_view *view;
    slc_demand demand;
    int16_t code; /* of the partition at hand */
};

static void note_code(slc_view *view, int16_t code)
{
    if (view->batch_count == view->batch_cap) {
        view->batch_cap = view->batch_cap == 0 ? 16 : view->batch_cap * 2;
        view->batches = slc_realloc(view->batches, view->batch_cap * sizeof *view->batches);
    }
    view->batches[view->batch_count++] = code;
    view->batch_refused = view->batch_refused || code != 0;
}

static bool judge(const slc_batch_head *head, void *arg)
{
    struct producing *producing = arg;
    producing->demand.codec = head->codec;
    producing->demand.idempotent = head->idempotent;
    producing->code = slc_view_meets(producing->view, &producing->demand);
    return producing->code == 0;
}

static void name_topic(struct producing *producing, const uint8_t *name, size_t len)
{
    producing->demand.topic = name;
    producing->demand.topic_len = len;
}

/* Whose name is not known yet comes again. */
static void name_topic_by_id(struct producing *producing, const uint8_t *id)
{
    const slc_view *view = producing->view;
    size_t len;
    slc_kafka_span client;
    const uint8_t *name = slc_topic_ids_find(view->ids, id, &len);
    bool known = name != NULL && slc_names_unmap(view->names, SLC_NAME_TOPIC, name, len, &client);
    name_topic(producing, known ? client.data : NULL, known ? client.len : 0);
}

static void see(struct producing *producing, const slc_kafka_event *event)
{
    switch (event->field->role) {
    case SLC_KAFKA_ROLE_ACKS:
        producing->demand.acks = (int16_t)event->number;
        break;
    case SLC_KAFKA_ROLE_TOPIC:
        name_topic(producing, event->data, event->len);
        break;
    case SLC_KAFKA_ROLE_TOPIC_ID:
        name_topic_by_id(producing, event->data);
        break;
    case SLC_KAFKA_ROLE_RECORDS:
        producing->code = 0;
        if (event->data != NULL)
            (void)slc_batches_each(event->data, event->len, judge, producing);
        note_code(producing->view, producing->code);
        break;
    default:
        break;
    }
}

/* Begins a walk over a whole request. */
static bool begin(slc_kafka_walk *walk, const slc_view_request *request, uint64_t wants, slc_error *err)
{
    const slc_kafka_walk_options options = {.wants = wants, .trailing_ok = true};
    if (!slc_kafka_walk_init(walk, request->header->message, request->header->version, request->len, &options,
                             err))
        return false;
    slc_kafka_walk_feed(walk, request->body, request->len);
    return true;
}

static bool check_batches(slc_view *view, const slc_view_request *request, slc_error *err)
{
    struct producing producing = {.view = view, .demand = {.kind = SLC_DEMAND_BATCH}};
    slc_kafka_walk walk;
    slc_kafka_event event;
    enum slc_kafka_step step;
    if (!begin(&walk, request, WANT(ACKS) | WANT(TOPIC) | WANT(TOPIC_ID) | WANT(RECORDS), err))
        return false;
    while ((step = slc_kafka_walk_next(&walk, &event, err)) == SLC_KAFKA_EVENT)
        see(&producing, &event);
    return step == SLC_KAFKA_DONE;
}

enum slc_kafka_verdict slc_view_put_partition(slc_view *view, slc_view_request *request,
                                              const slc_kafka_event *event, slc_kafka_value *out)
{
    if (strcmp(event->field->name, "Index") != 0 || view->batch_at == view->batch_count)
        return SLC_KAFKA_KEEP;
    int16_t code = view->batches[view->batch_at++];
    if (code == 0)
        return SLC_KAFKA_KEEP;
    request->denied = code;
    /* One that cannot be marked is none that a broker has. */
    return slc_refused_partition(event->number, code, &out->number) ? SLC_KAFKA_REPLACE : SLC_KAFKA_KEEP;
}

/* ---- configurations of topics that there are ---- */

struct altering {
    slc_view *view;
    slc_demand demand;
    bool of_topic;
    bool forbidden;           /* the namespace lets nobody set one of them */
    slc_demand_config config; /* at hand */
};

static void settle(struct altering *altering)
{
    slc_view *view = altering->view;
    if (altering->of_topic) {
        altering->demand.configs = view->configs;
        altering->demand.config_count = view->config_count;
        slc_view_note_over(view, altering->forbidden || slc_view_meets(view, &altering->demand) != 0);
    }
    view->config_count = 0;
    altering->forbidden = false;
}

static void look(struct altering *altering, const slc_kafka_event *event)
{
    slc_view *view = altering->view;
    if (event->field->role == SLC_KAFKA_ROLE_CONFIG_RESOURCE) {
        settle(altering);
        altering->of_topic = event->resource_type == SLC_KAFKA_CONFIG_TOPIC;
        altering->demand.topic = event->data;
        altering->demand.topic_len = event->len;
    } else if (event->field->role == SLC_KAFKA_ROLE_CONFIG_NAME) {
        altering->config = (slc_demand_config){.name = {event->data, event->len}};
        altering->forbidden = altering->forbidden ||
                              (event->data != NULL && !slc_names_may_set(view->names, event->data, event->len));
    } else if (strcmp(event->field->name, "ConfigOperation") == 0) {
        altering->config.operation = (enum slc_config_operation)event->number;
    } else if (event->field->role == SLC_KAFKA_ROLE_CONFIG_VALUE) {
        altering->config.value = (slc_kafka_span){event->data, event->len};
        slc_view_add_config(view, &altering->config);
    }
}

static bool check_alters(slc_view *view, const slc_view_request *request, slc_error *err)
{
    struct altering altering = {
        .view = view,
        .demand = {.kind = SLC_DEMAND_CONFIGS, .whole = request->header->key == KEY_ALTER_CONFIGS}};
    slc_kafka_walk walk;
    slc_kafka_event event;
    enum slc_kafka_step step;
    view->config_count = 0;
    if (!begin(&walk, request, SLC_KAFKA_WANT_FIELDS, err))
        return false;
    while ((step = slc_kafka_walk_next(&walk, &event, err)) == SLC_KAFKA_EVENT)
        if (event.kind == SLC_KAFKA_EV_VALUE)
            look(&altering, &event);
    settle(&altering);
    return step == SLC_KAFKA_DONE;
}

bool slc_view_check_demands(slc_view *view, const slc_view_request *request, slc_error *err)
{
    int key = request->header->key;
    view->batch_count = view->batch_at = 0;
    view->batch_refused = false;
    if (key == KEY_PRODUCE && slc_view_is_demanded(view, SLC_DEMAND_BATCH))
        return check_batches(view, request, err);
    return !alters(key) || !binds_configs(view) || check_alters(view, request, err);
}

/* ---- answers ---- */

bool slc_view_was_refused(const slc_view_answer *answer, const slc_kafka_event *event, int64_t *index,
                          int16_t *code)
{
    return answer->key == KEY_PRODUCE && event->field->type == SLC_KAFKA_INT32 &&
           strcmp(event->field->name, "Index") == 0 && slc_refused_partition_of(event->number, index, code);
}

void slc_view_demand_text(slc_view *view, int16_t code, slc_buf *out)
{
    switch (code) {
    case SLC_KAFKA_INVALID_REQUIRED_ACKS:
        slc_buf_adds(out, "This virtual cluster takes records with acks=all alone.");
        break;
    case SLC_KAFKA_UNSUPPORTED_COMPRESSION_TYPE:
        slc_buf_adds(out, "This virtual cluster does not take batches with this compression, or without any.");
        break;
    case SLC_KAFKA_CORRUPT_MESSAGE:
        slc_buf_adds(out, "The batch's checksum, compression or records are damaged.");
        break;
    case SLC_KAFKA_MESSAGE_TOO_LARGE:
        slc_buf_adds(out, "The batch is too large for the gateway to look into.");
        break;
    case SLC_KAFKA_UNSUPPORTED_FOR_MESSAGE_FORMAT:
        slc_buf_adds(out,
                     "The gateway looks into batches of the message format 2 and of known compression alone.");
        break;
    case SLC_KAFKA_INVALID_RECORD:
        slc_buf_adds(
            out, "The gateway passes on one batch of data records for each partition, as its rules have it.");
        break;
    case SLC_KAFKA_NOT_ENOUGH_REPLICAS:
        slc_buf_adds(out, "Something that the gateway's rules need is out of reach; nothing was stored.");
        break;
    default:
        slc_buf_adds(out, "The rules of this virtual cluster do not allow it.");
        if (view->guard != NULL && view->guard->explain != NULL)
            view->guard->explain(view->guard, out);
    }
}
