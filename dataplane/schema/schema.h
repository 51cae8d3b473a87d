/* A schema, whatever its language: counted, immutable, of many threads. */
#ifndef SLC_DATAPLANE_SCHEMA_SCHEMA_H
#define SLC_DATAPLANE_SCHEMA_SCHEMA_H

#include "dataplane/schema/avro.h"
#include "dataplane/schema/json_schema.h"

enum slc_schema_format { SLC_SCHEMA_JSON, SLC_SCHEMA_AVRO };

typedef struct slc_schema {
    unsigned refs;
    enum slc_schema_format format;
    slc_json_schema *json; /* of SLC_SCHEMA_JSON */
    slc_avro *avro;        /* of SLC_SCHEMA_AVRO */
    int32_t id;            /* the registry's; 0: it is of none */
    uint8_t guid[16];      /* the registry's */
    bool has_guid;
} slc_schema;

/* Texts are borrowed for the call. NULL with SLC_INVALID, SLC_UNSUPPORTED or SLC_TOO_LARGE. */
slc_schema *slc_schema_new(enum slc_schema_format format, const char *text, size_t len,
                           const slc_schema_reference *references, size_t reference_count,
                           slc_error *err) SLC_CHECKED;
slc_schema *slc_schema_ref(slc_schema *schema);
void slc_schema_unref(slc_schema *schema); /* NULL is fine */
/* What it takes of memory, about. */
size_t slc_schema_bytes(const slc_schema *schema);

/* "json_schema" and "avro", as the catalog says; false: neither. */
bool slc_schema_format_read(const char *name, enum slc_schema_format *out);

#endif
