/* debug: what somebody needs who is asked for help, in one file without secrets. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/version.h"
#include "controlplane/ctl/bundle.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ctl.h"

#define NOTES_MAX_BYTES (64u << 10)

/* Of the control plane. What the token may not see is left out, and notes.txt says so. */
static const struct {
    const char *name, *path, *accept;
} parts[] = {
    {"control/ready.json", "/health/ready", "*/*"},
    {"control/metrics.txt", "/metrics", "*/*"},
    {"control/self.json", "/v1/self", "application/json"},
    {"control/configuration.yaml", "/v1/config", "application/yaml"},
    {"control/versions.json", "/v1/config-versions?limit=50", "application/json"},
    {"control/gateway-nodes.json", "/v1/gateway-nodes?limit=500", "application/json"},
    {"control/node-ca.json", "/v1/node-ca", "application/json"},
    {"control/backups.json", "/v1/backups", "application/json"},
    {"control/audit-events.json", "/v1/audit-events?limit=200", "application/json"},
};

static const char *const gateway_parts[] = {"/metrics", "/health/live", "/health/ready", "/health/backends"};

struct debug {
    slc_ctl *ctl;
    slc_bundle *bundle;
    slc_buf notes;
    unsigned good, bad;
};

static void add_part(struct debug *debug, slc_ctl_client *client, const char *name, const char *path,
                     const char *accept)
{
    slc_ctl_answer answer;
    slc_error err = {0};
    slc_ctl_request request = {.method = "GET", .path = path, .accept = accept, .once = true};
    slc_ctl_progress(debug->ctl, "%s", name);
    bool answered = slc_client_send(client, &request, &answer, &err);
    if (answered && answer.body.len > 0 && (answer.status == 200 || answer.status == 503)) {
        slc_bundle_add(debug->bundle, name, (char *)answer.body.data, answer.body.len);
        debug->good++;
    } else {
        slc_buf_addf(&debug->notes, "%s: left out: %s %ld\n", name, answered ? "status" : err.message,
                     answer.status);
        debug->bad++;
    }
    slc_answer_release(&answer);
}

static void add_gateway(struct debug *debug, const char *url, int number)
{
    slc_error err = {0};
    char name[64];
    slc_ctl_client_options options = {.server = url, .connect_timeout_ms = 5000, .timeout_ms = 15000};
    slc_ctl_client *client = slc_client_new(&options, &err);
    slc_buf_addf(&debug->notes, "gateway-%d is %s\n", number, url);
    for (size_t i = 0; client != NULL && i < sizeof gateway_parts / sizeof *gateway_parts; i++) {
        snprintf(name, sizeof name, "gateway-%d%s.txt", number, gateway_parts[i]);
        for (char *slash = strchr(name, '/'); slash != NULL && (slash = strchr(slash + 1, '/')) != NULL;)
            *slash = '-';
        add_part(debug, client, name, gateway_parts[i], "*/*");
    }
    slc_client_free(client);
}

static void begin_notes(struct debug *debug, int64_t now_ms)
{
    char at[SLC_RFC3339_CHARS];
    slc_rfc3339_format(now_ms, at);
    slc_buf_init(&debug->notes, NOTES_MAX_BYTES);
    slc_buf_addf(&debug->notes, "made at %s by sluicectl %s (%s)\ncontrol plane: %s, context %s\n", at,
                 SLC_VERSION, SLC_COMMIT, debug->ctl->context.server, debug->ctl->context.name);
}

static int finish(struct debug *debug, const char *path)
{
    slc_error err = {0};
    slc_bundle_add(debug->bundle, "notes.txt", (char *)debug->notes.data, debug->notes.len);
    slc_buf_release(&debug->notes);
    slc_ctl_progress(debug->ctl, NULL);
    if (!slc_bundle_close(debug->bundle, &err))
        return slc_ctl_fail("%s", err.message);
    fprintf(
        stderr,
        "%s: %u parts, %u could not be had (notes.txt says why). Secrets are not in it; names, addresses and "
        "the configuration are: look before you hand it on.\n",
        path, debug->good, debug->bad);
    return debug->good > 0 ? SLC_EXIT_OK : SLC_EXIT_FAILED;
}

int slc_cmd_debug(slc_ctl *ctl)
{
    const char *out = slc_args_get(&ctl->args, "out"), *url;
    int64_t now_ms = slc_wall_ms();
    struct debug debug = {.ctl = ctl};
    slc_error err = {0};
    char at[SLC_RFC3339_CHARS], root[64], path[128];
    slc_rfc3339_format(now_ms, at);
    at[19] = '\0'; /* to the second */
    for (char *c = at; *c != '\0'; c++)
        *c = *c == ':' ? '-' : *c;
    snprintf(root, sizeof root, "sluice-debug-%s", at);
    snprintf(path, sizeof path, "%s.tar.gz", root);
    if (!slc_ctl_connect(ctl))
        return SLC_EXIT_FAILED;
    debug.bundle = slc_bundle_open(out != NULL ? out : path, root, now_ms, &err);
    if (debug.bundle == NULL)
        return slc_ctl_fail("%s", err.message);
    begin_notes(&debug, now_ms);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        add_part(&debug, ctl->client, parts[i].name, parts[i].path, parts[i].accept);
    for (int i = 0; (url = slc_args_nth(&ctl->args, "gateway", i)) != NULL; i++)
        add_gateway(&debug, url, i + 1);
    return finish(&debug, out != NULL ? out : path);
}
