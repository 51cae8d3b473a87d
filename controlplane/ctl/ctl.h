/* One run of sluicectl: what was typed, the context that holds, and the control plane that it leads to.
 *
 * Results go to standard output, everything else (problems, progress, questions) to standard error. One thread.
 */
#ifndef SLC_CONTROLPLANE_CTL_CTL_H
#define SLC_CONTROLPLANE_CTL_CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/error.h"
#include "controlplane/ctl/client.h"
#include "controlplane/ctl/command.h"
#include "controlplane/ctl/context.h"

enum slc_output { SLC_OUTPUT_TABLE, SLC_OUTPUT_JSON, SLC_OUTPUT_YAML, SLC_OUTPUT_NAME };

typedef struct slc_ctl {
    slc_args args;
    slc_ctl_context context; /* empty until the control plane is needed */
    slc_ctl_client *client;  /* made at the first request */
    enum slc_output output;
    bool output_given;
    bool progress; /* standard error is a terminal, or --progress */
    bool skew_told;
} slc_ctl;

/* ---- requests ---- */

/* Sends a request of the context. True with the answer when it was a success; else says why on standard error.
 * The answer must be released in both cases. */
bool slc_ctl_call(slc_ctl *ctl, const slc_ctl_request *request, slc_ctl_answer *answer) SLC_CHECKED;
/* The same for a GET whose answer is JSON: new reference, or NULL after saying why. */
json_t *slc_ctl_get(slc_ctl *ctl, const char *path) SLC_CHECKED;
/* A request with a JSON body (borrowed, may be NULL): new reference or NULL. */
json_t *slc_ctl_send(slc_ctl *ctl, const char *method, const char *path, const json_t *body) SLC_CHECKED;
/* Every item of a list, over all pages: new array. `path` may have a query. `limit` 0: all. */
json_t *slc_ctl_list(slc_ctl *ctl, const char *path, size_t limit) SLC_CHECKED;
/* Finds the context and makes ctl->client; false after saying why. */
bool slc_ctl_connect(slc_ctl *ctl) SLC_CHECKED;

/* ---- words to people ---- */

/* One line on standard error. Returns SLC_EXIT_FAILED, so that `return slc_ctl_fail(...)` reads well. */
int slc_ctl_fail(const char *fmt, ...) SLC_PRINTF(1, 2);
/* The same for how it was called: SLC_EXIT_USAGE. */
int slc_ctl_usage(const slc_ctl *ctl, const char *fmt, ...) SLC_PRINTF(2, 3);
void slc_ctl_note(const char *fmt, ...) SLC_PRINTF(1, 2);
/* Asks on the terminal. Without one, or with --yes, it does not ask: --yes is then needed, which it says. */
/* The end of what goes to standard output. False: it could not be written, for the reason `error` (errno; 0:
 * that of the rest), and that was told; a reader that has gone is told nothing. */
bool slc_ctl_end_output(int error);
bool slc_ctl_confirm(const slc_ctl *ctl, const char *question);
/* Progress of long work, rewritten in place; NULL ends the line. Only when ctl->progress. */
void slc_ctl_progress(const slc_ctl *ctl, const char *fmt, ...) SLC_PRINTF(2, 3);

/* ---- pieces that several commands use ---- */

/* "teams" from "team", "teams" or a prefix that fits one kind alone. NULL after saying what there is. Static
 * text. */
const char *slc_ctl_kind(const char *word);
/* Appends `text` percent-encoded as one path segment. */
void slc_ctl_path_add(char *path, size_t size, const char *text);
/* An integer option within bounds; false after saying so. */
bool slc_ctl_int_option(const slc_ctl *ctl, const char *name, int64_t fallback, int64_t min, int64_t max,
                        int64_t *value) SLC_CHECKED;
/* The same for "500ms", "15s", "10m", "24h", "30d", in milliseconds. */
bool slc_ctl_duration_option(const slc_ctl *ctl, const char *name, int64_t fallback,
                             int64_t *value) SLC_CHECKED;
/* The whole of a file, or of standard input for "-"; the caller frees. NULL with err. */
char *slc_ctl_read(const char *path, size_t max_bytes, size_t *len, slc_error *err) SLC_CHECKED;

#endif
