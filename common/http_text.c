#include "common/http_text.h"

#include <string.h>

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Letters, digits and what `extra` has. */
static bool all_of(const char *text, size_t len, const char *extra)
{
    for (size_t i = 0; i < len; i++)
        if (!is_alpha(text[i]) && !(text[i] >= '0' && text[i] <= '9') &&
            (text[i] == '\0' || strchr(extra, text[i]) == NULL))
            return false;
    return len > 0;
}

bool slc_http_is_token(const char *text, size_t len)
{
    return all_of(text, len, "!#$%&'*+-.^_`|~");
}

bool slc_http_is_origin(const char *text, size_t len)
{
    if (len == 1 && text[0] == '*')
        return true;
    const char *colon = memmem(text, len, "://", 3);
    if (colon == NULL || !is_alpha(text[0]))
        return false;
    size_t scheme_len = (size_t)(colon - text);
    return all_of(text, scheme_len, "+-.") && all_of(colon + 3, len - scheme_len - 3, ".-_:[]");
}

bool slc_oauth_is_scope(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] < 0x21 || text[i] > 0x7e || text[i] == '"' || text[i] == '\\')
            return false;
    return len > 0;
}
