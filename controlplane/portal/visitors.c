/* The catalog for people who are not signed in. */
#include "controlplane/admin/handlers.h"
#include "controlplane/portal/portal_private.h"

static bool look(slc_txn *txn, slc_call *call, const char *permission,
                 bool (*run)(slc_txn *txn, slc_call *call, slc_error *err), slc_error *err)
{
    bool signed_in = call->identity.session_id[0] != '\0';
    if (signed_in && !slc_identity_may(&call->identity, permission))
        return slc_fail(err, SLC_DENIED, NULL, "your roles lack the permission %s", permission);
    if (!signed_in && !slc_portal_of(call)->options.public_catalog)
        return slc_fail(err, SLC_UNAUTHENTICATED, NULL, "sign in first: there is no session, or it has ended");
    call->visitor = !signed_in;
    return run(txn, call, err);
}

bool slc_portal_catalog(slc_txn *txn, slc_call *call, slc_error *err)
{
    return look(txn, call, "event-apis:read", slc_route_catalog, err);
}

bool slc_portal_catalog_one(slc_txn *txn, slc_call *call, slc_error *err)
{
    return look(txn, call, "event-apis:read", slc_route_catalog_one, err);
}

bool slc_portal_catalog_document(slc_txn *txn, slc_call *call, slc_error *err)
{
    return look(txn, call, "rest-apis:read", slc_route_catalog_document, err);
}
