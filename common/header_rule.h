/* Rules of the headers policy, as the catalog and the gateway both understand them: what is done to the fields
 * of HTTP messages and to the headers of records. Pure; any thread. */
#ifndef SLC_COMMON_HEADER_RULE_H
#define SLC_COMMON_HEADER_RULE_H

#include <stdbool.h>
#include <stddef.h>

#define SLC_HEADER_RULES     100  /* of one policy */
#define SLC_HEADER_NAME_MAX  249  /* bytes */
#define SLC_HEADER_VALUE_MAX 1000 /* bytes, before anything is put in */

enum slc_header_place {
    SLC_HEADERS_REQUEST,  /* fields of the HTTP request, as the gateway goes on to read them */
    SLC_HEADERS_RESPONSE, /* fields of the HTTP answer */
    SLC_HEADERS_PUBLISH,  /* headers of records that are written */
    SLC_HEADERS_READ,     /* headers of records that are read, as clients see them */
    SLC_HEADER_PLACES,
};

enum slc_header_action {
    SLC_HEADER_SET,    /* one of that name, with this value: the first gets it in its place, the others go */
    SLC_HEADER_ADD,    /* one more, behind all others */
    SLC_HEADER_REMOVE, /* all of that name */
    SLC_HEADER_RENAME, /* all of that name, each in its place */
    SLC_HEADER_ACTIONS,
};

/* The words for them; ends with NULL. */
extern const char *const slc_header_place_names[];
extern const char *const slc_header_action_names[];

typedef struct slc_header_rule {
    enum slc_header_place place;
    enum slc_header_action action;
    const char *name;
    const char *value; /* of SET and ADD; NULL for the others */
    const char *to;    /* of RENAME; NULL for the others */
} slc_header_rule;

/* NULL: it is one. Else what is wrong, with the member at fault ("name", "value", "to"). Fields that frame a
 * message or say who sends it are nobody's to change. */
const char *slc_header_rule_check(const slc_header_rule *rule, const char **member);

/* What a name in ${...} stands for; NULL or "": nothing. */
typedef const char *slc_header_value_fn(void *ctx, const char *name, size_t len);
/* Is anything put into the value? */
bool slc_header_value_is_open(const char *value);
/* The value with what is put in, on the heap. NULL: some name stands for nothing, or for what no HTTP field may
 * hold. */
char *slc_header_value_expand(const char *value, slc_header_value_fn *fn, void *ctx);

#endif
