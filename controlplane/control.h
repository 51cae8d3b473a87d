/* The control plane as a process: opens the catalog, starts the gRPC side and the admin API, stops them in
 * order. */
#ifndef SLC_CONTROLPLANE_CONTROL_H
#define SLC_CONTROLPLANE_CONTROL_H

#include "catalog/catalog.h"
#include "common/error.h"
#include "controlplane/settings.h"

/* The settings of the catalog, borrowed from those of the program. */
void slc_control_catalog_options(const slc_control_settings *settings, slc_catalog_options *options);

/* A new administrator token is shown once: on standard output, or in bootstrap-token-file, which only its owner
 * reads. */
bool slc_control_show_token(const slc_control_settings *settings, const char *token,
                            slc_error *err) SLC_CHECKED;

/* Every metric of the control plane; slc_control_run does it. Once. */
void slc_control_register_metrics(void);
/* Runs until SIGTERM or SIGINT. False when it could not start; err says why. */
bool slc_control_run(const slc_control_settings *settings, slc_error *err) SLC_CHECKED;

#endif
