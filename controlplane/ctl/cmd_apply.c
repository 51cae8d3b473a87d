/* validate, diff, apply: declarative documents. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "controlplane/ctl/apply.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/documents.h"
#include "controlplane/ctl/output.h"
#include "controlplane/ctl/problem.h"
#include "controlplane/ctl/schema.h"

json_t *slc_apply_send(slc_ctl *ctl, const json_t *document, const slc_documents *documents, bool dry_run)
{
    slc_ctl_answer answer;
    slc_error err = {0};
    size_t len;
    char path[128], *text = slc_json_print(document, &len);
    json_t *result = NULL;
    snprintf(path, sizeof path, "/v1/config?dry_run=%s&prune=%s&adopt=%s", dry_run ? "true" : "false",
             slc_args_has(&ctl->args, "prune") ? "true" : "false",
             slc_args_has(&ctl->args, "adopt") ? "true" : "false");
    /* What names its base is not the same the second time: an Idempotency-Key has the first answer. */
    slc_ctl_request request = {.method = "PUT",
                               .path = path,
                               .body = text,
                               .body_len = len,
                               .repeatable = dry_run || json_object_get(document, "base_revision") == NULL};
    memset(&answer, 0, sizeof answer);
    if (!slc_ctl_connect(ctl)) {
        free(text);
        return NULL;
    }
    if (!slc_client_send(ctl->client, &request, &answer, &err)) {
        slc_ctl_progress(ctl, NULL);
        slc_ctl_fail("%s", err.message);
        slc_problem_unreachable(ctl, &err);
    } else if (answer.status != 200) {
        slc_ctl_progress(ctl, NULL);
        slc_problem_tell_documents(ctl, &request, &answer, documents);
    } else {
        result = slc_json_parse((const char *)answer.body.data, answer.body.len, SLC_ANSWER_MAX_BYTES, &err);
        if (!json_is_array(json_object_get(result, "changes"))) {
            slc_ctl_fail("the answer is not a list of changes%s%s", err.message[0] != '\0' ? ": " : "",
                         err.message);
            json_decref(result);
            result = NULL;
        }
    }
    slc_answer_release(&answer);
    free(text);
    return result;
}

/* ---- validate ---- */

int slc_cmd_validate(slc_ctl *ctl)
{
    slc_documents documents;
    bool loaded = slc_documents_load(&documents, &ctl->args);
    json_t *problems = json_array();
    if (loaded)
        slc_schema_check(documents.document, problems);
    slc_documents_tell(&documents, problems);
    size_t wrong = json_array_size(problems) + documents.problems;
    if (loaded && wrong == 0)
        fprintf(stderr, "%zu objects in %zu files are well formed (what they refer to is not looked at).\n",
                slc_documents_count(&documents), documents.source_count);
    else if (wrong > 0)
        slc_ctl_fail("%zu problems", wrong);
    json_decref(problems);
    slc_documents_release(&documents);
    return loaded && wrong == 0 ? SLC_EXIT_OK : SLC_EXIT_FAILED;
}

/* ---- diff ---- */

/* Loads and asks for the changes; NULL after saying why. */
static json_t *dry_run(slc_ctl *ctl, slc_documents *documents)
{
    if (!slc_documents_load(documents, &ctl->args))
        return NULL;
    slc_ctl_progress(ctl, "%zu objects from %zu files: comparing", slc_documents_count(documents),
                     documents->source_count);
    json_t *result = slc_apply_send(ctl, documents->document, documents, true);
    slc_ctl_progress(ctl, NULL);
    return result;
}

int slc_cmd_diff(slc_ctl *ctl)
{
    slc_documents documents;
    json_t *result = dry_run(ctl, &documents);
    const json_t *changes = json_object_get(result, "changes");
    int status = result == NULL ? SLC_EXIT_USAGE : json_array_size(changes) > 0 ? SLC_EXIT_FAILED : SLC_EXIT_OK;
    if (result != NULL && ctl->output_given && ctl->output != SLC_OUTPUT_TABLE)
        ctl->output == SLC_OUTPUT_JSON ? slc_output_json(result) : slc_output_yaml(result);
    else
        slc_output_changes(changes, true);
    json_decref(result);
    slc_documents_release(&documents);
    return status;
}

/* ---- apply ---- */

static void report(const slc_ctl *ctl, const json_t *result, int64_t took_ms)
{
    const json_t *changes = json_object_get(result, "changes");
    char count[128];
    slc_output_count(changes, count, sizeof count);
    if (ctl->output_given && ctl->output == SLC_OUTPUT_JSON)
        slc_output_json(result);
    else if (ctl->output_given && ctl->output == SLC_OUTPUT_YAML)
        slc_output_yaml(result);
    else
        slc_output_changes(changes, false);
    fprintf(stderr, "%s%s; revision %lld (%.1f s)\n",
            json_is_true(json_object_get(result, "dry_run")) ? "dry run: " : "", count,
            (long long)json_integer_value(json_object_get(result, "revision")), (double)took_ms / 1000);
}

/* Shows what would change and asks. What is applied then is what was shown, or nothing. */
static bool confirmed(slc_ctl *ctl, slc_documents *documents)
{
    char count[128], question[200];
    json_t *result = slc_apply_send(ctl, documents->document, documents, true);
    bool go_on = false;
    if (result == NULL)
        return false;
    const json_t *changes = json_object_get(result, "changes");
    slc_output_changes(changes, true);
    fflush(stdout);
    slc_output_count(changes, count, sizeof count);
    snprintf(question, sizeof question, "%s at %s (context %s). Apply?", count, ctl->context.server,
             ctl->context.name);
    go_on = json_array_size(changes) == 0 || slc_ctl_confirm(ctl, question);
    json_object_set(documents->document, "base_revision", json_object_get(result, "revision"));
    json_decref(result);
    return go_on;
}

int slc_cmd_apply(slc_ctl *ctl)
{
    slc_documents documents;
    int64_t began = slc_monotonic_ms();
    bool dry = slc_args_has(&ctl->args, "dry-run");
    json_t *result = NULL;
    if (slc_documents_load(&documents, &ctl->args) &&
        (!slc_args_has(&ctl->args, "confirm") || dry || confirmed(ctl, &documents))) {
        slc_ctl_progress(ctl, "%zu objects from %zu files: applying", slc_documents_count(&documents),
                         documents.source_count);
        result = slc_apply_send(ctl, documents.document, &documents, dry);
        slc_ctl_progress(ctl, NULL);
    }
    if (result != NULL)
        report(ctl, result, slc_monotonic_ms() - began);
    int status = result != NULL ? SLC_EXIT_OK : SLC_EXIT_FAILED;
    json_decref(result);
    slc_documents_release(&documents);
    return status;
}
