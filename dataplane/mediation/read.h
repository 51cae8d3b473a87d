/* What a read asks for: where to start and how much, from the query and the fields of the request. */
#ifndef SLC_DATAPLANE_MEDIATION_READ_H
#define SLC_DATAPLANE_MEDIATION_READ_H

#include "dataplane/mediation/reader.h"

typedef struct slc_read_request {
    enum slc_start start;
    int64_t start_ms; /* TIME, and the arrival for LATEST */
    slc_cursor cursor;
    int64_t limit;
    int64_t wait_ms;
} slc_read_request;

/* Parses for a stream (Last-Event-ID, then cursor, then from, by default latest) or a page (cursor, from, by
 * default earliest; limit, wait). False: the exchange was answered. Release the cursor unless a reader took it.
 */
bool slc_read_request_parse(slc_exchange *exchange, const slc_api *api, bool stream,
                            slc_read_request *request) SLC_CHECKED;

#endif
