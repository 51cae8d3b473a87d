#include "common/json.h"

#include <stdio.h>
#include <string.h>

/* The parser accepts deeper values than we want to walk recursively later. */
static bool too_deep(const json_t *value, unsigned left)
{
    if (!json_is_object(value) && !json_is_array(value))
        return false;
    if (left == 0)
        return true;
    const char *key;
    json_t *child;
    size_t i;
    json_object_foreach ((json_t *)value, key, child)
        if (too_deep(child, left - 1))
            return true;
    json_array_foreach (value, i, child)
        if (too_deep(child, left - 1))
            return true;
    return false;
}

json_t *slc_json_parse(const char *text, size_t len, size_t max_len, slc_error *err)
{
    if (len > max_len) {
        slc_fail(err, SLC_TOO_LARGE, NULL, "JSON text of %zu bytes is over the limit of %zu bytes", len,
                 max_len);
        return NULL;
    }
    const char *nul = len > 0 ? memchr(text, '\0', len) : NULL;
    if (nul != NULL) { /* the parser would take it for the end */
        slc_fail(err, SLC_INVALID, NULL, "byte %zu: NUL is not allowed", (size_t)(nul - text) + 1);
        return NULL;
    }
    json_error_t error;
    json_t *value = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (value == NULL) {
        slc_fail(err, SLC_INVALID, NULL, "line %d column %d: %s", error.line, error.column, error.text);
        return NULL;
    }
    if (too_deep(value, SLC_JSON_MAX_DEPTH)) {
        json_decref(value);
        slc_fail(err, SLC_INVALID, NULL, "JSON text is nested deeper than %d levels", SLC_JSON_MAX_DEPTH);
        return NULL;
    }
    return value;
}

void slc_json_pointer_push(char *pointer, size_t size, const char *token)
{
    size_t at = strlen(pointer);
    if (at + 1 >= size)
        return;
    pointer[at++] = '/';
    for (; *token != '\0'; token++) {
        const char *escape = *token == '~' ? "~0" : *token == '/' ? "~1" : NULL;
        size_t need = escape != NULL ? 2 : 1;
        if (at + need >= size) {
            while (((unsigned char)*token & 0xC0) == 0x80) { /* not inside a UTF-8 sequence */
                token--;
                at--;
            }
            break;
        }
        memcpy(pointer + at, escape != NULL ? escape : token, need);
        at += need;
    }
    pointer[at] = '\0';
}

void slc_json_pointer_push_index(char *pointer, size_t size, size_t index)
{
    char token[24];
    snprintf(token, sizeof(token), "%zu", index);
    slc_json_pointer_push(pointer, size, token);
}

void slc_json_pointer_pop(char *pointer)
{
    char *slash = strrchr(pointer, '/');
    if (slash != NULL)
        *slash = '\0';
}
