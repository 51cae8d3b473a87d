#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"

static enum slc_code code_of(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return SLC_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return SLC_DENIED;
    case ENOSPC:
    case EDQUOT:
        return SLC_NO_SPACE;
    default:
        return SLC_IO;
    }
}

static bool fail_errno(slc_error *err, const char *what, const char *path)
{
    int error = errno;
    return slc_fail(err, code_of(error), NULL, "cannot %s %s: %s", what, path, strerror(error));
}

/* Reads until the end or `max_bytes` + 1 bytes. Returns the count or -1. */
static ssize_t read_all(int fd, char *data, size_t size)
{
    size_t have = 0;
    while (have < size) {
        ssize_t n = read(fd, data + have, size - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        have += (size_t)n;
    }
    return (ssize_t)have;
}

/* The size to start with: stat's when it knows one; pipes and /proc files report 0 and grow. */
static char *read_growing(int fd, size_t max_bytes, size_t hint, size_t *len)
{
    size_t size = hint < max_bytes ? hint + 1 : max_bytes + 1;
    char *data = slc_malloc(size + 1);
    *len = 0;
    for (;;) {
        ssize_t n = read_all(fd, data + *len, size - *len);
        if (n < 0) {
            free(data);
            return NULL;
        }
        *len += (size_t)n;
        if (*len < size || *len > max_bytes)
            break;
        size = size > max_bytes / 2 ? max_bytes + 1 : size * 2;
        data = slc_realloc(data, size + 1);
    }
    data[*len] = '\0';
    return data;
}

char *slc_file_read(const char *path, size_t max_bytes, size_t *len, slc_error *err)
{
    char *data = NULL;
    size_t got = 0;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        fail_errno(err, "open", path);
        return NULL;
    }
    if (fstat(fd, &st) != 0) {
        fail_errno(err, "read", path);
        goto done;
    }
    data = read_growing(fd, max_bytes, st.st_size > 0 ? (size_t)st.st_size : 4095, &got);
    if (data == NULL) {
        fail_errno(err, "read", path);
    } else if (got > max_bytes) {
        free(data);
        data = NULL;
        slc_fail(err, SLC_TOO_LARGE, NULL, "%s is larger than the allowed %zu bytes", path, max_bytes);
    } else if (len != NULL) {
        *len = got;
    }
done:
    close(fd);
    return data;
}

static bool write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return slc_strdup(".");
    return slash == path ? slc_strdup("/") : slc_strndup(path, (size_t)(slash - path));
}

/* Without this the rename itself may be lost with the power. */
static bool sync_directory(const char *path, slc_error *err)
{
    char *dir = directory_of(path);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (!ok)
        fail_errno(err, "sync directory", dir);
    if (fd >= 0)
        close(fd);
    free(dir);
    return ok;
}

bool slc_file_write_atomic(const char *path, const void *data, size_t len, mode_t mode, slc_error *err)
{
    bool ok = false;
    char *temp = slc_asprintf("%s.XXXXXX", path);
    int fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0) {
        fail_errno(err, "create a temporary file for", path);
        free(temp);
        return false;
    }
    if (fchmod(fd, mode) != 0 || !write_all(fd, data, len) || fsync(fd) != 0)
        fail_errno(err, "write", temp);
    else if (rename(temp, path) != 0)
        fail_errno(err, "replace", path);
    else
        ok = true;
    close(fd);
    if (!ok)
        unlink(temp);
    free(temp);
    return ok && sync_directory(path, err);
}

bool slc_file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool slc_file_sync(const char *path, slc_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (!ok)
        fail_errno(err, "sync", path);
    if (fd >= 0)
        close(fd);
    return ok;
}

bool slc_file_rename(const char *from, const char *to, slc_error *err)
{
    if (rename(from, to) != 0)
        return fail_errno(err, "replace", to);
    return sync_directory(to, err);
}

static bool make_one(const char *path, mode_t mode, slc_error *err)
{
    if (mkdir(path, mode) == 0)
        return true;
    struct stat st;
    if (errno == EEXIST && stat(path, &st) == 0) {
        if (S_ISDIR(st.st_mode))
            return true;
        errno = ENOTDIR;
    }
    return fail_errno(err, "make directory", path);
}

bool slc_dir_make(const char *path, mode_t mode, slc_error *err)
{
    char *copy = slc_strdup(path);
    bool ok = true;
    for (char *p = copy + 1; ok && copy[0] != '\0' && *p != '\0'; p++) {
        if (*p != '/' || p[-1] == '/')
            continue;
        *p = '\0';
        ok = make_one(copy, mode, err);
        *p = '/';
    }
    if (ok)
        ok = make_one(path, mode, err);
    free(copy);
    return ok;
}
