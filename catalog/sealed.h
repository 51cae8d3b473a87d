/* Every value that is sealed under the master key, wherever it is: for what must touch them all. Private to
 * catalog/. */
#ifndef SLC_CATALOG_SEALED_H
#define SLC_CATALOG_SEALED_H

#include "catalog/entity.h"
#include "catalog/read.h"

/* A secret field with a sealed value: `holder` is the JSON object that has it as `name`, and may be changed
 * there. `context` is what it was sealed with, `path` the field's ("authentication.password"). */
typedef bool (*slc_sealed_fn)(slc_txn *txn, const json_t *entity, const slc_kind *kind, const char *path,
                              const char *context, json_t *holder, const char *name, void *arg, slc_error *err);
/* Calls `fn` for each of all entities and stores what it changes. In a write transaction. */
bool slc_sealed_fields(slc_txn *txn, slc_sealed_fn fn, void *arg, slc_error *err) SLC_CHECKED;
/* What a secret holds that was dropped with its key: there was one, and it must be supplied again. */
bool slc_secret_is_forgotten(const json_t *stored);

/* Sealed columns of tables that are no entities. A table that gets one gets a line here. */
typedef struct slc_sealed_column {
    const char *select; /* context, value, two parts of the primary key */
    const char *update; /* ?1 value, ?2 and ?3 the primary key */
    const char *forget; /* what is left when the key is lost */
} slc_sealed_column;
extern const slc_sealed_column slc_sealed_columns[]; /* ends with NULL */

#endif
