/* backup ..., restore. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/file.h"
#include "common/json.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/output.h"

#define BACKUP_TIMEOUT_MS (60 * 60000)

static void add_row(slc_table *table, const json_t *backup)
{
    char size[32];
    snprintf(size, sizeof size, "%lld", (long long)json_integer_value(json_object_get(backup, "size_bytes")));
    const char *cells[] = {json_string_value(json_object_get(backup, "name")),
                           json_string_value(json_object_get(backup, "created_at")), size,
                           json_string_value(json_object_get(backup, "master_key")),
                           json_is_false(json_object_get(backup, "usable")) ? "no" : "yes"};
    slc_table_add(table, cells);
}

int slc_cmd_backup_list(slc_ctl *ctl)
{
    static const char *const head[] = {"NAME", "CREATED", "BYTES", "MASTER KEY", "USABLE", NULL};
    slc_table table;
    size_t i;
    json_t *backup, *answer = slc_ctl_get(ctl, "/v1/backups"), *items = json_object_get(answer, "items");
    int status = SLC_EXIT_OK;
    if (answer == NULL)
        return SLC_EXIT_FAILED;
    if (ctl->output_given && ctl->output != SLC_OUTPUT_TABLE && ctl->output != SLC_OUTPUT_NAME) {
        status = slc_output_value(ctl, items);
    } else if (ctl->output == SLC_OUTPUT_NAME) {
        json_array_foreach (items, i, backup)
            puts(json_string_value(json_object_get(backup, "name")));
    } else {
        slc_table_init(&table, head);
        json_array_foreach (items, i, backup)
            add_row(&table, backup);
        slc_table_print(&table);
    }
    json_decref(answer);
    return status;
}

/* ---- fetch ---- */

struct fetch {
    const slc_ctl *ctl;
    FILE *file;
    unsigned long long bytes;
    int error; /* why it could not be written; 0: it could */
};

static bool to_file(void *arg, const char *data, size_t len)
{
    struct fetch *fetch = arg;
    fetch->bytes += len;
    slc_ctl_progress(fetch->ctl, "%llu KiB", fetch->bytes >> 10);
    if (fwrite(data, 1, len, fetch->file) != len)
        fetch->error = errno;
    return fetch->error == 0;
}

static void finish_file(struct fetch *fetch)
{
    if ((fflush(fetch->file) != 0 || fsync(fileno(fetch->file)) != 0) && fetch->error == 0)
        fetch->error = errno;
    if (fclose(fetch->file) != 0 && fetch->error == 0)
        fetch->error = errno;
}

/* Whole, or not there: under another name until it is complete. */
static int fetch_to(slc_ctl *ctl, const char *name, const char *path)
{
    char url[512] = "/v1/backups/", *part = slc_asprintf("%s.part", path);
    slc_ctl_answer answer;
    slc_error err = {0};
    struct fetch fetch = {.ctl = ctl};
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, S_IRUSR | S_IWUSR);
    fetch.file = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (fetch.file == NULL) {
        int status = slc_ctl_fail("%s: %s", part, strerror(errno));
        free(part);
        return status;
    }
    slc_ctl_path_add(url, sizeof url, name);
    slc_ctl_request request = {
        .method = "GET", .path = url, .accept = "*/*", .endless = true, .sink = to_file, .sink_arg = &fetch};
    bool ok = slc_ctl_call(ctl, &request, &answer);
    slc_answer_release(&answer);
    slc_ctl_progress(ctl, NULL);
    finish_file(&fetch);
    if (fetch.error != 0 && ok) {
        slc_ctl_fail("%s cannot be written: %s", part, strerror(fetch.error));
        ok = false;
    }
    if (ok && !slc_file_rename(part, path, &err)) {
        slc_ctl_fail("%s", err.message);
        ok = false;
    }
    if (!ok)
        unlink(part);
    free(part);
    if (ok)
        fprintf(stderr, "%s, %llu bytes. It holds every secret in sealed form; the master key is not in it.\n",
                path, fetch.bytes);
    return ok ? SLC_EXIT_OK : SLC_EXIT_FAILED;
}

/* The newest when none is named; the caller frees. */
static char *newest(slc_ctl *ctl)
{
    json_t *answer = slc_ctl_get(ctl, "/v1/backups");
    const char *name =
        json_string_value(json_object_get(json_array_get(json_object_get(answer, "items"), 0), "name"));
    if (answer != NULL && name == NULL)
        slc_ctl_fail("there is no backup yet: sluicectl backup create");
    char *found = name != NULL ? slc_strdup(name) : NULL;
    json_decref(answer);
    return found;
}

static int fetch(slc_ctl *ctl, const char *name)
{
    const char *out = slc_args_get(&ctl->args, "out"), *base = strrchr(name, '/');
    struct stat info;
    char *path = slc_strdup(out != NULL ? out : base != NULL ? base + 1 : name);
    if (out != NULL && stat(out, &info) == 0 && S_ISDIR(info.st_mode)) {
        free(path);
        path = slc_asprintf("%s/%s", out, base != NULL ? base + 1 : name);
    }
    int status = fetch_to(ctl, name, path);
    free(path);
    return status;
}

int slc_cmd_backup_fetch(slc_ctl *ctl)
{
    char *name = ctl->args.word_count > 0 ? slc_strdup(ctl->args.words[0]) : newest(ctl);
    int status = name != NULL ? fetch(ctl, name) : SLC_EXIT_FAILED;
    free(name);
    return status;
}

/* A large catalog takes its time; a try that is given up would only be in the way of the next one. */
static json_t *make_backup(slc_ctl *ctl)
{
    slc_ctl_answer answer;
    slc_error err = {0};
    slc_ctl_request request = {.method = "POST",
                               .path = "/v1/backups",
                               .timeout_ms = slc_args_has(&ctl->args, "timeout") ? 0 : BACKUP_TIMEOUT_MS};
    json_t *made = NULL;
    if (slc_ctl_call(ctl, &request, &answer) &&
        (made = slc_json_parse((const char *)answer.body.data, answer.body.len, SLC_ANSWER_MAX_BYTES, &err)) ==
            NULL)
        slc_ctl_fail("%s", err.message);
    slc_answer_release(&answer);
    return made;
}

int slc_cmd_backup_create(slc_ctl *ctl)
{
    slc_ctl_progress(ctl, "making a backup");
    json_t *made = make_backup(ctl);
    const char *name = json_string_value(json_object_get(made, "name"));
    slc_ctl_progress(ctl, NULL);
    int status = name != NULL ? SLC_EXIT_OK : SLC_EXIT_FAILED;
    if (name != NULL && slc_args_has(&ctl->args, "out"))
        status = fetch(ctl, name);
    else if (name != NULL)
        status = ctl->output_given && ctl->output != SLC_OUTPUT_TABLE ? slc_output_value(ctl, made)
                                                                      : (puts(name), SLC_EXIT_OK);
    json_decref(made);
    return status;
}

/* ---- restore ---- */

/* The control plane must be stopped for it, so that its own program does it, on its own machine. */
int slc_cmd_restore(slc_ctl *ctl)
{
    const char *data_dir = slc_args_get(&ctl->args, "data-dir"), *program = slc_args_get(&ctl->args, "program");
    const char *undo = slc_args_has(&ctl->args, "undo-revocations") ? "--restore-undo-revocations" : NULL;
    char question[400];
    if (!slc_file_exists(ctl->args.words[0]))
        return slc_ctl_fail("there is no file %s; sluicectl backup fetch brings one", ctl->args.words[0]);
    snprintf(question, sizeof question,
             "The catalog in %s is replaced by %s. What was made since the backup is gone. The control plane "
             "must be "
             "stopped. Go on?",
             data_dir != NULL ? data_dir : "/var/lib/sluice-control", ctl->args.words[0]);
    if (!slc_ctl_confirm(ctl, question))
        return SLC_EXIT_FAILED;
    if (program == NULL)
        program = "sluice-control";
    execlp(program, program, "--data-dir", data_dir != NULL ? data_dir : "/var/lib/sluice-control", "--restore",
           ctl->args.words[0], undo, (char *)NULL);
    return slc_ctl_fail(
        "%s cannot be started: %s. Restoring is done on the control plane's own machine (or name the "
        "program with --program)",
        program, strerror(errno));
}
