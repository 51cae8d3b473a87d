/* The gateway's own metrics. The table in metrics.c is their documentation. */
#ifndef SLC_DATAPLANE_OBSERVE_METRICS_H
#define SLC_DATAPLANE_OBSERVE_METRICS_H

#include <jansson.h>
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
/* Gauges that are read when they are scraped. `backends` is what /health/backends says; `known` is the
 * caller's, an empty object at first: those that were told so far. One thread. */
void slc_gateway_metrics_refresh(int64_t connections, const json_t *backends, json_t *known);
/* The end of what this listener shows its clients; 0: it is gone, or has no TLS. */
void slc_metrics_listener_certificate(const char *listener, int64_t expiry_ms);

#endif
