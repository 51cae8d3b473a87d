/* rollback: the configuration becomes what it was, after showing what that changes. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/output.h"

#define VERSION_DIGITS    16
#define SECRETS_MAX_BYTES (4u << 20)

/* Versions are shown as 16 digits; people type 41. */
static void rollback_path(const char *version, bool dry_run, char *path, size_t size)
{
    size_t digits = strspn(version, "0123456789");
    snprintf(path, size, "/v1/config-versions/");
    if (version[digits] == '\0' && digits > 0 && digits < VERSION_DIGITS)
        snprintf(path + strlen(path), size - strlen(path), "%.*s", (int)(VERSION_DIGITS - digits),
                 "0000000000000000");
    slc_ctl_path_add(path, size, version);
    snprintf(path + strlen(path), size - strlen(path), "/rollback%s", dry_run ? "?dry_run=true" : "");
}

/* NULL after saying why. */
static json_t *rollback_body(slc_ctl *ctl)
{
    const char *reason = slc_args_get(&ctl->args, "reason"), *path = slc_args_get(&ctl->args, "secrets-file");
    slc_error err = {0};
    size_t len;
    json_t *body = json_object();
    if (reason != NULL)
        json_object_set_new(body, "reason", json_string(reason));
    if (path == NULL)
        return body;
    char *text = slc_ctl_read(path, SECRETS_MAX_BYTES, &len, &err);
    json_t *secrets = text != NULL ? slc_yaml_parse(text, len, SECRETS_MAX_BYTES, &err) : NULL;
    free(text);
    if (secrets == NULL) {
        slc_ctl_fail("%s: %s", path, err.message);
        json_decref(body);
        return NULL;
    }
    json_object_set_new(body, "secrets", secrets);
    return body;
}

static bool show(const slc_ctl *ctl, const char *version, const json_t *trial)
{
    const json_t *changes = json_object_get(trial, "changes"), *skipped = json_object_get(trial, "skipped");
    char count[128], question[300];
    slc_output_changes(changes, true);
    fflush(stdout);
    slc_output_count(changes, count, sizeof count);
    if (json_array_size(skipped) > 0)
        slc_ctl_note("%zu grants of teams that are gone stay away", json_array_size(skipped));
    if (slc_args_has(&ctl->args, "dry-run") || json_array_size(changes) == 0) {
        fprintf(stderr, "dry run: %s; access (applications, credentials, users, tokens) never rolls back\n",
                count);
        return false;
    }
    snprintf(question, sizeof question, "Back to version %s of all groups at %s (context %s): %s. Go on?",
             version, ctl->context.server, ctl->context.name, count);
    return slc_ctl_confirm(ctl, question);
}

int slc_cmd_rollback(slc_ctl *ctl)
{
    const char *version = ctl->args.words[0];
    char path[512], count[128];
    json_t *body = rollback_body(ctl), *trial, *done;
    if (body == NULL)
        return SLC_EXIT_FAILED;
    rollback_path(version, true, path, sizeof path);
    trial = slc_ctl_send(ctl, "POST", path, body);
    int status = trial != NULL ? SLC_EXIT_OK : SLC_EXIT_FAILED;
    bool ends_here =
        slc_args_has(&ctl->args, "dry-run") || json_array_size(json_object_get(trial, "changes")) == 0;
    if (trial != NULL && show(ctl, version, trial)) {
        rollback_path(version, false, path, sizeof path);
        done = slc_ctl_send(ctl, "POST", path, body);
        status = done != NULL ? SLC_EXIT_OK : SLC_EXIT_FAILED;
        slc_output_count(json_object_get(done, "changes"), count, sizeof count);
        if (done != NULL)
            fprintf(stderr, "%s; revision %lld\n", count,
                    (long long)json_integer_value(json_object_get(done, "revision")));
        json_decref(done);
    } else if (trial != NULL && !ends_here) {
        status = SLC_EXIT_FAILED;
    }
    json_decref(trial);
    json_decref(body);
    return status;
}
