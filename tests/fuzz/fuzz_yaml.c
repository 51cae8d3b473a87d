/* Whatever parses is JSON; a JSON text that is YAML too must mean the same in both; places can be found. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "common/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slc_error err;
    size_t len, line, column;
    json_t *value = slc_yaml_parse((const char *)data, size, 65536, &err);
    if (value == NULL)
        return 0;
    char *text = slc_json_print(value, &len);
    json_t *again = slc_json_parse(text, len, SIZE_MAX, &err);
    SLC_BUG_ON(again == NULL || !json_equal(value, again));
    const char *key;
    json_t *member;
    json_object_foreach (value, key, member) {
        char pointer[256] = "";
        slc_json_pointer_push(pointer, sizeof pointer, key);
        bool cut = strlen(pointer) > sizeof pointer - 4;
        SLC_BUG_ON(!cut && !slc_yaml_locate((const char *)data, size, pointer, &line, &column));
    }
    free(text);
    json_decref(value);
    json_decref(again);
    return 0;
}
