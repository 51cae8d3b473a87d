/* A strict JSON checker (RFC 8259) that allocates nothing: values are checked once and then embedded as they
 * are.
 *
 * Stricter than the grammar in two ways, as jansson is: text must be UTF-8 without surrogates, and an escaped
 * surrogate must have its pair. Nesting is limited.
 */
#ifndef SLC_DATAPLANE_MEDIATION_JSON_SCAN_H
#define SLC_DATAPLANE_MEDIATION_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#define SLC_JSON_SCAN_DEPTH 64

typedef struct slc_json_info {
    char type;        /* '{', '[', '"', '0' (a number), 't', 'f' or 'n' */
    bool line_breaks; /* CR or LF between tokens: matters where the text becomes a line */
    size_t error_at;  /* when it is not JSON: the byte at fault */
    const char *error;
} slc_json_info;

/* Is the whole of `text` one JSON value, white space around it allowed? */
bool slc_json_scan(const char *text, size_t len, slc_json_info *info);

/* A part of a text that slc_json_scan accepted: the raw value, without white space around it. */
typedef struct slc_json_slice {
    const char *text;
    size_t len;
} slc_json_slice;

/* RFC 6901. False when there is no such value (or the pointer is malformed). Of duplicated names the last
 * counts, as most parsers have it. */
bool slc_json_find(const char *text, size_t len, const char *pointer, slc_json_slice *out);
/* The first and the following elements of an array: `*at` starts NULL. False at the end. */
bool slc_json_next_element(const slc_json_slice *array, const char **at, slc_json_slice *out);
/* The same of an object's members, each with its name as it is written, quotes and all. */
bool slc_json_next_member(const slc_json_slice *object, const char **at, slc_json_slice *name,
                          slc_json_slice *value);
/* Writes the value of a string slice (with its quotes) as UTF-8; `out` holds slice->len bytes. Returns its
 * length. */
size_t slc_json_unescape(const slc_json_slice *string, char *out);

/* UTF-8 as RFC 3629 has it. */
bool slc_utf8_valid(const void *text, size_t len);

#endif
