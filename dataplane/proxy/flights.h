/* Requests that wait for their answer, in order: those that went to the broker, and those answered here whose
 * turn has not come. */
#ifndef SLC_DATAPLANE_PROXY_FLIGHTS_H
#define SLC_DATAPLANE_PROXY_FLIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

typedef struct slc_flight {
    int32_t correlation_id;
    int16_t key, version;
    bool local;         /* `answer` is what goes out */
    bool own;           /* a question of the gateway's: nothing goes out */
    bool consumer;      /* for slc_view_answer */
    int16_t denied;     /* likewise */
    bool counted;       /* its records are in the usage */
    int64_t started_us; /* monotonic: when it went on to the broker */
    int64_t held_us;    /* how long the gateway kept it before */
    slc_buf answer;
    struct slc_proxy_span *span; /* spans.h, which ends it; NULL: the request is not traced */
} slc_flight;

/* A ring that grows; empty sessions hold none. Zero is empty. */
typedef struct slc_flights {
    slc_flight *ring;
    uint32_t cap, first, count;
} slc_flights;

/* The new last one, zeroed. Lives until the next push or pop. */
slc_flight *slc_flights_push(slc_flights *flights);
slc_flight *slc_flights_first(const slc_flights *flights); /* NULL: empty */
/* From the first, which is 0. */
slc_flight *slc_flights_at(const slc_flights *flights, uint32_t index);
void slc_flights_pop(slc_flights *flights);
void slc_flights_release(slc_flights *flights);

#endif
