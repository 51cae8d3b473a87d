#include "tests/unit/proto/fill.h"

#include <stdio.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"

#define ITEMS     2
#define MAX_DEPTH 8

static void *at(const ProtobufCMessage *message, unsigned offset)
{
    return (char *)message + offset;
}

static bool is_oneof(const ProtobufCFieldDescriptor *field)
{
    return (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
}

/* Members of the same oneof share their quantifier's place. */
static unsigned index_in_oneof(const ProtobufCMessageDescriptor *descriptor,
                               const ProtobufCFieldDescriptor *field, unsigned *count)
{
    unsigned index = 0;
    *count = 0;
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *other = &descriptor->fields[i];
        if (!is_oneof(other) || other->quantifier_offset != field->quantifier_offset)
            continue;
        if (other == field)
            index = *count;
        ++*count;
    }
    return index;
}

unsigned fill_choices(const ProtobufCMessageDescriptor *descriptor)
{
    unsigned most = 1, count;
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        if (!is_oneof(&descriptor->fields[i]))
            continue;
        (void)index_in_oneof(descriptor, &descriptor->fields[i], &count);
        most = count > most ? count : most;
    }
    return most;
}

static ProtobufCMessage *fill_at(const ProtobufCMessageDescriptor *descriptor, unsigned choice, unsigned depth);

/* One value, at `to`. What a number is follows from the field and the item. */
static void fill_value(const ProtobufCFieldDescriptor *field, void *to, unsigned item, unsigned choice,
                       unsigned depth)
{
    uint64_t number = field->id * 10 + item + 1;
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        *(char **)to = slc_asprintf("field %u, item %u", field->id, item);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        ((ProtobufCBinaryData *)to)->data = (uint8_t *)slc_asprintf("%u/%u", field->id, item);
        ((ProtobufCBinaryData *)to)->len = strlen((const char *)((ProtobufCBinaryData *)to)->data);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        *(ProtobufCMessage **)to = fill_at(field->descriptor, choice, depth + 1);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)to = 1;
        break;
    case PROTOBUF_C_TYPE_ENUM: {
        const ProtobufCEnumDescriptor *values = field->descriptor;
        *(int *)to = values->values[values->n_values > 1 ? 1 : 0].value;
        break;
    }
    case PROTOBUF_C_TYPE_DOUBLE:
        *(double *)to = (double)number;
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        *(float *)to = (float)number;
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        *(uint64_t *)to = number;
        break;
    default:
        *(uint32_t *)to = (uint32_t)number;
        break;
    }
}

static size_t size_of(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    default:
        return 4;
    }
}

static void fill_field(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, unsigned choice,
                       unsigned depth)
{
    unsigned count;
    if (is_oneof(field)) {
        unsigned index = index_in_oneof(message->descriptor, field, &count);
        if (index != choice % count)
            return;
        *(uint32_t *)at(message, field->quantifier_offset) = field->id;
    } else if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        char *items = slc_calloc(ITEMS, size_of(field));
        for (unsigned i = 0; i < ITEMS; i++)
            fill_value(field, items + i * size_of(field), i, choice + i, depth);
        *(size_t *)at(message, field->quantifier_offset) = ITEMS;
        *(void **)at(message, field->offset) = items;
        return;
    } else if (field->label == PROTOBUF_C_LABEL_OPTIONAL && field->type != PROTOBUF_C_TYPE_STRING &&
               field->type != PROTOBUF_C_TYPE_MESSAGE) {
        *(protobuf_c_boolean *)at(message, field->quantifier_offset) = 1;
    }
    fill_value(field, at(message, field->offset), 0, choice, depth);
}

static ProtobufCMessage *fill_at(const ProtobufCMessageDescriptor *descriptor, unsigned choice, unsigned depth)
{
    ProtobufCMessage *message = slc_calloc(1, descriptor->sizeof_message);
    SLC_BUG_ON(depth > MAX_DEPTH);
    protobuf_c_message_init(descriptor, message);
    for (unsigned i = 0; i < descriptor->n_fields; i++)
        fill_field(message, &descriptor->fields[i], choice, depth);
    return message;
}

ProtobufCMessage *fill_message(const ProtobufCMessageDescriptor *descriptor, unsigned choice)
{
    return fill_at(descriptor, choice, 0);
}

void fill_free(ProtobufCMessage *message)
{
    protobuf_c_message_free_unpacked(message, NULL);
}

/* ---- comparing ---- */

static bool same_value(const ProtobufCFieldDescriptor *field, const void *a, const void *b, const char **why)
{
    const ProtobufCBinaryData *left = a, *right = b;
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return strcmp(*(char *const *)a, *(char *const *)b) == 0;
    case PROTOBUF_C_TYPE_BYTES:
        return left->len == right->len && memcmp(left->data, right->data, left->len) == 0;
    case PROTOBUF_C_TYPE_MESSAGE:
        return fill_same(*(ProtobufCMessage *const *)a, *(ProtobufCMessage *const *)b, why);
    default:
        return memcmp(a, b, size_of(field)) == 0;
    }
}

static bool same_list(const ProtobufCFieldDescriptor *field, const ProtobufCMessage *a,
                      const ProtobufCMessage *b, const char **why)
{
    const char *left = *(char *const *)at(a, field->offset), *right = *(char *const *)at(b, field->offset);
    size_t count = *(const size_t *)at(a, field->quantifier_offset);
    if (count != *(const size_t *)at(b, field->quantifier_offset))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!same_value(field, left + i * size_of(field), right + i * size_of(field), why))
            return false;
    return true;
}

/* proto3: what was not sent has the type's zero. */
static bool is_absent(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    static const char zero[16];
    const void *value = at(message, field->offset);
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return *(const size_t *)at(message, field->quantifier_offset) == 0;
    if (field->type == PROTOBUF_C_TYPE_STRING)
        return *(char *const *)value == NULL || **(char *const *)value == '\0';
    if (field->type == PROTOBUF_C_TYPE_BYTES)
        return ((const ProtobufCBinaryData *)value)->len == 0;
    return memcmp(value, zero, size_of(field)) == 0;
}

static bool same_field(const ProtobufCMessage *message, const ProtobufCMessage *expected,
                       const ProtobufCFieldDescriptor *field, const char **why)
{
    if (is_oneof(field)) {
        uint32_t set = *(uint32_t *)at(message, field->quantifier_offset);
        /* With more choices than there were, the same number is another one. */
        if (set != field->id || set != *(uint32_t *)at(expected, field->quantifier_offset))
            return true;
    } else if (is_absent(message, field)) {
        return true;
    }
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return same_list(field, message, expected, why);
    return same_value(field, at(message, field->offset), at(expected, field->offset), why);
}

bool fill_same(const ProtobufCMessage *message, const ProtobufCMessage *expected, const char **why)
{
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        if (same_field(message, expected, field, why))
            continue;
        *why = *why != NULL ? *why : field->name;
        return false;
    }
    return true;
}

static unsigned unknown_in_field(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    unsigned unknown = 0;
    if (field->type != PROTOBUF_C_TYPE_MESSAGE)
        return 0;
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        ProtobufCMessage **items = *(ProtobufCMessage ***)at(message, field->offset);
        for (size_t i = 0; i < *(const size_t *)at(message, field->quantifier_offset); i++)
            unknown += fill_unknown(items[i]);
        return unknown;
    }
    if (is_oneof(field) && *(uint32_t *)at(message, field->quantifier_offset) != field->id)
        return 0;
    const ProtobufCMessage *below = *(ProtobufCMessage **)at(message, field->offset);
    return below != NULL ? fill_unknown(below) : 0;
}

uint32_t fill_chosen(const ProtobufCMessage *message)
{
    for (unsigned i = 0; i < message->descriptor->n_fields; i++)
        if (is_oneof(&message->descriptor->fields[i]))
            return *(uint32_t *)at(message, message->descriptor->fields[i].quantifier_offset);
    return 0;
}

unsigned fill_unknown(const ProtobufCMessage *message)
{
    unsigned unknown = message->n_unknown_fields;
    for (unsigned i = 0; i < message->descriptor->n_fields; i++)
        unknown += unknown_in_field(message, &message->descriptor->fields[i]);
    return unknown;
}
