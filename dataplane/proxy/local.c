/* What the gateway answers itself: ApiVersions (KIP-35, KIP-511) and, unless it passes through, SASL (sasl.c).
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "dataplane/kafka/decode.h"
#include "dataplane/kafka/encode.h"
#include "dataplane/kafka/sasl_codec.h"
#include "dataplane/proxy/session_private.h"
#include "dataplane/virtual/opened.h"

#define PRODUCE_KEY                0
#define CLUSTER_ID_FRESH_MS        10000 /* a cluster's id is not asked for again before */
#define ERROR_INVALID_REQUEST      42
#define ERROR_REBOOTSTRAP_REQUIRED 129

bool slc_session_is_local(const slc_session *session, int key)
{
    bool sasl = key == SLC_KAFKA_SASL_HANDSHAKE_KEY || key == SLC_KAFKA_SASL_AUTHENTICATE_KEY;
    return key == SLC_KAFKA_API_VERSIONS_KEY || (sasl && !session->passthrough);
}

slc_buf *slc_session_begin_answer(slc_session *session, const slc_kafka_request_header *header)
{
    if (session->flights.count == 0 && session->response_left == 0)
        return slc_end_settle(&session->client, &session->broker) ? &session->client.out : NULL;
    slc_flight *flight = slc_flights_push(&session->flights);
    flight->local = true;
    flight->correlation_id = header->correlation_id;
    flight->key = header->key;
    slc_buf_init(&flight->answer, SLC_SESSION_LOCAL);
    return &flight->answer;
}

bool slc_session_serves(const slc_session *session, int key)
{
    const slc_kafka_api *api = slc_kafka_api_find(key);
    return api != NULL &&
           (api->disposition == SLC_KAFKA_DO_REWRITE || api->disposition == SLC_KAFKA_DO_LOCAL ||
            (api->disposition == SLC_KAFKA_DO_OPTIONAL && slc_opened(session->vcluster->msg, key))) &&
           slc_view_serves(session->vcluster->names, key);
}

/* ---- ApiVersions ---- */

/* The intersection of the table and of what the backend can do. */
static void show(slc_session *session)
{
    const slc_kafka_api_versions *backend = &session->topology->versions;
    slc_kafka_api_versions *shown = slc_calloc(1, sizeof *shown);
    for (int key = 0; key < SLC_KAFKA_KEYS; key++) {
        const slc_kafka_api *api = &slc_kafka_apis[key];
        int16_t min = api->served.since, max = api->served.until;
        bool served = slc_session_serves(session, key);
        if (served && !slc_session_is_local(session, key)) {
            min = backend->of[key].min > min ? backend->of[key].min : min;
            max = backend->of[key].max < max ? backend->of[key].max : max;
            int least = slc_view_min_version(session->vcluster->names, key);
            min = least > min ? (int16_t)least : min;
        }
        shown->of[key].min = served ? min : 0;
        shown->of[key].max = served ? max : -1;
    }
    shown->of[SLC_KAFKA_SASL_HANDSHAKE_KEY].min = SLC_KAFKA_SASL_HANDSHAKE_VERSION;
    free(session->shown);
    session->shown = shown;
}

static int32_t count_shown(const slc_kafka_api_versions *shown)
{
    int32_t count = 0;
    for (int key = 0; key < SLC_KAFKA_KEYS; key++)
        count += shown->of[key].min <= shown->of[key].max;
    return count;
}

/* librdkafka wants to see the first version of these, and never uses it: clients older than KAFKA-18659's fix
 * take a Produce that does not begin at 0 for a broker that cannot compress, and older versions a SaslHandshake
 * that does not for one without SASL. */
static int16_t shown_min(const slc_kafka_api_versions *shown, int key)
{
    return key == PRODUCE_KEY || key == SLC_KAFKA_SASL_HANDSHAKE_KEY ? 0 : shown->of[key].min;
}

static void add_versions(const slc_session *session, slc_buf *out, int version)
{
    const slc_kafka_api_versions *shown = session->shown;
    const slc_topology *topology = session->topology;
    bool compact = version >= 3;
    slc_kafka_add_int16(out, 0);
    slc_kafka_add_count(out, compact, count_shown(shown));
    for (int key = 0; key < SLC_KAFKA_KEYS; key++) {
        if (shown->of[key].min > shown->of[key].max)
            continue;
        slc_kafka_add_int16(out, (int16_t)key);
        slc_kafka_add_int16(out, shown_min(shown, key));
        slc_kafka_add_int16(out, shown->of[key].max);
        if (compact)
            slc_kafka_add_no_tags(out);
    }
    if (version >= 1)
        slc_kafka_add_int32(out, 0); /* throttle */
    if (compact && topology->features.len > 0)
        slc_buf_add(out, topology->features.data, topology->features.len);
    else if (compact)
        slc_kafka_add_no_tags(out);
}

/* KIP-511: [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])? */
static bool is_software(const uint8_t *text, size_t len)
{
    if (len == 0 || !isalnum(text[0]) || !isalnum(text[len - 1]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum(text[i]) && text[i] != '-' && text[i] != '.')
            return false;
    return true;
}

/* What the client says of itself and of whom it believes to talk to. */
struct greeting {
    bool named;                /* its software has a proper name */
    const uint8_t *cluster_id; /* NULL: none */
    size_t cluster_id_len;
    int32_t node; /* -1: none */
};

static bool read_greeting(void *ctx, const slc_kafka_event *event, slc_error *err)
{
    struct greeting *greeting = ctx;
    (void)err;
    if (slc_kafka_event_is(event, "ClientSoftwareName") || slc_kafka_event_is(event, "ClientSoftwareVersion")) {
        greeting->named = greeting->named && event->data != NULL && is_software(event->data, event->len);
    } else if (slc_kafka_event_is(event, "ClusterId")) {
        greeting->cluster_id = event->data;
        greeting->cluster_id_len = event->len;
    } else if (slc_kafka_event_is(event, "NodeId")) {
        greeting->node = (int32_t)event->number;
    }
    return true;
}

static bool is_cluster(const slc_topology *topology, const struct greeting *greeting)
{
    return topology->cluster_id[0] == '\0' ||
           (strlen(topology->cluster_id) == greeting->cluster_id_len &&
            memcmp(topology->cluster_id, greeting->cluster_id, greeting->cluster_id_len) == 0);
}

/* Does the client know of another cluster than we do? Then it may be newer than what we know. */
static bool is_to_be_asked(const slc_topology *topology, const struct greeting *greeting)
{
    return !topology->known || (greeting->cluster_id != NULL && !is_cluster(topology, greeting) &&
                                slc_monotonic_ms() - topology->answered_ms > CLUSTER_ID_FRESH_MS);
}

/* Kafka's answer: the name first (KIP-511), then both or none of cluster and node, and these (KIP-1242). */
static int16_t judge(const slc_session *session, const struct greeting *greeting)
{
    if (!greeting->named || (greeting->cluster_id == NULL) != (greeting->node == -1))
        return ERROR_INVALID_REQUEST;
    if (greeting->cluster_id != NULL &&
        (greeting->node != session->node || !is_cluster(session->topology, greeting)))
        return ERROR_REBOOTSTRAP_REQUIRED;
    return 0;
}

static void add_refusal(slc_buf *out, int16_t error)
{
    slc_kafka_add_int16(out, error);
    slc_kafka_add_count(out, true, 0);
    slc_kafka_add_int32(out, 0); /* throttle */
    slc_kafka_add_no_tags(out);
}

static enum slc_parse answer_versions(slc_session *session, const slc_kafka_request_header *header,
                                      const uint8_t *body, size_t len)
{
    struct greeting greeting = {.named = true, .node = -1};
    if (!slc_kafka_body_decode(header->message, header->version, body, len, read_greeting, &greeting,
                               &session->why))
        return slc_session_refuse(session, SLC_INVALID, "protocol", "a broken ApiVersions request");
    if (is_to_be_asked(session->topology, &greeting)) {
        slc_session_ask(session);
        return SLC_PARSE_WAIT;
    }
    slc_buf *out = slc_session_begin_answer(session, header);
    if (out == NULL)
        return SLC_PARSE_WAIT;
    int16_t error = judge(session, &greeting);
    size_t begin = slc_kafka_response_begin(out, header->key, header->version, header->correlation_id);
    if (error != 0) {
        add_refusal(out, error);
    } else {
        show(session);
        add_versions(session, out, header->version);
    }
    return slc_kafka_frame_end(out, begin, &session->why) ? SLC_PARSE_MORE : SLC_PARSE_CLOSE;
}

enum slc_parse slc_session_answer_unknown_versions(slc_session *session, const slc_kafka_request_header *header)
{
    slc_buf *out = slc_session_begin_answer(session, header);
    if (out == NULL)
        return SLC_PARSE_WAIT;
    size_t begin = slc_kafka_response_begin(out, SLC_KAFKA_API_VERSIONS_KEY, 0, header->correlation_id);
    slc_kafka_add_int16(out, SLC_KAFKA_ERROR_UNSUPPORTED_VERSION);
    slc_kafka_add_count(out, false, 1);
    slc_kafka_add_int16(out, SLC_KAFKA_API_VERSIONS_KEY);
    slc_kafka_add_int16(out, 0);
    slc_kafka_add_int16(out, slc_kafka_apis[SLC_KAFKA_API_VERSIONS_KEY].served.until);
    return slc_kafka_frame_end(out, begin, &session->why) ? SLC_PARSE_MORE : SLC_PARSE_CLOSE;
}

enum slc_parse slc_session_answer(slc_session *session, const slc_kafka_request_header *header,
                                  const uint8_t *body, size_t len)
{
    switch (header->key) {
    case SLC_KAFKA_API_VERSIONS_KEY:
        return answer_versions(session, header, body, len);
    case SLC_KAFKA_SASL_HANDSHAKE_KEY:
        return slc_session_answer_handshake(session, header, body, len);
    default:
        return slc_session_answer_authenticate(session, header, body, len);
    }
}
