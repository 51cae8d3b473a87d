#include "common/json_path.h"

#include <string.h>

bool slc_json_path_parse(slc_json_path *path, const char *text, size_t len)
{
    char *to = path->bytes;
    path->count = 0;
    if (len == 0 || len > SLC_JSON_PATH_MAX || text[0] != '/' || memchr(text, '\0', len) != NULL)
        return false;
    for (size_t at = 0; at < len;) {
        if (path->count == SLC_JSON_PATH_TOKENS)
            return false;
        struct slc_json_path_token *token = &path->tokens[path->count++];
        token->text = to;
        token->any = text[at + 1 < len ? at + 1 : at] == '*' && (at + 2 == len || text[at + 2] == '/');
        for (at++; at < len && text[at] != '/'; at++) {
            bool escaped = text[at] == '~';
            if (escaped && (at + 1 == len || (text[at + 1] != '0' && text[at + 1] != '1')))
                return false;
            *to++ = !escaped ? text[at] : text[++at] == '1' ? '/' : '~';
        }
        token->len = (size_t)(to - token->text);
    }
    return true;
}
