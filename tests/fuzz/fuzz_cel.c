/* Any text: it compiles or says where it is wrong, and what compiles gives the same twice. */
#include <stdint.h>
#include <string.h>

#include "common/assert.h"
#include "common/cel/attributes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char input_text[] = "GET /orders/v1/events caf\xc3\xa9 \xff";

static bool find(void *ctx, const char *key, size_t len, slc_cel_value *value)
{
    (void)ctx;
    if (len % 2 == 0)
        return false;
    *value = slc_cel_string(key, len);
    return true;
}

static bool resolve(void *ctx, size_t variable, slc_cel_value *value)
{
    const bool *all = ctx;
    if (!*all && variable % 3 == 0)
        return false;
    switch (slc_attributes[variable].kind) {
    case SLC_CEL_STRING:
        *value = slc_cel_string(input_text, sizeof input_text - 1 - variable % 5);
        break;
    case SLC_CEL_INT:
        *value = slc_cel_int(INT64_MAX);
        break;
    case SLC_CEL_BOOL:
        *value = slc_cel_bool(true);
        break;
    case SLC_CEL_TIMESTAMP:
        *value = slc_cel_timestamp_ms(-1);
        break;
    case SLC_CEL_LIST: {
        static const slc_cel_value items[] = {{.kind = SLC_CEL_STRING, .as.text = {"team", 4}},
                                              {.kind = SLC_CEL_STRING, .as.text = {"\xff", 1}}};
        *value = (slc_cel_value){.kind = SLC_CEL_LIST, .as.list = {items, variable % 2 + 1}};
        break;
    }
    default:
        SLC_BUG_ON(slc_attributes[variable].kind != SLC_CEL_LOOKUP);
        *value = (slc_cel_value){.kind = SLC_CEL_LOOKUP, .as.lookup = {find, NULL}};
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slc_error err;
    slc_cel_scratch scratch, again;
    bool all = true, some = false;
    slc_cel *cel = slc_cel_compile((const char *)data, size, slc_attributes, SLC_CEL_ANY, &err);
    if (cel == NULL) {
        SLC_BUG_ON(err.message[0] == '\0');
        return 0;
    }
    slc_cel_value first = slc_cel_eval(cel, resolve, &all, &scratch);
    slc_cel_value second = slc_cel_eval(cel, resolve, &all, &again);
    SLC_BUG_ON(first.kind != second.kind || first.kind == SLC_CEL_ANY);
    if (first.kind == SLC_CEL_STRING || first.kind == SLC_CEL_BYTES)
        SLC_BUG_ON(
            first.as.text.len != second.as.text.len ||
            (first.as.text.len > 0 && memcmp(first.as.text.data, second.as.text.data, first.as.text.len) != 0));
    (void)slc_cel_eval(cel, resolve, &some, &scratch);
    slc_cel_free(cel);
    return 0;
}
