/* The table of kinds: applications, what they prove themselves with, and what they have subscribed to. */
#include "catalog/kinds.h"
#include "catalog/rules.h"

static const slc_field application_fields[] = {
    SLC_FIELD_NAME, SLC_FIELD_TITLE, SLC_FIELD_TEAM, SLC_FIELD_DESCRIPTION, SLC_FIELD_END,
};

const slc_kind slc_kind_application = {
    .name = "applications",
    .singular = "application",
    .schema = "Application",
    .table = "applications",
    .help = "A program that publishes or reads events.",
    .flags = SLC_KIND_CRUD | SLC_KIND_DECLARATIVE,
    .team_through = "team",
    .fields = application_fields,
};

static const char *const credential_type_values[] = {"secret", "certificate", "oidc", NULL};

static const slc_field certificate_fields[] = {
    {.name = "subject", .type = SLC_F_STRING, .max = 500, .help = "Distinguished name (RFC 2253)."},
    {.name = "san",
     .type = SLC_F_STRING,
     .max = 500,
     .help = "A subject alternative name with its kind: DNS:shop.example, URI:spiffe://example/shop, "
             "email:shop@example.com or IP:192.0.2.1."},
    {.name = "fingerprint",
     .type = SLC_F_STRING,
     .format = SLC_FMT_SHA256_HEX,
     .help = "SHA-256 of the certificate, lower-case hexadecimal."},
    SLC_FIELD_END,
};

static const slc_field oidc_fields[] = {
    {.name = "issuer",
     .type = SLC_F_REF,
     .flags = SLC_F_REQUIRED,
     .ref = "issuers",
     .help = "Who signed the token."},
    {.name = "claim",
     .type = SLC_F_STRING,
     .min = 1,
     .max = 100,
     .default_json = "\"sub\"",
     .help = "The claim that identifies the application."},
    {.name = "value",
     .type = SLC_F_STRING,
     .flags = SLC_F_REQUIRED,
     .min = 1,
     .max = 500,
     .help = "What the claim must be."},
    SLC_FIELD_END,
};

#define ONCE (SLC_F_READ_ONLY | SLC_F_ONCE)

static const slc_field credential_fields[] = {
    {.name = "application",
     .type = SLC_F_REF,
     .flags = SLC_F_REQUIRED | SLC_F_IMMUTABLE | SLC_F_FILTERABLE,
     .ref = "applications",
     .help = "Whom it identifies."},
    {.name = "type",
     .type = SLC_F_ENUM,
     .flags = SLC_F_REQUIRED | SLC_F_IMMUTABLE | SLC_F_FILTERABLE,
     .values = credential_type_values,
     .help = "secret: a generated one; certificate and oidc: a match."},
    SLC_FIELD_TITLE,
    {.name = "expires_at", .type = SLC_F_TIMESTAMP, .help = "When it stops being accepted; absent: never."},
    {.name = "disabled",
     .type = SLC_F_BOOL,
     .flags = SLC_F_FILTERABLE,
     .default_json = "false",
     .help = "Refused for the time being."},
    {.name = "revoked_at",
     .type = SLC_F_TIMESTAMP,
     .flags = SLC_F_READ_ONLY,
     .help = "When it was revoked for good."},
    {.name = "certificate",
     .type = SLC_F_OBJECT,
     .flags = SLC_F_IMMUTABLE,
     .fields = certificate_fields,
     .help = "certificate: exactly one of subject, san and fingerprint."},
    {.name = "oidc",
     .type = SLC_F_OBJECT,
     .flags = SLC_F_IMMUTABLE,
     .fields = oidc_fields,
     .help = "oidc: the match."},
    {.name = "lookup", .type = SLC_F_STRING, .flags = SLC_F_READ_ONLY | SLC_F_HIDDEN, .max = 1200, .help = ""},
    {.name = "secret", .type = SLC_F_STRING, .flags = ONCE, .help = "secret: the generated one, shown once."},
    {.name = "api_key", .type = SLC_F_STRING, .flags = ONCE, .help = "secret: slk_<id>_<secret>, shown once."},
    {.name = "username",
     .type = SLC_F_STRING,
     .flags = ONCE,
     .help = "secret: the user name of HTTP Basic, PLAIN and SCRAM: its id."},
    SLC_FIELD_END,
};

static const slc_action credential_actions[] = {
    {.name = "revoke",
     .permission = "credentials:revoke",
     .help = "Refuses it for good; open streams are closed."},
    {.name = NULL},
};

const slc_kind slc_kind_credential = {
    .name = "credentials",
    .singular = "credential",
    .schema = "Credential",
    .table = "credentials",
    .help = "How an application proves who it is, on any protocol.",
    .flags = SLC_KIND_CRUD,
    .key = SLC_KEY_ID,
    .team_through = "application",
    .fields = credential_fields,
    .actions = credential_actions,
    .rules = &slc_rules_credential,
};

static const char *const subscription_state_values[] = {"pending", "approved", "refused", "suspended",
                                                        "revoked", "expired",  NULL};

static const slc_field subscription_fields[] = {
    {.name = "application",
     .type = SLC_F_REF,
     .flags = SLC_F_REQUIRED | SLC_F_IMMUTABLE | SLC_F_FILTERABLE,
     .ref = "applications",
     .help = "Who subscribes."},
    {.name = "plan",
     .type = SLC_F_REF,
     .flags = SLC_F_REQUIRED | SLC_F_IMMUTABLE | SLC_F_FILTERABLE,
     .ref = "plans",
     .help = "To what, on which terms: product.plan."},
    {.name = "product",
     .type = SLC_F_REF,
     .flags = SLC_F_READ_ONLY | SLC_F_FILTERABLE,
     .ref = "products",
     .help = "The plan's product."},
    {.name = "environment",
     .type = SLC_F_STRING,
     .flags = SLC_F_REQUIRED | SLC_F_IMMUTABLE | SLC_F_FILTERABLE,
     .format = SLC_FMT_NAME,
     .min = 1,
     .max = 63,
     .help = "Where it holds: an environment of some gateway group."},
    {.name = "state",
     .type = SLC_F_ENUM,
     .flags = SLC_F_READ_ONLY | SLC_F_FILTERABLE,
     .values = subscription_state_values,
     .help = "Gateways honour approved ones."},
    {.name = "expires_at", .type = SLC_F_TIMESTAMP, .help = "When it ends; absent: never."},
    {.name = "reason",
     .type = SLC_F_STRING,
     .flags = SLC_F_READ_ONLY,
     .max = 500,
     .help = "Why it is in this state."},
    SLC_FIELD_END,
};

static const slc_field reason_fields[] = {
    {.name = "reason", .type = SLC_F_STRING, .max = 500, .help = "Why; the subscriber sees it."},
    SLC_FIELD_END,
};

#define DECISION(verb, text)                                                                                   \
    {                                                                                                          \
        .name = verb, .permission = "subscriptions:approve", .help = text, .fields = reason_fields,            \
        .team_through = "product"                                                                              \
    }

static const slc_action subscription_actions[] = {
    DECISION("approve", "Grants a pending subscription."),
    DECISION("refuse", "Refuses a pending subscription."),
    DECISION("suspend", "Stops an approved subscription for the time being; open streams are closed."),
    DECISION("resume", "Grants a suspended subscription again."),
    DECISION("revoke", "Ends a live subscription for good; open streams are closed."),
    {.name = NULL},
};

const slc_kind slc_kind_subscription = {
    .name = "subscriptions",
    .singular = "subscription",
    .schema = "Subscription",
    .table = "subscriptions",
    .help = "An application's right to use a plan in an environment.",
    .flags = SLC_KIND_CRUD,
    .key = SLC_KEY_ID,
    .team_through = "application",
    .fields = subscription_fields,
    .actions = subscription_actions,
    .rules = &slc_rules_subscription,
};
