/* sluicectl's commands as data: one table from which parsing, help, completion, the man page and
 * docs/sluicectl.md follow. Everything is constant. */
#ifndef SLC_CONTROLPLANE_CTL_COMMAND_H
#define SLC_CONTROLPLANE_CTL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/error.h"

struct slc_ctl;

/* How sluicectl ends. `diff` says by 1 that there are differences and by 2 that it could not find out. */
enum slc_ctl_exit { SLC_EXIT_OK = 0, SLC_EXIT_FAILED = 1, SLC_EXIT_USAGE = 2 };

typedef struct slc_option {
    const char *name;  /* without the dashes */
    char letter;       /* 0: none */
    const char *value; /* what it takes, for people ("FILE", "table|json"); NULL: a flag */
    const char *help;  /* one line */
    bool many;         /* may be given several times */
} slc_option;

/* What completion offers for a value or an argument. */
#define SLC_VALUE_FILE    "FILE"
#define SLC_VALUE_KIND    "KIND"
#define SLC_VALUE_CONTEXT "CONTEXT"

typedef struct slc_command {
    const char *name;      /* "apply", "context list" */
    const char *arguments; /* for people: "KIND [KEY...]"; the first word is what completion offers */
    int min_arguments, max_arguments; /* max -1: any number */
    const char *summary;              /* one line, begins with a verb */
    const char *text;                 /* more about it; NULL: nothing */
    const char *example;              /* command lines; NULL: none */
    const slc_option *options;        /* its own, ends with a NULL name; NULL: none */
    int (*run)(struct slc_ctl *ctl);  /* one of slc_ctl_exit; has said what went wrong */
} slc_command;

extern const slc_command slc_commands[];      /* ends with a NULL name */
extern const slc_option slc_global_options[]; /* of every command */

/* The command that the words name and how many of them its name has; NULL when there is none. */
const slc_command *slc_command_find(char **words, int count, int *used);
/* Its own or a global one; NULL when it has none. By name when `letter` is 0. */
const slc_option *slc_command_option(const slc_command *command, const char *name, size_t name_len,
                                     char letter);

/* ---- what was typed ---- */

#define SLC_ARGS_MAX 1024

typedef struct slc_args {
    const slc_command *command; /* NULL: none, or it does not exist */
    struct {
        const slc_option *option;
        const char *value; /* borrowed from argv; "" for a flag */
    } given[SLC_ARGS_MAX];
    int given_count;
    const char *words[SLC_ARGS_MAX]; /* the command's arguments */
    int word_count;
    bool help, version;
} slc_args;

/* False with what is wrong, and a suggestion where one is near. argv must outlive `args`. */
bool slc_args_parse(slc_args *args, int argc, char **argv, slc_error *err) SLC_CHECKED;
/* The last value given; NULL when it was not. */
const char *slc_args_get(const slc_args *args, const char *name);
bool slc_args_has(const slc_args *args, const char *name);
/* The n-th value of an option that may be given several times; NULL beyond the last. */
const char *slc_args_nth(const slc_args *args, const char *name, int n);

/* ---- what follows from the table ---- */

void slc_help_overview(FILE *out);
void slc_help_command(const slc_command *command, FILE *out);
/* Commands that begin with `group` ("context"). False when there are none. */
bool slc_help_group(const char *group, FILE *out);
void slc_help_man(FILE *out);                            /* troff, section 1 */
void slc_help_markdown(FILE *out);                       /* docs/sluicectl.md */
bool slc_completion_print(const char *shell, FILE *out); /* "bash" or "zsh"; false: another */

#endif
