/* The file of contexts, and which one holds. */
#include "controlplane/ctl/context.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/alloc.h"
#include "common/file.h"
#include "common/json.h"
#include "controlplane/ctl/secret.h"
#include "controlplane/ctl/suggest.h"

#define FILE_MAX_BYTES (1u << 20)
#define TOKEN_MAX      4096

/* ---- the file ---- */

/* "~/x" below the home folder; the caller frees. */
static char *expand_home(const char *path)
{
    const char *home = getenv("HOME");
    if (path[0] != '~' || path[1] != '/' || home == NULL)
        return slc_strdup(path);
    size_t size = strlen(home) + strlen(path);
    char *full = slc_malloc(size);
    snprintf(full, size, "%s%s", home, path + 1);
    return full;
}

char *slc_contexts_path(const slc_args *args, slc_error *err)
{
    const char *given = slc_args_get(args, "config"), *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    char path[4096];
    if (given == NULL)
        given = getenv("SLUICECTL_CONFIG");
    if (given != NULL && given[0] != '\0')
        return slc_strdup(given);
    if (base != NULL && base[0] == '/')
        snprintf(path, sizeof path, "%.4000s/sluice/config.yaml", base);
    else if (home != NULL && home[0] != '\0')
        snprintf(path, sizeof path, "%.4000s/.config/sluice/config.yaml", home);
    else {
        slc_fail(err, SLC_INVALID, NULL,
                 "neither --config, SLUICECTL_CONFIG nor HOME says where contexts are kept");
        return NULL;
    }
    return slc_strdup(path);
}

static bool check_mode(const char *path, slc_error *err)
{
    struct stat info;
    if (stat(path, &info) == 0 && (info.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return slc_fail(err, SLC_DENIED, NULL, "%s can be read by others and may hold tokens: chmod 600 %s",
                        path, path);
    return true;
}

static json_t *parse_contexts(const char *path, const char *text, size_t len, slc_error *err)
{
    json_t *root = slc_yaml_parse(text, len, FILE_MAX_BYTES, err), *context;
    const char *name;
    if (root == NULL) {
        slc_fail_context(err, "%s", path);
        return NULL;
    }
    if (json_is_null(root)) {
        json_decref(root);
        root = json_object();
    }
    bool good = json_is_object(root);
    json_object_foreach (json_object_get(root, "contexts"), name, context)
        good = good && json_is_object(context);
    if (!good) {
        json_decref(root);
        slc_fail(err, SLC_INVALID, NULL, "%s is not a file of contexts", path);
        return NULL;
    }
    if (!json_is_object(json_object_get(root, "contexts")))
        json_object_set_new(root, "contexts", json_object());
    return root;
}

json_t *slc_contexts_load(const slc_args *args, slc_error *err)
{
    json_t *root = NULL;
    size_t len = 0;
    char *path = slc_contexts_path(args, err), *text = NULL;
    if (path == NULL)
        return NULL;
    if (!slc_file_exists(path)) {
        root = json_pack("{s:{}}", "contexts");
    } else if (check_mode(path, err) && (text = slc_file_read(path, FILE_MAX_BYTES, &len, err)) != NULL) {
        root = parse_contexts(path, text, len, err);
    }
    slc_secret_free(text);
    free(path);
    return root;
}

bool slc_contexts_save(const slc_args *args, const json_t *contexts, slc_error *err)
{
    size_t len = 0;
    bool ok = false;
    char *path = slc_contexts_path(args, err), *text = NULL, *slash;
    if (path == NULL)
        return false;
    slash = strrchr(path, '/');
    if (slash != NULL && slash != path) {
        *slash = '\0';
        ok = slc_dir_make(path, S_IRWXU, err);
        *slash = '/';
    } else {
        ok = true;
    }
    ok = ok && (text = slc_yaml_print(contexts, FILE_MAX_BYTES, &len, err)) != NULL &&
         slc_file_write_atomic(path, text, len, S_IRUSR | S_IWUSR, err);
    slc_secret_free(text);
    free(path);
    return ok;
}

void slc_contexts_names(const json_t *contexts, char *out, size_t size)
{
    const char *name;
    json_t *context;
    size_t used = 0;
    snprintf(out, size, "none");
    json_object_foreach (json_object_get(contexts, "contexts"), name, context) {
        if (used < size)
            used += (size_t)snprintf(out + used, size - used, "%s%s", used > 0 ? ", " : "", name);
    }
}

/* ---- the token ---- */

static char *trimmed(char *text)
{
    size_t len = strcspn(text, "\r\n");
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        len--;
    text[len] = '\0';
    return text;
}

static char *token_from_file(const char *path, slc_error *err)
{
    size_t len = 0;
    char *full = expand_home(path), *text = slc_file_read(full, TOKEN_MAX, &len, err);
    if (text == NULL)
        slc_fail_context(err, "the token");
    free(full);
    return text != NULL ? trimmed(text) : NULL;
}

/* The first line that the command prints. */
static char *token_from_command(const char *command, slc_error *err)
{
    char line[TOKEN_MAX] = "";
    FILE *pipe = popen(command, "r");
    if (pipe == NULL) {
        slc_fail(err, SLC_IO, NULL, "the token command cannot be started: %s", strerror(errno));
        return NULL;
    }
    bool got = fgets(line, sizeof line, pipe) != NULL;
    int status = pclose(pipe);
    if (!got || status != 0) {
        slc_fail(err, SLC_UNAUTHENTICATED, NULL, "the token command of the context %s%.0d: %.200s",
                 status != 0 ? "failed" : "printed nothing", status, command);
        return NULL;
    }
    return slc_strdup(trimmed(line));
}

/* NULL without an error when there is none. */
static char *find_token(const slc_args *args, const json_t *entry, const char **from, slc_error *err)
{
    const char *file = slc_args_get(args, "token-file"), *value = getenv("SLUICE_TOKEN");
    *from = file != NULL ? "--token-file" : "SLUICE_TOKEN";
    if (file == NULL && value != NULL && value[0] != '\0')
        return slc_strdup(value);
    if (file == NULL) {
        *from = "SLUICE_TOKEN_FILE";
        file = getenv("SLUICE_TOKEN_FILE");
    }
    if (file != NULL && file[0] != '\0')
        return token_from_file(file, err);
    *from = NULL;
    const char *kept = json_string_value(json_object_get(entry, "token"));
    const char *kept_file = json_string_value(json_object_get(entry, "token_file"));
    const char *command = json_string_value(json_object_get(entry, "token_command"));
    if (kept != NULL)
        return slc_strdup(kept);
    if (kept_file != NULL)
        return token_from_file(kept_file, err);
    return command != NULL ? token_from_command(command, err) : NULL;
}

/* ---- which one ---- */

static bool check_server(const char *server, slc_error *err)
{
    if (strncmp(server, "http://", 7) != 0 && strncmp(server, "https://", 8) != 0)
        return slc_fail(err, SLC_INVALID, NULL,
                        "the server is a URL such as https://control.example.com:8001, not %s", server);
    return true;
}

static bool unknown_context(const json_t *contexts, const char *name, slc_error *err)
{
    slc_suggestion near = slc_suggestion_for(name);
    const char *known;
    json_t *entry;
    char names[200];
    json_object_foreach (json_object_get(contexts, "contexts"), known, entry)
        slc_suggest(&near, known);
    slc_contexts_names(contexts, names, sizeof names);
    return slc_fail(err, SLC_NOT_FOUND, NULL, "there is no context \"%s\"%s%s%s (there are: %s)", name,
                    near.best != NULL ? ": did you mean \"" : "", near.best != NULL ? near.best : "",
                    near.best != NULL ? "\"?" : "", names);
}

static char *setting(const slc_args *args, const json_t *entry, const char *option, const char *field)
{
    const char *value = slc_args_get(args, option);
    if (value == NULL)
        value = json_string_value(json_object_get(entry, field));
    return value != NULL && value[0] != '\0' ? expand_home(value) : NULL;
}

static bool fill(const slc_args *args, const json_t *entry, slc_ctl_context *context, slc_error *err)
{
    const char *server = slc_args_get(args, "server");
    context->server_from = server != NULL ? "--server" : "SLUICE_SERVER";
    if (server == NULL)
        server = getenv("SLUICE_SERVER");
    if (server == NULL || server[0] == '\0') {
        server = json_string_value(json_object_get(entry, "server"));
        context->server_from = NULL;
    }
    if (server == NULL)
        return slc_fail(
            err, SLC_INVALID, NULL,
            "no control plane is known: sluicectl login --server URL makes a context, or use --server");
    if (!check_server(server, err))
        return false;
    context->server = slc_strdup(server);
    for (size_t len = strlen(server); len > 0 && context->server[len - 1] == '/'; len--)
        context->server[len - 1] = '\0';
    context->ca_file = setting(args, entry, "ca-file", "ca_file");
    context->client_certificate_file = setting(args, entry, "client-certificate", "client_certificate_file");
    context->client_key_file = setting(args, entry, "client-key", "client_key_file");
    slc_error why = {0};
    context->token = find_token(args, entry, &context->token_from, &why);
    if (context->token == NULL && why.code != SLC_OK) {
        *err = why;
        return false;
    }
    return true;
}

bool slc_context_resolve(const slc_args *args, slc_ctl_context *context, slc_error *err)
{
    const char *name = slc_args_get(args, "context");
    memset(context, 0, sizeof *context);
    json_t *contexts = slc_contexts_load(args, err);
    if (contexts == NULL)
        return false;
    if (name == NULL || name[0] == '\0')
        name = getenv("SLUICE_CONTEXT");
    if (name == NULL || name[0] == '\0')
        name = json_string_value(json_object_get(contexts, "current"));
    const json_t *entry = name != NULL ? json_object_get(json_object_get(contexts, "contexts"), name) : NULL;
    bool ok = true;
    if (name != NULL && entry == NULL)
        ok = unknown_context(contexts, name, err);
    context->name = slc_strdup(name != NULL ? name : "(none)");
    ok = ok && fill(args, entry, context, err);
    json_decref(contexts);
    return ok;
}

void slc_context_release(slc_ctl_context *context)
{
    free(context->name);
    free(context->server);
    slc_secret_free(context->token);
    free(context->ca_file);
    free(context->client_certificate_file);
    free(context->client_key_file);
    memset(context, 0, sizeof *context);
}
