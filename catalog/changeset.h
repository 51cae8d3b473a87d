/* Many changes as one: what should exist and what should go, worked out together. The engine of declarative
 * documents and of rollbacks. Private to catalog/; inside a write transaction.
 */
#ifndef SLC_CATALOG_CHANGESET_H
#define SLC_CATALOG_CHANGESET_H

#include "catalog/entity.h"

/* What tells an object apart in a document: its key, or the values of slc_kind.identity. */
#define SLC_REF_CHARS 1024
/* ref.c: from the JSON (or stored) form. False when a part of it is missing. */
bool slc_declared_ref(slc_txn *txn, const slc_kind *kind, const json_t *body,
                      char out[SLC_REF_CHARS]) SLC_CHECKED;

/* An object that should be as its body says. */
typedef struct slc_wish {
    const slc_kind *kind;
    const char *ref;     /* NULL: its parts are missing, and validation will say so */
    const json_t *body;  /* JSON form */
    const char *pointer; /* where it stands, for errors: "/resources/teams/3" */
    const char *id;      /* to be made with this id if that is free; NULL: any */
    const char *manager; /* who owns what is made or taken over */
} slc_wish;

typedef struct slc_changeset {
    slc_txn *txn;
    const char *manager; /* whose changes they are (borrowed); NULL: nobody's, as in a rollback */
    bool adopt; /* what is another manager's may be changed and taken over, and what is its own given away */
    bool restoring;    /* as they were once: what only moves forward may go back, what is fixed may change */
    json_t *changes;   /* array of {action, kind, key, changes}: what was done, in order */
    json_t *referrers; /* after a failed removal: who stands in its way; NULL: nobody */
    json_t *identities;
    struct slc_wanted *wanted;
    size_t wanted_count, wanted_room;
    struct slc_unwanted *unwanted;
    size_t unwanted_count, unwanted_room;
} slc_changeset;

void slc_changeset_init(slc_changeset *set, slc_txn *txn);
void slc_changeset_release(slc_changeset *set);
/* In order of dependency. The texts are copied, the body is referred to. */
void slc_changeset_want(slc_changeset *set, const slc_wish *wish);
/* In the opposite order; of an object that exists. Copied. */
void slc_changeset_unwant(slc_changeset *set, const slc_kind *kind, const char *id, const char *ref);
/* Does it all, or (false) nothing of use: the caller's transaction must roll back then. What fails because of
 * another change that is still to come is tried again after it. The problems of all objects are in the
 * transaction's problems, with pointers; err is the first. In a dry run everything is undone at the end. */
bool slc_changeset_run(slc_changeset *set, bool dry_run, slc_error *err) SLC_CHECKED;

#endif
