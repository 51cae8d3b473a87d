/* Compiling. Parts are compiled from a list, not by recursion: references may lead anywhere, and in circles. */
#include "dataplane/schema/json_schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/json.h"
#include "dataplane/schema/json_schema_private.h"

bool slc_part_fail(struct compiler *compiler, const char *keyword, enum slc_code code, const char *fmt, ...)
{
    char what[300];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    return slc_fail(compiler->err, code, keyword, "the schema's %s %s", keyword, what);
}

struct part *slc_part_of(struct compiler *compiler, const json_t *source, const char *base,
                         enum dialect dialect)
{
    slc_json_schema *schema = compiler->schema;
    struct part *found = slc_strmap_find(&schema->by_source, (const char *)&source, sizeof source);
    if (found != NULL)
        return found;
    if (schema->count == SLC_JSON_SCHEMA_MAX_PARTS) {
        slc_fail(compiler->err, SLC_TOO_LARGE, NULL, "there are more than %d schemas in the schema",
                 SLC_JSON_SCHEMA_MAX_PARTS);
        return NULL;
    }
    if (schema->count == schema->cap) {
        schema->cap = schema->cap == 0 ? 16 : schema->cap * 2;
        schema->parts = slc_realloc(schema->parts, schema->cap * sizeof *schema->parts);
    }
    struct part *made = slc_calloc(1, sizeof *made);
    schema->parts[schema->count++] = made;
    schema->bytes += sizeof *made + 64;
    *made = (struct part){.source = source, .base = base, .dialect = dialect};
    slc_strmap_add(&schema->by_source, (const char *)&made->source, sizeof made->source, made);
    *compiler->todo_end = made;
    compiler->todo_end = &made->next;
    return made;
}

static bool compile_part(struct compiler *compiler, struct part *part)
{
    compiler->current = part;
    if (json_is_boolean(part->source)) { /* in draft 4 at some places, here at all */
        part->always = json_is_true(part->source);
        part->never = !part->always;
        return true;
    }
    if (!json_is_object(part->source))
        return slc_fail(compiler->err, SLC_INVALID, NULL, "a schema in it is neither an object nor a boolean");
    /* A reference stands alone until draft 7: its id is not one either. */
    bool alone = (part->dialect & UNTIL_7) != 0 && json_object_get(part->source, "$ref") != NULL;
    const char *id = alone ? NULL : slc_refs_id(part->source, part->dialect);
    if (id != NULL)
        part->base = slc_refs_resolve(compiler->schema, part->base, id);
    part->dialect = slc_refs_dialect(part->source, part->dialect);
    if (part->dialect == 0)
        return slc_part_fail(compiler, "$schema", SLC_UNSUPPORTED,
                             "names a dialect that is not known: drafts 4, 6, 7, 2019-09 and 2020-12 are");
    return slc_keywords_compile(compiler, part);
}

/* ---- texts ---- */

static json_t *add_text(struct compiler *compiler, const char *text, size_t len, const char *what,
                        const char *name)
{
    slc_json_schema *schema = compiler->schema;
    json_t *parsed = slc_json_parse(text, len, SLC_JSON_SCHEMA_MAX_BYTES, compiler->err);
    if (parsed == NULL) {
        slc_fail_context(compiler->err, "%s%.100s", what, name);
        return NULL;
    }
    schema->texts = slc_realloc(schema->texts, (schema->text_count + 1) * sizeof *schema->texts);
    schema->texts[schema->text_count++] = parsed;
    schema->bytes += len * 4;
    return parsed;
}

/* Its URI is its id, if it has one, and also the name by which it came: seen from the root, and as it is. */
static bool add_reference(struct compiler *compiler, const slc_schema_reference *reference, const char *base,
                          enum dialect dialect)
{
    slc_json_schema *schema = compiler->schema;
    json_t *root = add_text(compiler, reference->text, reference->len, "the reference ", reference->name);
    if (root == NULL)
        return false;
    enum dialect own = slc_refs_dialect(root, dialect);
    const char *seen = slc_refs_resolve(schema, base, reference->name);
    const char *plain = slc_refs_resolve(schema, "", reference->name);
    return slc_refs_add(compiler, root, seen, own) &&
           (strcmp(seen, plain) == 0 || slc_refs_add(compiler, root, plain, own));
}

static bool compile(struct compiler *compiler, const char *text, size_t len,
                    const slc_schema_reference *references, size_t reference_count)
{
    json_t *root = add_text(compiler, text, len, "the schema", "");
    if (root == NULL)
        return false;
    enum dialect dialect = slc_refs_dialect(root, DRAFT_7);
    const char *id = slc_refs_id(root, dialect);
    const char *base = slc_refs_resolve(compiler->schema, "", id != NULL ? id : "");
    if (!slc_refs_add(compiler, root, "", dialect))
        return false;
    for (size_t i = 0; i < reference_count; i++)
        if (!add_reference(compiler, &references[i], base, dialect != 0 ? dialect : DRAFT_7))
            return false;
    compiler->schema->root = slc_part_of(compiler, root, "", dialect != 0 ? dialect : DRAFT_7);
    for (struct part *part = compiler->todo; part != NULL; part = part->next)
        if (!compile_part(compiler, part))
            return false;
    return true;
}

slc_json_schema *slc_json_schema_new(const char *text, size_t len, const slc_schema_reference *references,
                                     size_t reference_count, slc_error *err)
{
    slc_json_schema *schema = slc_calloc(1, sizeof *schema);
    struct compiler compiler = {.schema = schema, .err = err};
    slc_error_clear(err);
    compiler.todo_end = &compiler.todo;
    if (compile(&compiler, text, len, references, reference_count))
        return schema;
    SLC_BUG_ON(err->code == SLC_OK);
    slc_json_schema_free(schema);
    return NULL;
}

void slc_json_schema_free(slc_json_schema *schema)
{
    if (schema == NULL)
        return;
    for (size_t i = 0; i < schema->count; i++) {
        for (size_t j = 0; j < schema->parts[i]->count; j++)
            slc_keyword_release(&schema->parts[i]->keywords[j]);
        free(schema->parts[i]->keywords);
        free(schema->parts[i]);
    }
    for (size_t i = 0; i < schema->text_count; i++)
        json_decref(schema->texts[i]);
    for (size_t i = 0; i < schema->uri_count; i++)
        free(schema->uris[i]);
    for (size_t i = 0; i < schema->resource_count; i++)
        free(schema->all_resources[i]);
    slc_strmap_release(&schema->by_source);
    slc_strmap_release(&schema->resources);
    slc_strmap_release(&schema->anchors);
    free(schema->parts);
    free(schema->texts);
    free(schema->uris);
    free(schema->all_resources);
    free(schema);
}

size_t slc_json_schema_bytes(const slc_json_schema *schema)
{
    return sizeof *schema + schema->bytes;
}
