-- What applications use, as gateways count it. Gateways tell sums that only grow; what has been added to the tables below
-- is remembered here, so that nothing counts twice.
CREATE TABLE usage_boots (
    node_id TEXT NOT NULL,
    boot_id TEXT NOT NULL,     -- a run of the gateway's process
    oldest_hour INTEGER NOT NULL, -- of an earlier hour it tells nothing any more
    told_at INTEGER NOT NULL,
    PRIMARY KEY (node_id, boot_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE usage_counters (
    node_id TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    hour INTEGER NOT NULL,
    application_id TEXT NOT NULL,
    event_api_id TEXT NOT NULL,
    virtual_cluster_id TEXT NOT NULL,
    operation INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    events INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    throttled INTEGER NOT NULL,
    PRIMARY KEY (node_id, boot_id, hour, application_id, event_api_id, virtual_cluster_id, operation)
) STRICT, WITHOUT ROWID;

-- By hour (0), day (1) and month (2), UTC; at: when it began, in milliseconds since 1970. '' in place of an id: nobody,
-- or none.
CREATE TABLE usage_sums (
    period INTEGER NOT NULL CHECK (period IN (0, 1, 2)),
    at INTEGER NOT NULL,
    application_id TEXT NOT NULL,
    event_api_id TEXT NOT NULL,
    virtual_cluster_id TEXT NOT NULL,
    operation INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    events INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    throttled INTEGER NOT NULL,
    PRIMARY KEY (period, at, application_id, event_api_id, virtual_cluster_id, operation)
) STRICT, WITHOUT ROWID;
