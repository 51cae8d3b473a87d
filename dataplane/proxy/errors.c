/* Error codes of brokers in answers, counted by API key. Those of an answer that is walked anyway all count; of
 * one that passes unread only the code of the answer as a whole, which stands at a place that its version
 * tells. */
#include <stdio.h>

#include "dataplane/kafka/wire.h"
#include "dataplane/proxy/session_private.h"
#include "dataplane/proxy/spans.h"

#define MAX_VERSIONS 24
#define NOWHERE      (-1)

/* Where the code of the whole answer stands in its body: behind fields of fixed size alone. */
static int find_code(int key, int version)
{
    const slc_kafka_node *node = &slc_kafka_nodes[slc_kafka_apis[key].response->node];
    size_t at = 0;
    for (unsigned i = 0; i < node->count; i++) {
        const slc_kafka_field *field = &slc_kafka_fields[node->first + i];
        if (!slc_kafka_within(field->in, version) || slc_kafka_within(field->tagged_in, version))
            continue;
        size_t size = slc_kafka_type_size(field->type);
        if (size == 0 || (field->flags & SLC_KAFKA_FIELD_ARRAY) != 0)
            return NOWHERE;
        if (field->role == SLC_KAFKA_ROLE_ERROR_CODE)
            return (int)at;
        at += size;
    }
    return NOWHERE;
}

static int code_at(int key, int version)
{
    /* 0: not looked at yet; 1: nowhere; else the offset and 2. Each worker finds out the same. */
    static uint8_t known[SLC_KAFKA_KEYS][MAX_VERSIONS];
    if (version < 0 || version >= MAX_VERSIONS)
        return NOWHERE;
    uint8_t is = __atomic_load_n(&known[key][version], __ATOMIC_RELAXED);
    if (is == 0) {
        is = (uint8_t)(find_code(key, version) + 2);
        __atomic_store_n(&known[key][version], is, __ATOMIC_RELAXED);
    }
    return is - 2;
}

/* Of the answer on its way, or of the one that is looked at before it is. */
static slc_proxy_span *span_at_hand(const slc_session *session)
{
    const slc_flight *first = slc_flights_first(&session->flights);
    if (session->answer_gateway != NULL)
        return session->answer_span;
    return first != NULL ? first->span : NULL;
}

void slc_session_count_error(const slc_session *session, int key, int16_t code)
{
    char text[8];
    if (code == 0)
        return;
    slc_usage_count_error(session, key);
    slc_proxy_span *span = span_at_hand(session);
    if (span != NULL)
        slc_proxy_span_error(span, code);
    snprintf(text, sizeof text, "%d", code);
    slc_proxy_metrics_answer_error(session->vcluster->msg->name, slc_kafka_apis[key].name, text);
}

bool slc_session_count_whole_error(const slc_session *session, const slc_flight *flight, const uint8_t *data,
                                   size_t len, size_t size)
{
    int at = code_at(flight->key, flight->version);
    if (at == NOWHERE)
        return true;
    /* The header's tagged section is empty: one byte. Who sends more is not counted. */
    size_t header = slc_kafka_header_version(slc_kafka_apis[flight->key].response, flight->version) > 0 ? 5 : 4;
    size_t end = 4 + header + (size_t)at + 2;
    if (end > 4 + size || (header == 5 && len > 8 && data[8] != 0))
        return true;
    if (len < end)
        return false;
    slc_session_count_error(session, flight->key, (int16_t)slc_kafka_get16(data + end - 2));
    return true;
}
