/* What schemas call each other: ids, anchors, `$ref`. Nothing is fetched. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "dataplane/schema/json_schema_private.h"

/* ---- URIs (RFC 3986 section 5.2, as far as schemas use it) ---- */

const char *slc_refs_keep(slc_json_schema *schema, char *text)
{
    if (schema->uri_count == schema->uri_cap) {
        schema->uri_cap = schema->uri_cap == 0 ? 8 : schema->uri_cap * 2;
        schema->uris = slc_realloc(schema->uris, schema->uri_cap * sizeof *schema->uris);
    }
    schema->bytes += strlen(text) + 24;
    return schema->uris[schema->uri_count++] = text;
}

/* The length of "scheme:", 0 when there is none. */
static size_t scheme_length(const char *uri)
{
    size_t len = strspn(uri, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
    return len > 0 && uri[len] == ':' ? len + 1 : 0;
}

/* The length of scheme and authority: where the path begins. */
static size_t path_start(const char *uri)
{
    size_t len = scheme_length(uri);
    return strncmp(uri + len, "//", 2) == 0 ? len + 2 + strcspn(uri + len + 2, "/?#") : len;
}

/* Takes "." and ".." out of the path, in place. */
static void remove_dots(char *path)
{
    char *out = path, *in = path;
    while (*in != '\0') {
        size_t len = 1 + strcspn(in + 1, "/");
        bool last = in[len] == '\0';
        if (len == 2 && strncmp(in, "/.", 2) == 0) {
            if (last)
                *out++ = '/';
        } else if (len == 3 && strncmp(in, "/..", 3) == 0) {
            while (out > path && *--out != '/')
                ;
            if (last)
                *out++ = '/';
        } else {
            memmove(out, in, len);
            out += len;
        }
        in += len;
    }
    *out = '\0';
}

const char *slc_refs_resolve(slc_json_schema *schema, const char *base, const char *reference)
{
    size_t len = strcspn(reference, "#"), start = path_start(base);
    char *made;
    if (len == 0)
        return slc_refs_keep(schema, slc_strdup(base));
    if (scheme_length(reference) > 0)
        return slc_refs_keep(schema, slc_strndup(reference, len));
    if (reference[0] == '/') {
        size_t keep = reference[1] == '/' ? scheme_length(base) : start;
        made = slc_asprintf("%.*s%.*s", (int)keep, base, (int)len, reference);
    } else {
        const char *slash = strrchr(base + start, '/');
        int keep = slash != NULL ? (int)(slash + 1 - base) : (int)start;
        bool rooted = slash == NULL && start > 0 && strncmp(base + scheme_length(base), "//", 2) == 0;
        made = slc_asprintf("%.*s%s%.*s", keep, base, rooted ? "/" : "", (int)len, reference);
    }
    if (made[path_start(made)] == '/')
        remove_dots(made + path_start(made));
    return slc_refs_keep(schema, made);
}

/* ---- ids, anchors, dialects ---- */

const char *slc_refs_id(const json_t *source, enum dialect dialect)
{
    const char *id = json_string_value(json_object_get(source, dialect == DRAFT_4 ? "id" : "$id"));
    /* "#name" was an anchor until draft 7. */
    return id != NULL && id[0] != '#' && id[0] != '\0' ? id : NULL;
}

enum dialect slc_refs_dialect(const json_t *source, enum dialect otherwise)
{
    static const struct {
        const char *uri;
        enum dialect dialect;
    } known[] = {{"http://json-schema.org/draft-04/schema", DRAFT_4},
                 {"http://json-schema.org/draft-06/schema", DRAFT_6},
                 {"http://json-schema.org/draft-07/schema", DRAFT_7},
                 {"https://json-schema.org/draft/2019-09/schema", DRAFT_2019},
                 {"https://json-schema.org/draft/2020-12/schema", DRAFT_2020}};
    const json_t *said = json_object_get(source, "$schema");
    if (said == NULL)
        return otherwise;
    const char *uri = json_string_value(said) != NULL ? json_string_value(said) : "";
    size_t len = strlen(uri), secure = strncmp(uri, "https:", 6) == 0 ? 1 : 0;
    len -= len > 0 && uri[len - 1] == '#' ? 1 : 0;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        const char *other = known[i].uri;
        size_t other_secure = strncmp(other, "https:", 6) == 0 ? 1 : 0;
        /* Old drafts are often written with https. */
        if (strlen(other) - other_secure == len - secure &&
            strncmp(uri + 4 + secure, other + 4 + other_secure, len - 4 - secure) == 0 &&
            strncmp(uri, "http", 4) == 0)
            return known[i].dialect;
    }
    return 0;
}

struct walk {
    struct compiler *compiler;
    struct resource *resource;
    const char *base;
    enum dialect dialect;
};

static struct resource *add_resource(slc_json_schema *schema, const json_t *root, const char *outer,
                                     enum dialect dialect)
{
    struct resource *made = slc_calloc(1, sizeof *made);
    *made = (struct resource){root, outer, dialect};
    if (schema->resource_count == schema->resource_cap) {
        schema->resource_cap = schema->resource_cap == 0 ? 8 : schema->resource_cap * 2;
        schema->all_resources =
            slc_realloc(schema->all_resources, schema->resource_cap * sizeof *schema->all_resources);
    }
    schema->all_resources[schema->resource_count++] = made;
    return made;
}

static bool add_anchor(struct walk *walk, const char *outer, const json_t *source, const char *name)
{
    slc_json_schema *schema = walk->compiler->schema;
    const char *key = slc_refs_keep(schema, slc_asprintf("%s#%s", walk->base, name));
    slc_strmap_add(&schema->anchors, key, strlen(key), add_resource(schema, source, outer, walk->dialect));
    return true;
}

static bool walk_schema(void *ctx, const json_t *source)
{
    const struct walk *outer = ctx;
    struct walk walk = *outer;
    slc_json_schema *schema = walk.compiler->schema;
    bool ok = true;
    if (!json_is_object(source))
        return true;
    walk.dialect = slc_refs_dialect(source, walk.dialect);
    if (walk.dialect == 0)
        walk.dialect = outer->dialect; /* told when it is compiled */
    bool alone = (walk.dialect & UNTIL_7) != 0 && json_object_get(source, "$ref") != NULL;
    const char *id = json_string_value(json_object_get(source, walk.dialect == DRAFT_4 ? "id" : "$id"));
    if (!alone && slc_refs_id(source, walk.dialect) != NULL) {
        walk.base = slc_refs_resolve(schema, walk.base, id);
        slc_strmap_add(&schema->resources, walk.base, strlen(walk.base),
                       add_resource(schema, source, outer->base, walk.dialect));
    }
    if (!alone && id != NULL && (walk.dialect & UNTIL_7) != 0 && strchr(id, '#') != NULL)
        ok = add_anchor(&walk, outer->base, source, strchr(id, '#') + 1);
    static const char *const names[] = {"$anchor", "$dynamicAnchor"};
    for (size_t i = 0; i < 2 && (walk.dialect & SINCE_2019) != 0; i++)
        if (json_is_string(json_object_get(source, names[i])))
            ok = add_anchor(&walk, outer->base, source, json_string_value(json_object_get(source, names[i]))) &&
                 ok;
    slc_keywords_each_inner(source, walk.dialect, walk_schema, &walk, &ok);
    return ok;
}

bool slc_refs_add(struct compiler *compiler, const json_t *root, const char *uri, enum dialect dialect)
{
    slc_json_schema *schema = compiler->schema;
    struct walk walk = {.compiler = compiler, .base = uri, .dialect = dialect != 0 ? dialect : DRAFT_7};
    slc_strmap_add(&schema->resources, uri, strlen(uri), add_resource(schema, root, uri, walk.dialect));
    return walk_schema(&walk, root);
}

/* ---- following ---- */

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* One token of a pointer in a fragment, without its escapes of either kind. */
static size_t read_token(const char *p, size_t len, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = p[i];
        if (c == '%' && i + 2 < len + 0 && hex(p[i + 1]) >= 0 && hex(p[i + 2]) >= 0) {
            c = (char)(hex(p[i + 1]) << 4 | hex(p[i + 2]));
            i += 2;
        }
        out[n++] = c;
    }
    size_t end = 0;
    for (size_t i = 0; i < n; i++, end++) {
        bool escape = out[i] == '~' && i + 1 < n && (out[i + 1] == '0' || out[i + 1] == '1');
        out[end] = escape ? (out[i + 1] == '1' ? '/' : '~') : out[i];
        i += escape ? 1 : 0;
    }
    return end;
}

/* What a pointer leads to; ids on the way change what references are relative to. */
static const json_t *walk_pointer(slc_json_schema *schema, const struct resource *from, const char *pointer,
                                  const char **base, enum dialect *dialect)
{
    const json_t *here = from->root;
    *base = from->outer;
    *dialect = from->dialect;
    for (size_t len; *pointer == '/' && here != NULL; pointer += len) {
        char token[512], *end;
        enum dialect own = slc_refs_dialect(here, *dialect);
        *dialect = own != 0 ? own : *dialect;
        const char *id = slc_refs_id(here, *dialect);
        *base = id != NULL ? slc_refs_resolve(schema, *base, id) : *base;
        len = strcspn(++pointer, "/");
        if (len >= sizeof token)
            return NULL;
        size_t n = read_token(pointer, len, token);
        token[n] = '\0';
        unsigned long index = strtoul(token, &end, 10);
        if (json_is_array(here))
            here = n > 0 && *end == '\0' ? json_array_get(here, index) : NULL;
        else
            here = json_object_getn(here, token, n);
    }
    return *pointer == '\0' ? here : NULL;
}

struct part *slc_refs_find(struct compiler *compiler, const char *keyword, const char *reference)
{
    slc_json_schema *schema = compiler->schema;
    const char *uri = slc_refs_resolve(schema, compiler->current->base, reference);
    const char *fragment = strchr(reference, '#') != NULL ? strchr(reference, '#') + 1 : "";
    const struct resource *found = slc_strmap_find(&schema->resources, uri, strlen(uri));
    if (fragment[0] != '\0' && fragment[0] != '/') {
        char *key = slc_asprintf("%s#%s", uri, fragment);
        found = slc_strmap_find(&schema->anchors, key, strlen(key));
        free(key);
    }
    if (found != NULL) {
        const char *base = found->outer;
        enum dialect dialect = found->dialect;
        const json_t *source =
            fragment[0] == '/' ? walk_pointer(schema, found, fragment, &base, &dialect) : found->root;
        if (source != NULL)
            return slc_part_of(compiler, source, base, dialect);
    }
    slc_part_fail(compiler, keyword, SLC_INVALID,
                  "names \"%.120s\", which is neither in it nor among its references; nothing is fetched",
                  reference);
    return NULL;
}
