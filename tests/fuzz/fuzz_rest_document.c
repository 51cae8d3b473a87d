/* What is listed of an OpenAPI document can be stored and shown, whatever the document is; the same document
 * says the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/rest_document.h"
#include "common/assert.h"
#include "common/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *copy(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    SLC_BUG_ON(text == NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slc_error err = {0};
    char *text = copy(data, size);
    json_t *facts = slc_rest_document_read(text, size, 65536, &err);
    SLC_BUG_ON(facts == NULL && err.message[0] == '\0');
    if (facts != NULL) {
        size_t len;
        char *printed = slc_json_print(facts, &len);
        json_t *again = slc_json_parse(printed, len, SIZE_MAX, &err);
        json_t *same = slc_rest_document_read(text, size, 65536, &err);
        SLC_BUG_ON(again == NULL || !json_equal(facts, again) || !json_equal(facts, same));
        SLC_BUG_ON(json_string_value(json_object_get(facts, "title")) == NULL);
        SLC_BUG_ON(json_array_size(json_object_get(facts, "operations")) > SLC_REST_OPERATIONS_MAX);
        json_decref(again);
        json_decref(same);
        free(printed);
    }
    json_decref(facts);
    free(text);
    return 0;
}
