/* Which object a declarative document means. */
#include <stdio.h>
#include <string.h>

#include "catalog/changeset.h"
#include "catalog/entity.h"

#define PART_CHARS 256 /* a topic with wildcards has up to 249 */

/* A reference as its key, whether the document has the key or the id; what does not exist yet stays as it is.
 */
static void ref_key(slc_txn *txn, const char *kind_name, const char *text, char out[PART_CHARS])
{
    char id[SLC_ID_CHARS + 1];
    if (slc_row_resolve(txn, slc_kind_find(kind_name), text, id, NULL) == 1)
        slc_key_of(txn, kind_name, id, out);
    else
        snprintf(out, PART_CHARS, "%s", text);
}

/* The value of a field that is part of the key; false when it is missing: validation will say so. */
static bool key_part(slc_txn *txn, const slc_kind *kind, const json_t *body, const char *name,
                     char out[PART_CHARS])
{
    const slc_field *field = slc_field_find(kind->fields, name);
    const json_t *value = json_object_get(body, name);
    if (json_is_integer(value))
        snprintf(out, PART_CHARS, "%lld", (long long)json_integer_value(value));
    else if (!json_is_string(value))
        return false;
    else if (field->type == SLC_F_REF)
        ref_key(txn, field->ref, json_string_value(value), out);
    else
        snprintf(out, PART_CHARS, "%s", json_string_value(value));
    return true;
}

static bool identity_key(slc_txn *txn, const slc_kind *kind, const json_t *body, char out[SLC_REF_CHARS])
{
    size_t len = 0;
    for (const char *const *name = kind->identity; *name != NULL; name++) {
        char part[PART_CHARS];
        if (!key_part(txn, kind, body, *name, part))
            return false;
        len += (size_t)snprintf(out + len, SLC_REF_CHARS - len, "%s%s", len == 0 ? "" : " ", part);
    }
    return true;
}

bool slc_declared_ref(slc_txn *txn, const slc_kind *kind, const json_t *body, char out[SLC_REF_CHARS])
{
    static const struct {
        const char *first, *separator, *second;
    } parts[] = {
        [SLC_KEY_NAME] = {"name", "", NULL},
        [SLC_KEY_EVENT_API] = {"name", ".v", "major"},
        [SLC_KEY_PLAN] = {"product", ".", "name"},
        [SLC_KEY_DEPLOYMENT] = {"event_api", "@", "gateway_group"},
    };
    if (kind->key == SLC_KEY_ID)
        return identity_key(txn, kind, body, out);
    char first[PART_CHARS], second[PART_CHARS] = "";
    if (!key_part(txn, kind, body, parts[kind->key].first, first))
        return false;
    if (parts[kind->key].second != NULL && !key_part(txn, kind, body, parts[kind->key].second, second))
        return false;
    snprintf(out, SLC_REF_CHARS, "%s%s%s", first, parts[kind->key].separator, second);
    return true;
}
