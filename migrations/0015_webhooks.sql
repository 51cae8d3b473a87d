-- Notifications: who is told of what, and what is still to be told. A notification is written in the transaction of what it
-- tells.
CREATE TABLE webhooks (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, manager TEXT NOT NULL,
    labels TEXT CHECK (labels IS NULL OR json_valid(labels)), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    name TEXT NOT NULL UNIQUE,
    title TEXT,
    url TEXT NOT NULL,
    events TEXT NOT NULL CHECK (json_valid(events)),
    team TEXT REFERENCES teams (id), -- NULL: of everything
    enabled INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    disabled_reason TEXT,
    secret_changed_at INTEGER,
    failing_since INTEGER -- NULL: the last attempt worked, or there was none
) STRICT;
CREATE INDEX webhooks_team ON webhooks (team);

-- Sealed; the newest signs, and those before it until they end.
CREATE TABLE webhook_secrets (
    webhook TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    sealed_secret BLOB NOT NULL,
    ends_at INTEGER, -- NULL: it is the newest
    PRIMARY KEY (webhook, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE webhook_deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    webhook TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'dead')),
    attempts INTEGER NOT NULL DEFAULT 0,
    next_at INTEGER NOT NULL,
    attempted_at INTEGER,
    status INTEGER, -- of the last answer; NULL: there was none
    error TEXT
) STRICT;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_webhook ON webhook_deliveries (webhook, state);
CREATE INDEX webhook_deliveries_created_at ON webhook_deliveries (created_at);

-- What was told already: of nodes that are lost, of credentials that end.
CREATE TABLE told_states (
    kind TEXT NOT NULL CHECK (kind IN ('gateway-nodes', 'credentials')),
    entity_id TEXT NOT NULL,
    told_at INTEGER NOT NULL,
    PRIMARY KEY (kind, entity_id)
) STRICT, WITHOUT ROWID;

UPDATE roles
SET permissions = json_insert(permissions, '$[#]', 'webhooks:read', '$[#]', 'webhooks:write'),
    revision = (SELECT int_value FROM catalog_meta WHERE name = 'revision'),
    updated_at = CAST(strftime('%s', 'now') AS INTEGER) * 1000
WHERE name IN ('api-owner', 'developer') AND built_in = 1;
