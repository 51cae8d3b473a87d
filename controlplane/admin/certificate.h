/* The certificate of HTTPS on the admin API, read again when its file has changed, as cert-manager and
 * Kubernetes change it. On the loop's thread. */
#ifndef SLC_CONTROLPLANE_ADMIN_CERTIFICATE_H
#define SLC_CONTROLPLANE_ADMIN_CERTIFICATE_H

#include <stdint.h>

#include "common/loop.h"
#include "common/tls.h"

typedef struct slc_certificate_watch slc_certificate_watch;

/* Looks at `file` (copied) every `interval_ms`; 0: only when told. Takes a reference to `tls`. */
slc_certificate_watch *slc_certificate_watch_new(slc_loop *loop, slc_tls *tls, const char *file,
                                                 int64_t interval_ms);
/* Reads it at once. One that is not good is logged, and the old one stays. */
void slc_certificate_watch_reload(slc_certificate_watch *watch);
void slc_certificate_watch_free(slc_certificate_watch *watch); /* NULL is fine */

#endif
