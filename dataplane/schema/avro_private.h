/* How an Avro schema is kept. Private to avro*.c. */
#ifndef SLC_DATAPLANE_SCHEMA_AVRO_PRIVATE_H
#define SLC_DATAPLANE_SCHEMA_AVRO_PRIVATE_H

#include <jansson.h>

#include "dataplane/config/strmap.h"
#include "dataplane/schema/avro.h"

/* In the order of slc_avro_kind_names. */
enum avro_kind {
    AVRO_NULL,
    AVRO_BOOLEAN,
    AVRO_INT,
    AVRO_LONG,
    AVRO_FLOAT,
    AVRO_DOUBLE,
    AVRO_BYTES,
    AVRO_STRING, /* the last that has no parts */
    AVRO_RECORD,
    AVRO_ENUM,
    AVRO_ARRAY,
    AVRO_MAP,
    AVRO_FIXED,
    AVRO_UNION,
};

extern const char *const slc_avro_kind_names[];

struct avro_field {
    char *name;
    char *label; /* "name": as JSON text */
    size_t label_len;
    struct avro_type *type;
    json_t *fallback; /* its default; own reference, until it was encoded */
    uint8_t *preset;  /* the default, encoded; NULL: has none */
    size_t preset_len;
};

struct avro_type {
    enum avro_kind kind;
    char *name;                /* full, of record, enum and fixed */
    const char *tag;           /* in a tagged union */
    struct avro_field *fields; /* record */
    struct avro_type **parts;  /* union; the first of array and map */
    char **symbols;            /* enum */
    size_t count;              /* of those */
    slc_strmap by_name;        /* fields, or symbols by themselves */
    size_t size;               /* fixed */
};

struct slc_avro {
    struct avro_type *root;
    struct avro_type **types;
    size_t count, cap;
    slc_strmap names; /* of the named */
    size_t bytes;
};

#endif
