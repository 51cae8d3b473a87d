/* From Avro's binary encoding to JSON. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "dataplane/mediation/json_scan.h"
#include "dataplane/schema/avro_private.h"

/* Where we are, for the pointer of a fault. */
struct place {
    const struct place *outer;
    const char *name; /* of a field or, with `len`, a key; NULL: an element */
    size_t len;
    uint64_t index;
};

struct decoder {
    const uint8_t *start, *p, *end;
    slc_buf *out; /* NULL: nothing is written */
    bool tagged;
    uint64_t steps_left;
    unsigned depth;
    const struct place *place;
    slc_schema_fault *fault;
};

static void write_pointer(const struct place *place, char *out, size_t size)
{
    if (place == NULL)
        return;
    write_pointer(place->outer, out, size);
    if (place->name == NULL) {
        slc_json_pointer_push_index(out, size, (size_t)place->index);
        return;
    }
    char token[128];
    snprintf(token, sizeof token, "%.*s", (int)(place->len < 127 ? place->len : 127), place->name);
    slc_json_pointer_push(out, size, token);
}

static bool fail_as(struct decoder *d, enum slc_code code, const char *fmt, ...) SLC_PRINTF(3, 4);
static bool fail_as(struct decoder *d, enum slc_code code, const char *fmt, ...)
{
    char what[160];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    d->fault->code = code;
    d->fault->pointer[0] = '\0';
    write_pointer(d->place, d->fault->pointer, sizeof d->fault->pointer);
    snprintf(d->fault->message, sizeof d->fault->message, "%s (at byte %zu of the Avro value)", what,
             (size_t)(d->p - d->start));
    return false;
}

static bool write(struct decoder *d, const void *data, size_t len)
{
    return d->out == NULL || slc_buf_add(d->out, data, len) ||
           fail_as(d, SLC_TOO_LARGE, "is larger as JSON than it may be");
}

static bool write_text(struct decoder *d, const char *text)
{
    return write(d, text, strlen(text));
}

/* ---- what values are made of ---- */

/* Zigzag, up to `bits`. */
static bool read_long(struct decoder *d, unsigned bits, int64_t *out)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (d->p == d->end)
            return fail_as(d, SLC_INVALID, "ends within a number");
        uint8_t byte = *d->p++;
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) != 0)
            continue;
        *out = (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
        return bits == 64 || (*out >= INT32_MIN && *out <= INT32_MAX) ||
               fail_as(d, SLC_INVALID, "is an int of more than 32 bits");
    }
    return fail_as(d, SLC_INVALID, "is a number of more than 64 bits");
}

static bool read_bytes(struct decoder *d, size_t len, const uint8_t **out)
{
    if (len > (size_t)(d->end - d->p))
        return fail_as(d, SLC_INVALID, "is to have %zu bytes, of which %zu are left", len,
                       (size_t)(d->end - d->p));
    *out = d->p;
    d->p += len;
    return true;
}

static bool read_block(struct decoder *d, const uint8_t **out, size_t *len)
{
    int64_t length;
    if (!read_long(d, 64, &length))
        return false;
    if (length < 0)
        return fail_as(d, SLC_INVALID, "has a length below zero");
    *len = (size_t)length;
    return read_bytes(d, *len, out);
}

static bool write_string(struct decoder *d, const uint8_t *data, size_t len)
{
    if (!slc_utf8_valid(data, len))
        return fail_as(d, SLC_INVALID, "is a string that is not UTF-8");
    if (d->out == NULL)
        return true;
    return (slc_buf_addc(d->out, '"') && slc_buf_add_json_string(d->out, (const char *)data, len) &&
            slc_buf_addc(d->out, '"')) ||
           fail_as(d, SLC_TOO_LARGE, "is larger as JSON than it may be");
}

/* Each byte as the character of its number. */
static bool write_bytes(struct decoder *d, const uint8_t *data, size_t len)
{
    for (size_t i = 0; d->out != NULL && i < len; i++) {
        uint8_t c = data[i];
        char text[8] = {(char)c};
        if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f)
            snprintf(text, sizeof text, "\\u%04x", c);
        else if (c >= 0x80)
            snprintf(text, sizeof text, "%c%c", 0xc0 | c >> 6, 0x80 | (c & 0x3f));
        if ((i == 0 && !write_text(d, "\"")) || !write_text(d, text))
            return false;
    }
    return write_text(d, len == 0 ? "\"\"" : "\"");
}

static bool write_real(struct decoder *d, double value, bool single)
{
    char text[40];
    if (!isfinite(value))
        return write_text(d, isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
    /* The shortest that reads back the same. */
    for (int digits = single ? 6 : 15; digits <= (single ? 9 : 17); digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (single ? strtof(text, NULL) == (float)value : strtod(text, NULL) == value)
            break;
    }
    return write_text(d, text) && (strpbrk(text, ".e") != NULL || write_text(d, ".0"));
}

static bool read_real(struct decoder *d, bool single)
{
    const uint8_t *bytes;
    uint64_t bits = 0;
    size_t size = single ? 4 : 8;
    if (!read_bytes(d, size, &bytes))
        return false;
    for (size_t i = 0; i < size; i++)
        bits |= (uint64_t)bytes[i] << 8 * i;
    if (single) {
        uint32_t half = (uint32_t)bits;
        float value;
        memcpy(&value, &half, sizeof value);
        return write_real(d, (double)value, true);
    }
    double value;
    memcpy(&value, &bits, sizeof value);
    return write_real(d, value, false);
}

/* ---- values ---- */

static bool decode(struct decoder *d, const struct avro_type *type);

static bool decode_part(struct decoder *d, const struct avro_type *type, const struct place *place)
{
    const struct place *outer = d->place;
    d->place = place;
    bool ok = decode(d, type);
    d->place = outer;
    return ok;
}

static bool decode_record(struct decoder *d, const struct avro_type *type)
{
    for (size_t i = 0; i < type->count; i++) {
        const struct avro_field *field = &type->fields[i];
        struct place place = {.outer = d->place, .name = field->name, .len = strlen(field->name)};
        if (!write_text(d, i == 0 ? "{" : ",") || !write(d, field->label, field->label_len) ||
            !decode_part(d, field->type, &place))
            return false;
    }
    return write_text(d, type->count == 0 ? "{}" : "}");
}

/* Blocks of elements, or of keys and values, until an empty one. */
static bool decode_blocks(struct decoder *d, const struct avro_type *type)
{
    bool map = type->kind == AVRO_MAP;
    uint64_t index = 0;
    int64_t left = 0, size;
    for (;;) {
        if (left == 0 && (!read_long(d, 64, &left) || (left < 0 && !read_long(d, 64, &size))))
            return false;
        if (left == INT64_MIN)
            return fail_as(d, SLC_INVALID, "has a count that is too large");
        left = left < 0 ? -left : left; /* the block's size follows, for who skips it */
        if (left == 0)
            return write_text(d, index == 0 ? (map ? "{}" : "[]") : (map ? "}" : "]"));
        struct place place = {.outer = d->place, .index = index};
        const uint8_t *key = NULL;
        size_t len = 0;
        if (!write_text(d, index == 0 ? (map ? "{" : "[") : ","))
            return false;
        if (map && (!read_block(d, &key, &len) || !write_string(d, key, len) || !write_text(d, ":")))
            return false;
        place.name = (const char *)key;
        place.len = len;
        if (!decode_part(d, type->parts[0], &place))
            return false;
        index++;
        left--;
    }
}

static bool decode_union(struct decoder *d, const struct avro_type *type)
{
    int64_t branch;
    if (!read_long(d, 64, &branch))
        return false;
    if (branch < 0 || (uint64_t)branch >= type->count)
        return fail_as(d, SLC_INVALID, "is of a union's type number %" PRId64 ", which has %zu", branch,
                       type->count);
    const struct avro_type *part = type->parts[branch];
    if (!d->tagged || part->kind == AVRO_NULL)
        return decode(d, part);
    return write_text(d, "{\"") && write_text(d, part->tag) && write_text(d, "\":") && decode(d, part) &&
           write_text(d, "}");
}

static bool decode_enum(struct decoder *d, const struct avro_type *type)
{
    int64_t symbol;
    if (!read_long(d, 32, &symbol))
        return false;
    if (symbol < 0 || (uint64_t)symbol >= type->count)
        return fail_as(d, SLC_INVALID, "is symbol number %" PRId64 " of %zu", symbol, type->count);
    return write_text(d, "\"") && write_text(d, type->symbols[symbol]) && write_text(d, "\"");
}

static bool decode_scalar(struct decoder *d, const struct avro_type *type)
{
    const uint8_t *data;
    int64_t number;
    size_t len;
    char text[24];
    switch (type->kind) {
    case AVRO_NULL:
        return write_text(d, "null");
    case AVRO_BOOLEAN:
        if (!read_bytes(d, 1, &data))
            return false;
        return *data > 1 ? fail_as(d, SLC_INVALID, "is a boolean of %d", *data)
                         : write_text(d, *data == 1 ? "true" : "false");
    case AVRO_INT:
    case AVRO_LONG:
        if (!read_long(d, type->kind == AVRO_INT ? 32 : 64, &number))
            return false;
        snprintf(text, sizeof text, "%" PRId64, number);
        return write_text(d, text);
    case AVRO_FLOAT:
    case AVRO_DOUBLE:
        return read_real(d, type->kind == AVRO_FLOAT);
    case AVRO_STRING:
        return read_block(d, &data, &len) && write_string(d, data, len);
    case AVRO_BYTES:
        return read_block(d, &data, &len) && write_bytes(d, data, len);
    default: /* AVRO_FIXED */
        return read_bytes(d, type->size, &data) && write_bytes(d, data, type->size);
    }
}

static bool decode(struct decoder *d, const struct avro_type *type)
{
    bool ok;
    if (d->steps_left == 0)
        return fail_as(d, SLC_LIMIT, "has more values within it than may be");
    d->steps_left--;
    if (d->depth == SLC_AVRO_MAX_DEPTH && type->kind >= AVRO_RECORD)
        return fail_as(d, SLC_LIMIT, "is nested more than %d deep", SLC_AVRO_MAX_DEPTH);
    switch (type->kind) {
    case AVRO_RECORD:
    case AVRO_ARRAY:
    case AVRO_MAP:
    case AVRO_UNION:
        d->depth += type->kind != AVRO_UNION || d->tagged ? 1 : 0;
        ok = type->kind == AVRO_RECORD  ? decode_record(d, type)
             : type->kind == AVRO_UNION ? decode_union(d, type)
                                        : decode_blocks(d, type);
        d->depth -= type->kind != AVRO_UNION || d->tagged ? 1 : 0;
        return ok;
    case AVRO_ENUM:
        return decode_enum(d, type);
    default:
        return decode_scalar(d, type);
    }
}

bool slc_avro_decode(const slc_avro *avro, const uint8_t *data, size_t len, bool tagged, uint64_t max_steps,
                     slc_buf *out, slc_schema_fault *fault)
{
    struct decoder d = {.start = data,
                        .p = data,
                        .end = data + len,
                        .out = out,
                        .tagged = tagged,
                        .steps_left = max_steps,
                        .fault = fault};
    fault->code = SLC_OK;
    if (!decode(&d, avro->root))
        return false;
    return d.p == d.end || fail_as(&d, SLC_INVALID, "has %zu bytes too many", (size_t)(d.end - d.p));
}
