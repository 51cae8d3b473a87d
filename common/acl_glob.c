#include "common/acl_glob.h"

#include <stdint.h>
#include <string.h>

#define MAX_ATOMS 2048

/* The end of "${name}", or NULL. */
static const char *end_of_name(const char *at)
{
    return at[0] == '$' && at[1] == '{' ? strchr(at, '}') : NULL;
}

static bool is_known(const char *name, size_t len, const char *const *known)
{
    for (; *known != NULL; known++)
        if (strlen(*known) == len && memcmp(*known, name, len) == 0)
            return true;
    return false;
}

bool slc_acl_glob_check(const char *glob, size_t len, const char *const *known)
{
    if (len == 0 || len > SLC_ACL_GLOB_MAX || strlen(glob) != len)
        return false;
    for (const char *at = glob; *at != '\0'; at++) {
        if (*at == '\\') {
            if (*++at == '\0')
                return false;
        } else if (at[0] == '$' && at[1] == '{') {
            const char *end = end_of_name(at);
            if (end == NULL || !is_known(at + 2, (size_t)(end - at) - 2, known))
                return false;
            at = end;
        }
    }
    return true;
}

/* The glob as a row of atoms: a byte that must be there, or one of these. */
enum { ANY = 256, ONE };

static bool expand(const char *glob, slc_acl_glob_fn *value, void *ctx, unsigned short *atoms, size_t *count)
{
    for (*count = 0; *glob != '\0'; glob++) {
        const char *end = end_of_name(glob);
        if (*count == MAX_ATOMS)
            return false;
        if (end != NULL) {
            const char *text = value(ctx, glob + 2, (size_t)(end - glob) - 2);
            size_t len = text != NULL ? strlen(text) : 0;
            if (len == 0 || len > MAX_ATOMS - *count)
                return false;
            for (size_t i = 0; i < len; i++)
                atoms[(*count)++] = (unsigned char)text[i];
            glob = end;
        } else if (*glob == '*') {
            atoms[(*count)++] = ANY;
        } else if (*glob == '?') {
            atoms[(*count)++] = ONE;
        } else {
            glob += *glob == '\\' && glob[1] != '\0';
            atoms[(*count)++] = (unsigned char)*glob;
        }
    }
    return true;
}

bool slc_acl_glob_match(const char *glob, slc_acl_glob_fn *value, void *ctx, const char *text, size_t len)
{
    unsigned short atoms[MAX_ATOMS];
    size_t count, at = 0, i = 0, star = SIZE_MAX, retry = 0;
    if (!expand(glob, value, ctx, atoms, &count))
        return false;
    while (i < len) {
        if (at < count && atoms[at] == ANY) {
            star = at++;
            retry = i;
        } else if (at < count && (atoms[at] == ONE || atoms[at] == (unsigned char)text[i])) {
            at++;
            i++;
        } else if (star != SIZE_MAX) {
            at = star + 1;
            i = ++retry;
        } else {
            return false;
        }
    }
    while (at < count && atoms[at] == ANY)
        at++;
    return at == count;
}

bool slc_acl_glob_is_any(const char *glob)
{
    return *glob != '\0' && glob[strspn(glob, "*")] == '\0';
}
