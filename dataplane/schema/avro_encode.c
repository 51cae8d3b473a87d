/* From JSON to Avro's binary encoding. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "dataplane/schema/avro_private.h"
#include "dataplane/schema/number.h"

struct encoder {
    slc_tape *tape;
    slc_avro_work *work;
    slc_buf *out;
    uint64_t steps_left;
    unsigned quiet, depth;
    slc_schema_fault *fault;
};

void slc_avro_work_release(slc_avro_work *work)
{
    free(work->slots);
    *work = (slc_avro_work){0};
}

static bool fail_as(struct encoder *e, enum slc_code code, uint32_t node, const char *fmt, ...)
    SLC_PRINTF(4, 5);
static bool fail_as(struct encoder *e, enum slc_code code, uint32_t node, const char *fmt, ...)
{
    if (e->quiet > 0 && code == SLC_INVALID)
        return false;
    if (e->fault->code != SLC_OK)
        return false;
    va_list args;
    va_start(args, fmt);
    vsnprintf(e->fault->message, sizeof e->fault->message, fmt, args);
    va_end(args);
    e->fault->code = code;
    slc_tape_pointer(e->tape, node, e->fault->pointer, sizeof e->fault->pointer);
    return false;
}

static bool wrong_type(struct encoder *e, uint32_t node, const struct avro_type *type)
{
    return fail_as(e, SLC_INVALID, node, "is no Avro %.150s", type->tag);
}

static const slc_tape_node *at(const struct encoder *e, uint32_t node)
{
    return &e->tape->nodes[node];
}

static bool write(struct encoder *e, uint32_t node, const void *data, size_t len)
{
    return slc_buf_add(e->out, data, len) ||
           fail_as(e, SLC_TOO_LARGE, node, "is larger as Avro than it may be");
}

static bool write_long(struct encoder *e, uint32_t node, int64_t value)
{
    uint64_t bits = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
    uint8_t bytes[10];
    size_t len = 0;
    for (; bits > 0x7f; bits >>= 7)
        bytes[len++] = (uint8_t)(bits | 0x80);
    bytes[len++] = (uint8_t)bits;
    return write(e, node, bytes, len);
}

/* ---- scalars ---- */

static bool encode_whole(struct encoder *e, const struct avro_type *type, uint32_t node)
{
    int64_t value;
    if (at(e, node)->type != '0')
        return wrong_type(e, node, type);
    slc_number number = slc_number_read(e->tape->text + at(e, node)->at, at(e, node)->len);
    if (!slc_number_int64(&number, &value))
        return fail_as(e, SLC_INVALID, node, "is no whole number of 64 bits");
    if (type->kind == AVRO_INT && (value < INT32_MIN || value > INT32_MAX))
        return fail_as(e, SLC_INVALID, node, "is no whole number of 32 bits");
    return write_long(e, node, value);
}

static bool special_real(slc_text text, double *value)
{
    static const struct {
        const char *name;
        double value;
    } known[] = {{"NaN", NAN}, {"Infinity", INFINITY}, {"-Infinity", -INFINITY}};
    for (size_t i = 0; i < 3; i++) {
        if (slc_text_is(text, known[i].name, strlen(known[i].name))) {
            *value = known[i].value;
            return true;
        }
    }
    return false;
}

static bool encode_real(struct encoder *e, const struct avro_type *type, uint32_t node)
{
    const slc_tape_node *n = at(e, node);
    double value;
    uint64_t bits = 0;
    uint8_t bytes[8];
    if (n->type == '0')
        value = slc_number_read(e->tape->text + n->at, n->len).real;
    else if (n->type != '"' || !special_real(slc_tape_string(e->tape, node), &value))
        return wrong_type(e, node, type);
    if (n->type == '0' && (!isfinite(value) || (type->kind == AVRO_FLOAT && !isfinite((float)value))))
        return fail_as(e, SLC_INVALID, node, "is beyond what an Avro %s holds", type->tag);
    size_t size = type->kind == AVRO_FLOAT ? 4 : 8;
    float single = (float)value;
    uint32_t half;
    memcpy(&half, &single, sizeof half);
    memcpy(&bits, &value, sizeof bits);
    bits = size == 4 ? half : bits;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(bits >> 8 * i);
    return write(e, node, bytes, size);
}

/* Characters up to U+00FF as bytes, in place of the text: it never gets longer. False: there are others. */
static bool to_bytes(char *text, size_t len, size_t *out)
{
    *out = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)text[i];
        if (c >= 0x80) {
            if (c > 0xc3)
                return false;
            c = (uint8_t)((c & 3) << 6 | ((uint8_t)text[++i] & 0x3f));
        }
        text[(*out)++] = (char)c;
    }
    return true;
}

static bool encode_bytes(struct encoder *e, const struct avro_type *type, uint32_t node)
{
    if (at(e, node)->type != '"')
        return wrong_type(e, node, type);
    slc_text text = slc_tape_string(e->tape, node);
    char *copy = slc_memdup(text.len > 0 ? text.data : "", text.len + (text.len == 0));
    size_t len;
    bool ok = to_bytes(copy, text.len, &len);
    if (!ok)
        fail_as(e, SLC_INVALID, node, "has characters beyond U+00FF, which are no bytes");
    else if (type->kind == AVRO_FIXED && len != type->size)
        ok = fail_as(e, SLC_INVALID, node, "has %zu bytes; %.100s has %zu", len, type->tag, type->size);
    ok = ok && (type->kind == AVRO_FIXED || write_long(e, node, (int64_t)len)) && write(e, node, copy, len);
    free(copy);
    return ok;
}

static bool encode_string(struct encoder *e, const struct avro_type *type, uint32_t node)
{
    if (at(e, node)->type != '"')
        return wrong_type(e, node, type);
    slc_text text = slc_tape_string(e->tape, node);
    return write_long(e, node, (int64_t)text.len) && write(e, node, text.data, text.len);
}

static bool encode_enum(struct encoder *e, const struct avro_type *type, uint32_t node)
{
    if (at(e, node)->type != '"')
        return wrong_type(e, node, type);
    slc_text text = slc_tape_string(e->tape, node);
    uintptr_t symbol = (uintptr_t)slc_strmap_find(&type->by_name, text.data, text.len);
    return symbol > 0 ? write_long(e, node, (int64_t)symbol - 1)
                      : fail_as(e, SLC_INVALID, node, "is no symbol of %.150s", type->tag);
}

static bool encode_scalar(struct encoder *e, const struct avro_type *type, uint32_t node)
{
    char kind = at(e, node)->type;
    switch (type->kind) {
    case AVRO_NULL:
        return kind == 'n' || wrong_type(e, node, type);
    case AVRO_BOOLEAN:
        return kind == 't' || kind == 'f' ? write(e, node, kind == 't' ? "\1" : "\0", 1)
                                          : wrong_type(e, node, type);
    case AVRO_INT:
    case AVRO_LONG:
        return encode_whole(e, type, node);
    case AVRO_FLOAT:
    case AVRO_DOUBLE:
        return encode_real(e, type, node);
    case AVRO_STRING:
        return encode_string(e, type, node);
    case AVRO_ENUM:
        return encode_enum(e, type, node);
    default: /* bytes, fixed */
        return encode_bytes(e, type, node);
    }
}

/* ---- what has parts ---- */

static bool encode(struct encoder *e, const struct avro_type *type, uint32_t node);

#define EACH_CHILD(e, node, child)                                                                             \
    for (uint32_t child = (node) + 1; child < at(e, node)->next; child = at(e, child)->next)

static bool find_slots(struct encoder *e, const struct avro_type *type, uint32_t node, size_t base)
{
    EACH_CHILD(e, node, child)
    {
        slc_text name = slc_tape_name(e->tape, child);
        const struct avro_field *field = slc_strmap_find(&type->by_name, name.data, name.len);
        if (field == NULL)
            return fail_as(e, SLC_INVALID, child, "is no field of %.150s", type->tag);
        uint32_t *slot = &e->work->slots[base + (size_t)(field - type->fields)];
        if (*slot != 0)
            return fail_as(e, SLC_INVALID, child, "is there twice");
        *slot = child;
    }
    return true;
}

static bool encode_fields(struct encoder *e, const struct avro_type *type, uint32_t node, size_t base)
{
    for (size_t i = 0; i < type->count; i++) {
        const struct avro_field *field = &type->fields[i];
        uint32_t slot = e->work->slots[base + i];
        if (slot == 0 && field->preset == NULL)
            return fail_as(e, SLC_INVALID, node, "lacks the member \"%.100s\"", field->name);
        if (slot == 0 ? !write(e, node, field->preset, field->preset_len) : !encode(e, field->type, slot))
            return false;
    }
    return true;
}

static bool encode_record(struct encoder *e, const struct avro_type *type, uint32_t node)
{
    slc_avro_work *work = e->work;
    size_t base = work->used;
    if (at(e, node)->type != '{')
        return wrong_type(e, node, type);
    if (e->steps_left < type->count)
        return fail_as(e, SLC_LIMIT, node, "takes more steps to encode than it may take");
    e->steps_left -= type->count;
    if (base + type->count > work->cap) {
        work->cap = 2 * (base + type->count);
        work->slots = slc_realloc(work->slots, work->cap * sizeof *work->slots);
    }
    if (type->count > 0)
        memset(work->slots + base, 0, type->count * sizeof *work->slots);
    work->used += type->count;
    bool ok = find_slots(e, type, node, base) && encode_fields(e, type, node, base);
    work->used = base;
    return ok;
}

static bool encode_container(struct encoder *e, const struct avro_type *type, uint32_t node)
{
    bool map = type->kind == AVRO_MAP;
    if (at(e, node)->type != (map ? '{' : '['))
        return wrong_type(e, node, type);
    if (at(e, node)->count > 0 && !write_long(e, node, at(e, node)->count))
        return false;
    EACH_CHILD(e, node, child)
    {
        if (map) {
            slc_text name = slc_tape_name(e->tape, child);
            if (!write_long(e, child, (int64_t)name.len) || !write(e, child, name.data, name.len))
                return false;
        }
        if (!encode(e, type->parts[0], child))
            return false;
    }
    return write_long(e, node, 0);
}

/* ---- unions ---- */

static bool encode_branch(struct encoder *e, const struct avro_type *type, size_t branch, uint32_t node)
{
    return write_long(e, node, (int64_t)branch) && encode(e, type->parts[branch], node);
}

/* Nothing of what does not fit is left in the output. */
static bool try_branch(struct encoder *e, const struct avro_type *type, size_t branch, uint32_t node)
{
    size_t len = e->out->len;
    e->quiet++;
    bool ok = encode_branch(e, type, branch, node);
    e->quiet--;
    if (!ok)
        e->out->len = len;
    return ok;
}

/* The branch, plus one, that {"type": value} names; 0: it is not that. */
static size_t tag_of(struct encoder *e, const struct avro_type *type, uint32_t node)
{
    if (at(e, node)->type != '{' || at(e, node)->count != 1)
        return 0;
    slc_text name = slc_tape_name(e->tape, node + 1);
    return (size_t)(uintptr_t)slc_strmap_find(&type->by_name, name.data, name.len);
}

/* The one branch that such a value can only be meant for, plus one; 0: there are several, or none. Its faults
 * say more than that nothing fits. */
static size_t likely_branch(const struct encoder *e, const struct avro_type *type, uint32_t node)
{
    static const char *const letters[] = {"n",  "tf", "0",  "0", "0\"", "0\"", "\"",
                                          "\"", "{",  "\"", "[", "{",   "\""};
    size_t found = 0;
    for (size_t i = 0; i < type->count; i++) {
        if (strchr(letters[type->parts[i]->kind], at(e, node)->type) == NULL)
            continue;
        if (found > 0)
            return 0;
        found = i + 1;
    }
    return found;
}

static bool encode_union(struct encoder *e, const struct avro_type *type, uint32_t node)
{
    size_t tag = tag_of(e, type, node), likely = likely_branch(e, type, node);
    for (size_t i = 0; likely == 0 && i < type->count; i++)
        if (try_branch(e, type, i, node))
            return true;
    if (likely > 0 && tag == 0)
        return encode_branch(e, type, likely - 1, node);
    if (likely > 0 && try_branch(e, type, likely - 1, node))
        return true;
    if (tag > 0)
        return write_long(e, node, (int64_t)tag - 1) && encode(e, type->parts[tag - 1], node + 1);
    return fail_as(e, SLC_INVALID, node, "fits none of the %zu types that it may have", type->count);
}

static bool encode(struct encoder *e, const struct avro_type *type, uint32_t node)
{
    bool ok;
    if (e->steps_left == 0)
        return fail_as(e, SLC_LIMIT, node, "takes more steps to encode than it may take");
    e->steps_left--;
    if (e->fault->code != SLC_OK || type->kind < AVRO_RECORD || type->kind == AVRO_ENUM ||
        type->kind == AVRO_FIXED)
        return e->fault->code == SLC_OK && encode_scalar(e, type, node);
    ok = type->kind == AVRO_RECORD  ? encode_record(e, type, node)
         : type->kind == AVRO_UNION ? encode_union(e, type, node)
                                    : encode_container(e, type, node);
    return ok;
}

bool slc_avro_encode(const slc_avro *avro, slc_tape *tape, uint64_t max_steps, slc_avro_work *work,
                     slc_buf *out, slc_schema_fault *fault)
{
    struct encoder e = {.tape = tape, .work = work, .out = out, .steps_left = max_steps, .fault = fault};
    fault->code = SLC_OK;
    work->used = 0;
    return encode(&e, avro->root, 0);
}
