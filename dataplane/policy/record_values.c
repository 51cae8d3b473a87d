#include "dataplane/policy/record_values.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_CHARS 64 /* a longer one is none */

static bool of_json(slc_record_values *values, const slc_json_slice *slice, slc_cel_value *value);

void slc_record_values_init(slc_record_values *values, const slc_policy_record *record,
                            slc_record_scratch *scratch)
{
    *values = (slc_record_values){.record = record, .scratch = scratch};
}

static slc_cel_value of_bytes(const void *data, size_t len)
{
    slc_cel_value value = slc_cel_string(data, len);
    if (!slc_utf8_valid(data, len))
        value.kind = SLC_CEL_BYTES;
    return value;
}

/* ---- JSON ---- */

/* The text of a string, unescaped where it has to be. NULL: there is no room. */
static const char *text_of(slc_record_values *values, const slc_json_slice *string, size_t *len)
{
    if (memchr(string->text, '\\', string->len) == NULL) {
        *len = string->len - 2;
        return string->text + 1;
    }
    char *out = (char *)slc_buf_extend(slc_record_scratch_buf(values->scratch), string->len);
    *len = out != NULL ? slc_json_unescape(string, out) : 0;
    return out;
}

static bool find_member(void *ctx, const char *key, size_t key_len, slc_cel_value *value)
{
    const struct slc_record_object *object = ctx;
    slc_json_slice name, member, found = {0};
    const char *at = NULL;
    while (slc_json_next_member(&object->slice, &at, &name, &member)) {
        size_t len;
        const char *text = text_of(object->values, &name, &len);
        if (text != NULL && len == key_len && memcmp(text, key, len) == 0)
            found = member; /* of duplicated names the last counts */
    }
    return found.text != NULL && of_json(object->values, &found, value);
}

static bool of_object(slc_record_values *values, const slc_json_slice *slice, slc_cel_value *value)
{
    if (values->objects == NULL)
        values->objects = (struct slc_record_object *)(void *)slc_buf_extend(
            slc_record_scratch_buf(values->scratch), SLC_RECORD_OBJECTS * sizeof *values->objects);
    if (values->objects == NULL || values->object_count == SLC_RECORD_OBJECTS)
        return false;
    struct slc_record_object *object = &values->objects[values->object_count++];
    *object = (struct slc_record_object){values, *slice};
    *value = (slc_cel_value){.kind = SLC_CEL_LOOKUP, .as.lookup = {find_member, object}};
    return true;
}

static bool of_array(slc_record_values *values, const slc_json_slice *slice, slc_cel_value *value)
{
    slc_json_slice element;
    size_t count = 0;
    for (const char *at = NULL; slc_json_next_element(slice, &at, &element);)
        if (++count > SLC_RECORD_ELEMENTS)
            return false;
    slc_cel_value *items = (slc_cel_value *)(void *)slc_buf_extend(slc_record_scratch_buf(values->scratch),
                                                                   (count + 1) * sizeof *items);
    size_t i = 0;
    for (const char *at = NULL; items != NULL && slc_json_next_element(slice, &at, &element); i++)
        if (!of_json(values, &element, &items[i]))
            return false;
    *value = (slc_cel_value){.kind = SLC_CEL_LIST, .as.list = {items, count}};
    return items != NULL;
}

static bool of_number(const slc_json_slice *slice, slc_cel_value *value)
{
    char text[NUMBER_CHARS], *end;
    if (slice->len >= sizeof text)
        return false;
    memcpy(text, slice->text, slice->len);
    text[slice->len] = '\0';
    errno = 0;
    if (strpbrk(text, ".eE") == NULL) {
        long long whole = strtoll(text, &end, 10);
        *value = slc_cel_int(whole);
        if (errno == 0)
            return true;
    }
    *value = (slc_cel_value){.kind = SLC_CEL_DOUBLE, .as.real = strtod(text, &end)};
    return *end == '\0';
}

/* False: it is more than an evaluation may look at. */
static bool of_json(slc_record_values *values, const slc_json_slice *slice, slc_cel_value *value)
{
    size_t len;
    const char *text;
    switch (*slice->text) {
    case '{':
        return of_object(values, slice, value);
    case '[':
        return of_array(values, slice, value);
    case '"':
        text = text_of(values, slice, &len);
        *value = slc_cel_string(text, len);
        return text != NULL;
    case 't':
    case 'f':
        *value = slc_cel_bool(*slice->text == 't');
        return true;
    case 'n':
        *value = (slc_cel_value){.kind = SLC_CEL_NULL};
        return true;
    default:
        return of_number(slice, value);
    }
}

static bool of_value(slc_record_values *values, slc_cel_value *value)
{
    const slc_policy_record *record = values->record;
    slc_json_info info;
    slc_json_slice slice;
    const char *text = (const char *)record->value;
    return text != NULL && slc_json_scan(text, record->value_len, &info) &&
           slc_json_find(text, record->value_len, "", &slice) && of_json(values, &slice, value);
}

/* ---- the record ---- */

static bool find_header(void *ctx, const char *key, size_t len, slc_cel_value *value)
{
    const slc_policy_record *record = ((slc_record_values *)ctx)->record;
    for (uint32_t i = record->header_count; i > 0; i--) {
        const slc_record_header *header = &record->headers[i - 1];
        if (header->name_len != len || memcmp(header->name, key, len) != 0)
            continue;
        *value = header->value != NULL ? of_bytes(header->value, header->value_len)
                                       : (slc_cel_value){.kind = SLC_CEL_NULL};
        return true;
    }
    return false;
}

bool slc_record_values_resolve(slc_record_values *values, size_t variable, slc_cel_value *value)
{
    const slc_policy_record *record = values->record;
    switch ((enum slc_record_attribute)variable) {
    case SLC_RECORD_KEY:
        if (record->key != NULL)
            *value = of_bytes(record->key, record->key_len);
        return record->key != NULL;
    case SLC_RECORD_VALUE:
        return of_value(values, value);
    case SLC_RECORD_HEADERS:
        *value = (slc_cel_value){.kind = SLC_CEL_LOOKUP, .as.lookup = {find_header, values}};
        return true;
    case SLC_RECORD_TOMBSTONE:
        *value = slc_cel_bool(record->value == NULL);
        return true;
    case SLC_RECORD_PARTITION:
        *value = slc_cel_int(record->partition);
        return record->partition >= 0;
    case SLC_RECORD_OFFSET:
        *value = slc_cel_int(record->offset);
        return record->offset >= 0;
    case SLC_RECORD_TIME:
        *value = slc_cel_timestamp_ms(record->timestamp_ms);
        return record->timestamp_ms >= 0 && value->kind == SLC_CEL_TIMESTAMP;
    case SLC_RECORD_ATTRIBUTES_OF_RECORD:
        break;
    }
    return false;
}
