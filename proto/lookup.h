/* The key by which gateways find a credential: made by the compiler of snapshots and by whoever looks. */
#ifndef SLC_PROTO_LOOKUP_H
#define SLC_PROTO_LOOKUP_H

#include <stddef.h>

#define SLC_LOOKUP_MAX 100 /* characters, without the NUL */

/* What says whom to find ("oidc:<issuer id>:sub=shop", see Credential in sluice/snapshot.proto), of any length:
 * itself when it is short enough, else "sha256:" and its digest in hexadecimal. */
void slc_lookup_key(const char *text, char out[SLC_LOOKUP_MAX + 1]);

/* An alternative name of a certificate as it is compared, in place: of DNS names ("dns") and of the domains of
 * addresses ("email") the case of letters does not count (RFC 5280, section 7); any other `property` has what
 * it has. */
void slc_lookup_fold(const char *property, char *name);

#endif
