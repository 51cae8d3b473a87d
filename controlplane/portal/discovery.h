/* Discovery documents of sign-in providers, kept for a while: whoever opens the sign-in page again and again
 * makes us ask a provider no more often for it. Any thread. */
#ifndef SLC_CONTROLPLANE_PORTAL_DISCOVERY_H
#define SLC_CONTROLPLANE_PORTAL_DISCOVERY_H

#include "controlplane/portal/provider.h"

typedef struct slc_discoveries slc_discoveries;

/* A document is used for `ttl_ms`; after a failure a provider is not asked again for `retry_ms`. */
slc_discoveries *slc_discoveries_new(int64_t ttl_ms, int64_t retry_ms);
void slc_discoveries_free(slc_discoveries *discoveries); /* NULL is fine */

/* As slc_provider_discover: new. */
json_t *slc_discoveries_get(slc_discoveries *discoveries, const slc_provider_client *client,
                            slc_error *err) SLC_CHECKED;

#endif
