#include "common/glob.h"

#include <string.h>

bool slc_glob_match(const char *glob, const char *text, size_t len)
{
    const char *star = NULL, *retry = NULL, *end = text + len;
    while (text < end) {
        if (*glob == '*') {
            star = glob++;
            retry = text;
        } else if (*glob == '?' || (*glob == *text && *glob != '\0')) {
            glob++;
            text++;
        } else if (star != NULL) {
            glob = star + 1;
            text = ++retry;
        } else {
            return false;
        }
    }
    while (*glob == '*')
        glob++;
    return *glob == '\0';
}

bool slc_glob_is_exact(const char *glob)
{
    return strpbrk(glob, "*?") == NULL;
}
