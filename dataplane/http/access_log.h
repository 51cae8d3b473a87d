/* The access log: one JSON object a line, gathered by each worker and written in large pieces by a thread of
 * its own.
 *
 * The file is the process's (any thread); a log is its worker's. */
#ifndef SLC_DATAPLANE_HTTP_ACCESS_LOG_H
#define SLC_DATAPLANE_HTTP_ACCESS_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/metrics.h"

struct event_base;
struct slc_exchange;
typedef struct slc_access_file slc_access_file;
typedef struct slc_access_log slc_access_log;

typedef struct slc_access_file_options {
    const char *path;    /* a file to append to, "-" for standard output, "" for none */
    const char *what;    /* the setting, for errors: "access-log" */
    int64_t limit_bytes; /* may wait to be written */
    slc_series *dropped; /* counts lines that did not fit or could not be written */
} slc_access_file_options;

slc_access_file *slc_access_file_open(const slc_access_file_options *options, slc_error *err) SLC_CHECKED;
/* After a rotation: opens the path again. */
bool slc_access_file_reopen(slc_access_file *file, slc_error *err) SLC_CHECKED;
/* After the last log was freed. Waits until what is left is written, for two seconds at most. */
void slc_access_file_close(slc_access_file *file);
bool slc_access_file_wanted(const slc_access_file *file);
/* Never blocks. `text` (malloc, stolen) holds `lines` whole lines. */
void slc_access_file_write(slc_access_file *file, char *text, size_t len, unsigned lines);

slc_access_log *slc_access_log_new(struct event_base *base, slc_access_file *file);
void slc_access_log_free(slc_access_log *log); /* hands over what is left */

/* Adds the line of a finished exchange, whose request may be gone already. `denial` may be NULL. */
void slc_access_log_add(slc_access_log *log, const struct slc_exchange *exchange, int status,
                        const char *method, const char *path, const char *denial);

#endif
