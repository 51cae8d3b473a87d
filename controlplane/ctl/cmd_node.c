/* node ...: the gateways that have joined. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/json.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/output.h"

#define PATH_CHARS   1024
#define POLL_NS      500000000L
#define DEFAULT_WAIT 60000

static json_t *list_nodes(slc_ctl *ctl)
{
    static const char *const filters[] = {"group", "label"};
    char path[PATH_CHARS] = "/v1/gateway-nodes";
    for (size_t i = 0, used = 0; i < 2; i++) {
        const char *value = slc_args_get(&ctl->args, filters[i]);
        if (value == NULL)
            continue;
        snprintf(path + strlen(path), sizeof path - strlen(path), "%c%s=", used++ == 0 ? '?' : '&', filters[i]);
        slc_ctl_path_add(path, sizeof path, value);
    }
    return slc_ctl_list(ctl, path, 0);
}

int slc_cmd_node_list(slc_ctl *ctl)
{
    json_t *nodes = list_nodes(ctl);
    int status = nodes != NULL ? slc_output_list(ctl, "gateway-nodes", nodes) : SLC_EXIT_FAILED;
    json_decref(nodes);
    return status;
}

/* The id of the node that `word` names: its id, or its name where one node alone has it. False after saying
 * why. */
static bool find_node(slc_ctl *ctl, const char *word, char *id, size_t size)
{
    json_t *nodes = slc_ctl_list(ctl, "/v1/gateway-nodes", 0), *node;
    size_t i, found = 0;
    if (nodes == NULL)
        return false;
    json_array_foreach (nodes, i, node) {
        const char *node_id = json_string_value(json_object_get(node, "id"));
        const char *name = json_string_value(json_object_get(node, "name"));
        bool by_id = node_id != NULL && strcmp(node_id, word) == 0;
        if (node_id == NULL || (!by_id && (name == NULL || strcmp(name, word) != 0)))
            continue;
        snprintf(id, size, "%s", node_id);
        found++;
        if (by_id) {
            found = 1;
            break;
        }
    }
    json_decref(nodes);
    if (found == 0)
        slc_ctl_fail("no node has the id or the name %s (sluicectl node list)", word);
    else if (found > 1)
        slc_ctl_fail("%zu nodes have the name %s: use the id (sluicectl node list)", found, word);
    return found == 1;
}

static void node_path(char *path, size_t size, const char *id, const char *rest)
{
    snprintf(path, size, "/v1/gateway-nodes/");
    slc_ctl_path_add(path, size, id);
    snprintf(path + strlen(path), size - strlen(path), "%s", rest);
}

/* ---- connections ---- */

int slc_cmd_node_connections(slc_ctl *ctl)
{
    static const char *const head[] = {"PROTOCOL", "LISTENER", "ADDRESS", "APPLICATION", "WHAT", "SINCE", NULL};
    char id[128], path[PATH_CHARS];
    slc_table table;
    size_t i;
    json_t *one;
    if (!find_node(ctl, ctl->args.words[0], id, sizeof id))
        return SLC_EXIT_FAILED;
    node_path(path, sizeof path, id, "/connections");
    json_t *answer = slc_ctl_get(ctl, path), *all = json_object_get(answer, "connections");
    if (answer == NULL)
        return SLC_EXIT_FAILED;
    if (ctl->output_given && ctl->output != SLC_OUTPUT_TABLE) {
        int status = slc_output_value(ctl, answer);
        json_decref(answer);
        return status;
    }
    slc_table_init(&table, head);
    json_array_foreach (all, i, one) {
        const char *api = json_string_value(json_object_get(one, "event_api"));
        const char *cells[] = {json_string_value(json_object_get(one, "protocol")),
                               json_string_value(json_object_get(one, "listener")),
                               json_string_value(json_object_get(one, "client_address")),
                               json_string_value(json_object_get(one, "application")),
                               api != NULL ? api : json_string_value(json_object_get(one, "virtual_cluster")),
                               json_string_value(json_object_get(one, "opened_at"))};
        slc_table_add(&table, cells);
    }
    slc_table_print(&table);
    json_decref(answer);
    return SLC_EXIT_OK;
}

/* ---- join ---- */

int slc_cmd_node_join(slc_ctl *ctl)
{
    const char *group = ctl->args.words[0], *expires = slc_args_get(&ctl->args, "expires-in");
    int64_t uses;
    if (!slc_ctl_int_option(ctl, "uses", 1, 1, 100000, &uses))
        return SLC_EXIT_USAGE;
    json_t *body = json_pack("{s:s, s:I}", "group", group, "uses", (json_int_t)uses);
    if (expires != NULL)
        json_object_set_new(body, "expires_in", json_string(expires));
    json_t *made = slc_ctl_send(ctl, "POST", "/v1/enrolment-tokens", body);
    json_decref(body);
    const char *join = json_string_value(json_object_get(made, "join"));
    const char *until = json_string_value(json_object_get(made, "expires_at"));
    if (join != NULL && ctl->output_given && ctl->output == SLC_OUTPUT_JSON) {
        slc_output_json(made);
    } else if (join != NULL) {
        fprintf(stderr,
                "For %" PRId64
                " gateways of the group %s, until %s. It is a secret. On the gateway's machine:\n",
                uses, group, until != NULL ? until : "it expires");
        printf("sluice-gateway --join %s\n", join);
    }
    json_decref(made);
    return join != NULL ? SLC_EXIT_OK : SLC_EXIT_FAILED;
}

/* ---- drain and revoke ---- */

/* Until the node says no more, since it has ended; false after `wait_ms`. */
static bool wait_gone(slc_ctl *ctl, const char *id, int64_t wait_ms)
{
    const struct timespec pause = {.tv_nsec = POLL_NS};
    int64_t until = slc_monotonic_ms() + wait_ms;
    char path[PATH_CHARS], state[32] = "connected";
    json_int_t connections = 0;
    node_path(path, sizeof path, id, "");
    while (strcmp(state, "connected") == 0) {
        json_t *node = slc_ctl_get(ctl, path);
        if (node == NULL)
            return false;
        const char *now = json_string_value(json_object_get(node, "state"));
        snprintf(state, sizeof state, "%s", now != NULL ? now : "");
        connections = json_integer_value(json_object_get(node, "connections"));
        json_decref(node);
        if (strcmp(state, "connected") == 0 && slc_monotonic_ms() >= until) {
            slc_ctl_progress(ctl, NULL);
            slc_ctl_fail("the node %s is still there, with %" JSON_INTEGER_FORMAT
                         " connections; it ends at the latest "
                         "when its drain.deadline is over",
                         id, connections);
            return false;
        }
        slc_ctl_progress(ctl, "draining %s: %" JSON_INTEGER_FORMAT " connections", id, connections);
        nanosleep(&pause, NULL);
    }
    slc_ctl_progress(ctl, NULL);
    return true;
}

int slc_cmd_node_drain(slc_ctl *ctl)
{
    char id[128], path[PATH_CHARS], question[300];
    int64_t wait_ms;
    if (!slc_ctl_duration_option(ctl, "wait", DEFAULT_WAIT, &wait_ms))
        return SLC_EXIT_USAGE;
    if (!find_node(ctl, ctl->args.words[0], id, sizeof id))
        return SLC_EXIT_FAILED;
    snprintf(question, sizeof question, "The gateway %s finishes what is open and ends. Go on?",
             ctl->args.words[0]);
    if (!slc_ctl_confirm(ctl, question))
        return SLC_EXIT_FAILED;
    node_path(path, sizeof path, id, "/drain");
    json_t *answer = slc_ctl_send(ctl, "POST", path, NULL);
    if (answer == NULL)
        return SLC_EXIT_FAILED;
    json_decref(answer);
    if (slc_args_has(&ctl->args, "no-wait")) {
        fprintf(stderr, "The node %s drains.\n", id);
        return SLC_EXIT_OK;
    }
    if (!wait_gone(ctl, id, wait_ms))
        return SLC_EXIT_FAILED;
    fprintf(stderr, "The node %s has drained and ended.\n", id);
    return SLC_EXIT_OK;
}

int slc_cmd_node_revoke(slc_ctl *ctl)
{
    char id[128], path[PATH_CHARS], question[300];
    if (!find_node(ctl, ctl->args.words[0], id, sizeof id))
        return SLC_EXIT_FAILED;
    snprintf(question, sizeof question,
             "The node %s is shut out for good: it gets no configuration any more. Go on?", ctl->args.words[0]);
    if (!slc_ctl_confirm(ctl, question))
        return SLC_EXIT_FAILED;
    node_path(path, sizeof path, id, "/revoke");
    json_t *answer = slc_ctl_send(ctl, "POST", path, NULL);
    if (answer != NULL)
        fprintf(stderr,
                "The node %s is revoked. What it has of the configuration it may go on serving: stop it.\n",
                id);
    json_decref(answer);
    return answer != NULL ? SLC_EXIT_OK : SLC_EXIT_FAILED;
}
