/* JSON values as YAML for people: block style, long texts as they are, quotes only where they are needed. What
 * is printed here reads as the same value in YAML 1.1 and 1.2. */
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/buf.h"
#include "common/json.h"

static int append(void *arg, unsigned char *data, size_t len)
{
    return slc_buf_add(arg, data, len) ? 1 : 0;
}

static bool is_word_char(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.' || c == '/';
}

/* Words that some version of YAML takes for something else than a text. */
static bool is_reserved(const char *s)
{
    static const char *const words[] = {"true", "false", "null", "yes", "no", "on",
                                        "off",  "y",     "n",    "nan", "inf"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcasecmp(s, words[i]) == 0)
            return true;
    return false;
}

static bool is_plain(const char *s)
{
    bool letter = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z');
    size_t len = 0;
    while (is_word_char((unsigned char)s[len]))
        len++;
    return letter && s[len] == '\0' && !is_reserved(s);
}

/* Several lines without anything that a block would change: no spaces at the start or before a line's end, no
 * control characters and none of Unicode's own line ends. */
static bool is_block(const char *s)
{
    static const char *const breaks[] = {"\xc2\x85",     "\xe2\x80\xa8", "\xe2\x80\xa9",
                                         "\xef\xbb\xbf", " \n",          "\t"};
    if (strchr(s, '\n') == NULL || *s == ' ' || *s == '\n' || s[strlen(s) - 1] == ' ')
        return false;
    for (const unsigned char *p = (const unsigned char *)s; *p != '\0'; p++)
        if ((*p < 0x20 && *p != '\n') || *p == 0x7f)
            return false;
    for (size_t i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++)
        if (strstr(s, breaks[i]) != NULL)
            return false;
    return true;
}

static bool emit(yaml_emitter_t *emitter, yaml_event_t *event)
{
    return yaml_emitter_emit(emitter, event) == 1;
}

static bool print_scalar(yaml_emitter_t *emitter, const char *s, size_t len, yaml_scalar_style_t style)
{
    yaml_event_t event;
    bool plain = style == YAML_PLAIN_SCALAR_STYLE;
    SLC_BUG_ON(!yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)s, (int)len, plain,
                                             !plain, style));
    return emit(emitter, &event);
}

static bool print_text(yaml_emitter_t *emitter, const char *s, size_t len)
{
    yaml_scalar_style_t style = is_plain(s)   ? YAML_PLAIN_SCALAR_STYLE
                                : is_block(s) ? YAML_LITERAL_SCALAR_STYLE
                                              : YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    return print_scalar(emitter, s, len, style);
}

static bool print_value(yaml_emitter_t *emitter, const json_t *value);

static bool print_object(yaml_emitter_t *emitter, const json_t *object)
{
    yaml_event_t event;
    const char *key;
    json_t *member;
    yaml_mapping_style_t style =
        json_object_size(object) == 0 ? YAML_FLOW_MAPPING_STYLE : YAML_BLOCK_MAPPING_STYLE;
    SLC_BUG_ON(!yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, style));
    bool ok = emit(emitter, &event);
    json_object_foreach ((json_t *)object, key, member) {
        yaml_scalar_style_t key_style =
            is_plain(key) ? YAML_PLAIN_SCALAR_STYLE : YAML_DOUBLE_QUOTED_SCALAR_STYLE;
        ok = ok && print_scalar(emitter, key, strlen(key), key_style) && print_value(emitter, member);
    }
    SLC_BUG_ON(!yaml_mapping_end_event_initialize(&event));
    return emit(emitter, &event) && ok;
}

static bool print_array(yaml_emitter_t *emitter, const json_t *array)
{
    yaml_event_t event;
    size_t index;
    json_t *item;
    yaml_sequence_style_t style =
        json_array_size(array) == 0 ? YAML_FLOW_SEQUENCE_STYLE : YAML_BLOCK_SEQUENCE_STYLE;
    SLC_BUG_ON(!yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, style));
    bool ok = emit(emitter, &event);
    json_array_foreach (array, index, item) {
        ok = ok && print_value(emitter, item);
    }
    SLC_BUG_ON(!yaml_sequence_end_event_initialize(&event));
    return emit(emitter, &event) && ok;
}

/* Numbers and words are written as JSON writes them. */
static bool print_value(yaml_emitter_t *emitter, const json_t *value)
{
    if (json_is_object(value))
        return print_object(emitter, value);
    if (json_is_array(value))
        return print_array(emitter, value);
    if (json_is_string(value))
        return print_text(emitter, json_string_value(value), json_string_length(value));
    char *text = json_dumps(value, JSON_ENCODE_ANY);
    bool ok = print_scalar(emitter, text, strlen(text), YAML_PLAIN_SCALAR_STYLE);
    free(text);
    return ok;
}

static bool print_document(yaml_emitter_t *emitter, const json_t *value)
{
    yaml_event_t event;
    SLC_BUG_ON(!yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));
    bool ok = emit(emitter, &event);
    SLC_BUG_ON(!yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1));
    ok = ok && emit(emitter, &event) && print_value(emitter, value);
    SLC_BUG_ON(!yaml_document_end_event_initialize(&event, 1));
    ok = emit(emitter, &event) && ok;
    SLC_BUG_ON(!yaml_stream_end_event_initialize(&event));
    return emit(emitter, &event) && ok && yaml_emitter_flush(emitter) == 1;
}

char *slc_yaml_print(const json_t *value, size_t max_len, size_t *len, slc_error *err)
{
    yaml_emitter_t emitter;
    slc_buf out;
    slc_buf_init(&out, max_len);
    SLC_BUG_ON(!yaml_emitter_initialize(&emitter));
    yaml_emitter_set_output(&emitter, append, &out);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_width(&emitter, -1);
    bool ok = print_document(&emitter, value);
    if (!ok && out.overflow)
        slc_fail(err, SLC_TOO_LARGE, NULL, "the YAML text would be over the limit of %zu bytes", max_len);
    else if (!ok)
        slc_fail(err, SLC_INTERNAL, NULL, "the value cannot be printed as YAML: %s",
                 emitter.problem != NULL ? emitter.problem : "unknown");
    yaml_emitter_delete(&emitter);
    if (ok)
        return slc_buf_steal(&out, len);
    slc_buf_release(&out);
    return NULL;
}
