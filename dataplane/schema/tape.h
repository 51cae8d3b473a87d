/* A JSON text as a flat list of nodes, made in one pass into memory that is kept from text to text: what is
 * checked by a schema or encoded is walked often and looked into by name. Belongs to one thread. */
#ifndef SLC_DATAPLANE_SCHEMA_TAPE_H
#define SLC_DATAPLANE_SCHEMA_TAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"

#define SLC_TAPE_MAX_NODES (1u << 20)

/* A value. The content of an object or array follows it; `next` is behind all of that. Node 0 is the root. */
typedef struct slc_tape_node {
    uint32_t at, len;           /* its text */
    uint32_t name_at, name_len; /* of a member: its name's text, between the quotes */
    uint32_t next;
    uint32_t count; /* of an object or array: members or elements */
    char type;      /* '{', '[', '"', '0' (a number), 't', 'f', 'n' */
    bool escaped;   /* a string: there are backslashes in it */
    bool name_escaped;
} slc_tape_node;

typedef struct slc_tape {
    const char *text; /* borrowed */
    slc_tape_node *nodes;
    uint32_t count, cap;
    slc_buf scratch; /* of texts without their escapes */
} slc_tape;

/* A piece of text, without NUL at its end. */
typedef struct slc_text {
    const char *data;
    size_t len;
} slc_text;

void slc_tape_init(slc_tape *tape);
void slc_tape_release(slc_tape *tape);
/* Gives back what a large text took. */
void slc_tape_trim(slc_tape *tape, size_t keep_bytes);

/* `text` must live as long as the tape is looked at. False with SLC_INVALID (it is not JSON, and where) or
 * SLC_TOO_LARGE. */
bool slc_tape_read(slc_tape *tape, const char *text, size_t len, slc_error *err) SLC_CHECKED;

/* A string's value, or the name of a member, without escapes: valid until the next call for this tape, unless
 * there were none. */
slc_text slc_tape_string(slc_tape *tape, uint32_t node);
slc_text slc_tape_name(slc_tape *tape, uint32_t node);
/* Are they the same? */
bool slc_text_is(slc_text text, const char *other, size_t len);

/* The JSON pointer of a node, as far as it fits. */
void slc_tape_pointer(slc_tape *tape, uint32_t node, char *out, size_t size);

/* Are two values on it equal, as JSON Schema has it: numbers by their value, objects without order? */
bool slc_tape_equal(slc_tape *tape, uint32_t a, uint32_t b);
/* Equal values have equal hashes. */
uint64_t slc_tape_hash(slc_tape *tape, uint32_t node);

#endif
