/* promote: a deployment on another gateway group, with what differs there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "controlplane/ctl/apply.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/output.h"
#include "controlplane/ctl/schema.h"

#define PATH_CHARS 1024
#define NAMES_TOLD 300

static const char *text_of(const json_t *item, const char *field)
{
    return json_string_value(json_object_get(item, field));
}

/* ---- what is there ---- */

static json_t *list(slc_ctl *ctl, const char *kind, const char *field, const char *value)
{
    char path[PATH_CHARS];
    snprintf(path, sizeof path, "/v1/%s", kind);
    if (field != NULL) {
        snprintf(path + strlen(path), sizeof path - strlen(path), "?%s=", field);
        slc_ctl_path_add(path, sizeof path, value);
    }
    return slc_ctl_list(ctl, path, 0);
}

/* What the target group has of this event API already; *found is NULL when it has none. */
static bool find_target(slc_ctl *ctl, const char *api, const char *group, json_t **found)
{
    char path[PATH_CHARS];
    snprintf(path, sizeof path, "/v1/deployments?event_api=");
    slc_ctl_path_add(path, sizeof path, api);
    snprintf(path + strlen(path), sizeof path - strlen(path), "&gateway_group=");
    slc_ctl_path_add(path, sizeof path, group);
    json_t *items = slc_ctl_list(ctl, path, 2);
    if (items == NULL)
        return false;
    *found = json_incref(json_array_get(items, 0));
    json_decref(items);
    return true;
}

static void join_names(const json_t *items, char *out, size_t size)
{
    size_t i, used = 0;
    json_t *item;
    snprintf(out, size, "none");
    json_array_foreach ((json_t *)items, i, item) {
        if (used < size && text_of(item, "name") != NULL)
            used +=
                (size_t)snprintf(out + used, size - used, "%s%s", used > 0 ? ", " : "", text_of(item, "name"));
    }
}

/* ---- choosing ---- */

/* The group's only listener for the source's protocol; else one must be named. */
static bool choose_listener(slc_ctl *ctl, json_t *wish, const char *group)
{
    char names[NAMES_TOLD];
    json_t *all = list(ctl, "listeners", "gateway_group", group);
    if (all == NULL)
        return false;
    if (json_array_size(all) == 1)
        json_object_set(wish, "listener", json_object_get(json_array_get(all, 0), "name"));
    join_names(all, names, sizeof names);
    bool chosen = json_array_size(all) == 1;
    if (!chosen)
        slc_ctl_fail("the group %s has %zu listeners: name one with --listener (there are: %s)", group,
                     json_array_size(all), names);
    json_decref(all);
    return chosen;
}

/* dev's Kafka must not end up behind prod because somebody forgot to say otherwise. */
static bool ask_for_cluster(slc_ctl *ctl, const char *group)
{
    char names[NAMES_TOLD];
    json_t *all = list(ctl, "virtual-clusters", NULL, NULL);
    if (all == NULL)
        return false;
    join_names(all, names, sizeof names);
    slc_ctl_fail("which virtual cluster is behind it on %s? Name it with --virtual-cluster (there are: %s)",
                 group, names);
    json_decref(all);
    return false;
}

/* An option, else what the target has, else `fallback` (may be NULL). False when there is none of them. */
static bool choose(const slc_ctl *ctl, json_t *wish, const char *field, const char *option,
                   const json_t *target, const json_t *fallback)
{
    const char *given = slc_args_get(&ctl->args, option);
    json_t *value = given != NULL ? json_string(given) : json_incref(json_object_get(target, field));
    if (value == NULL)
        value = json_incref((json_t *)fallback);
    if (value == NULL)
        return false;
    json_object_set_new(wish, field, value);
    return true;
}

/* The source's own settings; the places are the target's. */
static json_t *compose(slc_ctl *ctl, const json_t *source, const json_t *target, const char *group)
{
    static const char *const never[] = {"id",         "revision",        "manager", "created_at",
                                        "updated_at", "virtual_cluster", "listener"};
    json_t *wish = json_deep_copy(source);
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        json_object_del(wish, never[i]);
    json_object_set_new(wish, "gateway_group", json_string(group));
    bool ok = (choose(ctl, wish, "virtual_cluster", "virtual-cluster", target, NULL) ||
               ask_for_cluster(ctl, group)) &&
              choose(ctl, wish, "topic", "topic", target, json_object_get(source, "topic")) &&
              (choose(ctl, wish, "listener", "listener", target, NULL) || choose_listener(ctl, wish, group));
    if (ok)
        return wish;
    json_decref(wish);
    return NULL;
}

/* ---- doing ---- */

static json_t *document_of(const slc_ctl *ctl, const json_t *source, const json_t *target, json_t *wish)
{
    const char *manager = slc_args_get(&ctl->args, "manager"), *owner = text_of(source, "manager");
    if (manager == NULL)
        manager = target != NULL && text_of(target, "manager") != NULL ? text_of(target, "manager") : "api";
    if (target == NULL && owner != NULL && strcmp(owner, "api") != 0 && strcmp(owner, manager) != 0)
        slc_ctl_note(
            "%s looks after the deployment that is promoted; what --dry-run -o yaml prints can go into its "
            "documents instead",
            owner);
    return json_pack("{s:s, s:{s:[O]}}", "manager", manager, "resources", "deployments", wish);
}

static int carry_out(slc_ctl *ctl, json_t *document, const char *group)
{
    char count[128], question[300];
    json_t *trial = slc_apply_send(ctl, document, NULL, true), *done = NULL;
    if (trial == NULL)
        return SLC_EXIT_FAILED;
    const json_t *changes = json_object_get(trial, "changes");
    bool dry = slc_args_has(&ctl->args, "dry-run");
    if (dry && ctl->output_given && ctl->output == SLC_OUTPUT_YAML)
        slc_output_yaml(document);
    else
        slc_output_changes(changes, true);
    fflush(stdout);
    slc_output_count(changes, count, sizeof count);
    snprintf(question, sizeof question, "Promote to %s at %s (context %s): %s. Go on?", group,
             ctl->context.server, ctl->context.name, count);
    int status = SLC_EXIT_OK;
    if (dry || json_array_size(changes) == 0) {
        fprintf(stderr, "%s%s\n", dry ? "dry run: " : "", count);
    } else if (slc_ctl_confirm(ctl, question)) {
        json_object_set(document, "base_revision", json_object_get(trial, "revision"));
        done = slc_apply_send(ctl, document, NULL, false);
        status = done != NULL ? SLC_EXIT_OK : SLC_EXIT_FAILED;
        if (done != NULL)
            fprintf(stderr, "%s; revision %lld\n", count,
                    (long long)json_integer_value(json_object_get(done, "revision")));
    } else {
        status = SLC_EXIT_FAILED;
    }
    json_decref(done);
    json_decref(trial);
    return status;
}

int slc_cmd_promote(slc_ctl *ctl)
{
    const char *group = slc_args_get(&ctl->args, "to");
    char path[PATH_CHARS] = "/v1/deployments/";
    json_t *target = NULL, *wish = NULL, *document = NULL;
    int status = SLC_EXIT_FAILED;
    if (group == NULL)
        return slc_ctl_usage(ctl, "--to GROUP says where it goes");
    slc_ctl_path_add(path, sizeof path, ctl->args.words[0]);
    json_t *source = slc_ctl_get(ctl, path);
    const char *api = text_of(source, "event_api");
    if (api != NULL && find_target(ctl, api, group, &target) &&
        (wish = compose(ctl, source, target, group)) != NULL) {
        document = document_of(ctl, source, target, wish);
        status = carry_out(ctl, document, group);
    }
    json_decref(document);
    json_decref(wish);
    json_decref(target);
    json_decref(source);
    return status;
}
