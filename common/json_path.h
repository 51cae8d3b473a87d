/* Places in JSON values: JSON pointers (RFC 6901) in which a token `*` stands for every element or member. The
 * control plane and gateways read them alike. */
#ifndef SLC_COMMON_JSON_PATH_H
#define SLC_COMMON_JSON_PATH_H

#include <stdbool.h>
#include <stddef.h>

#define SLC_JSON_PATH_MAX    300 /* bytes */
#define SLC_JSON_PATH_TOKENS 16

typedef struct slc_json_path {
    size_t count;
    struct slc_json_path_token {
        const char *text; /* unescaped, in `bytes` */
        size_t len;
        bool any;
    } tokens[SLC_JSON_PATH_TOKENS];
    char bytes[SLC_JSON_PATH_MAX];
} slc_json_path;

/* False: it is none, too long, or the whole value. A parsed path must not be copied: its tokens point into it.
 */
bool slc_json_path_parse(slc_json_path *path, const char *text, size_t len);

#endif
