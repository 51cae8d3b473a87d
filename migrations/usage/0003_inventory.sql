-- What gateways have found on backends. One run of one gateway is one inventory; what it did not meet again is removed.
CREATE TABLE inventory_backends (
    backend_id TEXT PRIMARY KEY,
    node_id TEXT NOT NULL,
    seen_at INTEGER,     -- when it was last read whole; NULL: never
    error TEXT,          -- why it cannot be read now
    error_since INTEGER,
    groups_error TEXT,
    group_total INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE inventory_topics (
    backend_id TEXT NOT NULL,
    name TEXT NOT NULL,
    partitions INTEGER NOT NULL,
    replication INTEGER NOT NULL,
    retention_ms INTEGER,   -- NULL: not known; -1: for ever
    cleanup_policy TEXT,    -- NULL: not known
    run TEXT NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (backend_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE inventory_groups (
    backend_id TEXT NOT NULL,
    id TEXT NOT NULL,
    state TEXT NOT NULL,
    members INTEGER,  -- NULL: not known
    lag INTEGER,      -- likewise
    topics TEXT NOT NULL CHECK (json_valid(topics)), -- [{topic, lag}]
    run TEXT NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (backend_id, id)
) STRICT, WITHOUT ROWID;
