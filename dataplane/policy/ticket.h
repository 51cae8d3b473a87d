/* Tickets: how a browser's EventSource, which cannot set request fields, opens a stream. A ticket is minted for
 * an authenticated application and goes into the URL. It is signed and holds no secret; nobody keeps a list of
 * them.
 *
 * Bound to the event API, the application, the credential as it is (its secret, too), the operation "read" and
 * an origin. It may be used until it expires; a stream that it opened goes on as long as the credential may
 * read.
 */
#ifndef SLC_DATAPLANE_POLICY_TICKET_H
#define SLC_DATAPLANE_POLICY_TICKET_H

#include "dataplane/policy/policy.h"

#define SLC_TICKET_PREFIX     "slt_"
#define SLC_TICKET_MAX_ORIGIN 253
#define SLC_TICKET_MAX_CHARS  640

/* For the principal, whose credential must be in the snapshot. `origin` is "" or "scheme://host[:port]" in
 * lower case, at most SLC_TICKET_MAX_ORIGIN characters. Writes text and NUL to `out` (SLC_TICKET_MAX_CHARS +
 * 1). False when the credential is gone. */
bool slc_ticket_mint(const slc_snapshot *snapshot, const slc_event_api *api, const slc_principal *principal,
                     const char *origin, int64_t expires_ms, char *out) SLC_CHECKED;

/* Is it an origin as browsers send one? In lower case, without the scheme's own port, to `out`
 * (SLC_TICKET_MAX_ORIGIN + 1). */
bool slc_origin_parse(const char *text, char *out) SLC_CHECKED;

#endif
