/* sluice-gateway: event APIs in front of Kafka. */
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "common/log.h"
#include "dataplane/crypt/keys_command.h"
#include "dataplane/gateway.h"
#include "dataplane/records_command.h"

static bool start_log(const slc_gateway_settings *settings, slc_error *err)
{
    enum slc_log_level level;
    if (!slc_log_parse_level(settings->log_level, &level))
        return slc_fail(err, SLC_INVALID, "log-level", "log-level must be debug, info, warn or error, not %s",
                        settings->log_level);
    bool json = strcmp(settings->log_format, "json") == 0;
    if (!json && strcmp(settings->log_format, "text") != 0)
        return slc_fail(err, SLC_INVALID, "log-format", "log-format must be json or text, not %s",
                        settings->log_format);
    slc_log_init("gateway", level, json);
    return true;
}

/* Records are allocated on a few threads and freed on others. With an arena for each thread (librdkafka has
 * many) what was freed cannot be used where it is needed, and resident memory grows by a third; with very few
 * they wait for each other's locks. */
#define ARENAS 8

/* A native session has two sockets, and many systems begin with 1,024 files of far more that are allowed. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit); /* without it the gateway serves fewer, and says so when it matters */
}

static bool say_good(void)
{
    puts("sluice-gateway: the settings are good");
    return true;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "keys") == 0)
        return slc_keys_command(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "records") == 0)
        return slc_records_command(argc - 1, argv + 1);
    mallopt(M_ARENA_MAX, ARENAS);
    raise_file_limit();
    slc_gateway_settings settings;
    slc_error err = {0};
    memset(&settings, 0, sizeof settings);
    int loaded = slc_settings_load(slc_gateway_settings_table, "sluice-gateway",
                                   "Serves event APIs in front of Kafka, as its control plane says.", argc,
                                   argv, &settings, &err);
    bool ok = loaded > 0 || (loaded == 0 && start_log(&settings, &err) &&
                             (settings.check ? say_good() : slc_gateway_run(&settings, &err)));
    if (!ok)
        fprintf(stderr, "sluice-gateway: %s\n", err.message);
    slc_settings_release(slc_gateway_settings_table, &settings);
    return ok ? 0 : 1;
}
