/* Another way in to the admin API's routes than its own port and Bearer tokens: the portal's server with its
 * sessions. The handlers are the same; who asks is found out otherwise, and a surface has routes of its own.
 */
#ifndef SLC_CONTROLPLANE_ADMIN_SURFACE_H
#define SLC_CONTROLPLANE_ADMIN_SURFACE_H

#include "controlplane/admin/call.h"

typedef struct slc_surface {
    const slc_route *routes; /* looked at before those under /v1; ends with a NULL method */
    void *arg;               /* the surface's owner */
    /* On the loop: takes what tells who asks. False: err is the answer. */
    bool (*take)(slc_call *call, slc_error *err);
    /* In each transaction of the call, before it is done: may it be, and who asks? Fills call->identity, which
     * is empty, unless the route is open. False: err is the answer. */
    bool (*identify)(slc_txn *txn, slc_call *call, slc_error *err);
    /* On the loop, before an answer goes out. */
    void (*answering)(slc_call *call);
} slc_surface;

/* On the loop: answers a request that came in by the surface, which must outlive it. Its httpd's body limit is
 * the admin API's concern as well: the smaller one holds. */
void slc_admin_handle(struct slc_admin *admin, struct evhttp_request *req, const slc_surface *surface);

#endif
