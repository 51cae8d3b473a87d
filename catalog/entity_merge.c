/* JSON merge patch (RFC 7396) that knows secrets. */
#include "catalog/entity.h"

static json_t *merge(const slc_field *fields, const json_t *target, const json_t *patch)
{
    if (!json_is_object(patch))
        return json_deep_copy(patch);
    json_t *out = json_is_object(target) ? json_deep_copy(target) : json_object();
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)patch, name, value) {
        const slc_field *field = fields != NULL ? slc_field_find(fields, name) : NULL;
        if (json_is_null(value))
            json_object_del(out, name);
        else if (field != NULL && (field->flags & SLC_F_SECRET) != 0)
            json_object_set_new(out, name, json_deep_copy(value)); /* never mixed with {"set": true} */
        else
            json_object_set_new(
                out, name, merge(field != NULL ? field->fields : NULL, json_object_get(target, name), value));
    }
    return out;
}

json_t *slc_body_merge(const slc_kind *kind, const json_t *target, const json_t *patch)
{
    return merge(kind->fields, target, patch);
}
