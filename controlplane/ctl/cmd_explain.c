/* explain: what gateways would answer, and by which rule. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/fields.h"
#include "controlplane/ctl/output.h"

/* Options that are fields of the question. */
static const struct {
    const char *option, *field;
} fields[] = {{"group", "gateway_group"},   {"application", "application"},
              {"credential", "credential"}, {"issuer", "issuer"},
              {"event-api", "event_api"},   {"virtual-cluster", "virtual_cluster"},
              {"operation", "operation"},   {"protocol", "protocol"},
              {"address", "address"},       {"time", "time"}};

/* "topic/orders" */
static bool add_resource(const slc_ctl *ctl, json_t *question)
{
    const char *resource = slc_args_get(&ctl->args, "resource"), *slash;
    if (resource == NULL)
        return true;
    slash = strchr(resource, '/');
    if (slash == NULL || slash == resource) {
        slc_ctl_usage(ctl, "--resource is TYPE/NAME, such as topic/orders, not %s", resource);
        return false;
    }
    json_object_set_new(
        question, "resource",
        json_pack("{s:s%, s:s}", "type", resource, (size_t)(slash - resource), "name", slash + 1));
    return true;
}

/* NAME=VALUE options, as members of an object within `into`. */
static bool add_pairs(const slc_ctl *ctl, const char *option, const char *name, json_t *into)
{
    const char *pair;
    slc_error err = {0};
    json_t *all = json_object();
    bool ok = true;
    for (int i = 0; ok && (pair = slc_args_nth(&ctl->args, option, i)) != NULL; i++)
        ok = slc_field_set(all, pair, &err);
    if (!ok)
        slc_ctl_usage(ctl, "--%s: %s", option, err.message);
    else if (json_object_size(all) > 0)
        json_object_set(into, name, all);
    json_decref(all);
    return ok;
}

static json_t *question_of(const slc_ctl *ctl)
{
    json_t *question = json_object(), *request = json_object();
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const char *value = slc_args_get(&ctl->args, fields[i].option);
        if (value != NULL)
            json_object_set_new(question, fields[i].field, json_string(value));
    }
    bool ok = add_resource(ctl, question) && add_pairs(ctl, "claim", "claims", question) &&
              add_pairs(ctl, "header", "headers", request);
    if (json_object_size(request) > 0)
        json_object_set(question, "request", request);
    json_decref(request);
    if (ok)
        return question;
    json_decref(question);
    return NULL;
}

static void print_trail(const json_t *answer)
{
    static const char *const head[] = {"PHASE",     "POLICY",  "TYPE",   "SCOPE",
                                       "CONDITION", "VERDICT", "REASON", NULL};
    slc_table table;
    size_t i;
    json_t *step;
    slc_table_init(&table, head);
    json_array_foreach (json_object_get(answer, "trail"), i, step) {
        const char *cells[7];
        static const char *const names[] = {"phase",     "policy",  "type",  "scope",
                                            "condition", "verdict", "reason"};
        for (size_t column = 0; column < 7; column++)
            cells[column] = json_string_value(json_object_get(step, names[column]));
        slc_table_add(&table, cells);
    }
    slc_table_print(&table);
}

static int report(const slc_ctl *ctl, const json_t *answer)
{
    bool allowed = json_is_true(json_object_get(answer, "allowed"));
    const char *reason = json_string_value(json_object_get(answer, "reason"));
    if (ctl->output_given && ctl->output != SLC_OUTPUT_TABLE) {
        ctl->output == SLC_OUTPUT_JSON ? slc_output_json(answer) : slc_output_yaml(answer);
    } else {
        printf("%s: %s\n\n", allowed ? "allowed" : "denied", reason != NULL ? reason : "");
        print_trail(answer);
    }
    return allowed ? SLC_EXIT_OK : SLC_EXIT_FAILED;
}

int slc_cmd_explain(slc_ctl *ctl)
{
    json_t *question = question_of(ctl);
    if (question == NULL)
        return SLC_EXIT_USAGE;
    json_t *answer = slc_ctl_send(ctl, "POST", "/v1/explain", question);
    int status = answer != NULL ? report(ctl, answer) : SLC_EXIT_USAGE;
    json_decref(answer);
    json_decref(question);
    return status;
}
