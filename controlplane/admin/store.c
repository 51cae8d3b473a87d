/* The routes about the catalog's own file: backups and the key that they need. */
#include <stdio.h>

#include "catalog/backup.h"
#include "controlplane/admin/admin.h"
#include "controlplane/admin/handlers.h"

bool slc_route_backups(slc_txn *txn, slc_call *call, slc_error *err)
{
    (void)txn;
    json_t *list = slc_backup_list(slc_admin_catalog(call->admin), err);
    if (list != NULL)
        call->answer = json_pack("{s:o}", "items", list);
    return list != NULL;
}

bool slc_route_backup_make(slc_txn *txn, slc_call *call, slc_error *err)
{
    slc_actor actor = slc_call_actor(call);
    (void)txn;
    call->answer = slc_backup_make(slc_admin_catalog(call->admin), &actor, err);
    if (call->answer == NULL)
        return false;
    snprintf(call->location, sizeof call->location, "/v1/backups/%s",
             json_string_value(json_object_get(call->answer, "name")));
    return true;
}

bool slc_route_backup_file(slc_txn *txn, slc_call *call, slc_error *err)
{
    slc_actor actor = slc_call_actor(call);
    (void)txn;
    call->file_fd =
        slc_backup_open(slc_admin_catalog(call->admin), &actor, call->target.key, &call->file_bytes, err);
    return call->file_fd >= 0;
}

bool slc_route_rotate_key(slc_txn *txn, slc_call *call, slc_error *err)
{
    slc_catalog *catalog = slc_admin_catalog(call->admin);
    slc_actor actor = slc_call_actor(call);
    char before[9], after[9];
    (void)txn;
    slc_catalog_key_fingerprint(catalog, before);
    if (!slc_catalog_rotate_master_key(catalog, &actor, err))
        return false;
    slc_catalog_key_fingerprint(catalog, after);
    call->answer = json_pack("{s:s, s:s}", "fingerprint", after, "previous", before);
    return true;
}
