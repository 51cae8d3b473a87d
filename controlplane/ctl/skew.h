/* sluicectl and control plane may be one minor release apart. */
#ifndef SLC_CONTROLPLANE_CTL_SKEW_H
#define SLC_CONTROLPLANE_CTL_SKEW_H

#include <stdbool.h>
#include <stddef.h>

/* Are "0.1.0 (commit)" and this build's version further apart than that? False for what is no version. */
bool slc_skew_too_far(const char *ours, const char *theirs);
/* Warns on standard error, if so. */
void slc_skew_warn(const char *server_version);

#endif
