/* Records today's messages: keep_messages FOLDER. See scripts/keep-messages. */
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/file.h"
#include "tests/unit/proto/fill.h"
#include "tests/unit/proto/recorded.h"

static bool keep(const char *folder, const struct recorded_kind *kind, unsigned choice, slc_error *err)
{
    ProtobufCMessage *message = fill_message(kind->descriptor, choice);
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = slc_malloc(len + 1);
    char *path = slc_asprintf("%s/%s-%u.bin", folder, kind->name, choice);
    protobuf_c_message_pack(message, bytes);
    bool ok = slc_file_write_atomic(path, (const char *)bytes, len, 0644, err);
    free(path);
    free(bytes);
    fill_free(message);
    return ok;
}

int main(int argc, char **argv)
{
    slc_error err = {0};
    if (argc != 2) {
        fprintf(stderr, "usage: keep_messages FOLDER\n");
        return EXIT_FAILURE;
    }
    for (const struct recorded_kind *kind = recorded_kinds; kind->name != NULL; kind++)
        for (unsigned choice = 0; choice < fill_choices(kind->descriptor); choice++)
            if (!keep(argv[1], kind, choice, &err)) {
                fprintf(stderr, "%s\n", err.message);
                return EXIT_FAILURE;
            }
    return EXIT_SUCCESS;
}
