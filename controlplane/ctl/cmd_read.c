/* kinds, get, describe, dump. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/json.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/output.h"
#include "controlplane/ctl/schema.h"

#define PATH_CHARS          4096
#define EVENTS_OF_AN_ENTITY 5

int slc_cmd_kinds(slc_ctl *ctl)
{
    static const char *const head[] = {"KIND", "DECLARED", "ACTIONS", "WHAT", NULL};
    slc_table table;
    const char *name;
    json_t *kind, *action;
    if (ctl->output == SLC_OUTPUT_NAME) {
        json_object_foreach ((json_t *)slc_schema_kinds(), name, kind)
            puts(name);
        return SLC_EXIT_OK;
    }
    slc_table_init(&table, head);
    json_object_foreach ((json_t *)slc_schema_kinds(), name, kind) {
        char actions[128] = "";
        size_t i;
        json_array_foreach (json_object_get(kind, "actions"), i, action)
            snprintf(actions + strlen(actions), sizeof actions - strlen(actions), "%s%s", i > 0 ? "," : "",
                     json_string_value(action));
        const char *cells[] = {name, json_is_true(json_object_get(kind, "declarative")) ? "yes" : "", actions,
                               json_string_value(json_object_get(kind, "help"))};
        slc_table_add(&table, cells);
    }
    slc_table_print(&table);
    return SLC_EXIT_OK;
}

/* ---- get ---- */

/* "/v1/kind?field=value&...", from --filter. */
static bool list_path(const slc_ctl *ctl, const char *kind, char *path, size_t size)
{
    const char *filter;
    snprintf(path, size, "/v1/%s", kind);
    for (int i = 0; (filter = slc_args_nth(&ctl->args, "filter", i)) != NULL; i++) {
        const char *equals = strchr(filter, '=');
        char field[64];
        if (equals == NULL || equals == filter || equals - filter >= (long)sizeof field) {
            slc_ctl_usage(ctl, "--filter is FIELD=VALUE, not %s", filter);
            return false;
        }
        snprintf(field, sizeof field, "%.*s", (int)(equals - filter), filter);
        snprintf(path + strlen(path), size - strlen(path), "%c", i == 0 ? '?' : '&');
        slc_ctl_path_add(path, size, field);
        snprintf(path + strlen(path), size - strlen(path), "=");
        slc_ctl_path_add(path, size, equals + 1);
    }
    return true;
}

/* Those that are named: new array, or NULL. */
static json_t *get_named(slc_ctl *ctl, const char *kind)
{
    json_t *items = json_array();
    for (int i = 1; i < ctl->args.word_count; i++) {
        char path[PATH_CHARS];
        snprintf(path, sizeof path, "/v1/%s/", kind);
        slc_ctl_path_add(path, sizeof path, ctl->args.words[i]);
        json_t *item = slc_ctl_get(ctl, path);
        if (item == NULL) {
            json_decref(items);
            return NULL;
        }
        json_array_append_new(items, item);
    }
    return items;
}

static json_t *get_once(slc_ctl *ctl, const char *kind, int64_t limit)
{
    char path[PATH_CHARS];
    if (ctl->args.word_count > 1)
        return get_named(ctl, kind);
    return list_path(ctl, kind, path, sizeof path) ? slc_ctl_list(ctl, path, (size_t)limit) : NULL;
}

static int print_items(const slc_ctl *ctl, const char *kind, const json_t *items)
{
    bool one = ctl->args.word_count == 2 && ctl->output != SLC_OUTPUT_TABLE;
    return one ? slc_output_item(ctl, kind, json_array_get(items, 0)) : slc_output_list(ctl, kind, items);
}

/* Prints again whenever something has changed, until it is interrupted. */
static int watch(slc_ctl *ctl, const char *kind, int64_t limit, int64_t interval_ms)
{
    json_t *before = NULL, *now;
    struct timespec pause = {.tv_sec = interval_ms / 1000, .tv_nsec = interval_ms % 1000 * 1000000L};
    while ((now = get_once(ctl, kind, limit)) != NULL) {
        if (before == NULL || !json_equal(before, now)) {
            if (isatty(STDOUT_FILENO) && ctl->output == SLC_OUTPUT_TABLE)
                fputs("\033[H\033[2J", stdout);
            else if (before != NULL && ctl->output != SLC_OUTPUT_JSON)
                puts("---");
            print_items(ctl, kind, now);
            fflush(stdout);
        }
        json_decref(before);
        before = now;
        nanosleep(&pause, NULL);
    }
    json_decref(before);
    return SLC_EXIT_FAILED;
}

int slc_cmd_get(slc_ctl *ctl)
{
    const char *kind = slc_ctl_kind(ctl->args.words[0]);
    int64_t limit, interval;
    if (kind == NULL || !slc_ctl_int_option(ctl, "limit", 0, 1, 1000000, &limit) ||
        !slc_ctl_duration_option(ctl, "interval", 2000, &interval))
        return SLC_EXIT_USAGE;
    if (slc_args_has(&ctl->args, "watch"))
        return watch(ctl, kind, limit, interval);
    json_t *items = get_once(ctl, kind, limit);
    int status = items != NULL ? print_items(ctl, kind, items) : SLC_EXIT_FAILED;
    json_decref(items);
    return status;
}

/* ---- describe ---- */

/* The latest entries of the audit trail about it, if the token may see them. */
static void print_history(slc_ctl *ctl, const char *kind, const json_t *item)
{
    static const char *const head[] = {"AT", "BY", "WHAT", NULL};
    const char *id = json_string_value(json_object_get(item, "id"));
    char path[PATH_CHARS];
    slc_ctl_answer answer;
    slc_error err = {0};
    slc_table table;
    size_t i;
    json_t *event;
    if (id == NULL || strcmp(kind, "audit-events") == 0)
        return;
    snprintf(path, sizeof path, "/v1/audit-events?limit=%d&kind=%s&entity_id=%s", EVENTS_OF_AN_ENTITY, kind,
             id);
    slc_ctl_request request = {.method = "GET", .path = path};
    bool got = slc_client_send(ctl->client, &request, &answer, &err) && answer.status == 200;
    json_t *page =
        got ? slc_json_parse((const char *)answer.body.data, answer.body.len, SLC_ANSWER_MAX_BYTES, &err)
            : NULL;
    slc_answer_release(&answer);
    if (json_array_size(json_object_get(page, "items")) > 0) {
        puts("\n# The latest changes");
        slc_table_init(&table, head);
        json_array_foreach (json_object_get(page, "items"), i, event) {
            const char *cells[] = {json_string_value(json_object_get(event, "at")),
                                   json_string_value(json_object_get(json_object_get(event, "actor"), "name")),
                                   json_string_value(json_object_get(event, "action"))};
            slc_table_add(&table, cells);
        }
        slc_table_print(&table);
    }
    json_decref(page);
}

int slc_cmd_describe(slc_ctl *ctl)
{
    const char *kind = slc_ctl_kind(ctl->args.words[0]);
    if (kind == NULL)
        return SLC_EXIT_USAGE;
    json_t *items = get_named(ctl, kind);
    if (items == NULL)
        return SLC_EXIT_FAILED;
    const char *help = json_string_value(json_object_get(slc_schema_kind(kind), "help"));
    printf("# %s: %s\n", json_string_value(json_object_get(slc_schema_kind(kind), "singular")),
           help != NULL ? help : "");
    int status = slc_output_yaml(json_array_get(items, 0));
    print_history(ctl, kind, json_array_get(items, 0));
    json_decref(items);
    return status;
}

/* ---- dump ---- */

static bool to_stdout(void *arg, const char *data, size_t len)
{
    int *error = arg;
    bool written = fwrite(data, 1, len, stdout) == len;
    *error = written ? 0 : errno;
    return written;
}

int slc_cmd_dump(slc_ctl *ctl)
{
    const char *manager = slc_args_get(&ctl->args, "manager");
    char path[PATH_CHARS] = "/v1/config";
    slc_ctl_answer answer;
    int error = 0;
    if (manager != NULL) {
        snprintf(path, sizeof path, "/v1/config?manager=");
        slc_ctl_path_add(path, sizeof path, manager);
    }
    bool json = ctl->output_given && ctl->output == SLC_OUTPUT_JSON;
    slc_ctl_request request = {.method = "GET",
                               .path = path,
                               .accept = json ? "application/json" : "application/yaml",
                               .endless = true,
                               .sink = to_stdout,
                               .sink_arg = &error};
    bool ok = slc_ctl_call(ctl, &request, &answer);
    if (ok && json)
        putchar('\n');
    slc_answer_release(&answer);
    return slc_ctl_end_output(error) && ok ? SLC_EXIT_OK : SLC_EXIT_FAILED;
}
