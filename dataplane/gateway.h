/* The gateway as a process: workers, the configuration client, health and metrics, drain.
 *
 * The main thread's loop serves health and metrics and takes signals; the config thread hands over new
 * snapshots; workers do the rest. */
#ifndef SLC_DATAPLANE_GATEWAY_H
#define SLC_DATAPLANE_GATEWAY_H

#include "common/error.h"
#include "dataplane/gateway_settings.h"

/* Every metric of the gateway; slc_gateway_run does it. Once. */
void slc_gateway_register_metrics(void);
/* Runs until SIGTERM or SIGINT. False when it could not start; err says why. */
bool slc_gateway_run(const slc_gateway_settings *settings, slc_error *err) SLC_CHECKED;

#endif
