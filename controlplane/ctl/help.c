/* Help on the terminal. */
#include <stdio.h>
#include <string.h>

#include "common/version.h"
#include "controlplane/ctl/command.h"

#define COLUMN 28 /* where the explanations begin */

static void print_pair(FILE *out, const char *left, const char *right)
{
    if (strlen(left) + 2 > COLUMN)
        fprintf(out, "  %s\n  %*s%s\n", left, COLUMN, "", right);
    else
        fprintf(out, "  %-*s%s\n", COLUMN, left, right);
}

/* Text in lines of at most 100 characters. */
static void print_wrapped(FILE *out, const char *text)
{
    size_t column = 0;
    while (*text != '\0') {
        size_t len = strcspn(text, " ");
        if (column > 0 && column + len + 1 > 100) {
            fputc('\n', out);
            column = 0;
        }
        if (column > 0)
            column += (size_t)fprintf(out, " ");
        column += (size_t)fprintf(out, "%.*s", (int)len, text);
        text += len;
        text += *text == ' ';
    }
    fputc('\n', out);
}

static void print_options(FILE *out, const slc_option *options)
{
    for (; options != NULL && options->name != NULL; options++) {
        char left[120];
        snprintf(left, sizeof left, "%c%c%s --%s%s%s", options->letter != 0 ? '-' : ' ',
                 options->letter != 0 ? options->letter : ' ', options->letter != 0 ? "," : " ", options->name,
                 options->value != NULL ? " " : "", options->value != NULL ? options->value : "");
        print_pair(out, left, options->help);
    }
}

void slc_help_overview(FILE *out)
{
    fprintf(out, "usage: sluicectl COMMAND [ARGUMENT...] [OPTION...]\n\nCommands\n");
    for (const slc_command *command = slc_commands; command->name != NULL; command++)
        print_pair(out, command->name, command->summary);
    fprintf(out, "\nOptions of every command\n");
    print_options(out, slc_global_options);
    fprintf(out, "\nsluicectl help COMMAND says more. sluicectl %s (%s)\n", SLC_VERSION, SLC_COMMIT);
}

void slc_help_command(const slc_command *command, FILE *out)
{
    fprintf(out, "usage: sluicectl %s%s%s [OPTION...]\n\n%s.\n", command->name,
            command->arguments[0] != '\0' ? " " : "", command->arguments, command->summary);
    if (command->text != NULL)
        print_wrapped(out, command->text);
    if (command->options != NULL) {
        fprintf(out, "\nOptions\n");
        print_options(out, command->options);
    }
    fprintf(out, "\nOptions of every command\n");
    print_options(out, slc_global_options);
    if (command->example != NULL)
        fprintf(out, "\nExample\n");
    for (const char *line = command->example; line != NULL && *line != '\0';) {
        size_t len = strcspn(line, "\n");
        fprintf(out, "  %.*s\n", (int)len, line);
        line += len;
        line += *line == '\n';
    }
}

bool slc_help_group(const char *group, FILE *out)
{
    size_t len = strlen(group);
    bool found = false;
    for (const slc_command *command = slc_commands; command->name != NULL; command++) {
        if (strncmp(command->name, group, len) != 0 || command->name[len] != ' ')
            continue;
        print_pair(out, command->name, command->summary);
        found = true;
    }
    return found;
}
