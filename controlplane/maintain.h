/* What sluice-control does to a data directory instead of running: restoring a backup, recovering from a lost
 * key. */
#ifndef SLC_CONTROLPLANE_MAINTAIN_H
#define SLC_CONTROLPLANE_MAINTAIN_H

#include "common/error.h"
#include "controlplane/settings.h"

/* Prints what came of it on standard output. Starts nothing; false with err when nothing was changed. */
bool slc_control_maintain(const slc_control_settings *settings, slc_error *err) SLC_CHECKED;

#endif
