/* From a body to records: one table of media types. */
#include <event2/keyvalq_struct.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "dataplane/mediation/json_scan.h"
#include "dataplane/mediation/publish.h"

#define KEY_MAX_BYTES       65536
#define IDEMPOTENCY_KEY_MAX 255

typedef struct body {
    slc_exchange *exchange;
    slc_api *api;
    const char *text;
    size_t len;
    const slc_broker_header *headers; /* of CloudEvents */
    size_t header_count;
} body;

/* Keys
 * ---------------------------------------------------------------------------------------------------------------
 */

/* The key by the API's rule; `buf` holds it when it has to be unescaped. False with a detail. */
static bool key_from_json(const char *text, size_t len, const char *pointer, slc_outgoing *record, char **buf,
                          const char **detail)
{
    slc_json_slice slice;
    if (!slc_json_find(text, len, pointer, &slice)) {
        *detail = "The event has no value at the place of the key.";
        return false;
    }
    char type = *slice.text;
    if (type == '{' || type == '[' || type == 'n' || slice.len > KEY_MAX_BYTES) {
        *detail = "The value at the place of the key is not a string, a number or a boolean.";
        return false;
    }
    record->key = slice.text;
    record->key_len = slice.len;
    if (type == '"') {
        *buf = slc_malloc(slice.len);
        record->key_len = slc_json_unescape(&slice, *buf);
        record->key = *buf;
    }
    return true;
}

static void key_from_attribute(const body *b, slc_outgoing *record)
{
    for (size_t i = 0; i < b->header_count; i++) {
        if (strcmp(b->headers[i].name, "ce_partitionkey") == 0) {
            record->key = b->headers[i].value;
            record->key_len = b->headers[i].value_len;
        }
    }
}

static bool comes_twice(const slc_exchange *exchange, const char *name)
{
    unsigned count = 0;
    const struct evkeyval *field;
    TAILQ_FOREACH (field, evhttp_request_get_input_headers(exchange->req), next)
        count += strcasecmp(field->key, name) == 0;
    return count > 1;
}

static bool find_key(const body *b, bool is_json, slc_outgoing *record, char **buf, const char **detail)
{
    const Sluice__Snapshot__V1__EventApi *msg = b->api->api->msg;
    const char *text = NULL;
    switch (msg->key_source) {
    case SLUICE__SNAPSHOT__V1__KEY_SOURCE__KEY_SOURCE_JSON_POINTER:
        if (is_json)
            return key_from_json(record->value, record->value_len, msg->key_selector, record, buf, detail);
        *detail = "The key is taken from JSON, and the event is not.";
        return false;
    case SLUICE__SNAPSHOT__V1__KEY_SOURCE__KEY_SOURCE_HEADER:
        text = slc_exchange_header(b->exchange, msg->key_selector);
        *detail = "The field that holds the key is missing, or comes twice.";
        if (text == NULL || comes_twice(b->exchange, msg->key_selector))
            return false;
        break;
    case SLUICE__SNAPSHOT__V1__KEY_SOURCE__KEY_SOURCE_CLOUDEVENTS:
        if (b->header_count == 0 && is_json) { /* optional, unlike the others */
            slc_json_slice slice;
            if (!slc_json_find(record->value, record->value_len, "/partitionkey", &slice) || *slice.text == 'n')
                return true; /* JSON format 1.0, section 2.2: null is an attribute that is not set */
            return key_from_json(record->value, record->value_len, "/partitionkey", record, buf, detail);
        }
        key_from_attribute(b, record);
        break;
    default:
        break;
    }
    if (text != NULL) {
        record->key = text;
        record->key_len = strlen(text);
    }
    return true;
}

static void publish_value(slc_publish *publish, const body *b, const char *value, size_t len, bool is_json,
                          const slc_broker_header *headers, size_t header_count)
{
    const char *detail = NULL;
    char *key = NULL;
    slc_outgoing record = {.value = value, .value_len = len, .headers = headers, .header_count = header_count};
    if (find_key(b, is_json, &record, &key, &detail))
        slc_publish_event(publish, &record);
    else
        slc_publish_reject(publish, SLC_PROBLEM_KEY, detail);
    free(key);
}

/* JSON
 * ---------------------------------------------------------------------------------------------------------------
 */

static bool is_json(const char *text, size_t len, char detail[160])
{
    slc_json_info info;
    if (slc_json_scan(text, len, &info))
        return true;
    snprintf(detail, 160, "At byte %zu: %s.", info.error_at, info.error);
    return false;
}

static void json_body(body *b)
{
    char detail[160];
    if (b->len == 0) {
        slc_problem(b->exchange, SLC_PROBLEM_EMPTY, NULL);
        return;
    }
    if (!is_json(b->text, b->len, detail)) {
        slc_problem(b->exchange, SLC_PROBLEM_NOT_JSON, detail);
        return;
    }
    slc_publish *publish = slc_publish_begin(b->exchange, b->api, 1, false);
    publish_value(publish, b, b->text, b->len, true, NULL, 0);
    slc_publish_end(publish);
}

static size_t count_lines(const body *b)
{
    size_t count = 1;
    const char *at = b->text, *end = b->text + b->len;
    while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        at++;
        count++;
    }
    return count;
}

static bool is_blank(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r')
            return false;
    }
    return true;
}

static void publish_line(slc_publish *publish, const body *b, const char *line, size_t len)
{
    char detail[160];
    if (is_json(line, len, detail))
        publish_value(publish, b, line, len, true, NULL, 0);
    else
        slc_publish_reject(publish, SLC_PROBLEM_NOT_JSON, detail);
}

static void lines_body(body *b)
{
    size_t lines = count_lines(b);
    const char *at = b->text, *end = b->text + b->len;
    if (is_blank(b->text, b->len)) {
        slc_problem(b->exchange, SLC_PROBLEM_EMPTY, NULL);
        return;
    }
    if (lines > SLC_PUBLISH_MAX_EVENTS + 1) {
        slc_problem(b->exchange, SLC_PROBLEM_TOO_MANY, NULL);
        return;
    }
    slc_publish *publish = NULL;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t len = newline != NULL ? (size_t)(newline - at) : (size_t)(end - at);
        if (!is_blank(at, len)) {
            if (publish == NULL)
                publish = slc_publish_begin(b->exchange, b->api, lines, true);
            publish_line(publish, b, at, len);
        }
        at += len + 1;
    }
    if (publish == NULL)
        slc_problem(b->exchange, SLC_PROBLEM_EMPTY, NULL);
    else
        slc_publish_end(publish);
}

static void bytes_body(body *b)
{
    slc_publish *publish = slc_publish_begin(b->exchange, b->api, 1, false);
    publish_value(publish, b, b->text, b->len, false, NULL, 0);
    slc_publish_end(publish);
}

/* CloudEvents
 * ---------------------------------------------------------------------------------------------------------- */

static const slc_broker_header structured_header = {"content-type", "application/cloudevents+json", 28};

static void publish_structured(slc_publish *publish, const body *b, const char *text, size_t len)
{
    const char *detail;
    if (slc_cloudevent_check(text, len, &detail))
        publish_value(publish, b, text, len, true, &structured_header, 1);
    else
        slc_publish_reject(publish, SLC_PROBLEM_BAD_EVENT, detail);
}

static void structured_body(body *b)
{
    char detail[160];
    if (!is_json(b->text, b->len, detail)) {
        slc_problem(b->exchange, SLC_PROBLEM_NOT_JSON, detail);
        return;
    }
    slc_publish *publish = slc_publish_begin(b->exchange, b->api, 1, false);
    publish_structured(publish, b, b->text, b->len);
    slc_publish_end(publish);
}

static void batch_body(body *b)
{
    char detail[160];
    size_t count = 0;
    const char *at = NULL;
    slc_json_slice array, element;
    if (!is_json(b->text, b->len, detail)) {
        slc_problem(b->exchange, SLC_PROBLEM_NOT_JSON, detail);
        return;
    }
    if (!slc_json_find(b->text, b->len, "", &array) || *array.text != '[') {
        slc_problem(b->exchange, SLC_PROBLEM_BAD_EVENT, "A batch is a JSON array of events.");
        return;
    }
    while (slc_json_next_element(&array, &at, &element))
        count++;
    if (count == 0 || count > SLC_PUBLISH_MAX_EVENTS) {
        slc_problem(b->exchange, count == 0 ? SLC_PROBLEM_EMPTY : SLC_PROBLEM_TOO_MANY, NULL);
        return;
    }
    slc_publish *publish = slc_publish_begin(b->exchange, b->api, count, true);
    at = NULL;
    while (slc_json_next_element(&array, &at, &element))
        publish_structured(publish, b, element.text, element.len);
    slc_publish_end(publish);
}

/* Binary mode: the attributes are fields of the request and become headers of the record; no data is a null
 * value. */
static void binary_body(body *b, bool json)
{
    char problem[160];
    const char *detail;
    slc_broker_header headers[SLC_PUBLISH_MAX_HEADERS];
    slc_buf text;
    slc_buf_init(&text, 64 * 1024);
    int count = slc_cloudevent_headers(b->exchange, headers, &text, &detail);
    if (count < 0) {
        slc_problem(b->exchange, SLC_PROBLEM_BAD_EVENT, detail);
    } else if (json && b->len > 0 && !is_json(b->text, b->len, problem)) {
        slc_problem(b->exchange, SLC_PROBLEM_NOT_JSON, problem);
    } else {
        b->headers = headers;
        b->header_count = (size_t)count;
        slc_publish *publish = slc_publish_begin(b->exchange, b->api, 1, false);
        publish_value(publish, b, b->len > 0 ? b->text : NULL, b->len, json && b->len > 0, headers,
                      (size_t)count);
        slc_publish_end(publish);
    }
    slc_buf_release(&text);
}

/* Media types
 * ------------------------------------------------------------------------------------------------------------
 */

static const struct media_type {
    const char *name;
    void (*take)(body *b);
} media_types[] = {
    {"application/json", json_body},
    {"application/x-ndjson", lines_body},
    {"application/octet-stream", bytes_body},
    {"application/cloudevents+json", structured_body},
    {"application/cloudevents-batch+json", batch_body},
};

static bool media_type_is(const char *field, const char *name)
{
    size_t len = strlen(name);
    return field != NULL && strncasecmp(field, name, len) == 0 &&
           (field[len] == '\0' || strchr("; \t", field[len]) != NULL);
}

/* application/json, and what is JSON by its suffix (RFC 6839). */
static bool is_json_type(const char *field)
{
    static const char suffix[] = "+json";
    size_t len = field != NULL ? strcspn(field, "; \t") : 0;
    return media_type_is(field, "application/json") ||
           (len >= strlen(suffix) && strncasecmp(field + len - strlen(suffix), suffix, strlen(suffix)) == 0);
}

/* HTTP binding 1.0, section 3: such a type is a structured event or a batch, in whatever format. */
static bool is_cloudevents_type(const char *field)
{
    static const char start[] = "application/cloudevents";
    return field != NULL && strncasecmp(field, start, strlen(start)) == 0;
}

/* Encoded content would be stored as if it were what Content-Type says. */
static bool is_encoded(const slc_exchange *exchange)
{
    const struct evkeyval *field;
    TAILQ_FOREACH (field, evhttp_request_get_input_headers(exchange->req), next) {
        if (strcasecmp(field->key, "Content-Encoding") == 0 && field->value[0] != '\0' &&
            strcasecmp(field->value, "identity") != 0)
            return true;
    }
    return false;
}

/* It is stored with every event of the request. */
static bool is_idempotency_key_usable(const slc_exchange *exchange)
{
    size_t count = 0;
    const struct evkeyval *field;
    TAILQ_FOREACH (field, evhttp_request_get_input_headers(exchange->req), next) {
        if (strcasecmp(field->key, "Idempotency-Key") != 0)
            continue;
        size_t len = strlen(field->value);
        if (++count > 1 || len == 0 || len > IDEMPOTENCY_KEY_MAX)
            return false;
    }
    return true;
}

static const struct media_type *find_type(const char *field)
{
    for (size_t i = 0; i < sizeof media_types / sizeof *media_types; i++) {
        if (media_type_is(field, media_types[i].name))
            return &media_types[i];
    }
    return NULL;
}

void slc_publish_body(slc_exchange *exchange, slc_api *api)
{
    struct evbuffer *in = evhttp_request_get_input_buffer(exchange->req);
    const char *field = slc_exchange_header(exchange, "Content-Type");
    const struct media_type *type = find_type(field);
    body b = {.exchange = exchange, .api = api, .len = evbuffer_get_length(in)};
    b.text = b.len > 0 ? (const char *)evbuffer_pullup(in, -1) : "";
    SLC_BUG_ON(b.text == NULL);
    bool binary = slc_cloudevent_is_binary(evhttp_request_get_input_headers(exchange->req));
    if (!is_idempotency_key_usable(exchange))
        slc_problem(exchange, SLC_PROBLEM_PARAMETER,
                    "Idempotency-Key comes once, and has 1 to 255 characters.");
    else if (comes_twice(exchange, "Content-Type"))
        slc_problem(exchange, SLC_PROBLEM_PARAMETER, "Content-Type comes once.");
    else if (is_encoded(exchange))
        slc_problem(exchange, SLC_PROBLEM_MEDIA_TYPE, "Events come without a Content-Encoding.");
    else if (binary && !is_cloudevents_type(field))
        binary_body(&b, is_json_type(field));
    else if (type != NULL)
        type->take(&b);
    else
        slc_problem(exchange, SLC_PROBLEM_MEDIA_TYPE, NULL);
}
