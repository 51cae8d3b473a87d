/* Any bytes as a request of a client, and as an answer of a broker, in a virtual cluster: names of others never
 * come out of an answer, and what is sent on is a message again. The choice is mode, kind, key and version. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "dataplane/kafka/refusal.h"
#include "dataplane/virtual/acl.h"
#include "dataplane/virtual/view.h"

#define CHOICE_BYTES 4
#define LIMIT        (1024 * 1024)
#define MAX_EDITS    65536
#define FOREIGN      "b.secret"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Allows what has an even number of bytes, and finds fault with every third thing. */
static bool allows(slc_guard *guard, enum slc_operation operation, enum slc_resource resource,
                   enum slc_guard_names names, const uint8_t *name, size_t len)
{
    (void)guard, (void)operation, (void)resource, (void)names, (void)name;
    return len % 2 == 0;
}

static int16_t meets(slc_guard *guard, const slc_demand *demand)
{
    static const int16_t codes[] = {SLC_KAFKA_POLICY_VIOLATION, SLC_KAFKA_INVALID_REQUIRED_ACKS,
                                    SLC_KAFKA_UNSUPPORTED_COMPRESSION_TYPE};
    size_t sum = demand->topic_len + demand->config_count + demand->codec + (size_t)demand->acks;
    (void)guard;
    for (size_t i = 0; i < demand->config_count; i++)
        sum += demand->configs[i].name.len + demand->configs[i].value.len;
    return sum % 3 == 0 ? codes[sum % 9 / 3] : 0;
}

static slc_guard guard = {.allows = allows, .demands = ~0u, .meets = meets};

static Sluice__Snapshot__V1__TopicAlias alias = {.name = "alias", .topic = "legacy"};
static Sluice__Snapshot__V1__TopicAlias *aliases[] = {&alias};
static char *extras[] = {"shared-*"}, *filter[] = {"*"};

/* Any word on records, by how many bytes they have. */
static enum slc_kafka_verdict decide(slc_view_records *records, const slc_view_batches *batches,
                                     slc_kafka_value *out, slc_view_failure *failure)
{
    const slc_kafka_span data = batches->data;
    (void)records;
    SLC_BUG_ON(batches->topic == NULL || batches->backend == NULL || data.data == NULL);
    if (data.len % 3 == 0)
        return SLC_KAFKA_KEEP;
    *failure = (slc_view_failure){.code = 2, .why = "why"};
    if (data.len % 3 == 1 && data.len % 2 == 0) {
        out->made = true;
        out->made_from = batches->made->len;
        if (!slc_buf_add(batches->made, "changed", data.len % 7))
            return SLC_KAFKA_REFUSE;
    }
    out->body = (slc_kafka_span){"changed", data.len % 7};
    return data.len % 3 == 1 ? SLC_KAFKA_REPLACE : SLC_KAFKA_REFUSE;
}

/* It is a message of its kind. */
static void check(const slc_kafka_message *message, int version, const slc_buf *buf)
{
    slc_kafka_walk walk;
    slc_kafka_event ev;
    slc_error err = {0};
    enum slc_kafka_step step;
    const slc_kafka_walk_options options = {.wants = SLC_KAFKA_WANT_FIELDS, .trailing_ok = true};
    SLC_BUG_ON(!slc_kafka_walk_init(&walk, message, version, buf->len, &options, &err));
    slc_kafka_walk_feed(&walk, buf->data != NULL ? buf->data : (const uint8_t *)"", buf->len);
    while ((step = slc_kafka_walk_next(&walk, &ev, &err)) == SLC_KAFKA_EVENT)
        continue;
    SLC_BUG_ON(step != SLC_KAFKA_DONE);
}

static void try_request(slc_view *view, const slc_kafka_message *message, int version, const uint8_t *data,
                        size_t size, slc_kafka_edits *edits, slc_buf *out)
{
    const slc_kafka_refusal refusal = {.code = 30, .text = "no"};
    slc_kafka_request_header header = {.key = message->key, .version = (int16_t)version, .message = message};
    slc_view_request request = {.header = &header, .body = data, .there = size, .len = size};
    slc_error err = {0};
    for (int asked = 0; asked < 2; asked++) {
        request.asked = asked != 0;
        slc_kafka_edits_clear(edits);
        enum slc_view_outcome outcome = slc_view_map(view, &request, edits, &err);
        slc_buf_clear(out);
        if (outcome == SLC_VIEW_REFUSE && !slc_kafka_refuse(out, &header, data, size, &refusal, &err))
            SLC_BUG_ON(err.code == SLC_OK || out->len > 0);
        if (outcome == SLC_VIEW_FAIL)
            SLC_BUG_ON(err.code == SLC_OK);
        if (outcome != SLC_VIEW_SEND)
            continue;
        slc_buf_clear(out);
        if (slc_kafka_edits_apply(edits, data, size, out, &err))
            check(message, version, out);
    }
}

static enum slc_view_outcome map_part(slc_view *view, slc_kafka_request_header *header, const uint8_t *data,
                                      size_t there, size_t size, slc_kafka_edits *edits, slc_buf *out)
{
    slc_view_request request = {.header = header, .body = data, .there = there, .len = size, .asked = true};
    slc_error err = {0};
    slc_kafka_edits_clear(edits);
    slc_buf_clear(out);
    enum slc_view_outcome outcome = slc_view_map(view, &request, edits, &err);
    if (outcome == SLC_VIEW_SEND && !slc_kafka_edits_apply(edits, data, size, out, &err))
        return SLC_VIEW_FAIL;
    return outcome;
}

/* What its head makes of a request is what all of it does. */
static void try_head(slc_view *view, const slc_kafka_message *message, int version, const uint8_t *data,
                     size_t size, slc_kafka_edits *edits, slc_buf *out)
{
    slc_kafka_request_header header = {.key = message->key, .version = (int16_t)version, .message = message};
    slc_buf whole;
    slc_buf_init(&whole, out->max);
    for (size_t there = 0; there < size; there += 1 + size / 8) {
        size_t head = slc_view_head(view, &header, data, there, size);
        SLC_BUG_ON(head > there && head != size);
        if (head == 0 || head == size)
            continue;
        enum slc_view_outcome outcome = map_part(view, &header, data, head, size, edits, out);
        SLC_BUG_ON(outcome == SLC_VIEW_REFUSE);
        if (map_part(view, &header, data, size, size, edits, &whole) == SLC_VIEW_SEND)
            SLC_BUG_ON(outcome != SLC_VIEW_SEND || whole.len != out->len ||
                       memcmp(whole.data, out->data, out->len) != 0);
    }
    slc_buf_release(&whole);
}

static void try_answer(slc_view *view, const slc_kafka_message *message, int version, const uint8_t *data,
                       size_t size, slc_kafka_edits *edits, slc_buf *out)
{
    const bool changes = slc_view_changes_records(view, message->key);
    const uint64_t records = changes ? SLC_KAFKA_WANT(SLC_KAFKA_ROLE_RECORDS) : 0;
    const uint64_t codes = changes ? SLC_KAFKA_WANT(SLC_KAFKA_ROLE_ERROR_CODE) : 0;
    slc_kafka_rewrite_ops ops = {.roles = slc_view_answer_roles(message->key) | records | codes,
                                 .whole = records | SLC_KAFKA_WANT(SLC_KAFKA_ROLE_SUBSCRIPTION) |
                                          SLC_KAFKA_WANT(SLC_KAFKA_ROLE_ASSIGNMENT),
                                 .map = slc_view_unmap};
    slc_view_answer answer = {.view = view,
                              .key = message->key,
                              .version = (int16_t)version,
                              .consumer = true,
                              .denied = view->guard != NULL ? SLC_KAFKA_POLICY_VIOLATION : 0,
                              .body = data,
                              .len = size,
                              .edits = changes ? edits : NULL};
    slc_error err = {0};
    uint64_t more;
    if (!slc_view_look_ahead(&answer, version, data, size, &more, &err))
        return;
    ops.roles |= more;
    slc_view_note(view, message->key, version, data, size);
    slc_kafka_edits_clear(edits);
    slc_buf_clear(out);
    if (slc_kafka_rewrite(message, version, data, size, &ops, &answer, edits, &err) &&
        slc_kafka_edits_apply(edits, data, size, out, &err))
        check(message, version, out);
}

/* A name of another is hidden, whatever stands before it. */
static void try_name(const slc_names *names, const uint8_t *data, size_t size)
{
    slc_kafka_span client, back;
    slc_name name;
    for (int kind = SLC_NAME_TOPIC; kind <= SLC_NAME_TXN_ID; kind++) {
        slc_names_map(names, (enum slc_name_kind)kind, data, size, &name);
        slc_buf backend;
        slc_buf_init(&backend, LIMIT * 2);
        slc_buf_add(&backend, name.head.data != NULL ? name.head.data : "", name.head.len);
        slc_buf_add(&backend, name.body.data != NULL ? name.body.data : "", name.body.len);
        SLC_BUG_ON(!slc_names_unmap(names, (enum slc_name_kind)kind, backend.data, backend.len, &client));
        SLC_BUG_ON(client.len != size || (size > 0 && memcmp(client.data, data, size) != 0));
        slc_buf_release(&backend);
        SLC_BUG_ON(
            slc_names_unmap(names, (enum slc_name_kind)kind, (const uint8_t *)FOREIGN, strlen(FOREIGN), &back));
    }
}

/* A resource of an ACL that is mapped comes back as it was; another's is hidden. */
static void try_acl(const slc_names *names, const uint8_t *data, size_t size)
{
    static const int16_t types[] = {SLC_KAFKA_ACL_TOPIC, SLC_KAFKA_ACL_GROUP, SLC_KAFKA_ACL_TXN_ID};
    for (size_t i = 0; i < sizeof types / sizeof types[0] && size > 0; i++) {
        for (int16_t pattern = SLC_ACL_LITERAL; pattern <= SLC_ACL_PREFIXED; pattern++) {
            const slc_acl_resource resource = {types[i], pattern, {data, size}},
                                   foreign = {types[i], pattern, {FOREIGN, strlen(FOREIGN)}};
            slc_acl_mapped mapped, back;
            slc_buf backend;
            SLC_BUG_ON(slc_acl_unmap(names, &foreign, &back));
            if (!slc_acl_map(names, &resource, &mapped))
                continue;
            slc_buf_init(&backend, LIMIT * 2);
            slc_buf_add(&backend, mapped.head.data != NULL ? mapped.head.data : "", mapped.head.len);
            slc_buf_add(&backend, mapped.body.data, mapped.body.len);
            const slc_acl_resource there = {types[i], mapped.pattern, {backend.data, backend.len}};
            SLC_BUG_ON(!slc_acl_unmap(names, &there, &back));
            SLC_BUG_ON(back.pattern != pattern || back.body.len != size ||
                       memcmp(back.body.data, data, size) != 0);
            slc_buf_release(&backend);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < CHOICE_BYTES || size > LIMIT)
        return 0;
    int version = data[3];
    slc_error err = {0};
    Sluice__Snapshot__V1__VirtualCluster msg = {
        .mode = (data[0] & 1) != 0 ? SLUICE__SNAPSHOT__V1__NAMESPACE_MODE__NAMESPACE_MODE_HIDE
                                   : SLUICE__SNAPSHOT__V1__NAMESPACE_MODE__NAMESPACE_MODE_ENFORCE,
        .prefix = "a.",
        .extra_topics = extras,
        .n_extra_topics = (data[0] & 2) != 0,
        .aliases = aliases,
        .n_aliases = (data[0] & 4) != 0,
        .topic_filter = filter,
        .n_topic_filter = (data[0] & 8) != 0,
        .max_topics = (data[0] & 16) != 0,
        .topic_configs = filter,
        .n_topic_configs = (data[0] & 16) != 0};
    bool renames = (data[0] & 32) != 0, guarded = (data[0] & 64) != 0, hooked = (data[1] & 2) != 0;
    Sluice__Snapshot__V1__VirtualCluster later = {.mode = msg.mode, .prefix = "a."};
    const slc_kafka_message *message = slc_kafka_message_find(
        data[2], version, data[1] % 2 != 0 ? SLC_KAFKA_RESPONSE : SLC_KAFKA_REQUEST, &err);
    slc_names *names = slc_names_new(&msg);
    slc_topic_ids ids;
    slc_view view;
    slc_kafka_edits edits;
    slc_buf out;
    slc_topic_ids_init(&ids, 1000);
    slc_view_init(&view, names, &ids);
    slc_view_records hook = {.produce = true, .fetch = true, .map = decide};
    slc_topic_ids_learn(&ids, (const uint8_t *)"AAAAAAAAAAAAAAAA", (const uint8_t *)"a.orders", 8);
    view.records = hooked ? &hook : NULL;
    slc_names *next = slc_names_new(&later);
    if (guarded)
        slc_view_set_guard(&view, &guard);
    if (renames)
        slc_view_will_rename(&view, next);
    slc_kafka_edits_init(&edits, MAX_EDITS, LIMIT);
    slc_buf_init(&out, LIMIT * 4);
    data += CHOICE_BYTES;
    size -= CHOICE_BYTES;
    try_name(names, data, size);
    try_acl(names, data, size);
    if (message != NULL && message->kind == SLC_KAFKA_REQUEST) {
        try_request(&view, message, version, data, size, &edits, &out);
        try_head(&view, message, version, data, size, &edits, &out);
    } else if (message != NULL)
        try_answer(&view, message, version, data, size, &edits, &out);
    slc_buf_release(&out);
    slc_kafka_edits_release(&edits);
    slc_view_release(&view);
    slc_topic_ids_release(&ids);
    slc_names_free(next);
    slc_names_free(names);
    return 0;
}
