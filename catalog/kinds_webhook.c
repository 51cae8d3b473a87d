/* The table of kinds: who is notified. */
#include "catalog/kinds.h"
#include "catalog/notify.h"
#include "catalog/rules.h"

const char *const slc_notify_events[] = {"subscription.requested", "subscription.approved", "subscription.refused",
                                         "subscription.revoked",   "event_api.published",   "event_api.deprecated",
                                         "event_api.retired",      "node.joined",           "node.lost",
                                         "credential.expiring",    NULL};

static const slc_field webhook_fields[] = {
    SLC_FIELD_NAME,
    SLC_FIELD_TITLE,
    {.name = "url",
     .type = SLC_F_STRING,
     .flags = SLC_F_REQUIRED,
     .format = SLC_FMT_URL,
     .min = 1,
     .max = 500,
     .help = "Where notifications are sent, by POST."},
    {.name = "events",
     .type = SLC_F_ENUM_LIST,
     .flags = SLC_F_REQUIRED,
     .values = slc_notify_events,
     .min = 1,
     .max = 20,
     .help = "Of what."},
    {.name = "team",
     .type = SLC_F_REF,
     .flags = SLC_F_IMMUTABLE | SLC_F_FILTERABLE,
     .ref = "teams",
     .help = "Whose applications, event APIs and products it is about; absent: everybody's, and nodes."},
    {.name = "enabled",
     .type = SLC_F_BOOL,
     .flags = SLC_F_FILTERABLE,
     .default_json = "true",
     .help = "A disabled one is told nothing, and what is still to be told waits."},
    {.name = "disabled_reason",
     .type = SLC_F_STRING,
     .flags = SLC_F_READ_ONLY,
     .max = 500,
     .help = "Why it was disabled by the control plane."},
    {.name = "secret_changed_at",
     .type = SLC_F_TIMESTAMP,
     .flags = SLC_F_READ_ONLY,
     .help = "When the secret was made."},
    {.name = "failing_since",
     .type = SLC_F_TIMESTAMP,
     .flags = SLC_F_READ_ONLY | SLC_F_COMPUTED | SLC_F_VOLATILE,
     .help = "Since when no attempt has worked; absent: the last did."},
    {.name = "secret",
     .type = SLC_F_STRING,
     .flags = SLC_F_READ_ONLY | SLC_F_ONCE,
     .help = "What notifications are signed with, shown once: whsec_..."},
    SLC_FIELD_END,
};

static const slc_field redeliver_fields[] = {
    {.name = "delivery",
     .type = SLC_F_STRING,
     .flags = SLC_F_REQUIRED,
     .min = 1,
     .max = 64,
     .help = "The id of a delivery."},
    SLC_FIELD_END,
};

static const slc_action webhook_actions[] = {
    {.name = "rotate",
     .permission = "webhooks:write",
     .help = "Makes a new secret, shown once; the one before signs too, for a while."},
    {.name = "ping", .permission = "webhooks:write", .help = "Sends the event ping."},
    {.name = "redeliver",
     .permission = "webhooks:write",
     .help = "Sends a notification again that was delivered, or is dead.",
     .fields = redeliver_fields},
    {.name = NULL},
};

const slc_kind slc_kind_webhook = {
    .name = "webhooks",
    .singular = "webhook",
    .schema = "Webhook",
    .table = "webhooks",
    .help = "Who is notified of what, by signed HTTP requests (Standard Webhooks).",
    .flags = SLC_KIND_CRUD,
    .team_through = "team",
    .fields = webhook_fields,
    .actions = webhook_actions,
    .rules = &slc_rules_webhook,
};
