/* The settings of sluice-gateway, declared once in gateway_settings.c: flag, environment variable and key of
 * the file. What a gateway serves is not here: that comes from the control plane. */
#ifndef SLC_DATAPLANE_GATEWAY_SETTINGS_H
#define SLC_DATAPLANE_GATEWAY_SETTINGS_H

#include "common/settings.h"
#include "dataplane/crypt/keys.h"
#include "dataplane/identity/issuers.h"
#include "dataplane/observe/audit.h"
#include "dataplane/observe/trace.h"
#include "dataplane/policy/failures.h"
#include "dataplane/policy/shared_limits.h"
#include "dataplane/schema/registry.h"
#include "dataplane/worker.h"

typedef struct slc_gateway_settings {
    char *state_dir;
    char *join;
    char *join_file;
    char *enrolment_endpoint;
    char *enrolment_ca_sha256;
    char *service_account_token_file;
    char *node_name;
    char *observe_address;
    char *access_log;
    int64_t access_log_queue_bytes;
    slc_audit_options audit;
    slc_trace_options trace;
    slc_failures_options failures;
    bool check;
    char *log_level;
    char *log_format;
    int64_t workers; /* 0: one for each core */
    int64_t limit_keys;
    int64_t certificate_reload_ms;
    int64_t dry_run_interval_ms;
    int64_t reconnect_min_ms;
    int64_t reconnect_max_ms;
    int64_t retry_apply_min_ms;
    int64_t retry_apply_max_ms;
    int64_t usage_interval_ms;
    int64_t usage_retry_ms;
    int64_t usage_flush_ms;
    int64_t usage_series;
    int64_t usage_backlog;
    bool require_backend;
    slc_issuers_options issuers;
    slc_shared_options shared;
    slc_keys_options keys;
    slc_schemas_options schemas;
    slc_gateway_limits limits;
} slc_gateway_settings;

extern const slc_setting slc_gateway_settings_table[];

#endif
