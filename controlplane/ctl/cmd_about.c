/* help, completion, version. */
#include <stdio.h>
#include <string.h>

#include "common/version.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ctl.h"

int slc_cmd_help(slc_ctl *ctl)
{
    const slc_args *args = &ctl->args;
    int used = 0;
    if (slc_args_has(args, "man")) {
        slc_help_man(stdout);
        return SLC_EXIT_OK;
    }
    if (slc_args_has(args, "markdown")) {
        slc_help_markdown(stdout);
        return SLC_EXIT_OK;
    }
    if (args->word_count == 0) {
        slc_help_overview(stdout);
        return SLC_EXIT_OK;
    }
    const slc_command *command = slc_command_find((char **)args->words, args->word_count, &used);
    if (command != NULL) {
        slc_help_command(command, stdout);
        return SLC_EXIT_OK;
    }
    if (slc_help_group(args->words[0], stdout))
        return SLC_EXIT_OK;
    return slc_ctl_usage(ctl, "there is no command \"%s\"", args->words[0]);
}

int slc_cmd_completion(slc_ctl *ctl)
{
    if (slc_completion_print(ctl->args.words[0], stdout))
        return SLC_EXIT_OK;
    return slc_ctl_usage(ctl, "there is completion for bash and zsh, not for %s", ctl->args.words[0]);
}

int slc_cmd_version(slc_ctl *ctl)
{
    slc_ctl_answer answer;
    printf("sluicectl %s (%s)\n", SLC_VERSION, SLC_COMMIT);
    if (slc_args_has(&ctl->args, "client"))
        return SLC_EXIT_OK;
    slc_ctl_request request = {.method = "GET", .path = "/health/live", .accept = "*/*"};
    bool ok = slc_ctl_call(ctl, &request, &answer);
    if (ok)
        printf("%s %s\n", ctl->context.server,
               answer.version[0] != '\0' ? answer.version : "does not say its version");
    slc_answer_release(&answer);
    return ok ? SLC_EXIT_OK : SLC_EXIT_FAILED;
}
