/* Avro 1.11's binary encoding to JSON and back, in one pass each, without a tree between.
 *
 * A schema is compiled once and immutable after that: many threads may use it. JSON is what people expect of an
 * event: records and maps are objects, a union's value stands for itself. The other form, that of Avro's own
 * JSON encoding, in which a union's value is {"type": value}, is taken as well where it is not ambiguous, and
 * written when it is asked for. bytes and fixed are strings of the characters U+0000 to U+00FF, as Avro's JSON
 * encoding has it; a float or double that is no number is "NaN", "Infinity" or "-Infinity". Logical types are
 * their underlying types.
 *
 * Whatever the bytes are: nesting, size and time are bounded. */
#ifndef SLC_DATAPLANE_SCHEMA_AVRO_H
#define SLC_DATAPLANE_SCHEMA_AVRO_H

#include "dataplane/schema/json_schema.h"

#define SLC_AVRO_MAX_BYTES (1u << 20) /* of a schema's text */
#define SLC_AVRO_MAX_TYPES 20000      /* in a schema */
#define SLC_AVRO_MAX_DEPTH 64         /* of values within each other */

typedef struct slc_avro slc_avro;

/* `references`: texts that define types which the schema names; each may use those before it. Borrowed for the
 * call. NULL with SLC_INVALID or SLC_TOO_LARGE. */
slc_avro *slc_avro_new(const char *text, size_t len, const slc_schema_reference *references,
                       size_t reference_count, slc_error *err) SLC_CHECKED;
void slc_avro_free(slc_avro *avro);
/* What it takes of memory, about. */
size_t slc_avro_bytes(const slc_avro *avro);

/* Adds the JSON of one value, which must be all of `data`. `tagged`: unions as Avro's own JSON encoding has
 * them. `out` NULL: it is only looked at. `max_steps`: values within it. False with `fault` filled; `out` may
 * have grown. */
bool slc_avro_decode(const slc_avro *avro, const uint8_t *data, size_t len, bool tagged, uint64_t max_steps,
                     slc_buf *out, slc_schema_fault *fault) SLC_CHECKED;

/* Memory that is kept from value to value; zeroed at first. */
typedef struct slc_avro_work {
    uint32_t *slots;
    size_t cap, used;
} slc_avro_work;
void slc_avro_work_release(slc_avro_work *work);

/* Adds the binary form of what is on the tape. A field that is left out has its default; a member that is no
 * field is an error. Of a union's types the first that fits is taken. */
bool slc_avro_encode(const slc_avro *avro, slc_tape *tape, uint64_t max_steps, slc_avro_work *work,
                     slc_buf *out, slc_schema_fault *fault) SLC_CHECKED;

#endif
