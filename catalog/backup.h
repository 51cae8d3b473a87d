/* Copies of the catalog while it is in use, their directory, putting one back, and the master key that they
 * need.
 *
 * A backup is one file: a consistent state of catalog.db. It holds neither the master key (only the fingerprint
 * of the one that it needs) nor usage.db (what nodes reported, which they report again).
 * docs/decisions/0007-restore.md.
 *
 * All functions block: call them in slc_catalog_task or where nothing else waits. */
#ifndef SLC_CATALOG_BACKUP_H
#define SLC_CATALOG_BACKUP_H

#include "catalog/catalog.h"

/* Writes a copy to `path`, which must not exist (mode 0600), and checks it. On an error nothing is left there.
 */
bool slc_catalog_backup(slc_catalog *catalog, const char *path, slc_error *err) SLC_CHECKED;

/* ---- the directory of backups ---- */
/* Makes one there and removes the oldest over the number that is kept. Returns its description, new: {name,
 * created_at, size_bytes, revision, schema, master_key, usable}. SLC_CONFLICT while another one or a rotation
 * runs. */
json_t *slc_backup_make(slc_catalog *catalog, const slc_actor *actor, slc_error *err) SLC_CHECKED;
/* All of them, newest first: new. `usable`: the master key that is there opens it. A file that cannot be read
 * has a `problem` instead. */
json_t *slc_backup_list(slc_catalog *catalog, slc_error *err) SLC_CHECKED;
/* One of them. SLC_NOT_FOUND. */
json_t *slc_backup_describe(slc_catalog *catalog, const char *name, slc_error *err) SLC_CHECKED;
/* Opens one for reading and notes in the audit trail who asked: the caller closes the descriptor. -1 on error.
 */
int slc_backup_open(slc_catalog *catalog, const slc_actor *actor, const char *name, int64_t *size_bytes,
                    slc_error *err) SLC_CHECKED;
/* When the newest one was made; 0: there is none. */
int64_t slc_backup_newest_ms(slc_catalog *catalog);

/* ---- the master key ---- */
/* Seals everything under a new master key and then forgets the old one. Safe against a crash at any point: both
 * keys are in the key file until nothing needs the old one, and the next start ends what was begun.
 * SLC_CONFLICT while a backup or another rotation runs. */
bool slc_catalog_rotate_master_key(slc_catalog *catalog, const slc_actor *actor, slc_error *err) SLC_CHECKED;
/* The fingerprint of the key in use: 8 hexadecimal digits. */
void slc_catalog_key_fingerprint(slc_catalog *catalog, char out[9]);

/* ---- with the control plane stopped (SLC_UNAVAILABLE otherwise) ---- */
typedef struct slc_restore {
    const char *file;      /* the backup */
    bool undo_revocations; /* also what was revoked since the backup is valid again */
} slc_restore;

/* Puts the backup in the place of the catalog. Everything is checked and prepared in a copy beside it: until
 * the last step, which is one rename, the catalog that was there stays. That one is kept aside. `*report`
 * (new): {backup, created_at, compared (all that was taken away since is known), enrolment_tokens_voided,
 * revision, replaced (path or null)}, and what restore_carry.h adds. */
bool slc_catalog_restore(const slc_catalog_options *options, const slc_restore *restore, json_t **report,
                         slc_error *err) SLC_CHECKED;

/* For a master key that is lost for good: drops everything that is sealed and begins with a new key. `*report`
 * (new): {fields: ["backend-clusters/main authentication.password", ...], nodes, ...}: what has to be supplied
 * again. SLC_CONFLICT when the key that is there opens the catalog. */
bool slc_catalog_forget_secrets(const slc_catalog_options *options, json_t **report,
                                slc_error *err) SLC_CHECKED;

#endif
