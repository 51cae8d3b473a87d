/* Any schema and any value: the first line is the schema, the rest what is checked. It ends within its steps,
 * and says the same twice. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "dataplane/schema/json_schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_value(const slc_json_schema *schema, const char *text, size_t len)
{
    slc_schema_fault first = {0}, second = {0};
    slc_error err;
    slc_tape tape;
    slc_tape_init(&tape);
    if (slc_tape_read(&tape, text, len, &err)) {
        bool ok = slc_json_schema_check(schema, &tape, 10000, &first);
        SLC_BUG_ON(slc_json_schema_check(schema, &tape, 10000, &second) != ok);
        SLC_BUG_ON(!ok && (first.message[0] == '\0' || first.code == SLC_OK || first.code != second.code));
        SLC_BUG_ON(!ok && first.pointer[0] != '\0' && first.pointer[0] != '/');
        /* A name that is there twice is no way to be the same. */
        SLC_BUG_ON(!slc_tape_equal(&tape, 0, 0) && memchr(text, '{', len) == NULL);
    }
    slc_tape_release(&tape);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line = memchr(data, '\n', size);
    size_t len = line != NULL ? (size_t)(line - data) : size, rest = line != NULL ? size - len - 1 : 0;
    slc_error err;
    slc_json_schema *schema = slc_json_schema_new((const char *)data, len, NULL, 0, &err);
    if (schema == NULL) {
        SLC_BUG_ON(err.message[0] == '\0');
        return 0;
    }
    char *value = malloc(rest > 0 ? rest : 1); /* of that size, so that a read beyond it is seen */
    if (rest > 0)
        memcpy(value, line + 1, rest);
    check_value(schema, value, rest);
    slc_json_schema_free(schema);
    free(value);
    return 0;
}
