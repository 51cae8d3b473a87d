/* create, update, delete, act: single objects. */
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

/* Shows what was made or changed, NULL when that failed, and releases it and what was sent. */
static int finish(slc_ctl *ctl, const char *kind, json_t *item, json_t *body)
{
    int status = item != NULL ? slc_output_item(ctl, kind, item) : SLC_EXIT_FAILED;
    json_decref(item);
    json_decref(body);
    return status;
}

int slc_cmd_create(slc_ctl *ctl)
{
    const char *kind = slc_ctl_kind(ctl->args.words[0]);
    char path[PATH_CHARS];
    json_t *body = kind != NULL ? read_body(ctl, 1) : NULL;
    if (body == NULL)
        return SLC_EXIT_USAGE;
    snprintf(path, sizeof path, "/v1/%s", kind);
    return finish(ctl, kind, slc_ctl_send(ctl, "POST", path, body), body);
}

/* What is not named stays, whoever else changes it meanwhile: therefore any revision is taken. */
static json_t *send_patch(slc_ctl *ctl, const char *path, const json_t *body)
{
    static const char *const headers[] = {"If-Match: *", NULL};
    slc_ctl_answer answer;
    slc_error err = {0};
    size_t len = 0;
    char *text = slc_json_print(body, &len);
    slc_ctl_request request = {
        .method = "PATCH", .path = path, .body = text, .body_len = len, .headers = headers, .repeatable = true};
    json_t *changed = NULL;
    if (slc_ctl_call(ctl, &request, &answer)) {
        changed = slc_json_parse((const char *)answer.body.data, answer.body.len, SLC_ANSWER_MAX_BYTES, &err);
        if (changed == NULL)
            slc_ctl_fail("the answer cannot be read: %s", err.message);
    }
    slc_answer_release(&answer);
    free(text);
    return changed;
}

int slc_cmd_update(slc_ctl *ctl)
{
    const char *kind = slc_ctl_kind(ctl->args.words[0]);
    char path[PATH_CHARS];
    json_t *body = kind != NULL ? read_body(ctl, 2) : NULL;
    if (body == NULL)
        return SLC_EXIT_USAGE;
    if (json_object_size(body) == 0) {
        json_decref(body);
        return slc_ctl_usage(ctl, "what to change is missing: FIELD=VALUE, or --file");
    }
    snprintf(path, sizeof path, "/v1/%s/", kind);
    slc_ctl_path_add(path, sizeof path, ctl->args.words[1]);
    return finish(ctl, kind, send_patch(ctl, path, body), body);
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
