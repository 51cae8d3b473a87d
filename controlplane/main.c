/* sluice-control: the catalog, its admin API and the configuration of many gateways. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "controlplane/control.h"
#include "controlplane/maintain.h"

/* What is done instead of running, with the control plane stopped. */
static bool is_maintenance(const slc_control_settings *settings)
{
    return settings->restore != NULL || settings->forget_secrets || settings->new_admin_token;
}

static bool start_log(const slc_control_settings *settings, slc_error *err)
{
    enum slc_log_level level;
    if (!slc_log_parse_level(settings->log_level, &level))
        return slc_fail(err, SLC_INVALID, "log-level", "log-level must be debug, info, warn or error, not %s",
                        settings->log_level);
    bool json = strcmp(settings->log_format, "json") == 0;
    if (!json && strcmp(settings->log_format, "text") != 0)
        return slc_fail(err, SLC_INVALID, "log-format", "log-format must be json or text, not %s",
                        settings->log_format);
    slc_log_init("control", level, json);
    return true;
}

static bool work(const slc_control_settings *settings, slc_error *err)
{
    if (settings->check) {
        puts("sluice-control: the settings are good");
        return true;
    }
    return is_maintenance(settings) ? slc_control_maintain(settings, err) : slc_control_run(settings, err);
}

int main(int argc, char **argv)
{
    slc_control_settings settings;
    slc_error err = {0};
    memset(&settings, 0, sizeof settings);
    umask(S_IRWXG | S_IRWXO); /* SQLite makes its files itself: nobody else reads them */
    int loaded =
        slc_settings_load(slc_control_settings_table, "sluice-control",
                          "The catalog of event APIs and the configuration of the gateways that serve them.",
                          argc, argv, &settings, &err);
    bool ok = loaded > 0 || (loaded == 0 && start_log(&settings, &err) && work(&settings, &err));
    if (!ok)
        fprintf(stderr, "sluice-control: %s\n", err.message);
    slc_settings_release(slc_control_settings_table, &settings);
    return ok ? 0 : 1;
}
