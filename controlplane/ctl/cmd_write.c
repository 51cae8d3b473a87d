/* create, delete, act: single objects. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/fields.h"
#include "controlplane/ctl/output.h"
#include "controlplane/ctl/schema.h"

#define PATH_CHARS     4096
#define BODY_MAX_BYTES (16u << 20)

/* The body from -f and FIELD=VALUE arguments from the given one on; NULL after saying why. */
static json_t *read_body(slc_ctl *ctl, int first)
{
    const char *path = slc_args_get(&ctl->args, "file");
    slc_error err = {0};
    size_t len;
    json_t *body = NULL;
    if (path != NULL) {
        char *text = slc_ctl_read(path, BODY_MAX_BYTES, &len, &err);
        body = text != NULL ? slc_yaml_parse(text, len, BODY_MAX_BYTES, &err) : NULL;
        free(text);
        if (!json_is_object(body)) {
            slc_ctl_fail("%s: %s", path, err.message[0] != '\0' ? err.message : "must be one object");
            json_decref(body);
            return NULL;
        }
    }
    body = body != NULL ? body : json_object();
    for (int i = first; i < ctl->args.word_count; i++) {
        if (!slc_field_set(body, ctl->args.words[i], &err)) {
            slc_ctl_usage(ctl, "%s", err.message);
            json_decref(body);
            return NULL;
        }
    }
    return body;
}

int slc_cmd_create(slc_ctl *ctl)
{
    const char *kind = slc_ctl_kind(ctl->args.words[0]);
    char path[PATH_CHARS];
    json_t *body = kind != NULL ? read_body(ctl, 1) : NULL;
    if (body == NULL)
        return SLC_EXIT_USAGE;
    snprintf(path, sizeof path, "/v1/%s", kind);
    json_t *made = slc_ctl_send(ctl, "POST", path, body);
    int status = made != NULL ? slc_output_item(ctl, kind, made) : SLC_EXIT_FAILED;
    json_decref(made);
    json_decref(body);
    return status;
}

static bool delete_one(slc_ctl *ctl, const char *kind, const char *key)
{
    char path[PATH_CHARS];
    snprintf(path, sizeof path, "/v1/%s/", kind);
    slc_ctl_path_add(path, sizeof path, key);
    json_t *answer = slc_ctl_send(ctl, "DELETE", path, NULL);
    if (answer != NULL)
        printf("delete  %s/%s\n", kind, key);
    json_decref(answer);
    return answer != NULL;
}

int slc_cmd_delete(slc_ctl *ctl)
{
    const char *kind = slc_ctl_kind(ctl->args.words[0]);
    bool all = true;
    if (kind == NULL)
        return SLC_EXIT_USAGE;
    for (int i = 1; i < ctl->args.word_count; i++)
        all = delete_one(ctl, kind, ctl->args.words[i]) && all;
    return all ? SLC_EXIT_OK : SLC_EXIT_FAILED;
}

int slc_cmd_act(slc_ctl *ctl)
{
    const char *const *words = ctl->args.words, *kind = slc_ctl_kind(words[0]);
    char path[PATH_CHARS];
    json_t *body = kind != NULL ? read_body(ctl, 3) : NULL;
    if (body == NULL)
        return SLC_EXIT_USAGE;
    snprintf(path, sizeof path, "/v1/%s/", kind);
    slc_ctl_path_add(path, sizeof path, words[1]);
    snprintf(path + strlen(path), sizeof path - strlen(path), "/");
    slc_ctl_path_add(path, sizeof path, words[2]);
    json_t *answer = slc_ctl_send(ctl, "POST", path, json_object_size(body) > 0 ? body : NULL);
    int status = answer != NULL ? slc_output_item(ctl, kind, answer) : SLC_EXIT_FAILED;
    json_decref(answer);
    json_decref(body);
    return status;
}
