/* How a schema is kept. Private to the files json_schema*.c. */
#ifndef SLC_DATAPLANE_SCHEMA_JSON_SCHEMA_PRIVATE_H
#define SLC_DATAPLANE_SCHEMA_JSON_SCHEMA_PRIVATE_H

#include <jansson.h>

#include "common/re2/re2_face.h"
#include "dataplane/config/strmap.h"
#include "dataplane/schema/json_schema.h"
#include "dataplane/schema/number.h"

enum dialect {
    DRAFT_4 = 1,
    DRAFT_6 = 2,
    DRAFT_7 = 4,
    DRAFT_2019 = 8,
    DRAFT_2020 = 16,
    SINCE_6 = DRAFT_6 | DRAFT_7 | DRAFT_2019 | DRAFT_2020,
    SINCE_7 = DRAFT_7 | DRAFT_2019 | DRAFT_2020,
    SINCE_2019 = DRAFT_2019 | DRAFT_2020,
    UNTIL_7 = DRAFT_4 | DRAFT_6 | DRAFT_7,
    UNTIL_2019 = UNTIL_7 | DRAFT_2019,
    ALWAYS = UNTIL_2019 | DRAFT_2020,
};

struct run;

/* A schema by a name or a pattern. */
struct named {
    const char *name; /* of the source */
    size_t len;
    struct part *schema; /* NULL: of dependentRequired */
    const json_t *list;  /* dependentRequired's */
    slc_re2 *re;         /* of patternProperties */
};

/* A keyword at work. Which members are used is its own affair. */
struct keyword {
    bool (*check)(struct run *run, const struct keyword *keyword, uint32_t node, uint8_t *seen);
    const char *name; /* the table's */
    const json_t *value;
    slc_number number;
    uint64_t count, max;
    struct part **parts;
    struct named *named;
    size_t n;
    slc_strmap by_name; /* of `named` */
    slc_re2 *re;
    unsigned types;
    const struct keyword *properties, *patterns; /* its siblings, of additionalProperties */
    bool exclusive, marks;
};

/* One schema: of the root, or within another one. */
struct part {
    const json_t *source;
    const char *base; /* URI that references in it are relative to; until it is compiled, that its id is */
    enum dialect dialect;
    bool always, never; /* true, false */
    bool wants_seen;    /* some keyword is about what others have looked at */
    struct keyword *keywords;
    size_t count;
    struct part *next; /* to be compiled */
};

/* Something with a URI: a text or a schema in it that has an id. */
struct resource {
    const json_t *root;
    const char *outer; /* URI that its own id is relative to */
    enum dialect dialect;
};

struct slc_json_schema {
    struct part *root;
    struct part **parts; /* all */
    size_t count, cap;
    slc_strmap by_source; /* part, by the address of its source */
    json_t **texts;       /* the root's and the references': own references */
    size_t text_count;
    char **uris; /* own texts, which others point to */
    size_t uri_count, uri_cap;
    slc_strmap resources; /* by URI, without a fragment */
    slc_strmap anchors;   /* struct resource, by URI#name */
    struct resource **all_resources;
    size_t resource_count, resource_cap;
    size_t bytes;
};

/* ---- the compiler (json_schema.c) ---- */

struct compiler {
    slc_json_schema *schema;
    struct part *todo, **todo_end;
    struct part *current;
    slc_error *err;
};

/* The compiled form of a schema within the current one, now or later. NULL with err. */
struct part *slc_part_of(struct compiler *compiler, const json_t *source, const char *base,
                         enum dialect dialect);
/* Says what is wrong with a keyword of the current part. Returns false. */
bool slc_part_fail(struct compiler *compiler, const char *keyword, enum slc_code code, const char *fmt, ...)
    SLC_PRINTF(4, 5);
/* Compiles the keywords of a part (json_schema_keywords.c). */
bool slc_keywords_compile(struct compiler *compiler, struct part *part);
void slc_keyword_release(struct keyword *keyword);
/* Calls back for each schema that lies in another one by some keyword. `*ok` becomes false when one call said
 * so. */
void slc_keywords_each_inner(const json_t *source, enum dialect dialect,
                             bool (*fn)(void *ctx, const json_t *inner), void *ctx, bool *ok);

/* ---- references (json_schema_refs.c) ---- */

/* Notes every id and anchor of a text. */
bool slc_refs_add(struct compiler *compiler, const json_t *root, const char *uri, enum dialect dialect);
/* What a reference of the current part leads to. NULL with err. */
struct part *slc_refs_find(struct compiler *compiler, const char *keyword, const char *reference);
/* The id of a schema, NULL when it has none. */
const char *slc_refs_id(const json_t *source, enum dialect dialect);
/* The dialect that `$schema` says, or `otherwise`; 0: unknown. */
enum dialect slc_refs_dialect(const json_t *source, enum dialect otherwise);
/* `reference` as seen from `base`, without its fragment: text of the schema's own. */
const char *slc_refs_resolve(slc_json_schema *schema, const char *base, const char *reference);
/* Keeps a text as long as the schema. Stolen. */
const char *slc_refs_keep(slc_json_schema *schema, char *text);
/* ---- checking (json_schema_check.c) ---- */

/* As it was written, or nearly. */
slc_number slc_json_number(const json_t *value);

struct run {
    slc_tape *tape;
    slc_schema_fault *fault;
    uint64_t steps_left;
    unsigned depth, quiet;
};

/* `seen`: a byte for each member or element of the node, set when some keyword looked at it; NULL: nobody asks.
 */
bool slc_part_check(struct run *run, const struct part *part, uint32_t node, uint8_t *seen);

typedef bool slc_keyword_check(struct run *run, const struct keyword *keyword, uint32_t node, uint8_t *seen);
slc_keyword_check slc_check_ref, slc_check_type, slc_check_enum, slc_check_const, slc_check_maximum,
    slc_check_minimum, slc_check_multiple, slc_check_length, slc_check_pattern, slc_check_item_count,
    slc_check_unique, slc_check_contains, slc_check_prefix, slc_check_items, slc_check_property_count,
    slc_check_required, slc_check_properties, slc_check_patterns, slc_check_additional, slc_check_names,
    slc_check_dependencies, slc_check_all_of, slc_check_any_of, slc_check_one_of, slc_check_not, slc_check_if,
    slc_check_unevaluated;

#endif
