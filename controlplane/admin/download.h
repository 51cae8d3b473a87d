/* Sends a file as an answer, piece by piece: read where waiting for the disk holds up nobody, and only as fast
 * as the client takes it. */
#ifndef SLC_CONTROLPLANE_ADMIN_DOWNLOAD_H
#define SLC_CONTROLPLANE_ADMIN_DOWNLOAD_H

#include "controlplane/admin/call.h"

#define SLC_DOWNLOAD_TYPE "application/vnd.sqlite3"

/* On the loop. Sends call->file_fd; `done` is called on the loop when the answer has been given, or the client
 * has gone: the call's request is not to be used after it. A file that cannot be read to its end cuts the
 * connection, so that no client takes a part for the whole. */
void slc_download_start(slc_loop *loop, slc_catalog *catalog, slc_call *call, void (*done)(slc_call *call));

#endif
