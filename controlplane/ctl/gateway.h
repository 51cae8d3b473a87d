/* A gateway's event APIs, as an application reaches them. */
#ifndef SLC_CONTROLPLANE_CTL_GATEWAY_H
#define SLC_CONTROLPLANE_CTL_GATEWAY_H

#include "controlplane/ctl/ctl.h"

typedef struct slc_gateway_target {
    char server[600]; /* of slc_client_new */
    char path[200];   /* "/orders/v1/events" */
    char *header;     /* "X-API-Key: ..." or "Authorization: Bearer ..."; secret; NULL: none */
} slc_gateway_target;

/* The event API that the first argument names ("orders.v1"), at --url or at the public URL of its gateway group
 * (--group, when it is on several), with the key from --key-file, --bearer-file or SLUICE_API_KEY. False after
 * saying why. Release in both cases. */
bool slc_gateway_find(slc_ctl *ctl, slc_gateway_target *target) SLC_CHECKED;
void slc_gateway_release(slc_gateway_target *target);
/* A client for it; NULL after saying why. */
slc_ctl_client *slc_gateway_client(const slc_ctl *ctl, const slc_gateway_target *target,
                                   unsigned retries) SLC_CHECKED;

#endif
