/* A temporary folder for a test. */
#ifndef SLC_TEST_CONFIG_FOLDER_H
#define SLC_TEST_CONFIG_FOLDER_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct folder {
    char path[64];
};

static inline void folder_make(struct folder *folder)
{
    strcpy(folder->path, "/tmp/slc-config-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder->path));
}

static inline void folder_remove(struct folder *folder)
{
    char command[96];

    snprintf(command, sizeof command, "rm -rf %s", folder->path);
    ck_assert_int_eq(system(command), 0);
}

#endif
