/* PUT /v1/config, for the commands that change much at once. */
#ifndef SLC_CONTROLPLANE_CTL_APPLY_H
#define SLC_CONTROLPLANE_CTL_APPLY_H

#include <jansson.h>

#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/documents.h"

/* With --prune and --adopt as they were given. The answer ({"revision", "dry_run", "changes"}): new, or NULL
 * after saying why, with the places in `documents` (NULL: the document is not from files). */
json_t *slc_apply_send(slc_ctl *ctl, const json_t *document, const slc_documents *documents,
                       bool dry_run) SLC_CHECKED;

#endif
