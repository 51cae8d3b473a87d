/* Walks the response's table and, beside it, the request's bytes. */
#include "dataplane/kafka/refusal.h"

#include <string.h>

#include "dataplane/kafka/encode.h"

#define NAMES                                                                                                  \
    (SLC_KAFKA_WANT(SLC_KAFKA_ROLE_TOPIC) | SLC_KAFKA_WANT(SLC_KAFKA_ROLE_TOPIC_ID) |                          \
     SLC_KAFKA_WANT(SLC_KAFKA_ROLE_GROUP) | SLC_KAFKA_WANT(SLC_KAFKA_ROLE_TXN_ID) |                            \
     SLC_KAFKA_WANT(SLC_KAFKA_ROLE_CONFIG_RESOURCE) | SLC_KAFKA_WANT(SLC_KAFKA_ROLE_COORDINATOR_KEY))

/* What an element of the answer is made from. */
struct source {
    bool there;
    bool is_struct;
    slc_kafka_walk walk;   /* before the struct's first field */
    slc_kafka_event value; /* of a string */
    int32_t number;        /* of a partition in an array of them */
};

struct writer {
    slc_buf *out;
    const slc_kafka_refusal *refusal;
    int version;
    bool flexible;
    slc_error *err;
    bool failed;
};

static bool is_partition(const slc_kafka_field *field)
{
    static const char *const words[] = {"PartitionIndex", "PartitionIndexes", "Partition",
                                        "Partitions",     "PartitionId",      "Index"};
    for (size_t i = 0; field->type == SLC_KAFKA_INT32 && i < sizeof words / sizeof words[0]; i++)
        if (strcmp(field->name, words[i]) == 0)
            return true;
    return false;
}

/* ---- the request ---- */

static int deeper(enum slc_kafka_event_kind kind)
{
    switch (kind) {
    case SLC_KAFKA_EV_ARRAY:
    case SLC_KAFKA_EV_ELEMENT:
    case SLC_KAFKA_EV_STRUCT:
    case SLC_KAFKA_EV_TAG:
        return 1;
    case SLC_KAFKA_EV_ARRAY_END:
    case SLC_KAFKA_EV_ELEMENT_END:
    case SLC_KAFKA_EV_STRUCT_END:
    case SLC_KAFKA_EV_TAG_END:
        return -1;
    default:
        return 0;
    }
}

/* The next event of this level; what is deeper is skipped. `*depth` begins with 0. False at the level's end. */
static bool next_here(struct writer *w, slc_kafka_walk *walk, int *depth, slc_kafka_event *ev)
{
    for (;;) {
        enum slc_kafka_step step = slc_kafka_walk_next(walk, ev, w->err);
        w->failed = w->failed || step == SLC_KAFKA_FAILED;
        if (step != SLC_KAFKA_EVENT)
            return false;
        int change = deeper(ev->kind), before = *depth;
        *depth += change;
        if (*depth < 0)
            return false;
        if (before == 0)
            return true;
    }
}

static bool find_value(struct writer *w, const struct source *from,
                       bool (*fits)(const slc_kafka_field *, const slc_kafka_field *),
                       const slc_kafka_field *wanted, slc_kafka_event *ev)
{
    if (!from->there || !from->is_struct)
        return false;
    slc_kafka_walk walk = from->walk;
    int depth = 0;
    while (next_here(w, &walk, &depth, ev))
        if (ev->kind == SLC_KAFKA_EV_VALUE && (ev->field->flags & SLC_KAFKA_FIELD_ARRAY) == 0 &&
            fits(ev->field, wanted))
            return true;
    return false;
}

/* The role that tells an element from the next: its first name, else none. */
static enum slc_kafka_role key_role(const slc_kafka_node *node, int version)
{
    for (uint16_t i = node->first; i < node->first + node->count; i++) {
        const slc_kafka_field *field = &slc_kafka_fields[i];
        if (slc_kafka_within(field->in, version) && (NAMES & SLC_KAFKA_WANT(field->role)) != 0 &&
            (field->flags & SLC_KAFKA_FIELD_ARRAY) == 0)
            return field->role;
    }
    return SLC_KAFKA_ROLE_NONE;
}

static bool has_role(const slc_kafka_node *node, enum slc_kafka_role role, int version)
{
    for (uint16_t i = node->first; i < node->first + node->count; i++)
        if (slc_kafka_fields[i].role == role && slc_kafka_within(slc_kafka_fields[i].in, version))
            return true;
    return false;
}

static bool has_partition(const slc_kafka_node *node)
{
    for (uint16_t i = node->first; i < node->first + node->count; i++)
        if (is_partition(&slc_kafka_fields[i]))
            return true;
    return false;
}

/* Is the request's array what the answer's elements, of `node`, speak of? */
static bool mirrors(const slc_kafka_field *array, const slc_kafka_node *node, int version)
{
    enum slc_kafka_role role = key_role(node, version);
    bool structs = array->type == SLC_KAFKA_STRUCT;
    if (role != SLC_KAFKA_ROLE_NONE)
        return structs ? has_role(&slc_kafka_nodes[array->node], role, version) : array->role == role;
    if (has_partition(node))
        return structs ? has_partition(&slc_kafka_nodes[array->node]) : is_partition(array);
    /* such as ACLs: one result for each */
    return structs && key_role(&slc_kafka_nodes[array->node], version) == SLC_KAFKA_ROLE_NONE &&
           !has_partition(&slc_kafka_nodes[array->node]);
}

/* ---- the answer ---- */

static void write_struct(struct writer *w, const slc_kafka_node *node, const struct source *from);

static bool same_role(const slc_kafka_field *field, const slc_kafka_field *wanted)
{
    return field->role == wanted->role;
}

static bool both_partitions(const slc_kafka_field *field, const slc_kafka_field *wanted)
{
    (void)wanted;
    return is_partition(field);
}

static bool same_name(const slc_kafka_field *field, const slc_kafka_field *wanted)
{
    return field->type == wanted->type && strcmp(field->name, wanted->name) == 0;
}

static void write_elements(struct writer *w, const slc_kafka_field *field, const slc_kafka_event *array,
                           const slc_kafka_walk *after)
{
    struct source from = {.there = true};
    const slc_kafka_node *node = &slc_kafka_nodes[field->node];
    if (array->kind == SLC_KAFKA_EV_VALUE) { /* partitions, or null */
        int32_t count = (int32_t)(array->data != NULL ? array->len / 4 : 0);
        slc_kafka_add_count(w->out, w->flexible, count);
        for (int32_t i = 0; i < count; i++) {
            const uint8_t *at = array->data + 4 * (size_t)i;
            from.number =
                (int32_t)((uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]);
            write_struct(w, node, &from);
        }
        return;
    }
    slc_kafka_walk walk = *after;
    slc_kafka_event ev;
    int depth = 0;
    slc_kafka_add_count(w->out, w->flexible, (int32_t)array->number);
    while (next_here(w, &walk, &depth, &ev)) {
        if (ev.kind != SLC_KAFKA_EV_ELEMENT && ev.kind != SLC_KAFKA_EV_VALUE)
            continue; /* the end of an element */
        from.is_struct = ev.kind == SLC_KAFKA_EV_ELEMENT;
        from.value = ev;
        from.walk = walk;
        write_struct(w, node, &from);
    }
}

static void write_array(struct writer *w, const slc_kafka_field *field, const struct source *from, bool empty)
{
    slc_kafka_event ev;
    int depth = 0;
    if (!empty && field->type == SLC_KAFKA_STRUCT && from->there && from->is_struct) {
        slc_kafka_walk walk = from->walk;
        while (next_here(w, &walk, &depth, &ev)) {
            bool array = ev.kind == SLC_KAFKA_EV_ARRAY ||
                         (ev.kind == SLC_KAFKA_EV_VALUE && (ev.field->flags & SLC_KAFKA_FIELD_ARRAY) != 0);
            if (!array || !mirrors(ev.field, &slc_kafka_nodes[field->node], w->version))
                continue;
            write_elements(w, field, &ev, &walk);
            return;
        }
    }
    slc_kafka_add_count(w->out, w->flexible, 0);
}

static void write_text(struct writer *w, const slc_kafka_field *field, const char *data, size_t len)
{
    bool null = data == NULL && slc_kafka_within(field->null_in, w->version);
    slc_kafka_add_string(w->out, w->flexible, data != NULL ? data : null ? NULL : "", len);
}

static void write_string(struct writer *w, const slc_kafka_field *field, const struct source *from)
{
    slc_kafka_event ev;
    const char *text = w->refusal->text;
    if (field->role == SLC_KAFKA_ROLE_ERROR_TEXT)
        write_text(w, field, text, text != NULL ? strlen(text) : 0);
    else if ((NAMES & SLC_KAFKA_WANT(field->role)) != 0 && from->there && !from->is_struct)
        write_text(w, field, (const char *)from->value.data, from->value.len);
    else if ((NAMES & SLC_KAFKA_WANT(field->role)) != 0 && find_value(w, from, same_role, field, &ev))
        write_text(w, field, (const char *)ev.data, ev.len);
    else
        write_text(w, field, NULL, 0);
}

static void write_uuid(struct writer *w, const slc_kafka_field *field, const struct source *from)
{
    static const uint8_t zero[16];
    slc_kafka_event ev;
    bool found = field->role == SLC_KAFKA_ROLE_TOPIC_ID && find_value(w, from, same_role, field, &ev);
    (void)slc_buf_add(w->out, found ? ev.data : zero, 16);
}

static int64_t number_of(struct writer *w, const slc_kafka_field *field, const struct source *from)
{
    slc_kafka_event ev;
    if (field->role == SLC_KAFKA_ROLE_ERROR_CODE)
        return w->refusal->code;
    if (is_partition(field)) {
        if (from->there && !from->is_struct)
            return from->number;
        return find_value(w, from, both_partitions, field, &ev) ? ev.number : 0;
    }
    return find_value(w, from, same_name, field, &ev) ? ev.number : 0;
}

static void write_fixed(struct writer *w, const slc_kafka_field *field, const struct source *from)
{
    int64_t number = number_of(w, field, from);
    switch (slc_kafka_type_size(field->type)) {
    case 1:
        slc_kafka_add_int8(w->out, (int8_t)number);
        break;
    case 2:
        slc_kafka_add_int16(w->out, (int16_t)number);
        break;
    case 4:
        slc_kafka_add_int32(w->out, (int32_t)number);
        break;
    default:
        slc_kafka_add_int64(w->out, number);
    }
}

static void write_field(struct writer *w, const slc_kafka_field *field, const struct source *from, bool empty)
{
    static const struct source none;
    if ((field->flags & SLC_KAFKA_FIELD_ARRAY) != 0) {
        write_array(w, field, from, empty);
        return;
    }
    switch (field->type) {
    case SLC_KAFKA_STRUCT:
        if (slc_kafka_within(field->null_in, w->version))
            slc_kafka_add_int8(w->out, -1);
        else
            write_struct(w, &slc_kafka_nodes[field->node], &none);
        break;
    case SLC_KAFKA_STRING:
        write_string(w, field, from);
        break;
    case SLC_KAFKA_BYTES:
    case SLC_KAFKA_RECORDS:
        slc_kafka_add_bytes(w->out, w->flexible,
                            slc_kafka_within(field->null_in, w->version) ? NULL : (const uint8_t *)"", 0);
        break;
    case SLC_KAFKA_UUID:
        write_uuid(w, field, from);
        break;
    default:
        write_fixed(w, field, from);
    }
}

static void write_struct(struct writer *w, const slc_kafka_node *node, const struct source *from)
{
    bool empty = has_role(node, SLC_KAFKA_ROLE_ERROR_CODE, w->version) && !w->refusal->deep;
    for (uint16_t i = node->first; i < node->first + node->count; i++) {
        const slc_kafka_field *field = &slc_kafka_fields[i];
        if (slc_kafka_within(field->in, w->version) && !slc_kafka_within(field->tagged_in, w->version))
            write_field(w, field, from, empty);
    }
    if (w->flexible)
        slc_kafka_add_no_tags(w->out);
}

bool slc_kafka_refuse(slc_buf *out, const slc_kafka_request_header *header, const uint8_t *body, size_t len,
                      const slc_kafka_refusal *refusal, slc_error *err)
{
    const slc_kafka_message *response = slc_kafka_apis[header->key].response;
    const slc_kafka_walk_options options = {.wants = SLC_KAFKA_WANT_FIELDS | SLC_KAFKA_WANT_SHAPE,
                                            .trailing_ok = true}; /* as brokers do */
    struct source request = {.there = true, .is_struct = true};
    struct writer w = {.out = out,
                       .refusal = refusal,
                       .version = header->version,
                       .flexible = slc_kafka_within(response->flexible_in, header->version),
                       .err = err};
    if (!slc_kafka_walk_init(&request.walk, header->message, header->version, len, &options, err))
        return false;
    slc_kafka_walk_feed(&request.walk, body, len);
    size_t begin = slc_kafka_response_begin(out, header->key, header->version, header->correlation_id);
    write_struct(&w, &slc_kafka_nodes[response->node], &request);
    if (w.failed) {
        out->len = begin;
        return false;
    }
    return slc_kafka_frame_end(out, begin, err);
}
