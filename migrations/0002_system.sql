-- What the catalog keeps beside the entities: its revision, the audit trail, compiled configurations, the node CA.

-- name = 'revision' grows by one with every transaction that changes an entity.
CREATE TABLE catalog_meta (
    name TEXT PRIMARY KEY,
    int_value INTEGER,
    blob_value BLOB
) STRICT, WITHOUT ROWID;
INSERT INTO catalog_meta (name, int_value) VALUES ('revision', 1);

-- Written in the transaction of the change. Rows outlive what they speak of, so there are no foreign keys.
CREATE TABLE audit_events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT GENERATED ALWAYS AS (printf('%016x', seq)) VIRTUAL,
    created_at INTEGER NOT NULL,
    actor TEXT NOT NULL CHECK (json_valid(actor)),
    action TEXT NOT NULL,
    kind TEXT NOT NULL,
    ref TEXT NOT NULL,        -- the entity's key when it was written
    entity_id TEXT NOT NULL,
    revision INTEGER,         -- the catalog's revision after the change; NULL: nothing changed
    request_id TEXT,
    changes TEXT CHECK (changes IS NULL OR json_valid(changes))
) STRICT;
CREATE INDEX audit_events_entity ON audit_events (kind, entity_id);

-- A compiled configuration of a group. Content is shared between versions; it never holds a secret's value.
CREATE TABLE config_versions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT GENERATED ALWAYS AS (printf('%016x', seq)) VIRTUAL,
    "group" TEXT NOT NULL REFERENCES gateway_groups (id) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    actor TEXT CHECK (actor IS NULL OR json_valid(actor)),
    reason TEXT,
    digest TEXT NOT NULL,     -- hexadecimal SHA-256 of the manifest
    manifest BLOB,
    UNIQUE ("group", version)
) STRICT;

CREATE TABLE config_chunks (
    sha256 BLOB PRIMARY KEY CHECK (length(sha256) = 32),
    kind INTEGER NOT NULL,
    content BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE config_version_chunks (
    version_seq INTEGER NOT NULL REFERENCES config_versions (seq) ON DELETE CASCADE,
    sha256 BLOB NOT NULL REFERENCES config_chunks (sha256),
    PRIMARY KEY (version_seq, sha256)
) STRICT, WITHOUT ROWID;
CREATE INDEX config_version_chunks_sha256 ON config_version_chunks (sha256);

-- Authorities that sign node certificates: one is active, retiring ones are still trusted. sealed_key has the context
-- "node_ca/<id>".
CREATE TABLE node_ca (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('active', 'retiring')),
    certificate_pem TEXT NOT NULL,
    sealed_key BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    retired_at INTEGER
) STRICT;
CREATE UNIQUE INDEX node_ca_active ON node_ca (state) WHERE state = 'active';

-- Answers of creations by Idempotency-Key, for a day. They may hold what is shown once, so they are sealed with the
-- context "idempotency_keys/<actor>/<key>".
CREATE TABLE idempotency_keys (
    actor TEXT NOT NULL,
    key TEXT NOT NULL,
    request_sha256 BLOB NOT NULL CHECK (length(request_sha256) = 32),
    status INTEGER NOT NULL,
    sealed_response BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (actor, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);
