/* Secrets of the configuration: the value itself, or a reference that only the gateway can resolve. */
#ifndef SLC_DATAPLANE_CONFIG_SECRET_H
#define SLC_DATAPLANE_CONFIG_SECRET_H

#include <stddef.h>

#include "common/error.h"
#include "sluice/snapshot.pb-c.h"

#define SLC_SECRET_MAX_BYTES 65536

/* The value, NUL-terminated, new; free it with slc_free_secret(value, *len). A file loses one trailing newline.
 * NULL with an error (never holding the value) when `secret` is NULL or unset, or the reference cannot be
 * resolved. */
char *slc_secret_resolve(const Sluice__Snapshot__V1__Secret *secret, size_t *len, slc_error *err) SLC_CHECKED;

#endif
