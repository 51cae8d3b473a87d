-- What is known beyond the present state, so that restores in any order lose no revocation
-- (docs/decisions/0007-restore.md).

-- The last that was known of entities that a restore made unknown: revoked, disabled, deleted, and what was left of
-- their rights. Only a restore writes it.
CREATE TABLE taken_away (
    kind TEXT NOT NULL,
    entity_id TEXT NOT NULL,
    deleted INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1)),
    revision INTEGER,
    revoked_at INTEGER,
    disabled INTEGER,
    expires_at INTEGER,
    state TEXT,
    reason TEXT,
    roles TEXT CHECK (roles IS NULL OR json_valid(roles)),
    teams TEXT CHECK (teams IS NULL OR json_valid(teams)),
    permissions TEXT CHECK (permissions IS NULL OR json_valid(permissions)),
    certificate TEXT CHECK (certificate IS NULL OR json_valid(certificate)), -- a node's: serial, authority, expires_at
    PRIMARY KEY (kind, entity_id)
) STRICT, WITHOUT ROWID;

-- A catalog's life between two restores. One is current (until is NULL); of the others all that was taken away up to
-- the revision `until` is known here. A catalog from before this table gets a name that its older backups get as well.
CREATE TABLE catalog_eras (
    id TEXT PRIMARY KEY,
    until INTEGER
) STRICT, WITHOUT ROWID;
INSERT INTO catalog_eras (id)
SELECT coalesce((SELECT printf('%x-%s', created_at, entity_id) FROM audit_events ORDER BY seq LIMIT 1),
                lower(hex(randomblob(8))));

-- Large answers are kept within a bound of their own.
CREATE INDEX idempotency_keys_large ON idempotency_keys (created_at) WHERE length(sealed_response) > 65536;
