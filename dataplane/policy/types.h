/* The policy types and what their files share. Private to policy/. */
#ifndef SLC_DATAPLANE_POLICY_TYPES_H
#define SLC_DATAPLANE_POLICY_TYPES_H

#include "dataplane/policy/policy.h"

extern const slc_policy_type slc_policy_cors, slc_policy_key_auth, slc_policy_subscription, slc_policy_ticket,
    slc_policy_rate_limit, slc_policy_plan_limits, slc_policy_basic_auth, slc_policy_ip_restriction,
    slc_policy_request_size, slc_policy_acl, slc_policy_oidc, slc_policy_mtls, slc_policy_headers,
    slc_policy_kafka_requests, slc_policy_filter, slc_policy_mask, slc_policy_encrypt, slc_policy_schema;

/* oidc: does a policy take this good token, of its issuers and with its scopes? False with the reason for the
 * log. */
bool slc_oidc_takes(const void *compiled, const slc_token *token, char why[160]) SLC_CHECKED;
/* Does a live subscription of the principal's application grant the operation? Fills plan and subscription, and
 * shortens the principal's expiry to the subscription's. */
bool slc_subscription_grant(const slc_snapshot *snapshot, const slc_event_api *api,
                            Sluice__Snapshot__V1__Operation operation, slc_principal *principal);

/* Fails when `config` has a member that `known` (ends with NULL) lacks, with a pointer to it. */
bool slc_policy_config_known(const json_t *config, const char *const *known, slc_error *err) SLC_CHECKED;
/* A string member, or `fallback` when it is absent. NULL with err when it is not a string of 1..max characters.
 */
const char *slc_policy_config_string(const json_t *config, const char *name, const char *fallback, size_t max,
                                     slc_error *err) SLC_CHECKED;
/* A boolean member, `fallback` when it is absent. */
bool slc_policy_config_bool(const json_t *config, const char *name, bool fallback, bool *value,
                            slc_error *err) SLC_CHECKED;
/* A whole number within limits, `fallback` when it is absent. */
bool slc_policy_config_int(const json_t *config, const char *name, int64_t fallback, int64_t min, int64_t max,
                           int64_t *value, slc_error *err) SLC_CHECKED;
/* What a list of strings must be: the same as in the catalog, or a policy that was taken there would be refused
 * here, and hold up everything else with it. */
typedef struct slc_policy_list {
    size_t min, max; /* items, all different */
    size_t item_max; /* bytes of each, at least one */
    bool (*check)(const char *text, size_t len);
} slc_policy_list;
/* A member that is such a list: NULL when it is absent; false when it is something else. */
bool slc_policy_config_strings(const json_t *config, const char *name, const slc_policy_list *list,
                               const json_t **value, slc_error *err) SLC_CHECKED;

/* A topic's name, new, or NULL in `*value` when it is absent. */
bool slc_policy_config_topic(const json_t *config, const char *name, char **value, slc_error *err) SLC_CHECKED;

/* Before an attempt to authenticate is looked at, and after it failed: SLC_DENY when too many have failed, else
 * SLC_PASS. `credential` NULL: it names none. */
enum slc_verdict slc_policy_attempt(slc_policy_request *request, const char *credential, slc_denial *denial);
void slc_policy_failed(slc_policy_request *request, const char *credential);

/* Says why it allows, to who explains. */
void slc_policy_why(const slc_policy_request *request, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Fills a denial; `reason` is for the log. Returns SLC_DENY. */
enum slc_verdict slc_deny(slc_denial *denial, int status, const char *type, const char *title,
                          const char *detail, const char *reason, ...) __attribute__((format(printf, 6, 7)));

#endif
