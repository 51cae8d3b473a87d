#include "controlplane/ctl/documents.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/alloc.h"
#include "common/json.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/schema.h"
#include "controlplane/ctl/suggest.h"

#define SOURCES_MAX    10000
#define SOURCE_BYTES   (256u << 20) /* all of them together */
#define FOLDERS_DEPTH  16
#define PROBLEMS_TOLD  50
#define LOCATED_PLACES 50 /* each place is looked for in the whole text */

/* ---- saying where ---- */

/* Text of the parsers begins with "line 3 column 7: "; people's editors want "file:3:7: ". */
static void tell_parse(const struct slc_source *source, const char *message)
{
    size_t line, column;
    int used = 0;
    if (sscanf(message, "line %zu column %zu: %n", &line, &column, &used) == 2 && used > 0)
        fprintf(stderr, "%s:%zu:%zu: %s\n", source->path, line, column, message + used);
    else
        fprintf(stderr, "%s: %s\n", source->path, message);
}

/* A place that is not there, such as a field that is missing, is its object's, with the rest named. */
static void place_in(const struct slc_source *source, const char *pointer, char *out, size_t size)
{
    size_t line, column;
    char upper[600];
    const char *rest = "";
    snprintf(upper, sizeof upper, "%s", pointer);
    while (!slc_yaml_locate(source->text, source->len, upper, &line, &column)) {
        char *slash = strrchr(upper, '/');
        if (slash == NULL) {
            snprintf(out, size, "%s", source->path);
            return;
        }
        *slash = '\0';
        rest = strlen(pointer) > strlen(upper) ? pointer + strlen(upper) + 1 : "";
    }
    snprintf(out, size, "%s:%zu:%zu%s%s", source->path, line, column, rest[0] != '\0' ? ": " : "", rest);
}

__attribute__((format(printf, 4, 5))) static void
wrong(slc_documents *documents, const struct slc_source *source, const char *pointer, const char *fmt, ...)
{
    char place[700];
    va_list args;
    place_in(source, pointer, place, sizeof place);
    fprintf(stderr, "%s: ", place);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    documents->problems++;
}

/* ---- reading ---- */

static struct slc_source *add_source(slc_documents *documents, const char *path)
{
    if (documents->source_count == SOURCES_MAX) {
        slc_ctl_fail("more than %d files", SOURCES_MAX);
        return NULL;
    }
    documents->sources =
        slc_realloc(documents->sources, (documents->source_count + 1) * sizeof *documents->sources);
    struct slc_source *source = &documents->sources[documents->source_count++];
    size_t len = strlen(path);
    memset(source, 0, sizeof *source);
    source->path = slc_strdup(strcmp(path, "-") == 0 ? "standard input" : path);
    source->is_json = len > 5 && strcmp(path + len - 5, ".json") == 0;
    return source;
}

static bool add_file(slc_documents *documents, const char *path)
{
    slc_error err = {0};
    struct slc_source *source = add_source(documents, path);
    if (source == NULL)
        return false;
    source->text = slc_ctl_read(path, SOURCE_BYTES - documents->bytes, &source->len, &err);
    if (source->text == NULL) {
        slc_ctl_fail("%s", err.message);
        return false;
    }
    documents->bytes += source->len;
    return true;
}

static int wanted_entry(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static bool is_document(const char *name)
{
    static const char *const ends[] = {".yaml", ".yml", ".json"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t len = strlen(name), end = strlen(ends[i]);
        if (len > end && strcmp(name + len - end, ends[i]) == 0)
            return true;
    }
    return false;
}

static bool add_path(slc_documents *documents, const char *path, unsigned depth);

static bool add_entry(slc_documents *documents, const char *folder, const char *name, unsigned depth)
{
    struct stat info;
    char *path = slc_asprintf("%s%s%s", folder, folder[strlen(folder) - 1] == '/' ? "" : "/", name);
    bool is_folder = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    bool ok = (!is_folder && !is_document(name)) || add_path(documents, path, depth + 1);
    free(path);
    return ok;
}

static bool add_folder(slc_documents *documents, const char *path, unsigned depth)
{
    struct dirent **entries;
    bool ok = true;
    int count = scandir(path, &entries, wanted_entry, alphasort);
    if (count < 0) {
        slc_ctl_fail("%s: %s", path, strerror(errno));
        return false;
    }
    for (int i = 0; i < count; i++) {
        ok = ok && add_entry(documents, path, entries[i]->d_name, depth);
        free(entries[i]);
    }
    free(entries);
    return ok;
}

static bool add_path(slc_documents *documents, const char *path, unsigned depth)
{
    struct stat info;
    if (depth > FOLDERS_DEPTH) {
        slc_ctl_fail("%s: folders deeper than %d", path, FOLDERS_DEPTH);
        return false;
    }
    if (strcmp(path, "-") != 0 && stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return add_folder(documents, path, depth);
    return add_file(documents, path);
}

/* ---- putting together ---- */

static void take_list(slc_documents *documents, size_t source, const char *kind, json_t *list)
{
    json_t *resources = json_object_get(documents->document, "resources");
    json_t *all = json_object_get(resources, kind), *origins = json_object_get(documents->origins, kind);
    size_t i;
    json_t *item;
    if (all == NULL) {
        json_object_set_new(resources, kind, all = json_array());
        json_object_set_new(documents->origins, kind, origins = json_array());
    }
    json_array_foreach (list, i, item) {
        json_array_append(all, item);
        json_array_append_new(origins, json_pack("[I, I]", (json_int_t)source, (json_int_t)i));
    }
}

static void take_resources(slc_documents *documents, size_t number, json_t *resources)
{
    struct slc_source *source = &documents->sources[number];
    const char *kind;
    json_t *list;
    if (json_is_null(resources))
        return;
    if (!json_is_object(resources)) {
        wrong(documents, source, "/resources", "\"resources\" must be an object by kind");
        return;
    }
    json_object_foreach (resources, kind, list) {
        char pointer[300] = "/resources";
        slc_json_pointer_push(pointer, sizeof pointer, kind);
        if (json_is_array(list))
            take_list(documents, number, kind, list);
        else if (!json_is_null(list))
            wrong(documents, source, pointer, "\"%s\" must be a list", kind);
    }
}

static void take_manager(slc_documents *documents, const struct slc_source *source, json_t *manager)
{
    const char *now = json_string_value(json_object_get(documents->document, "manager"));
    if (!json_is_string(manager))
        wrong(documents, source, "/manager", "\"manager\" must be text");
    else if (now != NULL && strcmp(now, json_string_value(manager)) != 0)
        wrong(documents, source, "/manager",
              "this file's manager is \"%s\", that of --manager or the files before is \"%s\"; apply them "
              "separately",
              json_string_value(manager), now);
    else
        json_object_set(documents->document, "manager", manager);
}

static void take_base(slc_documents *documents, const struct slc_source *source, json_t *base)
{
    if (!json_is_integer(base))
        wrong(documents, source, "/base_revision", "\"base_revision\" must be a whole number");
    else if (json_object_get(documents->document, "base_revision") == NULL)
        json_object_set(documents->document, "base_revision", base);
}

static void take_unknown(slc_documents *documents, const struct slc_source *source, const char *name)
{
    static const char *const known[] = {"manager", "base_revision", "resources"};
    char pointer[300] = "";
    slc_suggestion near = slc_suggestion_for(name);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        slc_suggest(&near, known[i]);
    slc_json_pointer_push(pointer, sizeof pointer, name);
    wrong(documents, source, pointer, "there is no field \"%s\" here: %s%s", name,
          near.best != NULL ? "did you mean " : "a document has manager, base_revision and resources",
          near.best != NULL ? near.best : "");
}

static void take_source(slc_documents *documents, size_t number)
{
    struct slc_source *source = &documents->sources[number];
    slc_error err = {0};
    const char *name;
    json_t *value, *root = source->is_json ? slc_json_parse(source->text, source->len, SOURCE_BYTES, &err)
                                           : slc_yaml_parse(source->text, source->len, SOURCE_BYTES, &err);
    if (root == NULL) {
        tell_parse(source, err.message);
        documents->problems++;
        return;
    }
    if (!json_is_object(root) && !json_is_null(root))
        wrong(documents, source, "", "this is no document: it has no fields");
    json_object_foreach (root, name, value) {
        if (strcmp(name, "manager") == 0)
            take_manager(documents, source, value);
        else if (strcmp(name, "base_revision") == 0)
            take_base(documents, source, value);
        else if (strcmp(name, "resources") == 0)
            take_resources(documents, number, value);
        else
            take_unknown(documents, source, name);
    }
    json_decref(root);
}

bool slc_documents_load(slc_documents *documents, const slc_args *args)
{
    const char *manager = slc_args_get(args, "manager"), *base = slc_args_get(args, "base-revision"), *path;
    memset(documents, 0, sizeof *documents);
    documents->document = json_object();
    documents->origins = json_object();
    if (manager != NULL)
        json_object_set_new(documents->document, "manager", json_string(manager));
    if (base != NULL)
        json_object_set_new(documents->document, "base_revision", json_integer(strtoll(base, NULL, 10)));
    json_object_set_new(documents->document, "resources", json_object());
    if (slc_args_get(args, "file") == NULL) {
        slc_ctl_fail("name files or folders with -f (\"-\" is standard input)");
        return false;
    }
    for (int i = 0; (path = slc_args_nth(args, "file", i)) != NULL; i++)
        if (!add_path(documents, path, 0))
            return false;
    if (documents->source_count == 0) {
        slc_ctl_fail("there is no *.yaml, *.yml or *.json in %s", slc_args_get(args, "file"));
        return false;
    }
    for (size_t i = 0; i < documents->source_count; i++)
        take_source(documents, i);
    return documents->problems == 0;
}

void slc_documents_release(slc_documents *documents)
{
    for (size_t i = 0; i < documents->source_count; i++) {
        free(documents->sources[i].path);
        free(documents->sources[i].text);
    }
    free(documents->sources);
    json_decref(documents->document);
    json_decref(documents->origins);
    memset(documents, 0, sizeof *documents);
}

size_t slc_documents_count(const slc_documents *documents)
{
    size_t count = 0;
    const char *kind;
    json_t *list;
    json_object_foreach (json_object_get(documents->document, "resources"), kind, list)
        count += json_array_size(list);
    return count;
}

/* ---- the way back ---- */

bool slc_documents_place(const slc_documents *documents, const char *pointer, char *out, size_t size)
{
    char kind[128], local[600];
    size_t index;
    int used = 0;
    if (sscanf(pointer, "/resources/%127[^/]/%zu%n", kind, &index, &used) != 2)
        return false;
    const json_t *origin = json_array_get(json_object_get(documents->origins, kind), index);
    size_t source = (size_t)json_integer_value(json_array_get(origin, 0));
    if (origin == NULL || source >= documents->source_count)
        return false;
    snprintf(local, sizeof local, "/resources/%s/%lld%s", kind,
             (long long)json_integer_value(json_array_get(origin, 1)), pointer + used);
    place_in(&documents->sources[source], local, out, size);
    return true;
}

void slc_documents_tell(const slc_documents *documents, const json_t *problems)
{
    size_t i;
    json_t *problem;
    json_array_foreach ((json_t *)problems, i, problem) {
        const char *pointer = json_string_value(json_object_get(problem, "pointer"));
        const char *detail = json_string_value(json_object_get(problem, "detail"));
        char place[700] = "";
        if (i == PROBLEMS_TOLD) {
            fprintf(stderr, "... and %zu more\n", json_array_size(problems) - i);
            return;
        }
        if (pointer == NULL || i >= LOCATED_PLACES ||
            !slc_documents_place(documents, pointer, place, sizeof place))
            snprintf(place, sizeof place, "%s",
                     pointer != NULL && pointer[0] != '\0' ? pointer : "the document");
        const char *meant = pointer != NULL && detail != NULL && strstr(detail, "did you mean") == NULL &&
                                    strstr(detail, "not a field") != NULL
                                ? slc_schema_meant(documents->document, pointer)
                                : NULL;
        fprintf(stderr, "%s: %s%s%s%s\n", place, detail != NULL ? detail : "is wrong",
                meant != NULL ? ": did you mean \"" : "", meant != NULL ? meant : "",
                meant != NULL ? "\"?" : "");
    }
}
