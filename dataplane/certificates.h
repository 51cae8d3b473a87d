/* Certificates of listeners that are files of the gateway's: read again when they have changed, as
 * cert-manager, Kubernetes and Certbot change them. The main thread's.
 *
 * New connections get the new one, open ones go on. One that is not good (a key that is not its key, a file
 * that is half written) is logged and told, and what was there stays until the files change again.
 */
#ifndef SLC_DATAPLANE_CERTIFICATES_H
#define SLC_DATAPLANE_CERTIFICATES_H

#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"
#include "common/tls.h"
#include "dataplane/config/snapshot.h"

typedef struct slc_certificates slc_certificates;

/* Looks every `interval_ms`; 0: only when told. */
slc_certificates *slc_certificates_new(slc_loop *loop, int64_t interval_ms);
void slc_certificates_free(slc_certificates *certificates); /* NULL is fine */

/* A configuration is in force: all of its listeners with TLS between begin and end. `tls` is what their
 * connections use; references are taken. */
void slc_certificates_begin(slc_certificates *certificates);
void slc_certificates_follow(slc_certificates *certificates, slc_listener *listener, slc_tls *tls);
void slc_certificates_end(slc_certificates *certificates);

/* Which could not be read again, and why; "": every one could. Any thread. */
void slc_certificates_problem(slc_certificates *certificates, char *text, size_t size);

/* Reads all of them at once. */
void slc_certificates_reread(slc_certificates *certificates);

#endif
