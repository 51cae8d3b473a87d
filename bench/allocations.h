/* Counts what the process allocates, its libraries included. */
#ifndef SLC_BENCH_ALLOCATIONS_H
#define SLC_BENCH_ALLOCATIONS_H

#include <stdint.h>

/* How many blocks malloc, calloc and realloc gave since the start. */
uint64_t allocations_so_far(void);

#endif
