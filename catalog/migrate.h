/* Brings a database file to the schema that this program knows. Private to catalog/.
 *
 * Migrations run in order, all that are missing in one transaction, so that one that fails leaves the database
 * as the version before can read it. They are remembered with their checksum: one that was edited after it ran,
 * or one that this program does not know, is an error, and nothing is touched. */
#ifndef SLC_CATALOG_MIGRATE_H
#define SLC_CATALOG_MIGRATE_H

#include <sqlite3.h>
#include <stddef.h>

#include "common/error.h"

typedef struct slc_migration {
    int number;       /* 1, 2, ... without gaps; a list ends with 0 */
    const char *name; /* "0001_entities" */
    const char *sql;
    size_t len;
} slc_migration;

extern const slc_migration slc_catalog_migrations[]; /* migrations/ */
extern const slc_migration slc_usage_migrations[];   /* migrations/usage/ */

/* Checks those that were applied; `*last` is how many, 0 for a new database. `path` is for messages. */
bool slc_migrations_check(sqlite3 *db, const char *path, const slc_migration *migrations, int *last,
                          slc_error *err) SLC_CHECKED;
bool slc_migrate(sqlite3 *db, const char *path, const slc_migration *migrations, slc_error *err) SLC_CHECKED;

/* Reads a folder's *.sql instead (slc_catalog_options.migrations_dir); freed with slc_migrations_free. */
slc_migration *slc_migrations_read(const char *dir, slc_error *err) SLC_CHECKED;
void slc_migrations_free(slc_migration *migrations);

#endif
