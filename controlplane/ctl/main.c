/* sluicectl: the control plane from a command line. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/version.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/schema.h"

static bool choose_output(slc_ctl *ctl)
{
    static const char *const names[] = {[SLC_OUTPUT_TABLE] = "table",
                                        [SLC_OUTPUT_JSON] = "json",
                                        [SLC_OUTPUT_YAML] = "yaml",
                                        [SLC_OUTPUT_NAME] = "name"};
    const char *given = slc_args_get(&ctl->args, "output");
    ctl->output_given = given != NULL;
    for (int i = 0; given != NULL && i < 4; i++) {
        if (strcmp(given, names[i]) == 0) {
            ctl->output = (enum slc_output)i;
            return true;
        }
    }
    if (given != NULL)
        slc_ctl_usage(ctl, "--output is table, json, yaml or name, not %s", given);
    return given == NULL;
}

static int run(slc_ctl *ctl)
{
    const slc_command *command = ctl->args.command;
    if (ctl->args.version) {
        printf("sluicectl %s (%s)\n", SLC_VERSION, SLC_COMMIT);
        return SLC_EXIT_OK;
    }
    if (command == NULL) {
        slc_help_overview(ctl->args.help ? stdout : stderr);
        return ctl->args.help ? SLC_EXIT_OK : SLC_EXIT_USAGE;
    }
    if (ctl->args.help) {
        slc_help_command(command, stdout);
        return SLC_EXIT_OK;
    }
    if (!choose_output(ctl))
        return SLC_EXIT_USAGE;
    ctl->progress = slc_args_has(&ctl->args, "progress") || isatty(STDERR_FILENO) != 0;
    return command->run(ctl);
}

int main(int argc, char **argv)
{
    static slc_ctl ctl; /* its arguments are too large for a stack */
    slc_error err = {0};
    int status = SLC_EXIT_USAGE;
    umask(S_IRWXG | S_IRWXO);
    signal(SIGPIPE, SIG_IGN);
    slc_log_init("sluicectl", SLC_LOG_ERROR, false);
    if (slc_args_parse(&ctl.args, argc, argv, &err))
        status = run(&ctl);
    else
        slc_ctl_usage(&ctl, "%s", err.message);
    if (!slc_ctl_end_output(0) && status == SLC_EXIT_OK)
        status = SLC_EXIT_FAILED;
    slc_client_free(ctl.client);
    slc_context_release(&ctl.context);
    slc_schema_forget();
    return status;
}
