-- What the configuration was at each revision (docs/decisions/0004-versions-and-rollback.md).

-- One row for each state of an entity of a kind that rolls back, in its declarative form without sealed secrets. It
-- held from the revision `since` until `until` (NULL: it still does). ref tells entities apart where ids cannot: the
-- key, or the identity of a kind without one.
CREATE TABLE entity_history (
    kind TEXT NOT NULL,
    entity_id TEXT NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER CHECK (until IS NULL OR until > since),
    ref TEXT NOT NULL,
    body TEXT NOT NULL CHECK (json_valid(body)),
    UNIQUE (kind, entity_id, since)
) STRICT;
CREATE UNIQUE INDEX entity_history_now ON entity_history (kind, entity_id) WHERE until IS NULL;
CREATE INDEX entity_history_since ON entity_history (since);
CREATE INDEX entity_history_until ON entity_history (until) WHERE until IS NOT NULL;

-- catalog_meta, name = 'history_since': the revision that the history begins with; absent until it was first written.

CREATE INDEX config_versions_version ON config_versions (version);
CREATE INDEX config_versions_created_at ON config_versions ("group", created_at);
-- Only the newest manifest of a group is compared with.
UPDATE config_versions SET manifest = NULL
WHERE seq NOT IN (SELECT max(seq) FROM config_versions GROUP BY "group");

-- Compiled content was never kept.
DROP TABLE config_version_chunks;
DROP TABLE config_chunks;
