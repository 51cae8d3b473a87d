/* Files and directories, with errors that name them. Thread safe. */
#ifndef SLC_COMMON_FILE_H
#define SLC_COMMON_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/error.h"

/* Reads a whole file of at most `max_bytes`; NUL-terminated; the caller frees. NULL on error. */
char *slc_file_read(const char *path, size_t max_bytes, size_t *len, slc_error *err) SLC_CHECKED;
/* Writes path atomically: temporary file in the same directory, fsync, rename, fsync of the directory. */
bool slc_file_write_atomic(const char *path, const void *data, size_t len, mode_t mode,
                           slc_error *err) SLC_CHECKED;
/* Is there something with this name? */
bool slc_file_exists(const char *path);
/* Forces what was written to a file to the disk. */
bool slc_file_sync(const char *path, slc_error *err) SLC_CHECKED;
/* Renames within a directory, and forces the directory to the disk. Replaces what is at `to`. */
bool slc_file_rename(const char *from, const char *to, slc_error *err) SLC_CHECKED;
/* Makes the directory and its parents; an existing one is fine. */
bool slc_dir_make(const char *path, mode_t mode, slc_error *err) SLC_CHECKED;

#endif
