#include "controlplane/ctl/problem.h"

#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/documents.h"

#define REFERRERS_TOLD 20

/* ---- hints ---- */

static void hint(const char *text)
{
    fprintf(stderr, "  %s\n", text);
}

static void hint_unauthenticated(const slc_ctl *ctl)
{
    if (ctl->context.token == NULL)
        fprintf(stderr, "  There is no token: sluicectl login, SLUICE_TOKEN or --token-file.\n");
    else if (ctl->context.token_from != NULL)
        fprintf(stderr,
                "  The token of %s, which goes before that of the context \"%s\", is not valid at %s: it has\n"
                "  expired, was deleted, or is another control plane's. Put a new one there, or take it away: "
                "sluicectl login\n"
                "  keeps one in a context.\n",
                ctl->context.token_from, ctl->context.name, ctl->context.server);
    else
        fprintf(
            stderr,
            "  The token of the context \"%s\" is not valid at %s: it has expired, was deleted, or is another\n"
            "  control plane's. Get a new one and: sluicectl login %s --server %s\n",
            ctl->context.name, ctl->context.server, ctl->context.name, ctl->context.server);
}

static void hint_by_status(const slc_ctl *ctl, const slc_ctl_request *request, long status)
{
    bool apply = strncmp(request->path, "/v1/config?", 11) == 0 || strcmp(request->path, "/v1/config") == 0;
    if (status == 401)
        hint_unauthenticated(ctl);
    else if (status == 412)
        hint("Somebody else has changed it in the meantime. Nothing of yours was done. Look at what there is "
             "now\n"
             "  (sluicectl diff, sluicectl get), then try again.");
    else if (status == 409 && apply)
        hint(
            "What another manager looks after is left alone: take it out of the document, or take it over with "
            "--adopt.");
    else if (status == 413)
        hint("Apply it in parts, or raise admin-limits.body of the control plane.");
    else if (status == 429 || status == 503 || status == 507)
        hint("Nothing was changed. Try again later; docs/operations.md says what to look at.");
}

/* ---- parts of the document ---- */

static void tell_errors(const json_t *errors, const slc_documents *documents)
{
    size_t i;
    json_t *one;
    if (documents != NULL) {
        slc_documents_tell(documents, errors);
        return;
    }
    json_array_foreach ((json_t *)errors, i, one) {
        const char *pointer = json_string_value(json_object_get(one, "pointer"));
        const char *detail = json_string_value(json_object_get(one, "detail"));
        if (pointer != NULL && pointer[0] != '\0' && detail != NULL)
            fprintf(stderr, "  %s: %s\n", pointer, detail);
    }
}

static void tell_referrers(const json_t *referrers)
{
    size_t i;
    json_t *one;
    if (json_array_size(referrers) > 0)
        fprintf(stderr, "  Still referred to by:\n");
    json_array_foreach ((json_t *)referrers, i, one) {
        const char *kind = json_string_value(json_object_get(one, "kind"));
        const char *key = json_string_value(json_object_get(one, "key"));
        if (i == REFERRERS_TOLD) {
            fprintf(stderr, "    ... and %zu more\n", json_array_size(referrers) - i);
            return;
        }
        fprintf(stderr, "    %s/%s\n", kind != NULL ? kind : "?", key != NULL ? key : "?");
    }
}

static void tell_missing(const json_t *missing)
{
    size_t i;
    json_t *one;
    if (json_array_size(missing) == 0)
        return;
    fprintf(stderr, "  Permissions that are missing:");
    json_array_foreach ((json_t *)missing, i, one)
        fprintf(stderr, " %s", json_is_string(one) ? json_string_value(one) : "?");
    fputc('\n', stderr);
}

/* ---- the whole ---- */

static void tell_foreign(const slc_ctl *ctl, const slc_ctl_request *request, const slc_ctl_answer *answer)
{
    slc_ctl_fail("%s %s%s: %ld, and not in the words of a Sluice control plane", request->method,
                 ctl->context.server, request->path, answer->status);
    fprintf(stderr, "  Is the server of the context \"%s\" the admin API (port 8001) of a control plane?\n",
            ctl->context.name);
}

void slc_problem_tell_documents(const slc_ctl *ctl, const slc_ctl_request *request,
                                const slc_ctl_answer *answer, const slc_documents *documents)
{
    slc_error err = {0};
    json_t *problem = NULL;
    if (strncmp(answer->content_type, "application/problem+json", 24) == 0)
        problem = slc_json_parse((const char *)answer->body.data, answer->body.len, SLC_ANSWER_MAX_BYTES, &err);
    if (!json_is_object(problem)) {
        json_decref(problem);
        tell_foreign(ctl, request, answer);
        return;
    }
    const char *title = json_string_value(json_object_get(problem, "title"));
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    const json_t *errors = json_object_get(problem, "errors");
    bool said = documents != NULL && json_array_size(errors) > 0;
    if (said)
        tell_errors(errors, documents);
    slc_ctl_fail("%s%s%s (%ld, request %s)", title != NULL ? title : "refused", detail != NULL ? ": " : "",
                 detail != NULL ? detail : "", answer->status, answer->request_id);
    if (!said && json_array_size(errors) > 0)
        tell_errors(errors, NULL);
    tell_referrers(json_object_get(problem, "referrers"));
    tell_missing(json_object_get(problem, "missing"));
    hint_by_status(ctl, request, answer->status);
    json_decref(problem);
}

void slc_problem_tell(const slc_ctl *ctl, const slc_ctl_request *request, const slc_ctl_answer *answer)
{
    slc_problem_tell_documents(ctl, request, answer, NULL);
}

void slc_problem_unreachable(const slc_ctl *ctl, const slc_error *err)
{
    if (err->code == SLC_UNAVAILABLE || err->code == SLC_TIMEOUT)
        fprintf(stderr,
                "  The address is that of %s%s%s. Gateways go on serving without their control plane. "
                "--retries and\n"
                "  --timeout say how long to try.\n",
                ctl->context.server_from != NULL ? ctl->context.server_from : "the context \"",
                ctl->context.server_from != NULL ? "" : ctl->context.name,
                ctl->context.server_from != NULL ? "" : "\"");
}
