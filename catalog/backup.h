/* Copies of the catalog while it is in use. */
#ifndef SLC_CATALOG_BACKUP_H
#define SLC_CATALOG_BACKUP_H

#include "catalog/catalog.h"

/* Writes a consistent copy of catalog.db to `path`, which must not exist (mode 0600). Blocks; call it on a
 * thread that may wait, not on a loop. The master key is not in it: keep its copy elsewhere. */
bool slc_catalog_backup(slc_catalog *catalog, const char *path, slc_error *err) SLC_CHECKED;

/* Seals everything under a new master key and then forgets the old one. Blocks. Safe against a crash at any
 * point: both keys are in the key file until nothing needs the old one. */
bool slc_catalog_rotate_master_key(slc_catalog *catalog, const slc_actor *actor, slc_error *err) SLC_CHECKED;

#endif
