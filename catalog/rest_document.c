#include "catalog/rest_document.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/json.h"

#define OPENAPI_MAX 12 /* "3.1.10" and the like */

static const char *const methods[] = {"get",  "put",   "post",  "delete", "options",
                                      "head", "patch", "trace", NULL};

/* ---- texts ---- */

static bool is_control(unsigned char c, bool lines)
{
    return (c < 0x20 && !(lines && (c == '\n' || c == '\t'))) || c == 0x7f;
}

/* At most so many characters; what belongs into no text is a space. New. */
static json_t *clean(const char *text, size_t max_chars, bool lines)
{
    size_t chars = 0, used = 0;
    char *out = slc_malloc(strlen(text) + 1);
    for (const char *p = text; *p != '\0'; p++) {
        bool first = ((unsigned char)*p & 0xc0) != 0x80;
        if (first && ++chars > max_chars)
            break;
        if (lines && p[0] == '\r' && p[1] == '\n')
            continue;
        out[used++] = is_control((unsigned char)*p, lines) ? ' ' : *p;
    }
    json_t *cleaned = json_stringn(out, used);
    free(out);
    return cleaned;
}

/* What is no text, or an empty one, is left out. */
static void take(json_t *out, const char *name, const json_t *object, const char *member, size_t max_chars,
                 bool lines)
{
    const char *text = json_string_value(json_object_get(object, member));
    if (text != NULL && *text != '\0')
        json_object_set_new(out, name, clean(text, max_chars, lines));
}

/* ---- the head ---- */

static bool read_version(const json_t *document, json_t *out, slc_error *err)
{
    const json_t *value = json_object_get(document, "openapi");
    const char *version = json_string_value(value);
    if (value == NULL && json_object_get(document, "swagger") != NULL)
        return slc_fail(err, SLC_INVALID, NULL, "is a Swagger 2 document: convert it to OpenAPI 3");
    if (value == NULL)
        return slc_fail(err, SLC_INVALID, NULL, "has no member \"openapi\": it is no OpenAPI document");
    if (version == NULL)
        return slc_fail(err, SLC_INVALID, NULL, "/openapi must be a text, such as \"3.1.0\"");
    if ((strncmp(version, "3.0", 3) != 0 && strncmp(version, "3.1", 3) != 0) ||
        (version[3] != '\0' && version[3] != '.') || strlen(version) > OPENAPI_MAX)
        return slc_fail(err, SLC_INVALID, NULL, "is of OpenAPI %.20s: only 3.0 and 3.1 are understood",
                        version);
    json_object_set_new(out, "openapi", clean(version, OPENAPI_MAX, false));
    return true;
}

static bool read_info(const json_t *document, json_t *out, slc_error *err)
{
    const json_t *info = json_object_get(document, "info");
    const json_t *version = json_object_get(info, "version");
    const char *title = json_string_value(json_object_get(info, "title"));
    if (!json_is_object(info))
        return slc_fail(err, SLC_INVALID, NULL, "/info must be an object");
    if (title == NULL || title[strspn(title, " \t\r\n")] == '\0')
        return slc_fail(err, SLC_INVALID, NULL, "/info/title must be a text that is not empty");
    if (version != NULL && !json_is_string(version))
        return slc_fail(err, SLC_INVALID, NULL, "/info/version must be a text: write it with quotes");
    take(out, "title", info, "title", SLC_REST_TITLE_CHARS, false);
    take(out, "version", info, "version", SLC_REST_VERSION_CHARS, false);
    take(out, "description", info, "description", SLC_REST_DESCRIPTION_CHARS, true);
    return true;
}

static bool read_servers(const json_t *document, json_t *out, slc_error *err)
{
    const json_t *servers = json_object_get(document, "servers");
    json_t *list = json_array(), *server;
    size_t i;
    json_object_set_new(out, "servers", list);
    if (servers != NULL && !json_is_array(servers))
        return slc_fail(err, SLC_INVALID, NULL, "/servers must be a list");
    json_array_foreach (servers, i, server) {
        if (json_string_value(json_object_get(server, "url")) == NULL)
            return slc_fail(err, SLC_INVALID, NULL, "/servers/%zu must be an object with a url", i);
        json_t *entry = json_object();
        take(entry, "url", server, "url", SLC_REST_SUMMARY_CHARS, false);
        take(entry, "description", server, "description", SLC_REST_SUMMARY_CHARS, false);
        if (i < SLC_REST_SERVERS_MAX && json_object_get(entry, "url") != NULL)
            json_array_append(list, entry);
        json_decref(entry);
    }
    return true;
}

/* ---- operations ---- */

static json_t *operation_of(const char *method, const char *path, const json_t *item, const json_t *given)
{
    json_t *operation = json_object();
    json_object_set_new(operation, "method", json_string(method));
    json_object_set_new(operation, "path", clean(path, SLC_REST_PATH_CHARS, false));
    take(operation, "summary", item, "summary", SLC_REST_SUMMARY_CHARS, false);
    take(operation, "summary", given, "summary", SLC_REST_SUMMARY_CHARS, false);
    take(operation, "operation_id", given, "operationId", SLC_REST_SUMMARY_CHARS, false);
    if (json_is_true(json_object_get(given, "deprecated")))
        json_object_set_new(operation, "deprecated", json_true());
    return operation;
}

static bool read_path(const char *path, const json_t *item, json_t *list, slc_error *err)
{
    if (!json_is_object(item))
        return slc_fail(err, SLC_INVALID, NULL, "/paths: what is at \"%.100s\" must be an object", path);
    if (strlen(path) > SLC_REST_PATH_CHARS)
        return slc_fail(err, SLC_INVALID, NULL, "/paths: \"%.100s...\" is longer than %d characters", path,
                        SLC_REST_PATH_CHARS);
    for (const char *const *method = methods; *method != NULL; method++) {
        const json_t *given = json_object_get(item, *method);
        if (given == NULL)
            continue;
        if (!json_is_object(given))
            return slc_fail(err, SLC_INVALID, NULL, "/paths: %s of \"%.100s\" must be an object", *method,
                            path);
        if (json_array_size(list) == SLC_REST_OPERATIONS_MAX)
            return slc_fail(err, SLC_TOO_LARGE, NULL, "has more than %d operations: split it",
                            SLC_REST_OPERATIONS_MAX);
        json_array_append_new(list, operation_of(*method, path, item, given));
    }
    return true;
}

static bool read_paths(const json_t *document, json_t *out, slc_error *err)
{
    const json_t *paths = json_object_get(document, "paths");
    json_t *list = json_array(), *item;
    const char *path;
    json_object_set_new(out, "operations", list);
    if (!json_is_object(paths))
        return slc_fail(err, SLC_INVALID, NULL, "/paths must be an object");
    json_object_foreach ((json_t *)paths, path, item) {
        if (strncmp(path, "x-", 2) == 0)
            continue;
        if (path[0] != '/')
            return slc_fail(err, SLC_INVALID, NULL, "/paths: \"%.100s\" must begin with /", path);
        if (!read_path(path, item, list, err))
            return false;
    }
    return true;
}

/* ---- all of it ---- */

bool slc_rest_document_is_json(const char *text)
{
    return text[strspn(text, " \t\r\n")] == '{';
}

static json_t *parse(const char *text, size_t len, size_t max_bytes, slc_error *err)
{
    slc_error why = {0};
    bool json = slc_rest_document_is_json(text);
    json_t *document =
        json ? slc_json_parse(text, len, max_bytes, &why) : slc_yaml_parse(text, len, max_bytes, &why);
    if (document == NULL)
        slc_fail(err, why.code, NULL, "%s%s",
                 why.code == SLC_TOO_LARGE ? ""
                 : json                    ? "is not JSON: "
                                           : "is not YAML as it is understood here: ",
                 why.message);
    return document;
}

json_t *slc_rest_document_read(const char *text, size_t len, size_t max_bytes, slc_error *err)
{
    json_t *document = parse(text, len, max_bytes, err), *out = NULL;
    bool ok = document != NULL;
    if (ok && !json_is_object(document))
        ok = slc_fail(err, SLC_INVALID, NULL, "must be an object, with the members openapi, info and paths");
    if (ok) {
        out = json_object();
        ok = read_version(document, out, err) && read_info(document, out, err) &&
             read_servers(document, out, err) && read_paths(document, out, err);
    }
    json_decref(document);
    if (ok)
        return out;
    json_decref(out);
    return NULL;
}
