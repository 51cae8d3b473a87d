/* Records in requests and answers: whose they are is known here, what becomes of them is asked. */
#include <stdio.h>

#include "dataplane/kafka/wire.h"
#include "dataplane/virtual/view_private.h"

#define MAX_TOPIC 600 /* Kafka's own is 249; of what is longer nothing can be stored */

bool slc_view_changes_records(const slc_view *view, int key)
{
    const slc_view_records *records = view->records;
    return records != NULL && ((records->produce && key == KEY_PRODUCE) ||
                               (records->fetch && (key == KEY_FETCH || key == KEY_SHARE_FETCH)));
}

enum slc_kafka_verdict slc_view_map_partition(slc_view *view, slc_view_request *request,
                                              slc_view_partition *partition, const slc_kafka_event *event,
                                              slc_kafka_value *out)
{
    enum slc_kafka_verdict verdict = slc_view_put_partition(view, request, event, out);
    if (strcmp(event->field->name, "Index") != 0)
        return verdict;
    partition->index = event->number;
    partition->at = event->at;
    partition->mark = slc_kafka_edits_here(partition->edits);
    partition->refused = verdict == SLC_KAFKA_REPLACE;
    partition->code = partition->refused ? request->denied : 0;
    return verdict;
}

/* Others of the request go on: as with what is demanded, the answer will say of this one why. Its index stands
 * before its records, and was passed. */
static bool refuse_partition(slc_view_partition *partition, int16_t code, slc_error *err)
{
    int64_t sent;
    uint8_t bytes[4];
    if (!slc_refused_partition(partition->index, code, &sent))
        return false;
    slc_kafka_put(bytes, (uint64_t)sent, sizeof bytes);
    partition->code = code;
    partition->refused = true;
    return slc_kafka_edits_insert(partition->edits, &partition->mark, partition->at, sizeof bytes,
                                  (slc_kafka_span){bytes, sizeof bytes}, err);
}

/* False: no topic has such a name. */
static bool put_name(char out[MAX_TOPIC], slc_kafka_span head, slc_kafka_span body)
{
    if (head.len + body.len >= MAX_TOPIC || (body.len > 0 && memchr(body.data, '\0', body.len) != NULL))
        return false;
    if (head.len > 0)
        memcpy(out, head.data, head.len);
    if (body.len > 0)
        memcpy(out + head.len, body.data, body.len);
    out[head.len + body.len] = '\0';
    return true;
}

static enum slc_kafka_verdict map_batches(const slc_view *view, const slc_view_partition *partition,
                                          slc_kafka_span topic, const slc_kafka_event *event,
                                          slc_kafka_value *out, slc_view_failure *failure)
{
    char client[MAX_TOPIC], backend[MAX_TOPIC];
    slc_name name;
    slc_names_map(view->names, SLC_NAME_TOPIC, topic.data, topic.len, &name);
    if (!put_name(client, (slc_kafka_span){0}, topic) || !put_name(backend, name.head, name.body))
        return SLC_KAFKA_KEEP; /* the broker refuses it */
    const slc_view_batches batches = {.produce = true,
                                      .topic = client,
                                      .backend = backend,
                                      .partition = (int32_t)partition->index,
                                      .from_offset = INT64_MIN,
                                      .at = event->at,
                                      .data = {event->data, event->len},
                                      .made = &partition->edits->bytes};
    return view->records->map(view->records, &batches, out, failure);
}

enum slc_kafka_verdict slc_view_map_records(slc_view *view, slc_view_partition *partition, slc_kafka_span topic,
                                            const slc_kafka_event *event, slc_kafka_value *out,
                                            slc_view_failure *failure, slc_error *err)
{
    enum slc_kafka_verdict verdict = SLC_KAFKA_REFUSE;
    if (event->data == NULL || topic.data == NULL) /* a topic that is nobody's stores nothing */
        return SLC_KAFKA_KEEP;
    if (!partition->refused)
        verdict = map_batches(view, partition, topic, event, out, failure);
    if (verdict != SLC_KAFKA_REFUSE)
        return verdict;
    if (!partition->refused && !refuse_partition(partition, failure->code, err))
        return SLC_KAFKA_REFUSE;
    out->body = (slc_kafka_span){"", 0}; /* what is refused is not shown to the broker either */
    return SLC_KAFKA_REPLACE;
}

/* The partition's error code stands before its records, and was passed. */
static bool put_code(slc_view_answer *answer, int16_t code, slc_error *err)
{
    uint8_t bytes[2];
    slc_kafka_put(bytes, (uint64_t)code, sizeof bytes);
    return slc_kafka_edits_insert(answer->edits, &answer->code_mark, answer->code_at, sizeof bytes,
                                  (slc_kafka_span){bytes, sizeof bytes}, err);
}

void slc_view_note_code(slc_view_answer *answer, const slc_kafka_event *event)
{
    if (answer->edits == NULL || strcmp(event->field->name, "ErrorCode") != 0)
        return;
    answer->code_at = event->at;
    answer->code_mark = slc_kafka_edits_here(answer->edits);
}

enum slc_kafka_verdict slc_view_unmap_records(slc_view_answer *answer, const slc_kafka_event *event,
                                              slc_kafka_value *out, slc_error *err)
{
    slc_view_records *records = answer->view->records;
    slc_view_failure failure = {
        .code = UNKNOWN_TOPIC_ID}; /* forgotten meanwhile: clients ask for metadata, and go on */
    enum slc_kafka_verdict verdict = SLC_KAFKA_REFUSE;
    if (event->len == 0)
        return SLC_KAFKA_KEEP;
    char client[MAX_TOPIC], backend[MAX_TOPIC];
    if (answer->client.data != NULL && put_name(client, (slc_kafka_span){0}, answer->client) &&
        put_name(backend, (slc_kafka_span){0}, answer->backend)) {
        bool fetch = answer->key == KEY_FETCH;
        const slc_view_batches batches = {
            .topic = client,
            .backend = backend,
            .partition = answer->partition,
            .from_offset =
                fetch ? slc_view_from_offset(answer->view, answer->client, answer->partition) : INT64_MIN,
            .share = !fetch,
            .at = event->at,
            .data = {event->data, event->len},
            .made = &answer->edits->bytes};
        verdict = records->map(records, &batches, out, &failure);
    }
    if (verdict != SLC_KAFKA_REFUSE)
        return verdict;
    if (!put_code(answer, failure.code, err))
        return SLC_KAFKA_REFUSE;
    out->body = (slc_kafka_span){"", 0};
    return SLC_KAFKA_REPLACE;
}
