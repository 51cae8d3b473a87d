/* The scanner accepts what jansson accepts, and nothing else, within the differences that are meant: nesting
 * beyond our limit, and numbers whose size jansson cannot represent. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "dataplane/mediation/json_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool explained(const slc_json_info *info, bool ours, const json_error_t *theirs)
{
    if (!ours)
        return strcmp(info->error, "nested too deeply") == 0;
    enum json_error_code code = json_error_code(theirs);
    return code == json_error_numeric_overflow || code == json_error_null_byte_in_key ||
           code == json_error_stack_overflow;
}

/* What is found in checked text lies inside of it. */
static void look_inside(const char *text, size_t len)
{
    static const char *const pointers[] = {"", "/a", "/0", "/a/b", "/a/0/b", "/~0~1", "/"};
    slc_json_slice slice;
    for (size_t i = 0; i < sizeof pointers / sizeof *pointers; i++) {
        if (!slc_json_find(text, len, pointers[i], &slice))
            continue;
        SLC_BUG_ON(slice.text < text || slice.text + slice.len > text + len || slice.len == 0);
        slc_json_info info;
        SLC_BUG_ON(!slc_json_scan(slice.text, slice.len, &info));
        if (*slice.text == '"') {
            char *out = malloc(slice.len);
            size_t out_len = slc_json_unescape(&slice, out);
            SLC_BUG_ON(out_len > slice.len || !slc_utf8_valid(out, out_len));
            free(out);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slc_json_info info;
    json_error_t error;
    char *text = calloc(1, size > 0 ? size : 1); /* exactly sized, so that a read beyond the end is seen */
    if (size > 0)
        memcpy(text, data, size);
    bool ours = slc_json_scan(text, size, &info);
    if (memchr(text, '\0', size) != NULL) { /* jansson overlooks some of them; JSON has none */
        SLC_BUG_ON(ours);
        free(text);
        return 0;
    }
    json_t *value = json_loadb(text, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    SLC_BUG_ON(ours != (value != NULL) && !explained(&info, ours, &error));
    if (ours)
        look_inside(text, size);
    json_decref(value);
    free(text);
    return 0;
}
