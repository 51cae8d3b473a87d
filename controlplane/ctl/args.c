/* What was typed, held to the table of commands. */
#include <stdio.h>
#include <string.h>

#include "controlplane/ctl/command.h"
#include "controlplane/ctl/suggest.h"

/* Does the command's name begin with these words? Its length in words then, else 0. */
static int name_words(const char *name, char **words, int count)
{
    int used = 0;
    while (*name != '\0') {
        size_t len = strcspn(name, " ");
        if (used == count || strlen(words[used]) != len || strncmp(words[used], name, len) != 0)
            return 0;
        used++;
        name += len;
        name += *name == ' ';
    }
    return used;
}

const slc_command *slc_command_find(char **words, int count, int *used)
{
    const slc_command *best = NULL;
    *used = 0;
    for (const slc_command *command = slc_commands; command->name != NULL; command++) {
        int words_used = name_words(command->name, words, count);
        if (words_used > *used) {
            best = command;
            *used = words_used;
        }
    }
    return best;
}

static const slc_option *find_in(const slc_option *options, const char *name, size_t name_len, char letter)
{
    for (; options != NULL && options->name != NULL; options++) {
        if (letter != 0 ? options->letter == letter
                        : strlen(options->name) == name_len && strncmp(options->name, name, name_len) == 0)
            return options;
    }
    return NULL;
}

const slc_option *slc_command_option(const slc_command *command, const char *name, size_t name_len, char letter)
{
    const slc_option *found = command != NULL ? find_in(command->options, name, name_len, letter) : NULL;
    return found != NULL ? found : find_in(slc_global_options, name, name_len, letter);
}

/* ---- parsing ---- */

static bool refuse_command(char **words, int count, slc_error *err)
{
    slc_suggestion near = slc_suggestion_for(words[0]);
    char wanted[128];
    if (count > 1)
        snprintf(wanted, sizeof wanted, "%.60s %.60s", words[0], words[1]);
    else
        snprintf(wanted, sizeof wanted, "%.120s", words[0]);
    slc_suggestion both = slc_suggestion_for(wanted);
    bool group = false;
    for (const slc_command *command = slc_commands; command->name != NULL; command++) {
        size_t len = strcspn(command->name, " ");
        slc_suggest(&near, command->name);
        slc_suggest(&both, command->name);
        group = group || (command->name[len] == ' ' && len == strlen(words[0]) &&
                          strncmp(command->name, words[0], len) == 0);
    }
    if (group)
        return slc_fail(err, SLC_INVALID, NULL, "\"%s\" needs another word%s%s%s: see sluicectl help %s",
                        words[0], both.best != NULL ? ", such as \"" : "", both.best != NULL ? both.best : "",
                        both.best != NULL ? "\"" : "", words[0]);
    return slc_fail(err, SLC_INVALID, NULL, "there is no command \"%s\"%s%s%s (see sluicectl help)", words[0],
                    near.best != NULL ? ": did you mean \"" : "", near.best != NULL ? near.best : "",
                    near.best != NULL ? "\"?" : "");
}

static bool refuse_option(const slc_command *command, const char *typed, slc_error *err)
{
    size_t len = strcspn(typed, "=");
    char name[80];
    snprintf(name, sizeof name, "%.*s", (int)(len < 79 ? len : 79), typed);
    const char *bare = name + strspn(name, "-");
    slc_suggestion near = slc_suggestion_for(bare);
    for (const slc_option *o = command != NULL ? command->options : NULL; o != NULL && o->name != NULL; o++)
        slc_suggest(&near, o->name);
    for (const slc_option *o = slc_global_options; o->name != NULL; o++)
        slc_suggest(&near, o->name);
    return slc_fail(err, SLC_INVALID, NULL, "%s%s%s has no option %s%s%s%s", "sluicectl",
                    command != NULL ? " " : "", command != NULL ? command->name : "", name,
                    near.best != NULL ? ": did you mean --" : "", near.best != NULL ? near.best : "",
                    near.best != NULL ? "?" : "");
}

static bool keep_option(slc_args *args, const slc_option *option, const char *value, slc_error *err)
{
    if (args->given_count == SLC_ARGS_MAX)
        return slc_fail(err, SLC_LIMIT, NULL, "more than %d options", SLC_ARGS_MAX);
    for (int i = 0; i < args->given_count && !option->many; i++) {
        if (args->given[i].option == option)
            return slc_fail(err, SLC_INVALID, NULL, "--%s is given twice", option->name);
    }
    args->given[args->given_count].option = option;
    args->given[args->given_count++].value = value;
    return true;
}

/* argv[*at] begins with a dash. Takes its value from there or from what follows. */
static bool parse_option(slc_args *args, int argc, char **argv, int *at, slc_error *err)
{
    const char *typed = argv[*at];
    bool is_long = typed[1] == '-';
    const char *name = is_long ? typed + 2 : typed + 1, *value = NULL;
    size_t name_len = is_long ? strcspn(name, "=") : 1;
    const slc_option *option = slc_command_option(args->command, name, name_len, is_long ? 0 : name[0]);
    if (option == NULL)
        return refuse_option(args->command, typed, err);
    if (name[name_len] != '\0')
        value = name + name_len + (name[name_len] == '=');
    if (option->value == NULL) {
        if (value != NULL)
            return slc_fail(err, SLC_INVALID, NULL, "--%s takes no value", option->name);
        return keep_option(args, option, "", err);
    }
    if (value == NULL) {
        if (*at + 1 >= argc)
            return slc_fail(err, SLC_INVALID, NULL, "--%s needs a value: %s", option->name, option->value);
        value = argv[++*at];
    }
    return keep_option(args, option, value, err);
}

/* Words come in any place; the command is found among those before the first option of its own. */
static int leading_words(int argc, char **argv, char **words, int max)
{
    int count = 0;
    for (int i = 1; i < argc && count < max; i++) {
        if (argv[i][0] != '-' || argv[i][1] == '\0') {
            words[count++] = argv[i];
            continue;
        }
        bool is_long = argv[i][1] == '-';
        const char *name = is_long ? argv[i] + 2 : argv[i] + 1;
        size_t len = is_long ? strcspn(name, "=") : 1;
        const slc_option *option = slc_command_option(NULL, name, len, is_long ? 0 : name[0]);
        if (option == NULL)
            break;
        if (option->value != NULL && name[len] == '\0')
            i++;
    }
    return count;
}

static bool parse_rest(slc_args *args, int argc, char **argv, int used, slc_error *err)
{
    bool only_words = false;
    for (int i = 1; i < argc; i++) {
        if (!only_words && strcmp(argv[i], "--") == 0) {
            only_words = true;
        } else if (!only_words && argv[i][0] == '-' && argv[i][1] != '\0') {
            if (!parse_option(args, argc, argv, &i, err))
                return false;
        } else if (used > 0) {
            used--;
        } else if (args->word_count == SLC_ARGS_MAX) {
            return slc_fail(err, SLC_LIMIT, NULL, "more than %d arguments", SLC_ARGS_MAX);
        } else {
            args->words[args->word_count++] = argv[i];
        }
    }
    return true;
}

static bool check_count(const slc_args *args, slc_error *err)
{
    const slc_command *command = args->command;
    if (args->word_count < command->min_arguments)
        return slc_fail(err, SLC_INVALID, NULL, "too few arguments: sluicectl %s %s", command->name,
                        command->arguments);
    if (command->max_arguments >= 0 && args->word_count > command->max_arguments)
        return slc_fail(err, SLC_INVALID, NULL, "\"%s\" is one argument too many: sluicectl %s %s",
                        args->words[command->max_arguments], command->name, command->arguments);
    return true;
}

bool slc_args_parse(slc_args *args, int argc, char **argv, slc_error *err)
{
    char *words[4];
    int used = 0, count = leading_words(argc, argv, words, 4);
    memset(args, 0, sizeof *args);
    args->command = slc_command_find(words, count, &used);
    if (args->command == NULL && count > 0)
        return refuse_command(words, count, err);
    if (!parse_rest(args, argc, argv, used, err))
        return false;
    args->help = slc_args_has(args, "help");
    args->version = slc_args_has(args, "version");
    return args->command == NULL || args->help || args->version || check_count(args, err);
}

/* ---- what was given ---- */

const char *slc_args_nth(const slc_args *args, const char *name, int n)
{
    for (int i = 0; i < args->given_count; i++) {
        if (strcmp(args->given[i].option->name, name) == 0 && n-- == 0)
            return args->given[i].value;
    }
    return NULL;
}

const char *slc_args_get(const slc_args *args, const char *name)
{
    return slc_args_nth(args, name, 0);
}

bool slc_args_has(const slc_args *args, const char *name)
{
    return slc_args_nth(args, name, 0) != NULL;
}
