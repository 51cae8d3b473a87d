/* The settings of sluice-control, declared once in settings.c: flag, environment variable and key of the file.
 */
#ifndef SLC_CONTROLPLANE_SETTINGS_H
#define SLC_CONTROLPLANE_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/settings.h"
#include "controlplane/webhooks/sender.h"

typedef struct slc_control_settings {
    char *data_dir;
    char *master_key_file;
    char *bootstrap_token_file;
    bool check;
    char *log_level;
    char *log_format;
    char *admin_address;
    char *admin_tls_certificate_file;
    char *admin_tls_key_file;
    int64_t admin_tls_reload_ms;
    int64_t admin_body_bytes;
    int64_t admin_bodies_bytes;
    int64_t admin_header_bytes;
    int64_t admin_request_timeout_ms;
    int64_t admin_connections;
    int64_t admin_kept_bytes;
    int64_t admin_explained;
    bool portal_enabled;
    char *portal_address;
    char *portal_public_url;
    char *portal_tls_certificate_file;
    char *portal_tls_key_file;
    char *portal_sign_up;
    char *portal_sign_up_role;
    int64_t portal_sign_ups;
    int64_t portal_session_idle_ms;
    int64_t portal_session_life_ms;
    int64_t portal_sessions;
    int64_t portal_failures;
    int64_t portal_failure_window_ms;
    int64_t portal_provider_timeout_ms;
    int64_t portal_password_min;
    int64_t portal_password_memory_bytes;
    int64_t portal_password_passes;
    int64_t portal_password_lanes;
    int64_t portal_body_bytes;
    int64_t portal_header_bytes;
    int64_t portal_request_timeout_ms;
    int64_t portal_connections;
    char *grpc_address;
    char *grpc_advertise;
    char *enrolment_address;
    char *enrolment_advertise;
    char *trust_domain;
    char *server_names;
    int64_t certificate_ms;
    int64_t renewal_window_ms;
    int64_t clock_skew_ms;
    int64_t ca_lifetime_ms;
    int64_t ca_warn_ms;
    int64_t ca_rotation_spread_ms;
    int64_t ca_retire_after_ms;
    int64_t forget_ephemeral_ms;
    int64_t upkeep_ms;
    int64_t keys_ttl_ms;
    int64_t keys_retry_ms;
    int64_t keys_stale_ms;
    int64_t keys_timeout_ms;
    int64_t keys_bytes;
    int64_t node_lost_ms;
    int64_t heartbeat_ms;
    int64_t answer_timeout_ms;
    int64_t question_timeout_ms;
    int64_t stream_burst;
    int64_t count_settle_ms;
    int64_t enrolment_burst;
    int64_t grpc_memory_bytes;
    int64_t usage_hours_ms;
    int64_t usage_days_ms;
    int64_t usage_months_ms;
    int64_t usage_boots_ms;
    int64_t usage_export_rows;
    slc_webhook_options webhooks;
    int64_t debounce_ms;
    int64_t versions_kept;
    int64_t versions_age_ms;
    int64_t versions_limit;
    int64_t catalog_busy_timeout_ms;
    int64_t catalog_readers;
    int64_t catalog_queue;
    bool catalog_full_check;
    int64_t catalog_check_limit_ms;
    char *backup_directory;
    int64_t backup_keep;
    int64_t backup_interval_ms;
    bool backup_before_upgrade;
    char *restore;
    bool restore_undo_revocations;
    bool forget_secrets;
    bool new_admin_token;
    int64_t shutdown_grace_ms;
} slc_control_settings;

extern const slc_setting slc_control_settings_table[];

#endif
