/* The man page and docs/sluicectl.md. */
#include <stdio.h>
#include <string.h>

#include "common/version.h"
#include "controlplane/ctl/command.h"

/* What holds for all commands, for both. */
static const struct {
    const char *name, *text;
} files[] = {{"~/.config/sluice/config.yaml", "the contexts; only its owner may read it"}},
  variables[] =
      {
          {"SLUICE_CONTEXT", "the context, as --context"},
          {"SLUICE_SERVER", "the control plane, as --server"},
          {"SLUICE_TOKEN", "the token itself"},
          {"SLUICE_TOKEN_FILE", "as --token-file"},
          {"SLUICECTL_CONFIG", "the file of contexts, as --config"},
          {"SLUICE_API_KEY", "the API key of events tail and publish"},
          {"HTTPS_PROXY, HTTP_PROXY, NO_PROXY", "as curl takes them"},
},
  statuses[] = {
      {"0", "done; of diff: no differences; of explain: allowed"},
      {"1", "failed, which standard error explains; of diff: differences; of explain: denied"},
      {"2", "called wrongly; of diff and explain: could not find out"},
};

#define COUNT(table) (sizeof(table) / sizeof *(table))

/* ---- troff ---- */

static void troff(FILE *out, const char *text)
{
    bool line_start = true;
    for (; *text != '\0'; text++) {
        if (line_start && (*text == '.' || *text == '\''))
            fputs("\\&", out);
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else
            fputc(*text, out);
        line_start = *text == '\n';
    }
}

static void troff_options(FILE *out, const slc_option *options)
{
    for (; options != NULL && options->name != NULL; options++) {
        fputs(".TP\n.B ", out);
        if (options->letter != 0)
            fprintf(out, "\\-%c, ", options->letter);
        fputs("\\-\\-", out);
        troff(out, options->name);
        if (options->value != NULL) {
            fputc(' ', out);
            troff(out, options->value);
        }
        fputc('\n', out);
        troff(out, options->help);
        fputc('\n', out);
    }
}

static void troff_command(FILE *out, const slc_command *command)
{
    fputs(".SS ", out);
    troff(out, command->name);
    if (command->arguments[0] != '\0')
        fputc(' ', out);
    troff(out, command->arguments);
    fputc('\n', out);
    troff(out, command->summary);
    fputs(".\n", out);
    if (command->text != NULL) {
        troff(out, command->text);
        fputc('\n', out);
    }
    troff_options(out, command->options);
    if (command->example != NULL) {
        fputs(".PP\n.nf\n", out);
        troff(out, command->example);
        fputs("\n.fi\n", out);
    }
}

void slc_help_man(FILE *out)
{
    fprintf(out,
            ".TH SLUICECTL 1 \"\" \"Sluice %s\" \"Sluice\"\n.SH NAME\nsluicectl \\- the control plane of "
            "Sluice from a "
            "command line\n.SH SYNOPSIS\n.B sluicectl\n.I command\n[argument...] [option...]\n.SH DESCRIPTION\n"
            "Applies, shows and changes what the control plane of the event gateway Sluice has in its catalog, "
            "and\n"
            "publishes and reads events through gateways. Options and arguments may be mixed.\n.SH COMMANDS\n",
            SLC_VERSION);
    for (const slc_command *command = slc_commands; command->name != NULL; command++)
        troff_command(out, command);
    fputs(".SH OPTIONS\n", out);
    troff_options(out, slc_global_options);
    fputs(".SH ENVIRONMENT\n", out);
    for (size_t i = 0; i < COUNT(variables); i++)
        fprintf(out, ".TP\n.B %s\n%s\n", variables[i].name, variables[i].text);
    fputs(".SH FILES\n", out);
    for (size_t i = 0; i < COUNT(files); i++)
        fprintf(out, ".TP\n.B %s\n%s\n", files[i].name, files[i].text);
    fputs(".SH \"EXIT STATUS\"\n", out);
    for (size_t i = 0; i < COUNT(statuses); i++)
        fprintf(out, ".TP\n.B %s\n%s\n", statuses[i].name, statuses[i].text);
    fputs(".SH \"SEE ALSO\"\n.BR curl (1)\n", out);
}

/* ---- Markdown ---- */

/* A cell of a table. */
static void cell(FILE *out, const char *text)
{
    for (; *text != '\0'; text++)
        fputs(*text == '|' ? "\\|" : (char[]){*text, '\0'}, out);
}

static void markdown_options(FILE *out, const slc_option *options)
{
    fputs("| option | what |\n| --- | --- |\n", out);
    for (; options != NULL && options->name != NULL; options++) {
        fputs("| `", out);
        if (options->letter != 0)
            fprintf(out, "-%c`, `", options->letter);
        fprintf(out, "--%s%s", options->name, options->value != NULL ? " " : "");
        if (options->value != NULL)
            cell(out, options->value);
        fputs("` | ", out);
        cell(out, options->help);
        fprintf(out, "%s |\n", options->many ? "; several times" : "");
    }
    fputc('\n', out);
}

static void markdown_command(FILE *out, const slc_command *command)
{
    fprintf(out, "### sluicectl %s%s%s\n%s.", command->name, command->arguments[0] != '\0' ? " " : "",
            command->arguments, command->summary);
    if (command->text != NULL)
        fprintf(out, " %s", command->text);
    fputs("\n\n", out);
    if (command->options != NULL)
        markdown_options(out, command->options);
    if (command->example != NULL)
        fprintf(out, "```sh\n%s\n```\n\n", command->example);
}

void slc_help_markdown(FILE *out)
{
    fputs("# sluicectl\n\nGenerated from the table of commands: `sluicectl help --markdown`. What documents "
          "are, and who may "
          "do what, is in\n[admin-api.md](admin-api.md); a repository that is applied by a pipeline in\n"
          "[examples/gitops](examples/gitops/README.md).\n\n## Options of every command\n",
          out);
    markdown_options(out, slc_global_options);
    fputs("| environment | what |\n| --- | --- |\n", out);
    for (size_t i = 0; i < COUNT(variables); i++)
        fprintf(out, "| `%s` | %s |\n", variables[i].name, variables[i].text);
    fputs("\n| exit status | what |\n| --- | --- |\n", out);
    for (size_t i = 0; i < COUNT(statuses); i++)
        fprintf(out, "| %s | %s |\n", statuses[i].name, statuses[i].text);
    fputs("\n## Commands\n", out);
    for (const slc_command *command = slc_commands; command->name != NULL; command++)
        markdown_command(out, command);
}
