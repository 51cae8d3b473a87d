/* Join strings: whatever parses must compose to a string that parses to the same. */
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "common/join.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slc_join join, again;
    slc_error err;
    char *text;

    if (!slc_join_parse((const char *)data, size, &join, &err))
        return 0;
    text = slc_join_compose(&join, &err);
    SLC_BUG_ON(text == NULL && err.code != SLC_TOO_LARGE);
    if (text != NULL) {
        SLC_BUG_ON(!slc_join_parse(text, strlen(text), &again, &err));
        SLC_BUG_ON(memcmp(&join, &again, sizeof join) != 0);
    }
    free(text);
    return 0;
}
