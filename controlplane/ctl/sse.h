/* Server-sent events (WHATWG HTML, section 9.2), taken in as they come. */
#ifndef SLC_CONTROLPLANE_CTL_SSE_H
#define SLC_CONTROLPLANE_CTL_SSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

#define SLC_SSE_LINE_MAX (64u << 20)

/* `type` is "message" when the event names none. False ends the reading. */
typedef bool (*slc_sse_event)(void *arg, const char *type, const char *data, size_t len);

typedef struct slc_sse {
    slc_buf line, data;
    char type[64];
    char id[8192]; /* of the last event that was complete; empty: none */
    char next_id[8192];
    int64_t retry_ms; /* what the server asked for; -1: nothing */
    bool after_cr;
    slc_sse_event on_event;
    void *arg;
} slc_sse;

void slc_sse_init(slc_sse *sse, slc_sse_event on_event, void *arg);
void slc_sse_release(slc_sse *sse);
/* Forgets what was begun, for a new connection; the id stays. */
void slc_sse_restart(slc_sse *sse);
/* False when on_event said so, or a line is longer than SLC_SSE_LINE_MAX. */
bool slc_sse_feed(slc_sse *sse, const char *data, size_t len);

#endif
