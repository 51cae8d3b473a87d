/* Whether a library calls a function that the program defines itself in place of another library's. */
#ifndef SLC_DATAPLANE_BROKER_INTERPOSED_H
#define SLC_DATAPLANE_BROKER_INTERPOSED_H

#include <stdbool.h>
#include <stdint.h>

/* Is `function` what the library that has the address `inside` calls by `name`, as the dynamic linker bound it
 * (or will, where it binds with the first call)? False also when the library calls nothing by that name through
 * the dynamic linker, as one that brings its own copy does not. Where the address is the program's own there is
 * one function of a name, and it is true. Any thread. */
bool slc_is_interposed(uintptr_t inside, const char *name, uintptr_t function);

#endif
