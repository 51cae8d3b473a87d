#include "dataplane/mediation/problem.h"

#include <event2/http.h>
#include <stdio.h>

static const slc_problem_text table[SLC_PROBLEMS] = {
    [SLC_PROBLEM_NOT_PERSISTED] = {503, "not-persisted", "Not stored",
                                   "The event was not stored; sending it again is safe.", 2},
    [SLC_PROBLEM_OUTCOME_UNKNOWN] = {504, "outcome-unknown", "Outcome unknown",
                                     "The event may be stored: sending it again may store it twice.", 0},
    [SLC_PROBLEM_TOO_LARGE] = {413, "event-too-large", "Event too large",
                               "The event is larger than the event API takes.", 0},
    [SLC_PROBLEM_TOPIC_MISSING] = {502, "topic-missing", "The stream is missing",
                                   "What the event API stands for does not exist on the backend.", 0},
    [SLC_PROBLEM_QUEUE_FULL] = {429, "queue-full", "Too many events",
                                "More events are waiting than the gateway holds.", 1},
    [SLC_PROBLEM_CROWDED] = {429, "catch-up-full", "Too many readers are behind",
                             "More reads of old events are waiting than the gateway holds.", 2},
    [SLC_PROBLEM_TOO_MANY_PAGES] = {503, "too-many-pages", "Too many pages under way",
                                    "More pages wait to be taken by their readers than the gateway holds.", 2},
    [SLC_PROBLEM_NOT_AUTHORISED] = {502, "backend-refused", "The backend refused",
                                    "The gateway may not use the stream behind the event API.", 0},
    [SLC_PROBLEM_BACKEND_UNAVAILABLE] = {503, "backend-unavailable", "The backend is out of reach", NULL, 2},
    [SLC_PROBLEM_BACKEND_UNUSABLE] = {502, "backend-unusable", "The backend is not usable",
                                      "The configuration of the event API's backend does not work here.", 0},
    [SLC_PROBLEM_CHANGING] = {503, "configuration-changing", "The configuration is changing", NULL, 1},
    [SLC_PROBLEM_DRAINING] = {503, "draining", "The gateway is stopping", NULL, 1},
    [SLC_PROBLEM_CUT_OFF] = {503, "unavailable", "No valid configuration",
                             "The gateway has no configuration that it may serve now.", 5},
    [SLC_PROBLEM_REVOKED] = {403, "access-revoked", "Access ended",
                             "The credential or the subscription does not allow this any more.", 0},
    [SLC_PROBLEM_REMOVED] = {404, "api-removed", "The event API is gone or has moved", NULL, 0},
    [SLC_PROBLEM_NOT_JSON] = {400, "invalid-json", "Not JSON", NULL, 0},
    [SLC_PROBLEM_EMPTY] = {400, "empty-body", "Nothing to publish", "The body holds no event.", 0},
    [SLC_PROBLEM_MEDIA_TYPE] = {415, "unsupported-media-type", "Unsupported media type",
                                "Send application/json, application/x-ndjson, application/octet-stream, "
                                "application/cloudevents+json or application/cloudevents-batch+json.",
                                0},
    [SLC_PROBLEM_NOT_ACCEPTABLE] = {406, "not-acceptable", "Not acceptable",
                                    "Events come as application/json or text/event-stream.", 0},
    [SLC_PROBLEM_BAD_EVENT] = {422, "invalid-event", "Invalid event", NULL, 0},
    [SLC_PROBLEM_KEY] = {422, "invalid-key", "No usable key", NULL, 0},
    [SLC_PROBLEM_TOO_MANY] = {413, "too-many-events", "Too many events",
                              "The request holds more events than are taken at once.", 0},
    [SLC_PROBLEM_PARAMETER] = {400, "invalid-parameter", "Invalid parameter", NULL, 0},
    [SLC_PROBLEM_CURSOR] = {400, "invalid-cursor", "Invalid cursor", "The cursor is not one of this event API.",
                            0},
    [SLC_PROBLEM_CURSOR_EXPIRED] = {410, "cursor-expired", "Cursor expired",
                                    "Events behind the cursor are not kept any more.", 0},
    [SLC_PROBLEM_RECREATED] = {410, "stream-recreated", "The stream was created anew",
                               "The cursor is of a stream that does not exist any more.", 0},
    [SLC_PROBLEM_TIME_LOOKUP] = {501, "no-time-lookup", "Not by time",
                                 "The backend cannot find events by time.", 0},
    [SLC_PROBLEM_EVENT_REFUSED] = {422, "event-refused", "Event refused",
                                   "The backend does not store such an event; it may need a key.", 0},
    [SLC_PROBLEM_RECORD_REJECTED] = {422, "event-rejected", "Event rejected",
                                     "The rules of the event API do not take such an event.", 0},
    [SLC_PROBLEM_RECORD_DENIED] = {403, "event-denied", "Event denied",
                                   "The rules of the event API do not let the caller do this with the event.",
                                   0},
    [SLC_PROBLEM_RECORD_UNAVAILABLE] = {503, "rules-unavailable", "Not possible now",
                                        "Something that the rules of the event API need is out of reach.", 2},
    [SLC_PROBLEM_RECORD_UNREADABLE] = {422, "event-unreadable", "Event unreadable",
                                       "The rules of the event API cannot show this event.", 0},
    [SLC_PROBLEM_TOO_MANY_PARTITIONS] = {502, "too-many-partitions", "The stream is too wide to read",
                                         "What the event API stands for is split into more parts than a cursor "
                                         "can hold.",
                                         0},
    [SLC_PROBLEM_ALL_FAILED] = {422, "no-event-stored", "No event was stored", "Each item says why.", 0},
};

const slc_problem_text *slc_problem_text_of(enum slc_problem_kind kind)
{
    return &table[kind];
}

void slc_problem_with(slc_exchange *exchange, enum slc_problem_kind kind, const char *detail, json_t *extra)
{
    const slc_problem_text *text = &table[kind];
    char seconds[16];
    if (text->retry_after_s > 0) {
        snprintf(seconds, sizeof seconds, "%d", text->retry_after_s);
        evhttp_add_header(evhttp_request_get_output_headers(exchange->req), "Retry-After", seconds);
    }
    slc_exchange_problem(exchange, text->status, text->type, text->title,
                         detail != NULL ? detail : text->detail, extra);
}

void slc_problem(slc_exchange *exchange, enum slc_problem_kind kind, const char *detail)
{
    slc_problem_with(exchange, kind, detail, NULL);
}

json_t *slc_problem_json(enum slc_problem_kind kind, const char *detail)
{
    const slc_problem_text *text = &table[kind];
    json_t *problem = json_object();
    json_object_set_new(problem, "type", json_sprintf("https://sluice.dev/problems/%s", text->type));
    json_object_set_new(problem, "title", json_string(text->title));
    json_object_set_new(problem, "status", json_integer(text->status));
    if (detail != NULL || text->detail != NULL)
        json_object_set_new(problem, "detail", json_string(detail != NULL ? detail : text->detail));
    return problem;
}

enum slc_problem_kind slc_problem_of(const slc_error *err)
{
    switch (err->code) {
    case SLC_NOT_FOUND:
        return SLC_PROBLEM_TOPIC_MISSING;
    case SLC_DENIED:
        return SLC_PROBLEM_NOT_AUTHORISED;
    case SLC_UNSUPPORTED:
        return SLC_PROBLEM_TIME_LOOKUP;
    case SLC_STALE:
        return SLC_PROBLEM_RECREATED;
    case SLC_LIMIT:
        return SLC_PROBLEM_TOO_MANY_PARTITIONS;
    default:
        return SLC_PROBLEM_BACKEND_UNAVAILABLE;
    }
}
