/* Stands in for libFuzzer: runs the target once over every file of the folders (or files) given as arguments.
 * Fails when there is none, so that a corpus that got lost is noticed. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/alloc.h"
#include "common/file.h"

#define INPUT_MAX_BYTES (16 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Targets may have one. */
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

static unsigned replay_file(const char *path)
{
    slc_error err = {0};
    size_t len;
    char *data = slc_file_read(path, INPUT_MAX_BYTES, &len, &err);
    if (data == NULL) {
        fprintf(stderr, "%s\n", err.message);
        exit(EXIT_FAILURE);
    }
    /* Of exactly the right size, so that AddressSanitizer sees a read past the end. */
    uint8_t *input = slc_memdup(data, len);
    free(data);
    LLVMFuzzerTestOneInput(input, len);
    free(input);
    return 1;
}

static unsigned replay(const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
        return replay_file(path);
    unsigned count = 0;
    DIR *dir = opendir(path);
    const struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        char *inner = slc_asprintf("%s/%s", path, entry->d_name);
        count += replay(inner);
        free(inner);
    }
    if (dir != NULL)
        closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    unsigned count = 0;
    if (LLVMFuzzerInitialize != NULL)
        LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++)
        count += replay(argv[i]);
    printf("%u inputs\n", count);
    return count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
