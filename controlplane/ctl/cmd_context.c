/* login, logout, context ..., whoami. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "common/alloc.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/output.h"
#include "controlplane/ctl/secret.h"

#define TOKEN_MAX 4096

/* ---- login ---- */

/* From the terminal, without showing it, or the first line of standard input. */
static char *ask_token(void)
{
    struct termios before, hidden;
    char line[TOKEN_MAX] = "";
    bool terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;
    if (terminal) {
        fputs("Token: ", stderr);
        hidden = before;
        hidden.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    }
    bool got = fgets(line, sizeof line, stdin) != NULL;
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fputc('\n', stderr);
    }
    line[strcspn(line, "\r\n \t")] = '\0';
    return got && line[0] != '\0' ? slc_strdup(line) : NULL;
}

static void keep(json_t *entry, const char *field, const char *value)
{
    if (value != NULL && value[0] != '\0')
        json_object_set_new(entry, field, json_string(value));
}

/* A file that is named relative to here must be found from elsewhere too. */
static void keep_path(json_t *entry, const char *field, const char *path)
{
    char full[4096];
    if (path == NULL || path[0] == '\0')
        return;
    if (path[0] == '/' || path[0] == '~' || getcwd(full, sizeof full / 2) == NULL) {
        keep(entry, field, path);
        return;
    }
    snprintf(full + strlen(full), sizeof full - strlen(full), "/%.2000s", path);
    keep(entry, field, full);
}

static json_t *new_entry(const slc_ctl *ctl, const char *asked_token)
{
    const slc_args *args = &ctl->args;
    json_t *entry = json_object();
    keep(entry, "server", slc_args_get(args, "server"));
    keep(entry, "token", asked_token);
    keep_path(entry, "token_file", slc_args_get(args, "token-file"));
    keep(entry, "token_command", slc_args_get(args, "token-command"));
    keep_path(entry, "ca_file", slc_args_get(args, "ca-file"));
    keep_path(entry, "client_certificate_file", slc_args_get(args, "client-certificate"));
    keep_path(entry, "client_key_file", slc_args_get(args, "client-key"));
    return entry;
}

/* What was there stays where nothing new is said. */
static void merge_entry(json_t *contexts, const char *name, json_t *entry)
{
    json_t *all = json_object_get(contexts, "contexts"), *old = json_object_get(all, name);
    bool new_token = json_object_get(entry, "token") != NULL || json_object_get(entry, "token_file") != NULL ||
                     json_object_get(entry, "token_command") != NULL;
    if (old == NULL) {
        json_object_set(all, name, entry);
        return;
    }
    if (new_token) {
        json_object_del(old, "token");
        json_object_del(old, "token_file");
        json_object_del(old, "token_command");
    }
    json_object_update(old, entry);
}

static void say_who(const json_t *self)
{
    const char *name = json_string_value(json_object_get(self, "name"));
    const char *until = json_string_value(json_object_get(self, "expires_at"));
    fprintf(stderr, "Logged in%s%s%s%s.\n", name != NULL ? " with the token " : "", name != NULL ? name : "",
            until != NULL ? ", valid until " : "", until != NULL ? until : "");
}

/* Writes the context, then tries it; a login that does not work leaves the file as it was. */
static int finish_login(slc_ctl *ctl, const char *name, json_t *contexts)
{
    slc_error err = {0};
    json_t *self, *before = slc_contexts_load(&ctl->args, &err);
    if (before == NULL || !slc_contexts_save(&ctl->args, contexts, &err)) {
        json_decref(before);
        return slc_ctl_fail("%s", err.message);
    }
    json_object_set_new(contexts, "current", json_string(name));
    self = slc_ctl_get(ctl, "/v1/self");
    bool kept = slc_contexts_save(&ctl->args, self != NULL ? contexts : before, &err);
    json_decref(before);
    if (self == NULL || !kept)
        return self == NULL ? SLC_EXIT_FAILED : slc_ctl_fail("%s", err.message);
    say_who(self);
    fprintf(stderr, "The current context is now \"%s\".\n", name);
    json_decref(self);
    return SLC_EXIT_OK;
}

int slc_cmd_login(slc_ctl *ctl)
{
    const slc_args *args = &ctl->args;
    const char *chosen = slc_args_get(args, "context"), *name = "default";
    bool elsewhere = slc_args_has(args, "token-file") || slc_args_has(args, "token-command");
    slc_error err = {0};
    if (chosen != NULL && args->word_count > 0)
        return slc_ctl_usage(ctl, "the context is named twice");
    if (chosen != NULL || args->word_count > 0)
        name = chosen != NULL ? chosen : args->words[0];
    json_t *contexts = slc_contexts_load(args, &err), *entry;
    if (contexts == NULL)
        return slc_ctl_fail("%s", err.message);
    const json_t *old = json_object_get(json_object_get(contexts, "contexts"), name);
    if (slc_args_get(args, "server") == NULL && json_object_get(old, "server") == NULL) {
        json_decref(contexts);
        return slc_ctl_usage(ctl, "the context \"%s\" is new: --server URL says where its control plane is",
                             name);
    }
    char *token = elsewhere ? NULL : ask_token();
    if (!elsewhere && token == NULL) {
        json_decref(contexts);
        return slc_ctl_usage(ctl, "no token: type it, pipe it in, or name --token-file or --token-command");
    }
    entry = new_entry(ctl, token);
    merge_entry(contexts, name, entry);
    /* From here on the run is in this context, whatever the environment says. */
    unsetenv("SLUICE_TOKEN");
    unsetenv("SLUICE_TOKEN_FILE");
    setenv("SLUICE_CONTEXT", name, 1);
    int status = finish_login(ctl, name, contexts);
    json_decref(entry);
    json_decref(contexts);
    slc_secret_free(token);
    return status;
}

/* ---- the others ---- */

/* The context that is meant: named, --context, or the current one. */
static const char *which(const slc_ctl *ctl, const json_t *contexts)
{
    const char *name = ctl->args.word_count > 0 ? ctl->args.words[0] : slc_args_get(&ctl->args, "context");
    return name != NULL ? name : json_string_value(json_object_get(contexts, "current"));
}

/* NULL after saying so. */
static json_t *find_entry(const json_t *contexts, const char *name)
{
    char names[300];
    json_t *entry = name != NULL ? json_object_get(json_object_get(contexts, "contexts"), name) : NULL;
    slc_contexts_names(contexts, names, sizeof names);
    if (entry == NULL)
        slc_ctl_fail("there is no context \"%s\" (there are: %s)", name != NULL ? name : "", names);
    return entry;
}

/* Loads, lets `change` do its part, saves. */
static int change_contexts(slc_ctl *ctl, bool (*change)(json_t *contexts, const char *name))
{
    slc_error err = {0};
    int status = SLC_EXIT_FAILED;
    json_t *contexts = slc_contexts_load(&ctl->args, &err);
    if (contexts == NULL)
        return slc_ctl_fail("%s", err.message);
    const char *name = which(ctl, contexts);
    if (find_entry(contexts, name) != NULL && change(contexts, name))
        status = slc_contexts_save(&ctl->args, contexts, &err) ? SLC_EXIT_OK : slc_ctl_fail("%s", err.message);
    json_decref(contexts);
    return status;
}

static bool forget_token(json_t *contexts, const char *name)
{
    json_t *entry = json_object_get(json_object_get(contexts, "contexts"), name);
    json_object_del(entry, "token");
    json_object_del(entry, "token_file");
    json_object_del(entry, "token_command");
    fprintf(stderr, "The context \"%s\" has no token any more; it is still valid until it is revoked.\n", name);
    return true;
}

static bool make_current(json_t *contexts, const char *name)
{
    json_object_set_new(contexts, "current", json_string(name));
    fprintf(stderr, "The current context is now \"%s\".\n", name);
    return true;
}

static bool remove_entry(json_t *contexts, const char *name)
{
    const char *current = json_string_value(json_object_get(contexts, "current"));
    fprintf(stderr, "The context \"%s\" is gone.\n", name);
    if (current != NULL && strcmp(current, name) == 0)
        json_object_del(contexts, "current");
    json_object_del(json_object_get(contexts, "contexts"), name);
    return true;
}

int slc_cmd_logout(slc_ctl *ctl)
{
    return change_contexts(ctl, forget_token);
}

int slc_cmd_context_use(slc_ctl *ctl)
{
    return change_contexts(ctl, make_current);
}

int slc_cmd_context_delete(slc_ctl *ctl)
{
    return change_contexts(ctl, remove_entry);
}

static const char *token_source(const json_t *entry)
{
    return json_object_get(entry, "token") != NULL           ? "kept"
           : json_object_get(entry, "token_file") != NULL    ? "file"
           : json_object_get(entry, "token_command") != NULL ? "command"
                                                             : "none";
}

int slc_cmd_context_list(slc_ctl *ctl)
{
    static const char *const head[] = {"", "NAME", "SERVER", "TOKEN", NULL};
    slc_error err = {0};
    slc_table table;
    const char *name;
    json_t *contexts = slc_contexts_load(&ctl->args, &err), *entry;
    if (contexts == NULL)
        return slc_ctl_fail("%s", err.message);
    const char *current = json_string_value(json_object_get(contexts, "current"));
    if (ctl->output == SLC_OUTPUT_NAME) {
        json_object_foreach (json_object_get(contexts, "contexts"), name, entry)
            puts(name);
        json_decref(contexts);
        return SLC_EXIT_OK;
    }
    slc_table_init(&table, head);
    json_object_foreach (json_object_get(contexts, "contexts"), name, entry) {
        bool is_current = current != NULL && strcmp(name, current) == 0;
        const char *cells[] = {is_current ? "*" : " ", name,
                               json_string_value(json_object_get(entry, "server")), token_source(entry)};
        slc_table_add(&table, cells);
    }
    slc_table_print(&table);
    json_decref(contexts);
    return SLC_EXIT_OK;
}

int slc_cmd_whoami(slc_ctl *ctl)
{
    json_t *self = slc_ctl_get(ctl, "/v1/self");
    if (self == NULL)
        return SLC_EXIT_FAILED;
    fprintf(stderr, "Context %s, %s\n", ctl->context.name, ctl->context.server);
    int status = slc_output_value(ctl, self);
    json_decref(self);
    return status;
}
