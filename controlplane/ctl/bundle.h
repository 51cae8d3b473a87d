/* A compressed archive of texts (tar in gzip), for people who are asked for help. */
#ifndef SLC_CONTROLPLANE_CTL_BUNDLE_H
#define SLC_CONTROLPLANE_CTL_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

typedef struct slc_bundle slc_bundle;

/* The file is made with mode 0600 and must not exist. All entries are below the folder `root` and have the time
 * `at_ms`. NULL on error. */
slc_bundle *slc_bundle_open(const char *path, const char *root, int64_t at_ms, slc_error *err) SLC_CHECKED;
/* Adds a text as root/name (at most 90 bytes together). What looks like a secret of Sluice (a token, an API
 * key, a join string) is replaced in `text`, whose length stays. Errors are kept for slc_bundle_close. */
void slc_bundle_add(slc_bundle *bundle, const char *name, char *text, size_t len);
/* Ends and frees it. False when something could not be written; the file is gone then. */
bool slc_bundle_close(slc_bundle *bundle, slc_error *err) SLC_CHECKED;

/* Replaces the secret part of each "sla_id_secret", "slk_...", "slc_..." and "sluice-join-1...." by stars. */
void slc_redact(char *text, size_t len);

#endif
