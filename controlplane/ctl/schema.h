/* What sluicectl knows of the kinds by itself: what this build's control plane would accept. A control plane of
 * another version may know more or less; it has the last word when something is applied. One thread. */
#ifndef SLC_CONTROLPLANE_CTL_SCHEMA_H
#define SLC_CONTROLPLANE_CTL_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* JSON that the build makes (controlplane/schema): {"version", "kinds": {name: {"singular", "key", "help",
 * "declarative", "create", "log", "identity", "actions", "schema"}}, "policies": {type: schema}, "forms":
 * {pattern: what it means}}. */
extern const char slc_schema_text[];

/* Parsed at the first call; borrowed. */
const json_t *slc_schema_kinds(void);
const json_t *slc_schema_kind(const char *name); /* NULL: there is none */
void slc_schema_forget(void);                    /* frees it, at the end */

/* The key that the API shows for an item of a list or a document; its id, or what tells it apart, when the kind
 * has none. */
void slc_schema_key(const char *kind, const json_t *item, char *out, size_t size);

/* Adds {"pointer", "detail"} to `problems` for each place of the document that is wrong. */
void slc_schema_check(const json_t *document, json_t *problems);
/* A member that the document has at `pointer` and that does not exist: what may have been meant; NULL: no idea.
 * Borrowed. */
const char *slc_schema_meant(const json_t *document, const char *pointer);

#endif
