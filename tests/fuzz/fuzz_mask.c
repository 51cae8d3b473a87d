/* Masks on any JSON: what comes out is JSON, and holds nothing of what is hidden, as another parser reads it.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "dataplane/mediation/json_scan.h"
#include "dataplane/policy/mask_json.h"

#define MOST (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add_field(slc_mask *mask, const char *path, enum slc_mask_action action)
{
    slc_mask_field *field = &mask->fields[mask->field_count++];
    SLC_BUG_ON(!slc_json_path_parse(&field->path, path, strlen(path)));
    field->action = action;
    field->keep = 2;
    field->replacement = (char *)"\"***\"";
}

static void keep_only(slc_mask *mask, const char *path)
{
    SLC_BUG_ON(!slc_json_path_parse(&mask->keep[mask->keep_count++], path, strlen(path)));
}

/* Not more than so many characters of the text are shown, the last ones. */
static void check_kept(const json_t *value)
{
    const char *text = json_string_value(value);
    SLC_BUG_ON(text == NULL);
    size_t shown = 0;
    for (const char *at = text + strspn(text, "*"); *at != '\0'; at++)
        shown += ((unsigned char)*at & 0xc0) != 0x80;
    SLC_BUG_ON(shown > 2);
}

static void check(const json_t *root, bool projected)
{
    const char *name;
    json_t *member, *element;
    size_t i;
    json_t *secret = json_object_get(root, "secret");
    SLC_BUG_ON(secret != NULL && strcmp(json_string_value(secret), "***") != 0);
    json_object_foreach ((json_t *)root, name, member) {
        SLC_BUG_ON(projected && strcmp(name, "id") != 0 && strcmp(name, "list") != 0 &&
                   strcmp(name, "secret") != 0);
        SLC_BUG_ON(strcmp(name, "secret") != 0 && json_object_get(member, "card") != NULL);
    }
    json_array_foreach (json_object_get(root, "list"), i, element) {
        if (json_object_get(element, "n") != NULL)
            check_kept(json_object_get(element, "n"));
        SLC_BUG_ON(projected && json_object_size(element) > (json_object_get(element, "n") != NULL));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static slc_mask mask;
    slc_json_info info;
    slc_buf text, out;
    bool changed;
    bool projected = size > 0 && (data[0] & 1) != 0;
    if (size == 0 || !slc_json_scan((const char *)data + 1, size - 1, &info))
        return 0;
    mask.field_count = mask.keep_count = 0;
    add_field(&mask, "/secret", SLC_MASK_REDACT);
    add_field(&mask, "/*/card", SLC_MASK_REMOVE);
    add_field(&mask, "/list/*/n", SLC_MASK_KEEP_LAST);
    add_field(&mask, "/list/*/h", SLC_MASK_HASH);
    if (projected) {
        keep_only(&mask, "/id");
        keep_only(&mask, "/secret");
        keep_only(&mask, "/list/*/n");
    }
    char *value = malloc(size); /* exactly sized, so that a read beyond the end is seen */
    memcpy(value, data + 1, size - 1);
    slc_buf_init(&text, MOST);
    slc_buf_init(&out, MOST);
    if (slc_mask_json(&mask, (const uint8_t *)"key", 3, value, size - 1, &text, &out, &changed)) {
        SLC_BUG_ON(!slc_json_scan((const char *)out.data, out.len, &info));
        json_t *root = json_loadb((const char *)out.data, out.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        if (root != NULL) /* numbers that it cannot represent, and NUL in names, are JSON all the same */
            check(root, projected);
        json_decref(root);
    }
    slc_buf_release(&text);
    slc_buf_release(&out);
    free(value);
    return 0;
}
