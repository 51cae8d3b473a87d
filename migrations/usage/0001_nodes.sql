-- What gateways report, many times a minute: apart from the catalog, so that heartbeats never wait for its writer. Losing
-- this file loses no configuration.
CREATE TABLE node_status (
    node_id TEXT PRIMARY KEY,
    build TEXT,
    boot_id TEXT,
    last_seen INTEGER NOT NULL,
    connected INTEGER NOT NULL CHECK (connected IN (0, 1)),
    draining INTEGER NOT NULL CHECK (draining IN (0, 1)),
    connections INTEGER NOT NULL,
    applied_version INTEGER NOT NULL,
    nack_version INTEGER,
    nack_entity TEXT,
    nack_message TEXT,
    nack_at INTEGER
) STRICT, WITHOUT ROWID;
