#include "controlplane/ctl/gateway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "controlplane/ctl/secret.h"

#define KEY_MAX 8192

/* "orders.v1" to "/orders/v1/events". */
static bool api_path(const slc_ctl *ctl, const char *api, char *path, size_t size)
{
    const char *version = strrchr(api, '.');
    if (version == NULL || version[1] != 'v' || version[2] == '\0' ||
        version[2 + strspn(version + 2, "0123456789")] != '\0' || version == api || version - api > 100) {
        slc_ctl_usage(ctl, "the event API is NAME.vMAJOR, such as orders.v1, not %s", api);
        return false;
    }
    snprintf(path, size, "/");
    char name[128];
    snprintf(name, sizeof name, "%.*s", (int)(version - api), api);
    slc_ctl_path_add(path, size, name);
    snprintf(path + strlen(path), size - strlen(path), "/%.20s/events", version + 1);
    return true;
}

static bool read_key(const slc_ctl *ctl, slc_gateway_target *target)
{
    const char *key_file = slc_args_get(&ctl->args, "key-file"),
               *bearer = slc_args_get(&ctl->args, "bearer-file");
    const char *value = getenv("SLUICE_API_KEY"), *name = slc_args_get(&ctl->args, "key-header");
    slc_error err = {0};
    char *text = NULL;
    size_t len;
    if (key_file != NULL || bearer != NULL) {
        text = slc_ctl_read(key_file != NULL ? key_file : bearer, KEY_MAX, &len, &err);
        if (text == NULL) {
            slc_ctl_fail("%s", err.message);
            return false;
        }
        text[strcspn(text, "\r\n")] = '\0';
        value = text;
    }
    if (value != NULL && value[0] != '\0')
        target->header = slc_asprintf("%s: %s%s",
                                      bearer != NULL ? "Authorization"
                                      : name != NULL ? name
                                                     : "X-API-Key",
                                      bearer != NULL ? "Bearer " : "", value);
    slc_secret_free(text);
    return true;
}

/* The group that the API is deployed on; new text, or NULL after saying why. */
static char *find_group(slc_ctl *ctl, const char *api)
{
    char path[512] = "/v1/deployments?event_api=", groups[300] = "";
    size_t i, used = 0;
    json_t *one;
    slc_ctl_path_add(path, sizeof path, api);
    json_t *all = slc_ctl_list(ctl, path, 0);
    if (all == NULL)
        return NULL;
    json_array_foreach (all, i, one) {
        const char *group = json_string_value(json_object_get(one, "gateway_group"));
        if (group != NULL && used < sizeof groups)
            used += (size_t)snprintf(groups + used, sizeof groups - used, "%s%s", used > 0 ? ", " : "", group);
    }
    size_t count = json_array_size(all);
    json_decref(all);
    if (count == 1)
        return slc_strdup(groups);
    if (count == 0)
        slc_ctl_fail("%s is deployed nowhere", api);
    else
        slc_ctl_fail("%s is deployed on %s: choose with --group, or name the gateway with --url", api, groups);
    return NULL;
}

static bool public_url(slc_ctl *ctl, const char *api, char *out, size_t size)
{
    const char *given = slc_args_get(&ctl->args, "group");
    char *group = given != NULL ? slc_strdup(given) : find_group(ctl, api), path[300] = "/v1/gateway-groups/";
    if (group == NULL)
        return false;
    slc_ctl_path_add(path, sizeof path, group);
    json_t *found = slc_ctl_get(ctl, path);
    const char *url = json_string_value(json_object_get(found, "rest_url"));
    if (found != NULL && url == NULL)
        slc_ctl_fail("the group %s has no rest_url: name the gateway with --url", group);
    if (url != NULL)
        snprintf(out, size, "%s", url);
    bool ok = url != NULL;
    json_decref(found);
    free(group);
    return ok;
}

bool slc_gateway_find(slc_ctl *ctl, slc_gateway_target *target)
{
    const char *api = ctl->args.words[0], *url = slc_args_get(&ctl->args, "url");
    memset(target, 0, sizeof *target);
    if (!api_path(ctl, api, target->path, sizeof target->path) || !read_key(ctl, target))
        return false;
    if (url != NULL)
        snprintf(target->server, sizeof target->server, "%s", url);
    else if (!public_url(ctl, api, target->server, sizeof target->server))
        return false;
    if (strncmp(target->server, "http://", 7) != 0 && strncmp(target->server, "https://", 8) != 0) {
        slc_ctl_usage(ctl, "the gateway is a URL such as https://events.example.com, not %s", target->server);
        return false;
    }
    for (size_t len = strlen(target->server); len > 0 && target->server[len - 1] == '/'; len--)
        target->server[len - 1] = '\0';
    return true;
}

void slc_gateway_release(slc_gateway_target *target)
{
    slc_secret_free(target->header);
    target->header = NULL;
}

slc_ctl_client *slc_gateway_client(const slc_ctl *ctl, const slc_gateway_target *target, unsigned retries)
{
    slc_error err = {0};
    int64_t timeout, connect_timeout;
    if (!slc_ctl_duration_option(ctl, "timeout", 60000, &timeout) ||
        !slc_ctl_duration_option(ctl, "connect-timeout", 5000, &connect_timeout))
        return NULL;
    slc_ctl_client_options options = {.server = target->server,
                                      .ca_file = slc_args_get(&ctl->args, "ca-file"),
                                      .client_certificate_file = slc_args_get(&ctl->args, "client-certificate"),
                                      .client_key_file = slc_args_get(&ctl->args, "client-key"),
                                      .connect_timeout_ms = connect_timeout,
                                      .timeout_ms = timeout,
                                      .retries = retries};
    slc_ctl_client *client = slc_client_new(&options, &err);
    if (client == NULL)
        slc_ctl_fail("%s", err.message);
    return client;
}
