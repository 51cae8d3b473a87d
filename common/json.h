/* jansson with JSON pointers in the errors: for control traffic, never on a hot path.
 *
 * Ownership words are jansson's: new (the caller decrefs), borrowed, stolen. */
#ifndef SLC_COMMON_JSON_H
#define SLC_COMMON_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

#define SLC_JSON_MAX_DEPTH 64

/* Returns a new reference, or NULL with SLC_INVALID ("line 3 column 7: ...") or SLC_TOO_LARGE. Rejects
 * duplicated keys, invalid UTF-8, trailing text and NUL characters inside strings. Any JSON value is accepted
 * at the top. */
json_t *slc_json_parse(const char *text, size_t len, size_t max_len, slc_error *err) SLC_CHECKED;
/* Compact text with keys in insertion order; the caller frees it. Never NULL. */
char *slc_json_print(const json_t *value, size_t *len);
/* Compact, keys sorted: equal values give equal text. */
char *slc_json_canonical(const json_t *value, size_t *len);

/* YAML 1.1 (libyaml) into JSON: anchors and aliases are refused (so no expansion bombs), as are duplicated
 * keys, tags other than the core ones and more than one document. Plain scalars follow the YAML 1.2 core schema
 * (true, false, null, integers, floats; "yes", "no", "on" and "off" stay strings). Errors carry line and
 * column. */
json_t *slc_yaml_parse(const char *text, size_t len, size_t max_len, slc_error *err) SLC_CHECKED;
/* Block style, for people; slc_yaml_parse reads the same value back. New text that the caller frees, or NULL
 * with SLC_TOO_LARGE. A number that JSON cannot hold exactly is printed as JSON prints it. */
char *slc_yaml_print(const json_t *value, size_t max_len, size_t *len, slc_error *err) SLC_CHECKED;
/* Where, in a text that slc_yaml_parse accepted, the key (or list item) of a JSON pointer stands; both count
 * from 1. Reads the text again: for errors. False when there is no such place. */
bool slc_yaml_locate(const char *text, size_t len, const char *pointer, size_t *line, size_t *column);

/* Appends "/token" to the pointer in `pointer` (escaping ~ and /, RFC 6901); cut when it does not fit, so that
 * a pop after it may remove more than was pushed: a walk of unknown depth keeps strlen(pointer) instead. */
void slc_json_pointer_push(char *pointer, size_t size, const char *token);
void slc_json_pointer_push_index(char *pointer, size_t size, size_t index);
/* Removes the last token. */
void slc_json_pointer_pop(char *pointer);

#endif
