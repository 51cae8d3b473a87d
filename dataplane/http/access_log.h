/* The access log: one JSON object a line, buffered by each worker and written in large pieces.
 *
 * The file is the process's (any thread); a log is its worker's. */
#ifndef SLC_DATAPLANE_HTTP_ACCESS_LOG_H
#define SLC_DATAPLANE_HTTP_ACCESS_LOG_H

#include "common/error.h"

struct event_base;
struct slc_exchange;
typedef struct slc_access_file slc_access_file;
typedef struct slc_access_log slc_access_log;

/* `path`: a file to append to, "-" for standard output, "" for none. */
slc_access_file *slc_access_file_open(const char *path, slc_error *err) SLC_CHECKED;
/* After a rotation: opens the path again. */
bool slc_access_file_reopen(slc_access_file *file, slc_error *err) SLC_CHECKED;
void slc_access_file_close(slc_access_file *file);

slc_access_log *slc_access_log_new(struct event_base *base, slc_access_file *file);
void slc_access_log_free(slc_access_log *log); /* writes what is left */

/* Adds the line of a finished exchange, whose request may be gone already. `denial` may be NULL. */
void slc_access_log_add(slc_access_log *log, const struct slc_exchange *exchange, int status,
                        const char *method, const char *path, const char *denial);

#endif
