/* The table of kinds: what authentication, schema checks and encryption refer to. */
#include "catalog/kinds.h"
#include "catalog/rules.h"

static const char *const algorithm_values[] = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
                                               "ES256", "ES384", "ES512", "EdDSA", NULL};

static const slc_field issuer_fields[] = {
    SLC_FIELD_NAME,
    SLC_FIELD_TITLE,
    {.name = "url",
     .type = SLC_F_STRING,
     .flags = SLC_F_REQUIRED,
     .format = SLC_FMT_URL,
     .min = 1,
     .max = 500,
     .help = "The iss claim; discovery starts there."},
    {.name = "jwks_url",
     .type = SLC_F_STRING,
     .format = SLC_FMT_URL,
     .max = 500,
     .help = "Where the keys are; absent, and no file either: as discovery says."},
    {.name = "jwks_file",
     .type = SLC_F_STRING,
     .max = 500,
     .help = "A file with the keys instead, on the machine that verifies tokens."},
    {.name = "ca_pem",
     .type = SLC_F_TEXT,
     .format = SLC_FMT_CERTS_PEM,
     .max = 262144,
     .help = "Authorities to trust when fetching keys; absent: the system's."},
    {.name = "audiences",
     .type = SLC_F_STRING_LIST,
     .max = 20,
     .item_max = 500,
     .help = "Accepted aud claims; empty: not checked."},
    {.name = "algorithms",
     .type = SLC_F_ENUM_LIST,
     .values = algorithm_values,
     .min = 1,
     .max = 10,
     .default_json = "[\"RS256\",\"ES256\"]",
     .help = "Accepted signature algorithms."},
    {.name = "claims",
     .type = SLC_F_MAP,
     .max = 20,
     .help = "Claims that a token must have, with their values."},
    {.name = "clock_skew",
     .type = SLC_F_DURATION,
     .max = 3600000,
     .default_json = "\"1m\"",
     .help = "How far the issuer's clock and a gateway's may be apart."},
    {.name = "identifying_claims",
     .type = SLC_F_STRING_LIST,
     .max = SLC_ISSUER_CLAIMS_MAX,
     .item_max = 100,
     .default_json = "[\"sub\"]",
     .help = "The claims that credentials may name. The first of them that a token has, as a text, says whose "
             "it is; "
             "with a leading / a JSON pointer. Empty: any claim, and a token that matches credentials of two "
             "applications is refused."},
    {.name = "principal_claim",
     .type = SLC_F_STRING,
     .min = 1,
     .max = 100,
     .default_json = "\"sub\"",
     .help =
         "The claim that says whose token it is, for conditions and logs; with a leading / a JSON pointer."},
    {.name = "groups_claim",
     .type = SLC_F_STRING,
     .min = 1,
     .max = 100,
     .default_json = "\"groups\"",
     .help = "The claim with the groups, for conditions: a list, or names with spaces between them."},
    {.name = "scopes_claim",
     .type = SLC_F_STRING,
     .min = 1,
     .max = 100,
     .default_json = "\"scope\"",
     .help = "The claim with the scopes, for conditions and the policy oidc: a list, or names with spaces "
             "between."},
    SLC_FIELD_END,
};

const slc_kind slc_kind_issuer = {
    .name = "issuers",
    .singular = "issuer",
    .schema = "Issuer",
    .table = "issuers",
    .help = "Who signs the tokens that clients bring.",
    .flags = SLC_KIND_CRUD | SLC_KIND_DECLARATIVE | SLC_KIND_ROLLBACK,
    .fields = issuer_fields,
    .rules = &slc_rules_issuer,
};

static const char *const registry_mechanism_values[] = {"none", "basic", "bearer", NULL};

static const slc_field registry_authentication_fields[] = {
    {.name = "mechanism",
     .type = SLC_F_ENUM,
     .flags = SLC_F_REQUIRED,
     .values = registry_mechanism_values,
     .help = "How gateways authenticate to it."},
    {.name = "username", .type = SLC_F_STRING, .max = 255, .help = "basic."},
    {.name = "password", .type = SLC_F_STRING, .flags = SLC_F_SECRET, .max = 1024, .help = "basic."},
    {.name = "token", .type = SLC_F_STRING, .flags = SLC_F_SECRET, .max = 8192, .help = "bearer."},
    SLC_FIELD_END,
};

static const slc_field schema_registry_fields[] = {
    SLC_FIELD_NAME,
    SLC_FIELD_TITLE,
    {.name = "url",
     .type = SLC_F_STRING,
     .flags = SLC_F_REQUIRED,
     .format = SLC_FMT_URL,
     .min = 1,
     .max = 500,
     .help = "Its address."},
    {.name = "authentication",
     .type = SLC_F_OBJECT,
     .fields = registry_authentication_fields,
     .help = "How gateways authenticate to it."},
    SLC_FIELD_END,
};

const slc_kind slc_kind_schema_registry = {
    .name = "schema-registries",
    .singular = "schema registry",
    .schema = "SchemaRegistry",
    .table = "schema_registries",
    .help = "Where schemas are looked up.",
    .flags = SLC_KIND_CRUD | SLC_KIND_DECLARATIVE | SLC_KIND_ROLLBACK,
    .fields = schema_registry_fields,
    .rules = &slc_rules_schema_registry,
};

static const char *const provider_values[] = {"local", "vault", "aws-kms", NULL};

static const slc_field key_ring_config_fields[] = {
    {.name = "path",
     .type = SLC_F_STRING,
     .max = 500,
     .help = "local: the sealed keystore file on the gateway."},
    {.name = "passphrase",
     .type = SLC_F_STRING,
     .flags = SLC_F_SECRET,
     .max = 1024,
     .help = "local: opens it."},
    {.name = "url",
     .type = SLC_F_STRING,
     .format = SLC_FMT_URL,
     .max = 500,
     .help = "vault; aws-kms: an endpoint."},
    {.name = "mount", .type = SLC_F_STRING, .max = 200, .help = "vault: where the transit engine is mounted."},
    {.name = "token", .type = SLC_F_STRING, .flags = SLC_F_SECRET, .max = 8192, .help = "vault."},
    {.name = "region", .type = SLC_F_STRING, .max = 64, .help = "aws-kms."},
    {.name = "access_key_id", .type = SLC_F_STRING, .max = 128, .help = "aws-kms; absent: the environment's."},
    {.name = "secret_access_key", .type = SLC_F_STRING, .flags = SLC_F_SECRET, .max = 512, .help = "aws-kms."},
    {.name = "key", .type = SLC_F_STRING, .max = 500, .help = "Name or ARN of the key-encryption key."},
    SLC_FIELD_END,
};

static const slc_field key_ring_fields[] = {
    SLC_FIELD_NAME,
    SLC_FIELD_TITLE,
    {.name = "provider",
     .type = SLC_F_ENUM,
     .flags = SLC_F_REQUIRED | SLC_F_IMMUTABLE,
     .values = provider_values,
     .help = "Who holds the keys."},
    {.name = "config", .type = SLC_F_OBJECT, .fields = key_ring_config_fields, .help = "Of the provider."},
    SLC_FIELD_END,
};

const slc_kind slc_kind_key_ring = {
    .name = "key-rings",
    .singular = "key ring",
    .schema = "KeyRing",
    .table = "key_rings",
    .help = "Where encryption keys come from.",
    .flags = SLC_KIND_CRUD | SLC_KIND_DECLARATIVE | SLC_KIND_ROLLBACK,
    .fields = key_ring_fields,
    .rules = &slc_rules_key_ring,
};

static const slc_field trust_bundle_fields[] = {
    SLC_FIELD_NAME,
    SLC_FIELD_TITLE,
    {.name = "pem",
     .type = SLC_F_TEXT,
     .flags = SLC_F_REQUIRED,
     .format = SLC_FMT_CERTS_PEM,
     .min = 1,
     .max = 1048576,
     .help = "Certificates of the authorities."},
    SLC_FIELD_END,
};

const slc_kind slc_kind_trust_bundle = {
    .name = "trust-bundles",
    .singular = "trust bundle",
    .schema = "TrustBundle",
    .table = "trust_bundles",
    .help = "Certificate authorities to trust.",
    .flags = SLC_KIND_CRUD | SLC_KIND_DECLARATIVE | SLC_KIND_ROLLBACK,
    .fields = trust_bundle_fields,
};
