/* What is asked of a registry for one schema: the schema, what it refers to, and whose it is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "dataplane/schema/registry_private.h"

#define MAX_REFERENCES 64
#define MAX_DEPTH      16 /* of references of references */
#define MAX_TEXT       (2u << 20)

/* A schema and all that it refers to. */
struct gathered {
    CURL *curl;
    const slc_registry *registry;
    slc_schema_reference references[MAX_REFERENCES]; /* those that others refer to come first */
    json_t *answers[MAX_REFERENCES];                 /* own references; the texts are theirs */
    char *keys[MAX_REFERENCES];                      /* subject and version, so that none is fetched twice */
    size_t count, bytes;
    slc_error *err;
};

static bool gather(struct gathered *all, const json_t *answer, unsigned depth);

static json_t *fetch_reference(struct gathered *all, const json_t *reference, const char *key)
{
    const json_t *version = json_object_get(reference, "version");
    char number[32];
    slc_buf path;
    snprintf(number, sizeof number, "%lld", (long long)json_integer_value(version));
    slc_buf_init(&path, 4096);
    slc_buf_adds(&path, "subjects/");
    slc_registry_path_add(&path, json_string_value(json_object_get(reference, "subject")));
    slc_buf_adds(&path, "/versions/");
    slc_buf_adds(&path, number);
    json_t *answer =
        path.overflow ? NULL : slc_registry_call(all->curl, all->registry, (char *)path.data, all->err);
    if (answer == NULL && all->err->code != SLC_UNAVAILABLE)
        slc_fail(all->err, SLC_INVALID, NULL,
                 "the schema refers to %.150s, which the registry %.60s does not have", key,
                 all->registry->options.name);
    slc_buf_release(&path);
    return answer;
}

static bool is_gathered(const struct gathered *all, const char *key)
{
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->keys[i], key) == 0)
            return true;
    return false;
}

static bool gather_one(struct gathered *all, const json_t *reference, unsigned depth)
{
    const char *name = json_string_value(json_object_get(reference, "name"));
    const char *subject = json_string_value(json_object_get(reference, "subject"));
    if (name == NULL || subject == NULL || !json_is_integer(json_object_get(reference, "version")))
        return slc_fail(all->err, SLC_INVALID, NULL,
                        "the schema has a reference without name, subject or version");
    char *key = slc_asprintf("%s version %lld as %s", subject,
                             (long long)json_integer_value(json_object_get(reference, "version")), name);
    if (is_gathered(all, key)) {
        free(key);
        return true;
    }
    json_t *answer = fetch_reference(all, reference, key);
    const char *text = json_string_value(json_object_get(answer, "schema"));
    bool ok = answer != NULL;
    if (ok && text == NULL)
        ok = slc_fail(all->err, SLC_INVALID, NULL, "the registry sends no text for %.150s", key);
    ok = ok && gather(all, answer, depth + 1);
    if (ok && all->count == MAX_REFERENCES)
        ok =
            slc_fail(all->err, SLC_TOO_LARGE, NULL, "the schema refers to more than %d others", MAX_REFERENCES);
    all->bytes += text != NULL ? strlen(text) : 0;
    if (ok && all->bytes > MAX_TEXT)
        ok = slc_fail(all->err, SLC_TOO_LARGE, NULL, "the schema and its references have more than %u bytes",
                      MAX_TEXT);
    if (!ok || is_gathered(all, key)) { /* in a circle */
        json_decref(answer);
        free(key);
        return ok;
    }
    all->references[all->count] =
        (slc_schema_reference){json_string_value(json_object_get(reference, "name")), text, strlen(text)};
    all->keys[all->count] = key;
    all->answers[all->count++] = answer;
    return true;
}

static bool gather(struct gathered *all, const json_t *answer, unsigned depth)
{
    size_t i;
    json_t *reference;
    if (depth == MAX_DEPTH)
        return slc_fail(all->err, SLC_INVALID, NULL,
                        "the schema's references are deeper than %d, or in a circle", MAX_DEPTH);
    json_array_foreach (json_object_get(answer, "references"), i, reference)
        if (!gather_one(all, reference, depth))
            return false;
    return true;
}

static bool format_of(const json_t *answer, enum slc_schema_format *format, slc_error *err)
{
    const char *type = json_string_value(json_object_get(answer, "schemaType"));
    *format = type != NULL && strcmp(type, "JSON") == 0 ? SLC_SCHEMA_JSON : SLC_SCHEMA_AVRO;
    if (type == NULL || *format == SLC_SCHEMA_JSON || strcmp(type, "AVRO") == 0)
        return true;
    return slc_fail(err, SLC_UNSUPPORTED, NULL, "the schema is of the type %.40s; JSON and AVRO are known",
                    type);
}

/* 32 hexadecimal digits, with or without dashes. */
static bool read_guid(const char *text, uint8_t out[SLC_SCHEMA_GUID])
{
    size_t digits = 0;
    for (const char *p = text; p != NULL && *p != '\0' && digits < 32; p++) {
        const char *hex = "0123456789abcdef", *found = strchr(hex, *p | 0x20);
        if (*p == '-')
            continue;
        if (found == NULL || *found == '\0')
            return false;
        uint8_t value = (uint8_t)(found - hex);
        out[digits / 2] = (uint8_t)(digits % 2 == 0 ? value << 4 : out[digits / 2] | value);
        digits++;
    }
    return digits == 32;
}

/* The texts of references live as long as the answers that they are of. */
static slc_schema *compile(CURL *curl, const slc_registry *registry, const json_t *answer, slc_error *err)
{
    struct gathered all = {.curl = curl, .registry = registry, .err = err};
    const char *text = json_string_value(json_object_get(answer, "schema"));
    enum slc_schema_format format;
    slc_schema *schema = NULL;
    if (text == NULL)
        slc_fail(err, SLC_INVALID, NULL, "the registry %.60s sends no text of the schema",
                 registry->options.name);
    else if (format_of(answer, &format, err) && gather(&all, answer, 0))
        schema = slc_schema_new(format, text, strlen(text), all.references, all.count, err);
    for (size_t i = 0; i < all.count; i++) {
        json_decref(all.answers[i]);
        free(all.keys[i]);
    }
    if (schema == NULL)
        return NULL;
    schema->id = (int32_t)json_integer_value(json_object_get(answer, "id"));
    schema->has_guid = read_guid(json_string_value(json_object_get(answer, "guid")), schema->guid);
    return schema;
}

/* Is the schema registered under the subject? */
static bool is_of_subject(CURL *curl, const slc_registry *registry, int32_t id, const char *subject,
                          slc_error *err)
{
    char path[64];
    size_t i;
    json_t *version;
    bool found = false;
    snprintf(path, sizeof path, "schemas/ids/%d/versions", id);
    json_t *versions = slc_registry_call(curl, registry, path, err);
    json_array_foreach (versions, i, version) {
        const char *other = json_string_value(json_object_get(version, "subject"));
        found = found || (other != NULL && strcmp(other, subject) == 0);
    }
    if (versions != NULL && !found)
        slc_fail(err, SLC_NOT_FOUND, NULL, "the schema %d is none of the subject %.200s", id, subject);
    json_decref(versions);
    return found;
}

static void write_path(const slc_schema_want *want, slc_buf *path)
{
    switch (want->by) {
    case SLC_WANT_ID:
        slc_buf_addf(path, "schemas/ids/%d", want->id);
        break;
    case SLC_WANT_GUID:
        slc_buf_adds(path, "schemas/guids/");
        for (size_t i = 0; i < SLC_SCHEMA_GUID; i++)
            slc_buf_addf(path, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", want->guid[i]);
        break;
    default:
        slc_buf_adds(path, "subjects/");
        slc_registry_path_add(path, want->subject);
        slc_buf_adds(path, "/versions/latest");
    }
}

slc_schema *slc_registry_fetch(CURL *curl, const slc_registry *registry, const slc_schema_want *want,
                               slc_error *err)
{
    slc_schema *schema = NULL;
    slc_buf path;
    slc_error_clear(err);
    slc_buf_init(&path, 4096);
    write_path(want, &path);
    json_t *answer = slc_registry_call(curl, registry, (char *)path.data, err);
    slc_buf_release(&path);
    if (answer != NULL)
        schema = compile(curl, registry, answer, err);
    json_decref(answer);
    if (schema != NULL && want->by == SLC_WANT_ID) {
        schema->id = want->id;
        if (want->subject != NULL && !is_of_subject(curl, registry, want->id, want->subject, err)) {
            slc_schema_unref(schema);
            return NULL;
        }
    }
    if (schema != NULL && want->by == SLC_WANT_GUID) {
        memcpy(schema->guid, want->guid, sizeof schema->guid);
        schema->has_guid = true;
    }
    return schema;
}
