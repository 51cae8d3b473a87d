#include "controlplane/ctl/fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "controlplane/ctl/ctl.h"

#define VALUE_MAX_BYTES (16u << 20)

static json_t *parse_value(const char *text, slc_error *err)
{
    slc_error ignored = {0};
    size_t len = 0;
    if (text[0] == '@') {
        char *content = slc_ctl_read(text + 1, VALUE_MAX_BYTES, &len, err);
        json_t *value = content != NULL ? json_stringn(content, len) : NULL;
        if (content != NULL && value == NULL)
            slc_fail(err, SLC_INVALID, NULL, "%s is not UTF-8", text + 1);
        free(content);
        return value;
    }
    json_t *value = text[0] != '\0' ? slc_yaml_parse(text, strlen(text), VALUE_MAX_BYTES, &ignored) : NULL;
    if (value == NULL)
        value = json_string(text);
    if (value == NULL)
        slc_fail(err, SLC_INVALID, NULL, "the value is not UTF-8");
    return value;
}

bool slc_field_set(json_t *body, const char *assignment, slc_error *err)
{
    const char *equals = strchr(assignment, '='), *name = assignment;
    char part[128];
    if (equals == NULL || equals == assignment)
        return slc_fail(err, SLC_INVALID, NULL, "what to set is FIELD=VALUE, not %s", assignment);
    for (;;) {
        size_t len = strcspn(name, ".=");
        snprintf(part, sizeof part, "%.*s", (int)(len < sizeof part ? len : sizeof part - 1), name);
        if (name + len == equals)
            break;
        if (!json_is_object(json_object_get(body, part)))
            json_object_set_new(body, part, json_object());
        body = json_object_get(body, part);
        name += len + 1;
    }
    json_t *value = parse_value(equals + 1, err);
    return value != NULL && json_object_set_new(body, part, value) == 0;
}
