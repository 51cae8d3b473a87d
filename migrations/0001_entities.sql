-- The entities. Every table has the common columns (id, key, revision, manager, labels, created_at, updated_at); the
-- others are the kind's fields in stored form: references are ids, times and durations milliseconds, booleans 0 or 1,
-- lists and objects JSON. A list of references is the table <table>_<field>. References inside JSON are made visible
-- to foreign keys by generated columns.

CREATE TABLE teams (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, manager TEXT NOT NULL,
    labels TEXT CHECK (labels IS NULL OR json_valid(labels)), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    name TEXT NOT NULL UNIQUE,
    title TEXT
) STRICT;

CREATE TABLE roles (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, manager TEXT NOT NULL,
    labels TEXT CHECK (labels IS NULL OR json_valid(labels)), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    name TEXT NOT NULL UNIQUE,
    title TEXT,
    permissions TEXT NOT NULL CHECK (json_valid(permissions)),
    built_in INTEGER NOT NULL DEFAULT 0 CHECK (built_in IN (0, 1))
) STRICT;

CREATE TABLE users (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, manager TEXT NOT NULL,
    labels TEXT CHECK (labels IS NULL OR json_valid(labels)), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    name TEXT NOT NULL UNIQUE,
    email TEXT UNIQUE,
    title TEXT,
    disabled INTEGER NOT NULL CHECK (disabled IN (0, 1))
) STRICT;

CREATE TABLE users_teams (
    owner_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    target_id TEXT NOT NULL REFERENCES teams (id),
    position INTEGER NOT NULL,
    PRIMARY KEY (owner_id, target_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX users_teams_target ON users_teams (target_id);

CREATE TABLE users_roles (
    owner_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    target_id TEXT NOT NULL REFERENCES roles (id),
    position INTEGER NOT NULL,
    PRIMARY KEY (owner_id, target_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX users_roles_target ON users_roles (target_id);

-- secret_sha256 is of the token's secret part; the token itself is never kept.
CREATE TABLE api_tokens (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, manager TEXT NOT NULL,
    labels TEXT CHECK (labels IS NULL OR json_valid(labels)), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    name TEXT NOT NULL,
    owner TEXT REFERENCES users (id),
    scopes TEXT NOT NULL CHECK (json_valid(scopes)),
    expires_at INTEGER,
    secret_sha256 BLOB CHECK (secret_sha256 IS NULL OR length(secret_sha256) = 32)
) STRICT;
CREATE INDEX api_tokens_owner ON api_tokens (owner);

CREATE TABLE gateway_groups (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, manager TEXT NOT NULL,
    labels TEXT CHECK (labels IS NULL OR json_valid(labels)), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    name TEXT NOT NULL UNIQUE,
    title TEXT,
    environment TEXT NOT NULL,
    rest_url TEXT,
    kafka_url TEXT,
    max_staleness INTEGER
) STRICT;
CREATE INDEX gateway_groups_environment ON gateway_groups (environment);

-- What a node reports (last seen, applied version) is in usage.db; this is who it is.
CREATE TABLE gateway_nodes (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, manager TEXT NOT NULL,
    labels TEXT CHECK (labels IS NULL OR json_valid(labels)), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    "group" TEXT NOT NULL REFERENCES gateway_groups (id),
    name TEXT,
    ephemeral INTEGER NOT NULL CHECK (ephemeral IN (0, 1)),
    certificate_serial TEXT,
    certificate_expires_at INTEGER,
    revoked_at INTEGER
) STRICT;
CREATE INDEX gateway_nodes_group ON gateway_nodes ("group");

CREATE TABLE enrolment_tokens (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, manager TEXT NOT NULL,
    labels TEXT CHECK (labels IS NULL OR json_valid(labels)), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    "group" TEXT NOT NULL REFERENCES gateway_groups (id),
    uses_left INTEGER NOT NULL CHECK (uses_left >= 0),
    expires_at INTEGER NOT NULL,
    secret_sha256 BLOB CHECK (secret_sha256 IS NULL OR length(secret_sha256) = 32)
) STRICT;
CREATE INDEX enrolment_tokens_group ON enrolment_tokens ("group");

CREATE TABLE backend_clusters (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, manager TEXT NOT NULL,
    labels TEXT CHECK (labels IS NULL OR json_valid(labels)), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    name TEXT NOT NULL UNIQUE,
    title TEXT,
    bootstrap_servers TEXT NOT NULL CHECK (json_valid(bootstrap_servers)),
    tls TEXT CHECK (tls IS NULL OR json_valid(tls)),
    authentication TEXT CHECK (authentication IS NULL OR json_valid(authentication)),
    options TEXT CHECK (options IS NULL OR json_valid(options))
) STRICT;

CREATE TABLE virtual_clusters (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, manager TEXT NOT NULL,
    labels TEXT CHECK (labels IS NULL OR json_valid(labels)), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    name TEXT NOT NULL UNIQUE,
    title TEXT,
    backend_cluster TEXT NOT NULL REFERENCES backend_clusters (id),
    namespace TEXT NOT NULL CHECK (json_valid(namespace)),
    extra_topics TEXT CHECK (extra_topics IS NULL OR json_valid(extra_topics)),
    client_authentication TEXT CHECK (client_authentication IS NULL OR json_valid(client_authentication))
) STRICT;
CREATE INDEX virtual_clusters_backend_cluster ON virtual_clusters (backend_cluster);

CREATE TABLE listeners (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, manager TEXT NOT NULL,
    labels TEXT CHECK (labels IS NULL OR json_valid(labels)), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    name TEXT NOT NULL UNIQUE,
    gateway_group TEXT NOT NULL REFERENCES gateway_groups (id),
    protocol TEXT NOT NULL CHECK (protocol IN ('http', 'kafka')),
    address TEXT NOT NULL,
    advertised_host TEXT,
    advertised_port INTEGER CHECK (advertised_port BETWEEN 1 AND 65535),
    tls TEXT CHECK (tls IS NULL OR json_valid(tls)),
    kafka TEXT CHECK (kafka IS NULL OR json_valid(kafka)),
    kafka_virtual_cluster TEXT GENERATED ALWAYS AS (json_extract(kafka, '$.virtual_cluster')) STORED
        REFERENCES virtual_clusters (id)
) STRICT;
CREATE INDEX listeners_gateway_group ON listeners (gateway_group);
CREATE INDEX listeners_kafka_virtual_cluster ON listeners (kafka_virtual_cluster);

CREATE TABLE issuers (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, manager TEXT NOT NULL,
    labels TEXT CHECK (labels IS NULL OR json_valid(labels)), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    name TEXT NOT NULL UNIQUE,
    title TEXT,
    url TEXT NOT NULL,
    jwks_url TEXT,
    audiences TEXT CHECK (audiences IS NULL OR json_valid(audiences)),
    algorithms TEXT CHECK (algorithms IS NULL OR json_valid(algorithms)),
    claims TEXT CHECK (claims IS NULL OR json_valid(claims))
) STRICT;

CREATE TABLE schema_registries (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, manager TEXT NOT NULL,
    labels TEXT CHECK (labels IS NULL OR json_valid(labels)), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    name TEXT NOT NULL UNIQUE,
    title TEXT,
    url TEXT NOT NULL,
    authentication TEXT CHECK (authentication IS NULL OR json_valid(authentication))
) STRICT;

CREATE TABLE key_rings (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, manager TEXT NOT NULL,
    labels TEXT CHECK (labels IS NULL OR json_valid(labels)), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    name TEXT NOT NULL UNIQUE,
    title TEXT,
    provider TEXT NOT NULL CHECK (provider IN ('local', 'vault', 'aws-kms')),
    config TEXT CHECK (config IS NULL OR json_valid(config))
) STRICT;

CREATE TABLE trust_bundles (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, manager TEXT NOT NULL,
    labels TEXT CHECK (labels IS NULL OR json_valid(labels)), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    name TEXT NOT NULL UNIQUE,
    title TEXT,
    pem TEXT NOT NULL
) STRICT;

CREATE TABLE grants (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, manager TEXT NOT NULL,
    labels TEXT CHECK (labels IS NULL OR json_valid(labels)), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    team TEXT NOT NULL REFERENCES teams (id),
    virtual_cluster TEXT NOT NULL REFERENCES virtual_clusters (id),
    topic TEXT NOT NULL,
    operations TEXT NOT NULL CHECK (json_valid(operations)),
    UNIQUE (team, virtual_cluster, topic)
) STRICT;
CREATE INDEX grants_virtual_cluster ON grants (virtual_cluster);

CREATE TABLE event_apis (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, manager TEXT NOT NULL,
    labels TEXT CHECK (labels IS NULL OR json_valid(labels)), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    name TEXT NOT NULL,
    major INTEGER NOT NULL CHECK (major >= 1),
    title TEXT,
    description TEXT,
    team TEXT NOT NULL REFERENCES teams (id),
    lifecycle TEXT NOT NULL CHECK (lifecycle IN ('draft', 'published', 'deprecated', 'retired')),
    sunset_at INTEGER,
    operations TEXT NOT NULL CHECK (json_valid(operations)),
    exposures TEXT NOT NULL CHECK (json_valid(exposures)),
    event_key TEXT CHECK (event_key IS NULL OR json_valid(event_key)),
    schema TEXT CHECK (schema IS NULL OR json_valid(schema)),
    schema_registry TEXT GENERATED ALWAYS AS (json_extract(schema, '$.registry')) STORED
        REFERENCES schema_registries (id),
    tags TEXT CHECK (tags IS NULL OR json_valid(tags)),
    max_event_bytes INTEGER NOT NULL,
    UNIQUE (name, major)
) STRICT;
CREATE INDEX event_apis_team ON event_apis (team);
CREATE INDEX event_apis_schema_registry ON event_apis (schema_registry);

CREATE TABLE deployments (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, manager TEXT NOT NULL,
    labels TEXT CHECK (labels IS NULL OR json_valid(labels)), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    event_api TEXT NOT NULL REFERENCES event_apis (id),
    gateway_group TEXT NOT NULL REFERENCES gateway_groups (id),
    virtual_cluster TEXT NOT NULL REFERENCES virtual_clusters (id),
    topic TEXT NOT NULL,
    listener TEXT NOT NULL REFERENCES listeners (id),
    UNIQUE (event_api, gateway_group)
) STRICT;
CREATE INDEX deployments_gateway_group ON deployments (gateway_group);
CREATE INDEX deployments_virtual_cluster ON deployments (virtual_cluster);
CREATE INDEX deployments_listener ON deployments (listener);

CREATE TABLE products (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, manager TEXT NOT NULL,
    labels TEXT CHECK (labels IS NULL OR json_valid(labels)), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    name TEXT NOT NULL UNIQUE,
    title TEXT,
    description TEXT,
    team TEXT NOT NULL REFERENCES teams (id),
    visibility TEXT NOT NULL CHECK (visibility IN ('public', 'signed-in', 'teams')),
    lifecycle TEXT NOT NULL CHECK (lifecycle IN ('draft', 'published', 'deprecated', 'retired'))
) STRICT;
CREATE INDEX products_team ON products (team);

CREATE TABLE products_visible_to (
    owner_id TEXT NOT NULL REFERENCES products (id) ON DELETE CASCADE,
    target_id TEXT NOT NULL REFERENCES teams (id),
    position INTEGER NOT NULL,
    PRIMARY KEY (owner_id, target_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX products_visible_to_target ON products_visible_to (target_id);

CREATE TABLE products_event_apis (
    owner_id TEXT NOT NULL REFERENCES products (id) ON DELETE CASCADE,
    target_id TEXT NOT NULL REFERENCES event_apis (id),
    position INTEGER NOT NULL,
    PRIMARY KEY (owner_id, target_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX products_event_apis_target ON products_event_apis (target_id);

CREATE TABLE plans (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, manager TEXT NOT NULL,
    labels TEXT CHECK (labels IS NULL OR json_valid(labels)), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    product TEXT NOT NULL REFERENCES products (id),
    name TEXT NOT NULL,
    title TEXT,
    operations TEXT NOT NULL CHECK (json_valid(operations)),
    approval TEXT NOT NULL CHECK (approval IN ('auto', 'manual')),
    limits TEXT CHECK (limits IS NULL OR json_valid(limits)),
    UNIQUE (product, name)
) STRICT;

CREATE TABLE applications (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, manager TEXT NOT NULL,
    labels TEXT CHECK (labels IS NULL OR json_valid(labels)), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    name TEXT NOT NULL UNIQUE,
    title TEXT,
    description TEXT,
    team TEXT NOT NULL REFERENCES teams (id)
) STRICT;
CREATE INDEX applications_team ON applications (team);

-- lookup is what a gateway finds the credential by (proto/sluice/snapshot.proto, Credential). The verifiers of a
-- generated secret are made when it is created; the secret itself is never kept.
CREATE TABLE credentials (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, manager TEXT NOT NULL,
    labels TEXT CHECK (labels IS NULL OR json_valid(labels)), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    application TEXT NOT NULL REFERENCES applications (id),
    type TEXT NOT NULL CHECK (type IN ('secret', 'certificate', 'oidc')),
    title TEXT,
    expires_at INTEGER,
    disabled INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    revoked_at INTEGER,
    certificate TEXT CHECK (certificate IS NULL OR json_valid(certificate)),
    oidc TEXT CHECK (oidc IS NULL OR json_valid(oidc)),
    oidc_issuer TEXT GENERATED ALWAYS AS (json_extract(oidc, '$.issuer')) STORED REFERENCES issuers (id),
    lookup TEXT NOT NULL,
    secret_sha256 BLOB CHECK (secret_sha256 IS NULL OR length(secret_sha256) = 32),
    scram_sha256 BLOB CHECK (scram_sha256 IS NULL OR length(scram_sha256) = 84),  -- salt, iterations, two keys
    scram_sha512 BLOB CHECK (scram_sha512 IS NULL OR length(scram_sha512) = 148)
) STRICT;
CREATE INDEX credentials_application ON credentials (application);
CREATE INDEX credentials_oidc_issuer ON credentials (oidc_issuer);
CREATE UNIQUE INDEX credentials_lookup ON credentials (lookup) WHERE revoked_at IS NULL;

-- product repeats the plan's, so that "one live subscription per application, product and environment" is an index.
CREATE TABLE subscriptions (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, manager TEXT NOT NULL,
    labels TEXT CHECK (labels IS NULL OR json_valid(labels)), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    application TEXT NOT NULL REFERENCES applications (id),
    plan TEXT NOT NULL REFERENCES plans (id),
    product TEXT NOT NULL REFERENCES products (id),
    environment TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'refused', 'suspended', 'revoked', 'expired')),
    expires_at INTEGER,
    reason TEXT
) STRICT;
CREATE INDEX subscriptions_application ON subscriptions (application);
CREATE INDEX subscriptions_plan ON subscriptions (plan);
CREATE INDEX subscriptions_product ON subscriptions (product);
CREATE INDEX subscriptions_environment ON subscriptions (environment, state);
CREATE INDEX subscriptions_expires_at ON subscriptions (expires_at)
    WHERE expires_at IS NOT NULL AND state IN ('pending', 'approved', 'suspended');
CREATE UNIQUE INDEX subscriptions_live ON subscriptions (application, product, environment)
    WHERE state IN ('pending', 'approved', 'suspended');

CREATE TABLE policies (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, manager TEXT NOT NULL,
    labels TEXT CHECK (labels IS NULL OR json_valid(labels)), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    name TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    scope TEXT NOT NULL CHECK (json_valid(scope)),
    "order" INTEGER NOT NULL,
    enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    dry_run INTEGER NOT NULL CHECK (dry_run IN (0, 1)),
    condition TEXT,
    config TEXT CHECK (config IS NULL OR json_valid(config)),
    scope_group TEXT GENERATED ALWAYS AS
        (CASE json_extract(scope, '$.kind') WHEN 'group' THEN json_extract(scope, '$.ref') END) STORED
        REFERENCES gateway_groups (id),
    scope_listener TEXT GENERATED ALWAYS AS
        (CASE json_extract(scope, '$.kind') WHEN 'listener' THEN json_extract(scope, '$.ref') END) STORED
        REFERENCES listeners (id),
    scope_virtual_cluster TEXT GENERATED ALWAYS AS
        (CASE json_extract(scope, '$.kind') WHEN 'virtual-cluster' THEN json_extract(scope, '$.ref') END) STORED
        REFERENCES virtual_clusters (id),
    scope_event_api TEXT GENERATED ALWAYS AS
        (CASE json_extract(scope, '$.kind') WHEN 'event-api' THEN json_extract(scope, '$.ref') END) STORED
        REFERENCES event_apis (id),
    scope_plan TEXT GENERATED ALWAYS AS
        (CASE json_extract(scope, '$.kind') WHEN 'plan' THEN json_extract(scope, '$.ref') END) STORED
        REFERENCES plans (id),
    scope_application TEXT GENERATED ALWAYS AS
        (CASE json_extract(scope, '$.kind') WHEN 'application' THEN json_extract(scope, '$.ref') END) STORED
        REFERENCES applications (id)
) STRICT;
CREATE INDEX policies_scope_group ON policies (scope_group);
CREATE INDEX policies_scope_listener ON policies (scope_listener);
CREATE INDEX policies_scope_virtual_cluster ON policies (scope_virtual_cluster);
CREATE INDEX policies_scope_event_api ON policies (scope_event_api);
CREATE INDEX policies_scope_plan ON policies (scope_plan);
CREATE INDEX policies_scope_application ON policies (scope_application);

-- Keys that sign an event API's read cursors, sealed with the context "cursor_keys/<event_api>/<key_id>". The newest
-- signs; older ones verify until retired_at.
CREATE TABLE cursor_keys (
    event_api TEXT NOT NULL REFERENCES event_apis (id) ON DELETE CASCADE,
    key_id INTEGER NOT NULL CHECK (key_id BETWEEN 1 AND 4294967295),
    sealed_key BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    retired_at INTEGER,
    PRIMARY KEY (event_api, key_id)
) STRICT, WITHOUT ROWID;

INSERT INTO roles (id, key, revision, manager, created_at, updated_at, name, title, permissions, built_in)
SELECT lower(hex(randomblob(8))), column1, 1, 'system', CAST(strftime('%s', 'now') AS INTEGER) * 1000,
       CAST(strftime('%s', 'now') AS INTEGER) * 1000, column1, column2, column3, 1
FROM (VALUES
    ('platform-admin', 'Platform administrator: everything', '["*"]'),
    ('api-owner', 'API owner: publishes event APIs and products, decides on subscriptions',
     '["teams:read","gateway-groups:read","virtual-clusters:read","listeners:read","grants:read","schema-registries:read","event-apis:read","event-apis:write","deployments:read","deployments:write","products:read","products:write","plans:read","plans:write","applications:read","subscriptions:read","subscriptions:approve","policies:read","policies:write"]'),
    ('developer', 'Developer: applications, their credentials and subscriptions',
     '["teams:read","event-apis:read","products:read","plans:read","applications:read","applications:write","credentials:read","credentials:write","subscriptions:read","subscriptions:write"]'),
    ('viewer', 'Viewer: reads the catalog',
     '["teams:read","gateway-groups:read","gateway-nodes:read","backend-clusters:read","virtual-clusters:read","listeners:read","event-apis:read","deployments:read","products:read","plans:read","applications:read","subscriptions:read","policies:read","grants:read"]')
);
