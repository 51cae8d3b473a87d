/* The control plane as a process: opens the catalog, starts the gRPC side and the admin API, stops them in
 * order. */
#ifndef SLC_CONTROLPLANE_CONTROL_H
#define SLC_CONTROLPLANE_CONTROL_H

#include "common/error.h"
#include "controlplane/settings.h"

/* Runs until SIGTERM or SIGINT. False when it could not start; err says why. */
bool slc_control_run(const slc_control_settings *settings, slc_error *err) SLC_CHECKED;

#endif
