/* ustar (POSIX.1-1988): a header of 512 bytes, then the text, filled up to 512. */
#include "controlplane/ctl/bundle.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "common/alloc.h"

#define BLOCK 512

struct slc_bundle {
    char *path, *root;
    int64_t at_ms;
    gzFile file;
    bool failed;
};

struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100], magic[6],
        version[2], user[32], group[32], device_major[8], device_minor[8], prefix[155], padding[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

/* ---- secrets ---- */

static bool is_word(char c)
{
    return isalnum((unsigned char)c) != 0 || c == '_' || c == '-' || c == '.';
}

/* The length of what introduces a secret here, and is no secret itself: "sla_<id>_"; 0: there is none. */
static size_t introduction(const char *text, size_t len)
{
    static const char join[] = "sluice-join-1.";
    size_t used = 4;
    if (len > sizeof join && memcmp(text, join, sizeof join - 1) == 0)
        return sizeof join - 1;
    if (len < 6 || text[0] != 's' || text[1] != 'l' || strchr("akct", text[2]) == NULL || text[3] != '_')
        return 0;
    while (used < len && isalnum((unsigned char)text[used]))
        used++;
    return used < len && used > 4 && text[used] == '_' ? used + 1 : 0;
}

void slc_redact(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        size_t intro = i > 0 && is_word(text[i - 1]) ? 0 : introduction(text + i, len - i);
        if (intro == 0)
            continue;
        for (i += intro; i < len && is_word(text[i]); i++)
            text[i] = '*';
    }
}

/* ---- the archive ---- */

slc_bundle *slc_bundle_open(const char *path, const char *root, int64_t at_ms, slc_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    gzFile file = fd >= 0 ? gzdopen(fd, "wb") : NULL;
    if (file == NULL) {
        slc_fail(err, SLC_IO, NULL, "%s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    slc_bundle *bundle = slc_calloc(1, sizeof *bundle);
    bundle->path = slc_strdup(path);
    bundle->root = slc_strdup(root);
    bundle->at_ms = at_ms;
    bundle->file = file;
    return bundle;
}

static void put(slc_bundle *bundle, const void *data, size_t len)
{
    if (len > 0 && !bundle->failed)
        bundle->failed = gzfwrite(data, len, 1, bundle->file) != 1;
}

static void set_octal(char *field, size_t size, uint64_t value)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%0*llo", (int)size - 1, (unsigned long long)value);
    memcpy(field, digits, size - 1);
}

void slc_bundle_add(slc_bundle *bundle, const char *name, char *text, size_t len)
{
    static const char nothing[BLOCK];
    struct header header;
    unsigned sum = 0;
    memset(&header, 0, sizeof header);
    snprintf(header.name, sizeof header.name, "%.40s/%.50s", bundle->root, name);
    set_octal(header.mode, sizeof header.mode, 0600);
    set_octal(header.uid, sizeof header.uid, 0);
    set_octal(header.gid, sizeof header.gid, 0);
    set_octal(header.size, sizeof header.size, len);
    set_octal(header.mtime, sizeof header.mtime, (uint64_t)(bundle->at_ms / 1000));
    header.type = '0';
    memcpy(header.magic, "ustar", sizeof header.magic);
    memcpy(header.version, "00", sizeof header.version);
    memset(header.checksum, ' ', sizeof header.checksum);
    for (size_t i = 0; i < sizeof header; i++)
        sum += ((const unsigned char *)&header)[i];
    set_octal(header.checksum, 7, sum);
    slc_redact(text, len);
    put(bundle, &header, sizeof header);
    put(bundle, text, len);
    put(bundle, nothing, (BLOCK - len % BLOCK) % BLOCK);
}

bool slc_bundle_close(slc_bundle *bundle, slc_error *err)
{
    static const char end[2 * BLOCK];
    put(bundle, end, sizeof end);
    bool ok = gzclose(bundle->file) == Z_OK && !bundle->failed;
    if (!ok) {
        slc_fail(err, SLC_IO, NULL, "%s cannot be written: %s", bundle->path, strerror(errno));
        unlink(bundle->path);
    }
    free(bundle->path);
    free(bundle->root);
    free(bundle);
    return ok;
}
