#include "dataplane/schema/schema.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "dataplane/schema/definition.h"

slc_schema *slc_schema_new(enum slc_schema_format format, const char *text, size_t len,
                           const slc_schema_reference *references, size_t reference_count, slc_error *err)
{
    slc_schema *schema = slc_calloc(1, sizeof *schema);
    schema->refs = 1;
    schema->format = format;
    if (format == SLC_SCHEMA_AVRO)
        schema->avro = slc_avro_new(text, len, references, reference_count, err);
    else
        schema->json = slc_json_schema_new(text, len, references, reference_count, err);
    if (schema->avro != NULL || schema->json != NULL)
        return schema;
    free(schema);
    return NULL;
}

slc_schema *slc_schema_ref(slc_schema *schema)
{
    __atomic_add_fetch(&schema->refs, 1, __ATOMIC_RELAXED);
    return schema;
}

void slc_schema_unref(slc_schema *schema)
{
    if (schema == NULL || __atomic_sub_fetch(&schema->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    slc_json_schema_free(schema->json);
    slc_avro_free(schema->avro);
    free(schema);
}

size_t slc_schema_bytes(const slc_schema *schema)
{
    return sizeof *schema +
           (schema->avro != NULL ? slc_avro_bytes(schema->avro) : slc_json_schema_bytes(schema->json));
}

bool slc_schema_format_read(const char *name, enum slc_schema_format *out)
{
    *out = strcmp(name, "avro") == 0 ? SLC_SCHEMA_AVRO : SLC_SCHEMA_JSON;
    return *out == SLC_SCHEMA_AVRO || strcmp(name, "json_schema") == 0;
}

bool slc_schema_definition_check(const char *format, const char *text, size_t len, slc_error *err)
{
    enum slc_schema_format read;
    if (!slc_schema_format_read(format, &read))
        return slc_fail(err, SLC_UNSUPPORTED, NULL, "the format %.40s is not known", format);
    slc_schema *schema = slc_schema_new(read, text, len, NULL, 0, err);
    slc_schema_unref(schema);
    return schema != NULL;
}
