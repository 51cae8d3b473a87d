#include "dataplane/mediation/event_json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "dataplane/mediation/json_scan.h"
#include "dataplane/mediation/problem.h"

#define HEAD_CHARS 128 /* id and time */
#define UNREADABLE "A batch of records that ends here cannot be read: it is damaged, or inflates to too much."

static char *put_number(char *at, uint64_t value)
{
    char digits[20];
    size_t left = sizeof digits;
    do {
        digits[--left] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    memcpy(at, digits + left, sizeof digits - left);
    return at + sizeof digits - left;
}

/* Neither number is negative: they are of a record that is stored. */
static char *put_id(char *at, int32_t partition, int64_t offset)
{
    at = put_number(at, (uint64_t)partition);
    *at++ = '-';
    return put_number(at, (uint64_t)offset);
}

void slc_event_id(int32_t partition, int64_t offset, char *out)
{
    *put_id(out, partition, offset) = '\0';
}

size_t slc_event_json_bound(const slc_record *record)
{
    /* A byte of text becomes at most six ("\u001f"). */
    size_t bound = 512 + 6 * (size_t)record->key_len + 2 * (size_t)record->value_len;
    for (uint32_t i = 0; i < record->header_count; i++)
        bound += 64 + 6 * ((size_t)record->headers[i].name_len + record->headers[i].value_len);
    return bound;
}

static void add_string(slc_buf *out, const void *text, size_t len)
{
    slc_buf_addc(out, '"');
    slc_buf_add_json_string(out, text, len);
    slc_buf_addc(out, '"');
}

/* "name": "text", or "name_base64": "..." */
static void add_text(slc_buf *out, const char *name, const void *bytes, size_t len)
{
    slc_buf_addc(out, '"');
    slc_buf_adds(out, name);
    if (slc_utf8_valid(bytes, len)) {
        slc_buf_adds(out, "\":");
        add_string(out, bytes, len);
        return;
    }
    slc_buf_adds(out, "_base64\":\"");
    slc_buf_add_base64(out, bytes, len);
    slc_buf_addc(out, '"');
}

static void add_headers(slc_buf *out, const slc_record *record)
{
    slc_buf_adds(out, ",\"headers\":[");
    for (uint32_t i = 0; i < record->header_count; i++) {
        const slc_record_header *header = &record->headers[i];
        slc_buf_adds(out, i > 0 ? ",{\"name\":" : "{\"name\":");
        add_string(out, header->name, header->name_len);
        slc_buf_addc(out, ',');
        if (header->value == NULL)
            slc_buf_adds(out, "\"value\":null");
        else
            add_text(out, "value", header->value, header->value_len);
        slc_buf_addc(out, '}');
    }
    slc_buf_addc(out, ']');
}

static void add_on_one_line(slc_buf *out, const uint8_t *text, size_t len)
{
    uint8_t *at = slc_buf_extend(out, len);
    if (at == NULL)
        return;
    for (size_t i = 0; i < len; i++)
        at[i] = text[i] == '\n' || text[i] == '\r' ? ' ' : text[i];
}

static void add_data(slc_buf *out, const slc_record *record, const slc_json_info *json)
{
    if (record->value == NULL) {
        slc_buf_adds(out, ",\"data\":null,\"tombstone\":true");
    } else if (json->error == NULL) {
        slc_buf_adds(out, ",\"data\":");
        if (json->line_breaks)
            add_on_one_line(out, record->value, record->value_len);
        else
            slc_buf_add(out, record->value, record->value_len);
    } else {
        slc_buf_adds(out, ",\"data_base64\":\"");
        slc_buf_add_base64(out, record->value, record->value_len);
        slc_buf_addc(out, '"');
    }
}

/* What comes first: {"id":"...","time":"..." */
static char *put_head(char *at, const slc_record *record)
{
    at = (char *)memcpy(at, "{\"id\":\"", 7) + 7;
    at = put_id(at, record->partition, record->offset);
    if (record->timestamp_ms >= 0) {
        at = (char *)memcpy(at, "\",\"time\":\"", 10) + 10;
        slc_rfc3339_format(record->timestamp_ms, at);
        at += SLC_RFC3339_CHARS - 1;
    }
    *at++ = '"';
    return at;
}

/* Most records are JSON on one line, and many have neither key nor headers: everything around it in one piece.
 */
static void add_plain(slc_buf *out, const slc_record *record)
{
    static const char between[] = ",\"headers\":[],\"data\":";
    char text[HEAD_CHARS + sizeof between];
    char *at = put_head(text, record);
    size_t before = (size_t)(at - text) + sizeof between - 1;
    memcpy(at, between, sizeof between - 1);
    uint8_t *to = slc_buf_extend(out, before + record->value_len + 1);
    if (to == NULL)
        return;
    memcpy(to, text, before);
    memcpy(to + before, record->value, record->value_len);
    to[before + record->value_len] = '}';
}

void slc_event_json_error(slc_buf *out, const slc_record *record, const char *problem)
{
    char head[HEAD_CHARS];
    slc_buf_add(out, head, (size_t)(put_head(head, record) - head));
    slc_buf_adds(out, ",\"error\":");
    slc_buf_adds(out, problem);
    slc_buf_addc(out, '}');
}

static void add_unreadable(slc_buf *out, const slc_record *record)
{
    json_t *problem = slc_problem_json(SLC_PROBLEM_RECORD_UNREADABLE, UNREADABLE);
    char *text = json_dumps(problem, JSON_COMPACT);
    slc_event_json_error(out, record, text);
    free(text);
    json_decref(problem);
}

void slc_event_json(slc_buf *out, const slc_record *record)
{
    char head[HEAD_CHARS];
    slc_json_info json = {0};
    if (record->unreadable) {
        add_unreadable(out, record);
        return;
    }
    bool is_json =
        record->value != NULL && slc_json_scan((const char *)record->value, record->value_len, &json);
    if (is_json && !json.line_breaks && record->key == NULL && record->header_count == 0) {
        add_plain(out, record);
        return;
    }
    slc_buf_add(out, head, (size_t)(put_head(head, record) - head));
    if (record->key != NULL) {
        slc_buf_addc(out, ',');
        add_text(out, "key", record->key, record->key_len);
    }
    add_headers(out, record);
    add_data(out, record, &json);
    slc_buf_addc(out, '}');
}
