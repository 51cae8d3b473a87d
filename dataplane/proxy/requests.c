/* What the client says: header by header, then on to the broker or to an answer of the gateway's own. */
#include <string.h>

#include "common/clock.h"
#include "dataplane/kafka/sasl_codec.h"
#include "dataplane/kafka/wire.h"
#include "dataplane/proxy/session_private.h"
#include "dataplane/proxy/spans.h"

#define PRODUCE_KEY  0
#define ACKS_PREFIX  (32767 + 16) /* bytes that may lie before acks: a transactional id */
#define PROXY_HEADER 0x0d0a0d0au  /* of version 2 */
#define PROXY_TEXT   0x50524f58u  /* of version 1 */
#define TLS_HELLO    0x160300u    /* the first three bytes of a TLS handshake, any version */

/* The first four characters of a request, also of HTTP/2's. */
static bool is_http(uint32_t size)
{
    static const char *const methods[] = {"GET ", "POST", "HEAD", "PUT ", "DELE",
                                          "OPTI", "PATC", "CONN", "TRAC", "PRI "};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (size == slc_kafka_get32((const uint8_t *)methods[i]))
            return true;
    return false;
}

static enum slc_parse refuse_size(slc_session *session, uint32_t size)
{
    if (size >> 8 >= TLS_HELLO && size >> 8 <= TLS_HELLO + 4)
        return slc_session_refuse(session, SLC_INVALID, "protocol",
                                  "the client speaks TLS to a listener without it");
    if (is_http(size))
        return slc_session_refuse(session, SLC_INVALID, "protocol",
                                  "the client speaks HTTP to a Kafka listener");
    if (size == PROXY_HEADER || size == PROXY_TEXT)
        return slc_session_refuse(session, SLC_INVALID, "proxy-protocol",
                                  "a PROXY protocol header from an address that is not in the listener's "
                                  "kafka.proxy_protocol_from");
    return slc_session_refuse(session, SLC_INVALID, "protocol",
                              "a request of %d bytes is not possible here (at most %lld)", (int)size,
                              (long long)session->front->limits->kafka_frame_bytes);
}

/* A null or a string of either encoding, then two bytes: how many bytes lie before acks, 0 when more are
 * needed. */
static size_t find_acks(const slc_kafka_message *message, int version, const uint8_t *body, size_t len)
{
    bool compact = slc_kafka_within(message->flexible_in, version);
    size_t at = 0, id = 0;
    if (!compact) {
        if (len < 2)
            return 0;
        id = slc_kafka_get16(body);
        at = 2;
        id = id == 0xffff ? 0 : id;
    } else {
        for (unsigned shift = 0; shift < 35; shift += 7) {
            if (at == len)
                return 0;
            id |= (size_t)(body[at] & 0x7f) << shift;
            if (body[at++] < 0x80)
                break;
        }
        id = id > 0 ? id - 1 : 0;
    }
    return at + id + 2 <= len ? at + id : 0;
}

/* Only printable characters go to logs. */
static void note_client_id(slc_session *session, const slc_kafka_request_header *header)
{
    size_t len = header->client_id_len < sizeof session->client_id - 1 ? header->client_id_len
                                                                       : sizeof session->client_id - 1;
    if (header->client_id == NULL || (strncmp(session->client_id, (const char *)header->client_id, len) == 0 &&
                                      session->client_id[len] == '\0'))
        return;
    for (size_t i = 0; i < len; i++)
        session->client_id[i] =
            header->client_id[i] >= 0x20 && header->client_id[i] < 0x7f ? (char)header->client_id[i] : '?';
    session->client_id[len] = '\0';
}

/* Of a request whose header cannot be read further than key, version and correlation id: the client id stands
 * behind these in every version there has been (KIP-511). */
static void note_unknown_client(slc_session *session, const uint8_t *data, size_t len, size_t size)
{
    slc_kafka_request_header header = {0};
    size_t at = 4 + 2 + 2 + 4 + 2;
    if (len < at || 4 + size < at)
        return;
    header.client_id_len = slc_kafka_get16(data + at - 2);
    header.client_id = data + at;
    if (at + header.client_id_len <= len && at + header.client_id_len <= 4 + size)
        note_client_id(session, &header);
}

static enum slc_parse hold(slc_session *session, size_t size)
{
    return slc_end_hold(&session->client, &session->front->pool, size) == SLC_IO_OK ? SLC_PARSE_MORE
                                                                                    : SLC_PARSE_MEMORY;
}

/* Whoever claims much and sends little is not believed. */
enum slc_parse slc_session_hold_some(slc_session *session, size_t size)
{
    size_t len;
    (void)slc_end_data(&session->client, &len);
    size_t likely = len < SLC_CHUNK_SMALL ? SLC_CHUNK_SMALL : 4 * len;
    return hold(session, size < likely ? size : likely);
}

static void count(const slc_session *session, int key, size_t size)
{
    slc_proxy_cluster_metrics *metrics = slc_proxy_metrics_of(session->front, session->vcluster->msg->name);
    slc_proxy_series *series = slc_proxy_series_of(metrics, key);
    slc_series_add(series->requests, 1);
    slc_series_add(series->request_bytes, (int64_t)size + 4);
}

static enum slc_parse take_local(slc_session *session, const slc_kafka_request_header *header,
                                 const uint8_t *data, size_t len, size_t size)
{
    if (size > SLC_SESSION_LOCAL)
        return slc_session_refuse(session, SLC_TOO_LARGE, "protocol", "a %s request of %zu bytes",
                                  slc_kafka_apis[header->key].name, size);
    if (len < 4 + size)
        return slc_session_hold_some(session, 4 + size);
    enum slc_parse parsed = slc_session_answer(session, header, data + 4 + header->size, size - header->size);
    if (parsed != SLC_PARSE_MORE)
        return parsed;
    if (!slc_end_settle(&session->broker, &session->client))
        return SLC_PARSE_WAIT;
    slc_end_skip(&session->client, 4 + size);
    count(session, header->key, size);
    return SLC_PARSE_MORE;
}

static enum slc_parse check_api(slc_session *session, const slc_kafka_request_header *header)
{
    const slc_kafka_api *api = slc_kafka_api_find(header->key);
    bool served = slc_session_serves(session, header->key) && slc_kafka_within(api->served, header->version);
    if (!session->allowed)
        return slc_session_refuse(session, SLC_UNAUTHENTICATED, "authentication",
                                  "a %s request before authentication", slc_kafka_apis[header->key].name);
    if (session->expires_ms != 0 && session->expires_ms <= slc_wall_ms())
        return slc_session_end_expired(session);
    if (!slc_session_is_authorised(session))
        return SLC_PARSE_CLOSE;
    if (!served)
        return slc_session_refuse(session, SLC_DENIED, "refused",
                                  "%s version %d is not served here (docs/kafka-api.md says why)",
                                  slc_kafka_apis[header->key].name, header->version);
    return SLC_PARSE_MORE;
}

slc_flight *slc_session_depart(slc_session *session, const slc_kafka_request_header *header, size_t size,
                               bool answered)
{
    count(session, header->key, size);
    slc_session_pay(session, 1, 0, size + 4);
    int64_t now_us = slc_monotonic_us();
    int64_t held_us = session->held_since_us != 0 ? now_us - session->held_since_us : 0;
    session->held_since_us = 0;
    session->request_span = slc_proxy_span_begin(session, header->key, header->version, answered, held_us);
    if (!answered)
        return NULL;
    slc_flight *flight = slc_flights_push(&session->flights);
    flight->correlation_id = header->correlation_id;
    flight->key = header->key;
    flight->version = header->version;
    flight->started_us = now_us;
    flight->held_us = held_us;
    flight->span = session->request_span;
    return flight;
}

void slc_session_sent(slc_session *session)
{
    slc_usage_follow_end(session);
    slc_proxy_spans_sent(session);
}

static enum slc_parse take(slc_session *session, const slc_kafka_request_header *header, const uint8_t *data,
                           size_t len, size_t size)
{
    bool answered = true;
    note_client_id(session, header);
    session->key = header->key;
    session->version = header->version;
    bool unframed =
        header->key == SLC_KAFKA_SASL_HANDSHAKE_KEY && header->version == 0; /* tokens would follow */
    if (unframed || slc_session_is_local(session, header->key))
        return take_local(session, header, data, len, size);
    enum slc_parse checked = check_api(session, header);
    if (checked != SLC_PARSE_MORE)
        return checked;
    if (header->key == PRODUCE_KEY) {
        size_t body = 4 + header->size, there = (len < 4 + size ? len : 4 + size) - body;
        size_t acks = find_acks(header->message, header->version, data + body, there);
        if (acks == 0 && there == size - header->size)
            return slc_session_refuse(session, SLC_INVALID, "protocol",
                                      "a Produce request that ends too early");
        if (acks == 0)
            return hold(session,
                        body + (size - header->size < ACKS_PREFIX ? size - header->size : ACKS_PREFIX));
        answered = slc_kafka_get16(data + body + acks) != 0;
    }
    if (session->state != SLC_SESSION_READY) {
        if (session->held_since_us == 0)
            session->held_since_us = slc_monotonic_us();
        if (!slc_session_connect(session, &session->why))
            return SLC_PARSE_CLOSE;
        return SLC_PARSE_WAIT;
    }
    if (session->view != NULL &&
        (slc_view_concerns(header->message, header->version) || slc_view_guards(session->view, header->key) ||
         slc_view_judges(session->view, header->key)))
        return slc_session_map(session, header, size, answered);
    slc_session_depart(session, header, size, answered);
    session->request_left = (uint32_t)(size + 4);
    if (header->key == PRODUCE_KEY)
        slc_usage_follow_begin(session, header->message, header->version, size - header->size, NULL, 0, 0,
                               4 + header->size, true);
    return SLC_PARSE_MORE;
}

/* The header of the next request, and what becomes of it. `*progress` false: more bytes are needed. */
static enum slc_parse next_request(slc_session *session, const uint8_t *data, size_t len, bool *progress)
{
    slc_kafka_request_header header = {.key = -1, .version = -1};
    slc_error err = {0};
    size_t size = slc_kafka_get32(data);
    if (size < 8 || size > (size_t)session->front->limits->kafka_frame_bytes || size == PROXY_HEADER)
        return refuse_size(session, (uint32_t)size);
    switch (slc_kafka_request_header_read(data + 4, len - 4, size, &header, &err)) {
    case SLC_KAFKA_DONE:
        break;
    case SLC_KAFKA_MORE:
        return slc_session_hold_some(session, size + 4 < SLC_SESSION_LOCAL ? size + 4 : SLC_SESSION_LOCAL);
    default:
        note_unknown_client(session, data, len, size);
        session->key = header.key;
        session->version = header.version;
        if (err.code == SLC_UNSUPPORTED && header.key == SLC_KAFKA_API_VERSIONS_KEY && len >= 4 + size) {
            if (!slc_end_settle(&session->broker, &session->client))
                return SLC_PARSE_WAIT;
            enum slc_parse answered = slc_session_answer_unknown_versions(session, &header);
            if (answered == SLC_PARSE_MORE)
                slc_end_skip(&session->client, 4 + size);
            *progress = answered == SLC_PARSE_MORE;
            return answered;
        }
        if (err.code == SLC_UNSUPPORTED && header.key == SLC_KAFKA_API_VERSIONS_KEY &&
            size <= SLC_SESSION_LOCAL)
            return slc_session_hold_some(session, size + 4);
        return slc_session_refuse(session, err.code, "protocol", "%.200s", err.message);
    }
    uint32_t start = session->client.start;
    enum slc_parse taken = take(session, &header, data, len, size);
    *progress = session->request_left > 0 || session->client.start != start;
    return taken;
}

size_t slc_session_request_unseen(slc_session *session)
{
    return slc_usage_follow_may_move(session) ? session->request_left : 0;
}

void slc_session_request_moved(slc_session *session, size_t len)
{
    session->request_left -= (uint32_t)len;
    slc_usage_follow_moved(session, session->client.pipe, len);
    if (session->request_left == 0)
        slc_session_sent(session);
}

/* Passes what is there of a request on its way. */
static void pass_request(slc_session *session, const uint8_t *data, size_t len)
{
    size_t passing = len < session->request_left ? len : session->request_left;
    slc_usage_follow_see(session, data, passing);
    session->client.pass += (uint32_t)passing;
    session->request_left -= (uint32_t)passing;
    if (session->request_left == 0)
        slc_session_sent(session);
}

enum slc_parse slc_session_requests(slc_session *session)
{
    for (;;) {
        size_t len;
        const uint8_t *data = slc_end_data(&session->client, &len);
        bool progress = false;
        if (session->request_left > 0 && len > 0) {
            pass_request(session, data, len);
            continue;
        }
        if (len < 4)
            return SLC_PARSE_MORE;
        if (slc_session_is_throttled(session) || (session->renamed != NULL && !slc_session_rename(session)))
            return SLC_PARSE_WAIT;
        if (session->closing || session->misplaced || session->cut_off || session->front->draining ||
            session->flights.count >= (uint32_t)session->front->limits->kafka_in_flight ||
            slc_end_waiting(&session->broker) > SLC_SESSION_OUT_HIGH ||
            slc_end_waiting(&session->client) > SLC_SESSION_OUT_HIGH)
            return SLC_PARSE_WAIT;
        enum slc_parse parsed = next_request(session, data, len, &progress);
        if (parsed != SLC_PARSE_MORE || !progress)
            return parsed;
    }
}
