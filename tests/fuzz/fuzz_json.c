/* Whatever parses must print, parse again and be the same. */
#include <stdint.h>
#include <stdlib.h>

#include "common/assert.h"
#include "common/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slc_error err;
    json_t *value = slc_json_parse((const char *)data, size, 65536, &err);
    if (value == NULL)
        return 0;
    size_t len;
    char *text = slc_json_canonical(value, &len);
    /* Reals may gain an exponent and with it length. */
    json_t *again = slc_json_parse(text, len, SIZE_MAX, &err);
    SLC_BUG_ON(again == NULL || !json_equal(value, again));
    size_t len_again;
    char *text_again = slc_json_canonical(again, &len_again);
    SLC_BUG_ON(len != len_again);
    free(text);
    free(text_again);
    json_decref(value);
    json_decref(again);
    return 0;
}
