/* JSON Schema: drafts 4, 6, 7, 2019-09 and 2020-12; without `$schema` it is draft 7, as registries have it.
 *
 * A schema is compiled once and immutable after that: many threads may check by it. Nothing is ever fetched:
 * what
 * `$ref` names lies in the schema itself or among the texts that came with it. Patterns are RE2's, so that no
 * text takes long to match. `format` and the content keywords are annotations. Not known, and refused:
 * `$dynamicRef` and
 * `$recursiveRef` (but `$dynamicAnchor` is an anchor), other dialects, references to the drafts' own schemas.
 *
 * An object that has a member twice is checked with each of them, so that it cannot matter which one a reader
 * takes. */
#ifndef SLC_DATAPLANE_SCHEMA_JSON_SCHEMA_H
#define SLC_DATAPLANE_SCHEMA_JSON_SCHEMA_H

#include "dataplane/schema/tape.h"

#define SLC_JSON_SCHEMA_MAX_BYTES (1u << 20) /* of one text */
#define SLC_JSON_SCHEMA_MAX_PARTS 20000      /* schemas within the schema */
#define SLC_JSON_SCHEMA_MAX_DEPTH                                                                              \
    200 /* of schemas within each other while checking, through references too                                 \
         */

typedef struct slc_json_schema slc_json_schema;

/* Another text that the schema refers to, by this name. */
typedef struct slc_schema_reference {
    const char *name;
    const char *text;
    size_t len;
} slc_schema_reference;

/* Why something is not as its schema wants it. */
typedef struct slc_schema_fault {
    enum slc_code code; /* INVALID; LIMIT: it takes too long, or is nested too deeply */
    char pointer[256];  /* into the value */
    char message[256];  /* never holds the value */
} slc_schema_fault;

/* Texts are borrowed for the call. NULL with SLC_INVALID or SLC_UNSUPPORTED, the place as a pointer in
 * err->field. */
slc_json_schema *slc_json_schema_new(const char *text, size_t len, const slc_schema_reference *references,
                                     size_t reference_count, slc_error *err) SLC_CHECKED;
void slc_json_schema_free(slc_json_schema *schema);
/* What it takes of memory, about. */
size_t slc_json_schema_bytes(const slc_json_schema *schema);

/* Is the value on the tape as the schema wants it? `max_steps`: so many applications of a schema or a keyword
 * at most. False with `fault` filled. */
bool slc_json_schema_check(const slc_json_schema *schema, slc_tape *tape, uint64_t max_steps,
                           slc_schema_fault *fault) SLC_CHECKED;

#endif
