/* The parts of the table of kinds, one file per area, and what they share. Private to catalog/. */
#ifndef SLC_CATALOG_KINDS_H
#define SLC_CATALOG_KINDS_H

#include "catalog/kind.h"

extern const slc_kind slc_kind_team, slc_kind_role, slc_kind_user, slc_kind_api_token, slc_kind_grant,
    slc_kind_invitation, slc_kind_sign_in_provider, slc_kind_sign_in_rule, slc_kind_audit_event;
extern const slc_kind slc_kind_gateway_group, slc_kind_gateway_node, slc_kind_enrolment_token,
    slc_kind_backend_cluster, slc_kind_virtual_cluster, slc_kind_listener, slc_kind_config_version;
extern const slc_kind slc_kind_enrolment_rule;
extern const slc_kind slc_kind_issuer, slc_kind_schema_registry, slc_kind_key_ring, slc_kind_trust_bundle;
extern const slc_kind slc_kind_event_api, slc_kind_deployment, slc_kind_product, slc_kind_plan, slc_kind_policy;
extern const slc_kind slc_kind_webhook, slc_kind_scorecard_rule, slc_kind_rest_api;
extern const slc_kind slc_kind_application, slc_kind_credential, slc_kind_subscription;

extern const char *const slc_operation_values[]; /* publish, read */
extern const char *const slc_lifecycle_values[]; /* in order */

#define SLC_FIELD_NAME                                                                                         \
    {                                                                                                          \
        .name = "name", .type = SLC_F_STRING, .format = SLC_FMT_NAME, .min = 1, .max = 63,                     \
        .flags = SLC_F_REQUIRED | SLC_F_IMMUTABLE | SLC_F_UNIQUE | SLC_F_FILTERABLE,                           \
        .help = "Name, unique among its kind; it cannot change."                                               \
    }
#define SLC_FIELD_TITLE                                                                                        \
    {                                                                                                          \
        .name = "title", .type = SLC_F_STRING, .max = 200, .help = "Title for people."                         \
    }
#define SLC_FIELD_DESCRIPTION                                                                                  \
    {                                                                                                          \
        .name = "description", .type = SLC_F_TEXT, .max = 65536, .help = "Description in Markdown."            \
    }
#define SLC_FIELD_TEAM                                                                                         \
    {                                                                                                          \
        .name = "team", .type = SLC_F_REF, .ref = "teams", .flags = SLC_F_REQUIRED | SLC_F_FILTERABLE,         \
        .help = "The team that owns it."                                                                       \
    }
/* What means what in the lifecycle differs: what_ says it. */
#define SLC_FIELD_LIFECYCLE(what_)                                                                             \
    {                                                                                                          \
        .name = "lifecycle", .type = SLC_F_ENUM, .flags = SLC_F_FILTERABLE, .values = slc_lifecycle_values,    \
        .default_json = "\"draft\"", .help = "Only moves forward; " what_                                      \
    }
#define SLC_FIELD_SUNSET_AT                                                                                    \
    {                                                                                                          \
        .name = "sunset_at", .type = SLC_F_TIMESTAMP, .help = "When a deprecated API will end."                \
    }
#define SLC_FIELD_DEPRECATED_AT                                                                                \
    {                                                                                                          \
        .name = "deprecated_at", .type = SLC_F_TIMESTAMP, .flags = SLC_F_READ_ONLY,                            \
        .help = "When it became deprecated."                                                                   \
    }
#define SLC_FIELD_END                                                                                          \
    {                                                                                                          \
        .name = NULL                                                                                           \
    }

#endif
