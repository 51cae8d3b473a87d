-- What event APIs should be like, by rules that administrators write; some have to be met before one is published.
CREATE TABLE scorecard_rules (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, manager TEXT NOT NULL,
    labels TEXT CHECK (labels IS NULL OR json_valid(labels)), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    name TEXT NOT NULL UNIQUE,
    title TEXT,
    description TEXT,
    condition TEXT NOT NULL,
    hint TEXT NOT NULL,
    level TEXT NOT NULL CHECK (level IN ('bronze', 'silver', 'gold')),
    points INTEGER NOT NULL CHECK (points >= 0),
    blocking INTEGER NOT NULL CHECK (blocking IN (0, 1)),
    enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    kinds TEXT CHECK (kinds IS NULL OR json_valid(kinds)),
    tags TEXT CHECK (tags IS NULL OR json_valid(tags)),
    lifecycles TEXT CHECK (lifecycles IS NULL OR json_valid(lifecycles)),
    environments TEXT CHECK (environments IS NULL OR json_valid(environments))
) STRICT;

CREATE TABLE scorecard_rules_teams (
    owner_id TEXT NOT NULL REFERENCES scorecard_rules (id) ON DELETE CASCADE,
    target_id TEXT NOT NULL REFERENCES teams (id),
    position INTEGER NOT NULL,
    PRIMARY KEY (owner_id, target_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX scorecard_rules_teams_target ON scorecard_rules_teams (target_id);

-- Everybody may know what is asked of event APIs.
UPDATE roles
SET permissions = json_insert(permissions, '$[#]', 'scorecard-rules:read'),
    revision = (SELECT int_value FROM catalog_meta WHERE name = 'revision'),
    updated_at = CAST(strftime('%s', 'now') AS INTEGER) * 1000
WHERE name IN ('api-owner', 'developer', 'viewer') AND built_in = 1;
