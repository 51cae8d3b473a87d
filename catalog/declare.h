/* Declarative configuration: a document says what a manager wants to exist, and the catalog is made so in one
 * transaction.
 *
 *   {"manager": "team-a", "base_revision": 41, "resources": {"teams": [{...}], "event-apis": [{...}], ...}}
 *
 * Objects are told apart by their key (kinds without one: by slc_kind.identity). Kinds are applied in order of
 * dependency, whatever the order of the document. An object that belongs to another manager than the document
 * says so in a field of its own, "manager".
 */
#ifndef SLC_CATALOG_DECLARE_H
#define SLC_CATALOG_DECLARE_H

#include "catalog/catalog.h"

typedef struct slc_declare_options {
    bool dry_run;        /* work everything out, then change nothing */
    bool prune;          /* delete what the manager owns and the document does not have */
    bool adopt;          /* take over objects of other managers instead of refusing them */
    int64_t if_revision; /* the catalog's revision that it is based on, as base_revision; 0: any */
    json_t **referrers;  /* when it fails: new array of who refers to what should be deleted, or NULL */
} slc_declare_options;

/* New: {"revision", "dry_run", "changes": [{"action": "create" | "update" | "adopt" | "delete", "kind", "key",
 * "changes"}]}, with the changes as in an audit event; empty when everything is as the document says. NULL with
 * err: its field is a pointer into the document ("/resources/teams/3/name"), and the transaction's problems
 * have those of all objects. SLC_STALE when base_revision is given and is not the catalog's; SLC_CONFLICT for
 * another manager's object.
 *
 * In a dry run the caller's transaction is left as it was; call it alone in slc_catalog_write. */
json_t *slc_catalog_apply(slc_txn *txn, const json_t *document, const slc_declare_options *options,
                          slc_error *err) SLC_CHECKED;

/* The document that makes what there is: new. `manager` NULL: everything (the document's manager is "api" then,
 * and objects of others name their own), else only what that manager owns. Applying it again changes nothing.
 * Sealed secrets are left out: an absent secret keeps its value. */
json_t *slc_catalog_dump(slc_txn *txn, const char *manager, slc_error *err) SLC_CHECKED;

#endif
