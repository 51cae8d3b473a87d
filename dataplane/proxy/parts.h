/* A message that is put together from pieces that lie elsewhere: the frame that came, and what was changed in
 * it. Large ones are written from where they lie; only what the socket does not take is copied. The worker's
 * thread. */
#ifndef SLC_DATAPLANE_PROXY_PARTS_H
#define SLC_DATAPLANE_PROXY_PARTS_H

#include "dataplane/kafka/edit.h"
#include "dataplane/proxy/end.h"

/* The holder needs no release; what was added must stay until slc_parts_send(). */
typedef struct slc_parts {
    slc_end *to;
    size_t count, bytes;
    bool full; /* too much waits to be written */
    struct iovec items[SLC_END_PARTS];
} slc_parts;

/* Towards an end to which nothing is piped and nothing passes. */
void slc_parts_init(slc_parts *parts, slc_end *to);
void slc_parts_add(slc_parts *parts, const void *data, size_t len);
/* The first `len` bytes of a message as the edits change them; all edits lie in these. */
void slc_parts_add_changed(slc_parts *parts, const slc_kafka_edits *edits, const uint8_t *in, size_t len);
/* Everything is written or waits in to->out. `more`: bytes of the same message follow at once. False: too much
 * waits, and a part of the message is missing. */
bool slc_parts_send(slc_parts *parts, bool more) SLC_CHECKED;

#endif
