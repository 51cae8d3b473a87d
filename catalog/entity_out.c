/* Stored form to JSON form. */
#include <string.h>

#include "catalog/entity.h"
#include "common/clock.h"

static json_t *show_fields(slc_txn *txn, const slc_field *fields, const json_t *stored);

const char *slc_get_text(const json_t *object, const char *field)
{
    return json_string_value(json_object_get(object, field));
}

int64_t slc_get_int(const json_t *object, const char *field)
{
    return json_integer_value(json_object_get(object, field));
}

bool slc_has_text(const json_t *array, const char *text)
{
    size_t index;
    json_t *entry;
    json_array_foreach (array, index, entry) {
        if (json_is_string(entry) && strcmp(json_string_value(entry), text) == 0)
            return true;
    }
    return false;
}

bool slc_has_all(const json_t *array, const json_t *wanted)
{
    size_t index;
    json_t *entry;
    json_array_foreach (wanted, index, entry) {
        if (!slc_has_text(array, json_string_value(entry)))
            return false;
    }
    return true;
}

static json_t *show_key(slc_txn *txn, const char *kind, const json_t *id)
{
    char key[SLC_KEY_CHARS];
    slc_key_of(txn, kind, json_string_value(id), key);
    return json_string(key);
}

static json_t *show_list(slc_txn *txn, const slc_field *field, const json_t *value)
{
    json_t *out = json_array();
    size_t index;
    json_t *item;
    json_array_foreach (value, index, item) {
        json_array_append_new(out, field->type == SLC_F_REF_LIST ? show_key(txn, field->ref, item)
                                                                 : show_fields(txn, field->fields, item));
    }
    return out;
}

static json_t *show_duration(const json_t *value)
{
    char text[SLC_DURATION_CHARS];
    slc_duration_format(json_integer_value(value), text);
    return json_string(text);
}

static json_t *show_time(const json_t *value)
{
    char text[SLC_RFC3339_CHARS];
    slc_rfc3339_format(json_integer_value(value), text);
    return json_string(text);
}

static const char *ref_kind(const slc_field *field, const json_t *siblings)
{
    if (field->choices == NULL)
        return field->ref;
    const char *kind = slc_get_text(siblings, "kind");
    for (const slc_ref_choice *choice = field->choices; kind != NULL && choice->value != NULL; choice++)
        if (strcmp(choice->value, kind) == 0)
            return choice->kind;
    return NULL;
}

static json_t *show_value(slc_txn *txn, const slc_field *field, const json_t *value, const json_t *siblings)
{
    if ((field->flags & SLC_F_SECRET) != 0)
        return slc_secret_show(value);
    switch (field->type) {
    case SLC_F_REF:
        return show_key(txn, ref_kind(field, siblings), value);
    case SLC_F_REF_LIST:
    case SLC_F_OBJECT_LIST:
        return show_list(txn, field, value);
    case SLC_F_OBJECT:
        return show_fields(txn, field->fields, value);
    case SLC_F_DURATION:
        return show_duration(value);
    case SLC_F_TIMESTAMP:
        return show_time(value);
    default:
        return json_deep_copy(value);
    }
}

static void show_into(slc_txn *txn, const slc_field *fields, const json_t *stored, json_t *out)
{
    const unsigned never = SLC_F_HIDDEN | SLC_F_WRITE_ONLY | SLC_F_ONCE | SLC_F_COMPUTED;
    for (const slc_field *field = fields; field->name != NULL; field++) {
        const json_t *value = json_object_get(stored, field->name);
        if (value != NULL && (field->flags & never) == 0)
            json_object_set_new(out, field->name, show_value(txn, field, value, stored));
    }
}

static json_t *show_fields(slc_txn *txn, const slc_field *fields, const json_t *stored)
{
    json_t *out = json_object();
    show_into(txn, fields, stored, out);
    return out;
}

json_t *slc_entity_show(slc_txn *txn, const slc_kind *kind, const json_t *stored, slc_error *err)
{
    json_t *out = show_fields(txn, slc_kind_common_fields(kind), stored);
    show_into(txn, kind->fields, stored, out);
    if (kind->rules != NULL && kind->rules->show != NULL && !kind->rules->show(txn, stored, out, err)) {
        json_decref(out);
        return NULL;
    }
    return out;
}
