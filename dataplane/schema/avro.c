/* Avro schemas: their JSON into types. */
#include "dataplane/schema/avro.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/json.h"
#include "dataplane/schema/avro_private.h"

#define PRESET_MAX_BYTES (256 * 1024)

const char *const slc_avro_kind_names[] = {"null",   "boolean", "int",  "long",  "float", "double", "bytes",
                                           "string", "record",  "enum", "array", "map",   "fixed",  "union"};

struct reader {
    slc_avro *avro;
    char pointer[160];
    slc_error *err;
};

static struct avro_type *fail(struct reader *reader, const char *fmt, ...) SLC_PRINTF(2, 3);
static struct avro_type *fail(struct reader *reader, const char *fmt, ...)
{
    char message[260];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    slc_fail(reader->err, SLC_INVALID, reader->pointer, "the Avro schema at \"%s\" %s", reader->pointer,
             message);
    return NULL;
}

static struct avro_type *new_type(struct reader *reader, enum avro_kind kind)
{
    slc_avro *avro = reader->avro;
    if (avro->count == SLC_AVRO_MAX_TYPES) {
        slc_fail(reader->err, SLC_TOO_LARGE, NULL, "the Avro schema has more than %d types",
                 SLC_AVRO_MAX_TYPES);
        return NULL;
    }
    if (avro->count == avro->cap) {
        avro->cap = avro->cap == 0 ? 16 : avro->cap * 2;
        avro->types = slc_realloc(avro->types, avro->cap * sizeof *avro->types);
    }
    struct avro_type *type = slc_calloc(1, sizeof *type);
    type->kind = kind;
    type->tag = slc_avro_kind_names[kind];
    avro->bytes += sizeof *type + 16;
    return avro->types[avro->count++] = type;
}

static struct avro_type *read_type(struct reader *reader, const json_t *source, const char *space);

/* Below a pointer that grows meanwhile. */
static struct avro_type *read_at(struct reader *reader, const json_t *source, const char *space,
                                 const char *token)
{
    size_t len = strlen(reader->pointer);
    slc_json_pointer_push(reader->pointer, sizeof reader->pointer, token);
    struct avro_type *type = read_type(reader, source, space);
    if (type != NULL)
        reader->pointer[len] = '\0';
    return type;
}

/* ---- names ---- */

static bool is_name(const char *text)
{
    if (text[0] == '\0' || (text[0] >= '0' && text[0] <= '9'))
        return false;
    return text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

/* New. A name with dots is full; one without is of the namespace. */
static char *full_name(const char *name, const char *space)
{
    return strchr(name, '.') != NULL || space[0] == '\0' ? slc_strdup(name)
                                                         : slc_asprintf("%s.%s", space, name);
}

/* Gives a type its name; `*space` becomes what holds within it: new. */
static bool take_name(struct reader *reader, struct avro_type *type, const json_t *source, const char *outer,
                      char **space)
{
    const char *name = json_string_value(json_object_get(source, "name"));
    const json_t *own = json_object_get(source, "namespace");
    if (name == NULL || !is_name(strrchr(name, '.') != NULL ? strrchr(name, '.') + 1 : name))
        return fail(reader, "needs a name of letters, digits and _") != NULL;
    type->name = full_name(name, json_is_string(own) ? json_string_value(own) : outer);
    type->tag = type->name;
    const char *dot = strrchr(type->name, '.');
    *space = slc_strndup(type->name, dot != NULL ? (size_t)(dot - type->name) : 0);
    reader->avro->bytes += 2 * strlen(type->name);
    if (!slc_strmap_add(&reader->avro->names, type->name, strlen(type->name), type))
        return fail(reader, "defines %.150s a second time", type->name) != NULL;
    return true;
}

static struct avro_type *read_name(struct reader *reader, const char *name, const char *space)
{
    for (int kind = AVRO_NULL; kind <= AVRO_STRING; kind++)
        if (strcmp(name, slc_avro_kind_names[kind]) == 0)
            return new_type(reader, (enum avro_kind)kind);
    char *full = full_name(name, space);
    struct avro_type *found = slc_strmap_find(&reader->avro->names, full, strlen(full));
    free(full);
    if (found == NULL) /* some write names of no namespace so */
        found = slc_strmap_find(&reader->avro->names, name, strlen(name));
    return found != NULL ? found
                         : fail(reader,
                                "names the type \"%.150s\", which is defined neither in it before nor "
                                "by its references",
                                name);
}

/* ---- kinds ---- */

static bool read_field(struct reader *reader, struct avro_type *record, const json_t *source, const char *space)
{
    struct avro_field *field = &record->fields[record->count];
    const char *name = json_string_value(json_object_get(source, "name"));
    slc_buf label;
    if (name == NULL || !is_name(name))
        return fail(reader, "needs a name of letters, digits and _") != NULL;
    record->count++;
    *field = (struct avro_field){.name = slc_strdup(name)};
    slc_buf_init(&label, 4096);
    slc_buf_addf(&label, "\"%s\":", name);
    field->label = slc_buf_steal(&label, &field->label_len);
    if (field->label == NULL || !slc_strmap_add(&record->by_name, field->name, strlen(field->name), field))
        return fail(reader, "has the field %.100s twice, or with a name that is too long", name) != NULL;
    field->fallback = json_incref(json_object_get(source, "default"));
    reader->avro->bytes += sizeof *field + 4 * strlen(name) + 64;
    field->type = read_at(reader, json_object_get(source, "type"), space, "type");
    return field->type != NULL;
}

static bool read_fields(struct reader *reader, struct avro_type *record, const json_t *source,
                        const char *space)
{
    const json_t *fields = json_object_get(source, "fields");
    size_t i, len = strlen(reader->pointer);
    json_t *field;
    if (!json_is_array(fields))
        return fail(reader, "needs a list of fields") != NULL;
    record->fields = slc_calloc(json_array_size(fields) + 1, sizeof *record->fields);
    json_array_foreach ((json_t *)fields, i, field) {
        slc_json_pointer_push(reader->pointer, sizeof reader->pointer, "fields");
        slc_json_pointer_push_index(reader->pointer, sizeof reader->pointer, i);
        if (!read_field(reader, record, field, space))
            return false;
        reader->pointer[len] = '\0';
    }
    return true;
}

static bool read_symbols(struct reader *reader, struct avro_type *type, const json_t *source)
{
    const json_t *symbols = json_object_get(source, "symbols");
    size_t i;
    json_t *symbol;
    if (!json_is_array(symbols) || json_array_size(symbols) == 0)
        return fail(reader, "needs a list of symbols") != NULL;
    type->symbols = slc_calloc(json_array_size(symbols), sizeof *type->symbols);
    json_array_foreach ((json_t *)symbols, i, symbol) {
        if (!json_is_string(symbol) || !is_name(json_string_value(symbol)))
            return fail(reader, "has a symbol that is no name of letters, digits and _") != NULL;
        char *text = type->symbols[type->count++] = slc_strdup(json_string_value(symbol));
        /* The number, plus one: NULL is what is not there. */
        if (!slc_strmap_add(&type->by_name, text, strlen(text), (void *)(uintptr_t)(i + 1)))
            return fail(reader, "has the symbol %.100s twice", text) != NULL;
        reader->avro->bytes += 64 + strlen(text);
    }
    return true;
}

static bool read_size(struct reader *reader, struct avro_type *type, const json_t *source)
{
    json_int_t size = json_integer_value(json_object_get(source, "size"));
    if (!json_is_integer(json_object_get(source, "size")) || size < 0 || size > INT32_MAX)
        return fail(reader, "needs a size") != NULL;
    type->size = (size_t)size;
    return true;
}

static struct avro_type *read_named(struct reader *reader, enum avro_kind kind, const json_t *source,
                                    const char *outer)
{
    struct avro_type *type = new_type(reader, kind);
    char *space = NULL;
    bool ok = type != NULL && take_name(reader, type, source, outer, &space);
    if (ok && kind == AVRO_RECORD)
        ok = read_fields(reader, type, source, space);
    else if (ok && kind == AVRO_ENUM)
        ok = read_symbols(reader, type, source);
    else if (ok)
        ok = read_size(reader, type, source);
    free(space);
    return ok ? type : NULL;
}

static struct avro_type *read_container(struct reader *reader, enum avro_kind kind, const json_t *source,
                                        const char *space)
{
    const char *member = kind == AVRO_ARRAY ? "items" : "values";
    struct avro_type *type = new_type(reader, kind);
    if (type == NULL)
        return NULL;
    type->parts = slc_calloc(1, sizeof *type->parts);
    type->count = 1;
    type->parts[0] = read_at(reader, json_object_get(source, member), space, member);
    return type->parts[0] != NULL ? type : NULL;
}

static struct avro_type *read_union(struct reader *reader, const json_t *source, const char *space)
{
    struct avro_type *type = new_type(reader, AVRO_UNION);
    size_t i;
    json_t *item;
    if (type == NULL)
        return NULL;
    if (json_array_size(source) == 0)
        return fail(reader, "is a union of nothing");
    type->parts = slc_calloc(json_array_size(source), sizeof *type->parts);
    json_array_foreach ((json_t *)source, i, item) {
        char index[24];
        snprintf(index, sizeof index, "%zu", i);
        struct avro_type *part = type->parts[i] = read_at(reader, item, space, index);
        if (part == NULL)
            return NULL;
        if (part->kind == AVRO_UNION)
            return fail(reader, "is a union in a union");
        if (!slc_strmap_add(&type->by_name, part->tag, strlen(part->tag), (void *)(uintptr_t)(i + 1)))
            return fail(reader, "has the type %.150s twice in a union", part->tag);
        type->count++;
    }
    return type;
}

static struct avro_type *read_object(struct reader *reader, const json_t *source, const char *space)
{
    const json_t *said = json_object_get(source, "type");
    const char *name = json_string_value(said);
    if (name == NULL)
        return said != NULL ? read_at(reader, said, space, "type") : fail(reader, "needs a type");
    if (strcmp(name, "record") == 0 || strcmp(name, "error") == 0)
        return read_named(reader, AVRO_RECORD, source, space);
    if (strcmp(name, "enum") == 0)
        return read_named(reader, AVRO_ENUM, source, space);
    if (strcmp(name, "fixed") == 0)
        return read_named(reader, AVRO_FIXED, source, space);
    if (strcmp(name, "array") == 0)
        return read_container(reader, AVRO_ARRAY, source, space);
    if (strcmp(name, "map") == 0)
        return read_container(reader, AVRO_MAP, source, space);
    return read_name(reader, name, space); /* with a logical type, perhaps */
}

static struct avro_type *read_type(struct reader *reader, const json_t *source, const char *space)
{
    if (json_is_string(source))
        return read_name(reader, json_string_value(source), space);
    if (json_is_array(source))
        return read_union(reader, source, space);
    if (json_is_object(source))
        return read_object(reader, source, space);
    return fail(reader, "must be a name, a list or an object");
}

/* ---- defaults: once every type is known ---- */

/* Many schemas have defaults that are wrong, which mattered to nobody: it is as if there were none. */
static void preset(const slc_avro *avro, struct avro_field *field)
{
    slc_avro of_field = *avro;
    slc_avro_work work = {0};
    slc_schema_fault fault = {0};
    slc_error err;
    slc_tape tape;
    slc_buf out;
    char *text = json_dumps(field->fallback, JSON_ENCODE_ANY | JSON_COMPACT);
    of_field.root = field->type;
    slc_tape_init(&tape);
    slc_buf_init(&out, PRESET_MAX_BYTES);
    if (text != NULL && slc_tape_read(&tape, text, strlen(text), &err) &&
        slc_avro_encode(&of_field, &tape, 100000, &work, &out, &fault)) {
        field->preset = slc_malloc(out.len + 1);
        field->preset_len = out.len;
        if (out.len > 0)
            memcpy(field->preset, out.data, out.len);
    }
    slc_buf_release(&out);
    slc_tape_release(&tape);
    slc_avro_work_release(&work);
    free(text);
}

static bool preset_all(slc_avro *avro, slc_error *err)
{
    for (size_t i = 0; i < avro->count; i++) {
        struct avro_type *type = avro->types[i];
        for (size_t j = 0; type->kind == AVRO_RECORD && j < type->count; j++) {
            struct avro_field *field = &type->fields[j];
            if (field->fallback == NULL)
                continue;
            preset(avro, field);
            json_decref(field->fallback);
            field->fallback = NULL;
            avro->bytes += field->preset_len;
            if (avro->bytes > 64 * SLC_AVRO_MAX_BYTES)
                return slc_fail(err, SLC_TOO_LARGE, NULL, "the defaults of the Avro schema are too large");
        }
    }
    return true;
}

/* ---- the whole ---- */

static bool read_text(struct reader *reader, const char *text, size_t len, const char *name)
{
    reader->pointer[0] = '\0';
    json_t *source = slc_json_parse(text, len, SLC_AVRO_MAX_BYTES, reader->err);
    if (source == NULL)
        slc_fail_context(reader->err, "the Avro schema%s%.100s", name[0] != '\0' ? " reference " : "", name);
    else
        reader->avro->root = read_type(reader, source, "");
    bool ok = source != NULL && reader->avro->root != NULL;
    json_decref(source);
    return ok;
}

slc_avro *slc_avro_new(const char *text, size_t len, const slc_schema_reference *references,
                       size_t reference_count, slc_error *err)
{
    slc_avro *avro = slc_calloc(1, sizeof *avro);
    struct reader reader = {.avro = avro, .err = err};
    bool ok = true;
    slc_error_clear(err);
    for (size_t i = 0; ok && i < reference_count; i++)
        ok = read_text(&reader, references[i].text, references[i].len, references[i].name);
    ok = ok && read_text(&reader, text, len, "") && preset_all(avro, err);
    if (ok)
        return avro;
    SLC_BUG_ON(err->code == SLC_OK);
    slc_avro_free(avro);
    return NULL;
}

static void free_type(struct avro_type *type)
{
    for (size_t i = 0; type->fields != NULL && i < type->count; i++) {
        free(type->fields[i].name);
        free(type->fields[i].label);
        free(type->fields[i].preset);
        json_decref(type->fields[i].fallback);
    }
    for (size_t i = 0; type->symbols != NULL && i < type->count; i++)
        free(type->symbols[i]);
    slc_strmap_release(&type->by_name);
    free(type->fields);
    free(type->symbols);
    free(type->parts);
    free(type->name);
    free(type);
}

void slc_avro_free(slc_avro *avro)
{
    if (avro == NULL)
        return;
    for (size_t i = 0; i < avro->count; i++)
        free_type(avro->types[i]);
    slc_strmap_release(&avro->names);
    free(avro->types);
    free(avro);
}

size_t slc_avro_bytes(const slc_avro *avro)
{
    return sizeof *avro + avro->bytes;
}
