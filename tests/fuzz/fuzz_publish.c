/* Requests that publish: whatever the fields and the body are, what becomes a record is what was sent.
 * CloudEvents fields are compared with a decoder of its own, both ways: what comes is decoded as the other one
 * does, and what is encoded comes back. Input: a byte that chooses the key's rule, lines "Name: value", an
 * empty line, the body. */
#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/utf8.h"
#include "dataplane/mediation/json_scan.h"
#include "dataplane/mediation/publish.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What publish_body.c calls
 * --------------------------------------------------------------------------------------------------- */

struct slc_publish {
    const char *body; /* of the request, and its end */
    const char *end;
    struct evkeyvalq *fields;
    size_t max_items, items, events;
    bool began, ended, answered;
    enum slc_problem_kind problem;
};

static slc_publish now;

static const char *field_of(const char *name)
{
    return evhttp_find_header(now.fields, name);
}

const char *slc_exchange_header(slc_exchange *exchange, const char *name)
{
    (void)exchange;
    return field_of(name);
}

void slc_problem(slc_exchange *exchange, enum slc_problem_kind kind, const char *detail)
{
    (void)exchange;
    SLC_BUG_ON(now.answered || now.began);
    if (detail != NULL)
        SLC_BUG_ON(strlen(detail) == 0);
    now.answered = true;
    now.problem = kind;
}

slc_publish *slc_publish_begin(slc_exchange *exchange, slc_api *api, size_t max_items, bool batch)
{
    (void)exchange;
    (void)api;
    SLC_BUG_ON(now.began || now.answered || max_items == 0 || max_items > SLC_PUBLISH_MAX_EVENTS + 1 ||
               (!batch && max_items != 1));
    now.began = true;
    now.max_items = max_items;
    return &now;
}

void slc_publish_end(slc_publish *publish)
{
    SLC_BUG_ON(publish->ended || publish->items == 0);
    publish->ended = true;
}

void slc_publish_reject(slc_publish *publish, enum slc_problem_kind kind, const char *detail)
{
    SLC_BUG_ON(++publish->items > publish->max_items || detail == NULL);
    publish->problem = kind;
}

/* The other decoder of attributes: first the quotes, then the percent signs
 * ----------------------------------------------- */

static bool unquote(const char *text, char *out)
{
    size_t len = strlen(text);
    if (len < 2 || text[0] != '"' || text[len - 1] != '"') {
        memcpy(out, text, len + 1);
        return true;
    }
    size_t at = 1;
    while (at < len - 1) {
        if (text[at] == '\\')
            at++;
        if (at >= len - 1)
            return false;
        *out++ = text[at++];
    }
    *out = '\0';
    return true;
}

static bool percent(const char *text, char *out, size_t *len)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    *len = 0;
    while (*text != '\0') {
        if (*text != '%') {
            out[(*len)++] = *text++;
            continue;
        }
        const char *high = text[1] != '\0' ? strchr(digits, text[1]) : NULL;
        const char *low = high != NULL && text[2] != '\0' ? strchr(digits, text[2]) : NULL;
        if (low == NULL)
            return false;
        out[(*len)++] = (char)((high - digits) % 16 * 16 + (low - digits) % 16);
        text += 3;
    }
    return true;
}

static char *decode(const char *text, size_t *len)
{
    char *middle = slc_malloc(strlen(text) + 1), *out = slc_malloc(strlen(text) + 1);
    bool fine = unquote(text, middle) && percent(middle, out, len) && slc_utf8_valid(out, *len);
    free(middle);
    if (fine)
        return out;
    free(out);
    return NULL;
}

static bool is_attribute(const struct evkeyval *field)
{
    return strncasecmp(field->key, "ce-", 3) == 0;
}

static void compare(const slc_outgoing *record)
{
    size_t at = 0;
    const struct evkeyval *field;
    TAILQ_FOREACH (field, now.fields, next) {
        if (!is_attribute(field))
            continue;
        size_t len;
        char *expected = decode(field->value, &len);
        SLC_BUG_ON(expected == NULL || at >= record->header_count);
        const slc_broker_header *header = &record->headers[at++];
        SLC_BUG_ON(strncmp(header->name, "ce_", 3) != 0 || strcasecmp(header->name + 3, field->key + 3) != 0);
        SLC_BUG_ON(header->value_len != len || memcmp(header->value, expected, len) != 0);
        free(expected);
    }
    SLC_BUG_ON(record->header_count != at + (field_of("Content-Type") != NULL));
}

void slc_publish_event(slc_publish *publish, slc_outgoing *record)
{
    SLC_BUG_ON(++publish->items > publish->max_items || record->header_count > SLC_PUBLISH_MAX_HEADERS);
    publish->events++;
    const char *value = record->value;
    if (record->value_len > 0)
        SLC_BUG_ON(value < now.body || value + record->value_len > now.end);
    SLC_BUG_ON(record->key == NULL && record->key_len != 0);
    if (record->header_count > 0 && strcmp(record->headers[0].name, "content-type") != 0)
        compare(record);
}

/* Requests
 * ---------------------------------------------------------------------------------------------------------- */

static void expect_nothing_wrong(void)
{
    SLC_BUG_ON(now.began == now.answered || now.ended != now.began);
}

static void publish(struct evhttp_request *req, uint8_t rule)
{
    static const Sluice__Snapshot__V1__KeySource sources[] = {
        SLUICE__SNAPSHOT__V1__KEY_SOURCE__KEY_SOURCE_NONE,
        SLUICE__SNAPSHOT__V1__KEY_SOURCE__KEY_SOURCE_JSON_POINTER,
        SLUICE__SNAPSHOT__V1__KEY_SOURCE__KEY_SOURCE_HEADER,
        SLUICE__SNAPSHOT__V1__KEY_SOURCE__KEY_SOURCE_CLOUDEVENTS};
    Sluice__Snapshot__V1__EventApi msg = SLUICE__SNAPSHOT__V1__EVENT_API__INIT;
    msg.key_source = sources[rule % 4];
    msg.key_selector = (char *)(rule % 4 == 1 ? "/a" : "ce-x");
    slc_event_api event_api = {.msg = &msg};
    slc_api api = {.api = &event_api};
    slc_exchange exchange = {.req = req};
    struct evbuffer *in = evhttp_request_get_input_buffer(req);
    now = (slc_publish){.fields = evhttp_request_get_input_headers(req)};
    now.body = (const char *)evbuffer_pullup(in, -1);
    now.end = now.body != NULL ? now.body + evbuffer_get_length(in) : NULL;
    slc_publish_body(&exchange, &api);
    expect_nothing_wrong();
}

/* Any bytes as the value of an attribute, encoded as the binding says. */
static void there_and_back(const uint8_t *data, size_t size)
{
    struct evhttp_request *req = evhttp_request_new(NULL, NULL);
    struct evkeyvalq *fields = evhttp_request_get_input_headers(req);
    char *text = slc_malloc(size * 3 + 1);
    for (size_t i = 0; i < size; i++)
        snprintf(text + i * 3, 4, i % 2 == 0 ? "%%%02X" : "%%%02x", data[i]);
    text[size * 3] = '\0';
    evhttp_add_header(fields, "ce-specversion", "1.0");
    evhttp_add_header(fields, "ce-id", "1");
    evhttp_add_header(fields, "ce-source", "s");
    evhttp_add_header(fields, "ce-type", "t");
    evhttp_add_header(fields, "ce-x", text);
    publish(req, 0);
    bool fits = size < 60000;
    SLC_BUG_ON(fits && (now.events == 1) != slc_utf8_valid((const char *)data, size));
    SLC_BUG_ON(now.events == 0 && (!now.answered || now.problem != SLC_PROBLEM_BAD_EVENT));
    free(text);
    evhttp_request_free(req);
}

static void add_field(struct evkeyvalq *fields, const char *line, size_t len)
{
    const char *colon = memchr(line, ':', len);
    if (colon == NULL || colon == line || memchr(line, '\0', len) != NULL)
        return;
    char *name = slc_strndup(line, (size_t)(colon - line));
    const char *value = colon + 1 + (colon + 1 < line + len && colon[1] == ' ');
    char *copy = slc_strndup(value, (size_t)(line + len - value));
    (void)!evhttp_add_header(fields, name, copy); /* what it refuses could not have come by the wire */
    free(name);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct evhttp_request *req = evhttp_request_new(NULL, NULL);
    const char *at = (const char *)data + 1, *end = (const char *)data + size;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t len = newline != NULL ? (size_t)(newline - at) : (size_t)(end - at);
        if (len > 0)
            add_field(evhttp_request_get_input_headers(req), at, len);
        at += newline != NULL ? len + 1 : len;
        if (len == 0)
            break;
    }
    evbuffer_add(evhttp_request_get_input_buffer(req), at, (size_t)(end - at));
    publish(req, data[0]);
    evhttp_request_free(req);
    there_and_back((const uint8_t *)at, (size_t)(end - at));
    return 0;
}
