/* The gateway's own metrics. The table in metrics.c is their documentation. */
#ifndef SLC_DATAPLANE_OBSERVE_METRICS_H
#define SLC_DATAPLANE_OBSERVE_METRICS_H

#include <stdint.h>

struct slc_exchange;
typedef struct slc_api_metrics slc_api_metrics; /* a worker's series by event API, looked up once */

/* Once, before threads start. */
void slc_gateway_metrics_register(void);

slc_api_metrics *slc_api_metrics_new(void);
void slc_api_metrics_free(slc_api_metrics *metrics);
/* Counts a finished exchange. */
void slc_api_metrics_count(slc_api_metrics *metrics, const struct slc_exchange *exchange, int status);

/* A policy said no. Any thread. */
void slc_metrics_denied(int status);
/* This policy's condition could not be evaluated. Any thread. */
void slc_metrics_unevaluated(const char *policy);
void slc_metrics_group_size(unsigned gateways);
/* Gauges that are read when they are scraped: process memory, CPU, descriptors, connections. */
void slc_gateway_metrics_refresh(int64_t connections);

#endif
