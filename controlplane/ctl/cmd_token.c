/* token ...: tokens for the admin API. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/file.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/output.h"

/* To a file that nobody else reads, or to standard output. */
static int hand_over(slc_ctl *ctl, const json_t *made)
{
    const char *token = json_string_value(json_object_get(made, "token"));
    const char *path = slc_args_get(&ctl->args, "out"), *id = json_string_value(json_object_get(made, "id"));
    slc_error err = {0};
    if (token == NULL)
        return slc_ctl_fail("the answer has no token");
    if (path != NULL && !slc_file_write_atomic(path, token, strlen(token), S_IRUSR | S_IWUSR, &err)) {
        slc_ctl_fail("%s", err.message);
        return slc_ctl_fail("the token %s was made and is lost: revoke it", id);
    }
    if (path == NULL && ctl->output_given && ctl->output == SLC_OUTPUT_JSON)
        return slc_output_json(made);
    if (path == NULL)
        puts(token);
    fprintf(stderr, "Token %s. It is shown once%s%s.\n", id, path != NULL ? ", and is in " : "",
            path != NULL ? path : "");
    return SLC_EXIT_OK;
}

int slc_cmd_token_create(slc_ctl *ctl)
{
    const char *owner = slc_args_get(&ctl->args, "owner"), *scope;
    char until[SLC_RFC3339_CHARS];
    int64_t life = 0;
    if (slc_args_get(&ctl->args, "scope") == NULL)
        return slc_ctl_usage(ctl, "--scope says what it may do, such as event-apis:read or *");
    if (!slc_ctl_duration_option(ctl, "expires-in", 0, &life))
        return SLC_EXIT_USAGE;
    json_t *scopes = json_array();
    for (int i = 0; (scope = slc_args_nth(&ctl->args, "scope", i)) != NULL; i++)
        json_array_append_new(scopes, json_string(scope));
    json_t *body = json_pack("{s:s, s:o, s:s*}", "name", ctl->args.words[0], "scopes", scopes, "owner", owner);
    if (life > 0) {
        slc_rfc3339_format(slc_wall_ms() + life, until);
        json_object_set_new(body, "expires_at", json_string(until));
    }
    json_t *made = slc_ctl_send(ctl, "POST", "/v1/api-tokens", body);
    int status = made != NULL ? hand_over(ctl, made) : SLC_EXIT_FAILED;
    json_decref(made);
    json_decref(body);
    return status;
}

int slc_cmd_token_list(slc_ctl *ctl)
{
    json_t *tokens = slc_ctl_list(ctl, "/v1/api-tokens", 0);
    int status = tokens != NULL ? slc_output_list(ctl, "api-tokens", tokens) : SLC_EXIT_FAILED;
    json_decref(tokens);
    return status;
}

int slc_cmd_token_revoke(slc_ctl *ctl)
{
    bool all = true;
    for (int i = 0; i < ctl->args.word_count; i++) {
        char path[512] = "/v1/api-tokens/";
        slc_ctl_path_add(path, sizeof path, ctl->args.words[i]);
        json_t *answer = slc_ctl_send(ctl, "DELETE", path, NULL);
        if (answer != NULL)
            fprintf(stderr, "The token %s is not valid any more.\n", ctl->args.words[i]);
        all = all && answer != NULL;
        json_decref(answer);
    }
    return all ? SLC_EXIT_OK : SLC_EXIT_FAILED;
}
