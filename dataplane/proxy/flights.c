#include "dataplane/proxy/flights.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"

#define FIRST_CAP 8

static void grow(slc_flights *flights)
{
    uint32_t cap = flights->cap == 0 ? FIRST_CAP : flights->cap * 2;
    slc_flight *ring = slc_calloc(cap, sizeof *ring);
    for (uint32_t i = 0; i < flights->count; i++)
        ring[i] = flights->ring[(flights->first + i) % flights->cap];
    free(flights->ring);
    flights->ring = ring;
    flights->cap = cap;
    flights->first = 0;
}

slc_flight *slc_flights_push(slc_flights *flights)
{
    if (flights->count == flights->cap)
        grow(flights);
    slc_flight *flight = &flights->ring[(flights->first + flights->count++) % flights->cap];
    *flight = (slc_flight){0};
    return flight;
}

slc_flight *slc_flights_first(const slc_flights *flights)
{
    return flights->count > 0 ? &flights->ring[flights->first] : NULL;
}

slc_flight *slc_flights_at(const slc_flights *flights, uint32_t index)
{
    SLC_BUG_ON(index >= flights->count);
    return &flights->ring[(flights->first + index) % flights->cap];
}

void slc_flights_pop(slc_flights *flights)
{
    SLC_BUG_ON(flights->count == 0);
    slc_buf_release(&flights->ring[flights->first].answer);
    flights->first = (flights->first + 1) % flights->cap;
    flights->count--;
}

void slc_flights_release(slc_flights *flights)
{
    while (flights->count > 0)
        slc_flights_pop(flights);
    free(flights->ring);
    *flights = (slc_flights){0};
}
