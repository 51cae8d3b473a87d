/* Paths of event APIs: whatever is accepted must print back to the same path. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "dataplane/http/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slc_api_path parsed;
    char *path = slc_malloc(size + 1);
    memcpy(path, data, size);
    path[size] = '\0';
    if (slc_api_path_parse(path, &parsed)) {
        static const char *const texts[] = {"", "/events", "/events/tickets", "/openapi.json",
                                            "/asyncapi.json"};
        const char *rest = texts[parsed.resource];
        char *again = slc_asprintf("/%.*s/v%u%s", (int)parsed.name_len, parsed.name, parsed.major, rest);
        if (strcmp(again, path) != 0)
            abort();
        free(again);
    }
    free(path);
    return 0;
}
