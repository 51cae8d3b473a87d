/* Completion for bash and zsh, from the table of commands. Names of kinds and contexts are asked of sluicectl
 * itself; the control plane is never asked. */
#include <stdio.h>
#include <string.h>

#include "controlplane/ctl/command.h"

/* Is it the first command of its group? Then its first word has not been printed yet. */
static bool first_of_group(const slc_command *command)
{
    size_t len = strcspn(command->name, " ");
    for (const slc_command *earlier = slc_commands; earlier != command; earlier++)
        if (strncmp(earlier->name, command->name, len) == 0 && strcspn(earlier->name, " ") == len)
            return false;
    return true;
}

static void print_first_words(FILE *out)
{
    for (const slc_command *command = slc_commands; command->name != NULL; command++)
        if (first_of_group(command))
            fprintf(out, " %.*s", (int)strcspn(command->name, " "), command->name);
}

static void print_second_words(FILE *out, const char *group, size_t len)
{
    for (const slc_command *command = slc_commands; command->name != NULL; command++)
        if (strncmp(command->name, group, len) == 0 && command->name[len] == ' ')
            fprintf(out, " %s", command->name + len + 1);
}

static void print_option_names(FILE *out, const slc_option *options)
{
    for (; options != NULL && options->name != NULL; options++)
        fprintf(out, " --%s", options->name);
}

/* "--file|-f" of each option that takes such a value. */
static void print_patterns(FILE *out, const slc_option *options, const char *value, bool *any)
{
    for (const slc_option *o = options; o != NULL && o->name != NULL; o++) {
        if (o->value == NULL || strcmp(o->value, value) != 0)
            continue;
        fprintf(out, "%s--%s", *any ? "|" : "    ", o->name);
        if (o->letter != 0)
            fprintf(out, "|-%c", o->letter);
        *any = true;
    }
}

/* What is offered for values: a case for each sort. */
static void print_value_cases(FILE *out)
{
    static const struct {
        const char *value, *action;
    } sorts[] = {{SLC_VALUE_FILE, "_sluicectl_files"},
                 {SLC_VALUE_CONTEXT, "_sluicectl_words \"$(sluicectl context list -o name 2>/dev/null)\""},
                 {"table|json|yaml|name", "_sluicectl_words 'table json yaml name'"}};
    for (size_t i = 0; i < sizeof sorts / sizeof *sorts; i++) {
        bool any = false;
        for (const slc_command *command = slc_commands; command->name != NULL; command++)
            print_patterns(out, command->options, sorts[i].value, &any);
        print_patterns(out, slc_global_options, sorts[i].value, &any);
        if (any)
            fprintf(out, ") %s; return ;;\n", sorts[i].action);
    }
}

static void print_argument(FILE *out, const slc_command *command)
{
    if (strncmp(command->arguments, SLC_VALUE_KIND, 4) == 0)
        fputs("        kinds=yes", out);
    else if (strstr(command->arguments, SLC_VALUE_CONTEXT) != NULL)
        fputs("        words=\"$(sluicectl context list -o name 2>/dev/null)\"", out);
    else if (strncmp(command->arguments, SLC_VALUE_FILE, 4) == 0)
        fputs("        files=yes", out);
    else if (strchr(command->arguments, '|') != NULL)
        fputs("        words='bash zsh'", out);
    else
        fputs("        :", out);
}

static void print_command_cases(FILE *out)
{
    for (const slc_command *command = slc_commands; command->name != NULL; command++) {
        size_t len = strcspn(command->name, " ");
        if (command->name[len] == ' ' && first_of_group(command)) {
            fprintf(out, "    '%.*s')\n        words='", (int)len, command->name);
            print_second_words(out, command->name, len);
            fputs("' ;;\n", out);
        }
        fprintf(out, "    '%s')\n", command->name);
        print_argument(out, command);
        fputs("\n        options='", out);
        print_option_names(out, command->options);
        fputs("' ;;\n", out);
    }
}

/* zsh runs the same by its emulation of bash's completion. */
static const char head[] =
    "_sluicectl_words() { COMPREPLY=($(compgen -W \"$1\" -- \"$current\")); }\n"
    "_sluicectl_files() { compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- \"$current\")); }\n"
    "_sluicectl() {\n"
    "    local current=${COMP_WORDS[COMP_CWORD]} before='' command='' word words='' options='' kinds='' "
    "files='' i arguments=0\n"
    "    COMPREPLY=()\n"
    "    [ \"$COMP_CWORD\" -gt 0 ] && before=${COMP_WORDS[COMP_CWORD-1]}\n"
    "    case $before in\n";
static const char middle[] = "    esac\n"
                             "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                             "        word=${COMP_WORDS[i]}\n"
                             "        case $word in -*) continue ;; esac\n"
                             "        if [ -z \"$command\" ]; then command=$word\n"
                             "        elif [ \"$arguments\" -eq 0 ]; then\n"
                             "            case \"$groups_of_sluicectl\" in\n"
                             "            *\" $command \"*) command=\"$command $word\" ;;\n"
                             "            *) arguments=1 ;;\n"
                             "            esac\n"
                             "            [ \"$arguments\" -eq 0 ] && arguments=1 && continue\n"
                             "        else arguments=$((arguments + 1))\n"
                             "        fi\n"
                             "    done\n"
                             "    case $command in\n";
static const char tail[] =
    "    esac\n"
    "    case $current in\n"
    "    -*) _sluicectl_words \"$options $global_options_of_sluicectl\"; return ;;\n"
    "    esac\n"
    "    [ -n \"$kinds\" ] && words=$(sluicectl kinds -o name 2>/dev/null)\n"
    "    if [ -n \"$files\" ]; then _sluicectl_files; else _sluicectl_words \"$words\"; fi\n"
    "}\n";

static void print_groups(FILE *out)
{
    fputs("groups_of_sluicectl='", out);
    for (const slc_command *command = slc_commands; command->name != NULL; command++)
        if (strchr(command->name, ' ') != NULL && first_of_group(command))
            fprintf(out, " %.*s", (int)strcspn(command->name, " "), command->name);
    fputs(" '\n", out);
}

bool slc_completion_print(const char *shell, FILE *out)
{
    bool zsh = strcmp(shell, "zsh") == 0;
    if (!zsh && strcmp(shell, "bash") != 0)
        return false;
    if (zsh)
        fputs("#compdef sluicectl\nautoload -U +X bashcompinit && bashcompinit\n", out);
    else
        fputs("# bash completion of sluicectl; generated by sluicectl completion bash\n", out);
    print_groups(out);
    fputs("global_options_of_sluicectl='", out);
    print_option_names(out, slc_global_options);
    fputs("'\n", out);
    fputs(head, out);
    print_value_cases(out);
    fputs(middle, out);
    fputs("    '')\n        words='", out);
    print_first_words(out);
    fputs("' ;;\n", out);
    print_command_cases(out);
    fputs(tail, out);
    fputs("complete -F _sluicectl sluicectl\n", out);
    return true;
}
