-- Sign-in by OpenID providers, owners of teams, and when a token was last used.

CREATE TABLE sign_in_providers (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, manager TEXT NOT NULL,
    labels TEXT CHECK (labels IS NULL OR json_valid(labels)), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    name TEXT NOT NULL UNIQUE,
    title TEXT,
    issuer TEXT NOT NULL,
    client_id TEXT NOT NULL,
    client_secret TEXT CHECK (client_secret IS NULL OR json_valid(client_secret)),
    scopes TEXT CHECK (scopes IS NULL OR json_valid(scopes)),
    groups_claim TEXT NOT NULL,
    name_claim TEXT NOT NULL,
    ca_pem TEXT,
    domains TEXT CHECK (domains IS NULL OR json_valid(domains)),
    trust_email INTEGER NOT NULL CHECK (trust_email IN (0, 1)),
    disabled INTEGER NOT NULL CHECK (disabled IN (0, 1))
) STRICT;

CREATE TABLE sign_in_rules (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, manager TEXT NOT NULL,
    labels TEXT CHECK (labels IS NULL OR json_valid(labels)), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    provider TEXT NOT NULL REFERENCES sign_in_providers (id),
    "group" TEXT NOT NULL,
    team TEXT REFERENCES teams (id),
    role TEXT REFERENCES roles (id)
) STRICT;
CREATE INDEX sign_in_rules_provider ON sign_in_rules (provider, "group");
CREATE INDEX sign_in_rules_team ON sign_in_rules (team);
CREATE INDEX sign_in_rules_role ON sign_in_rules (role);

-- Whom a provider knows as whom. `given` is what its rules gave at the last sign-in: {"teams": [id], "roles": [id]}.
CREATE TABLE user_identities (
    provider TEXT NOT NULL REFERENCES sign_in_providers (id) ON DELETE CASCADE,
    subject TEXT NOT NULL,
    user TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    given TEXT NOT NULL CHECK (json_valid(given)),
    PRIMARY KEY (provider, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX user_identities_user ON user_identities (user);

-- Whose members they manage.
CREATE TABLE users_owned_teams (
    owner_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    target_id TEXT NOT NULL REFERENCES teams (id),
    position INTEGER NOT NULL,
    PRIMARY KEY (owner_id, target_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX users_owned_teams_target ON users_owned_teams (target_id);

ALTER TABLE api_tokens ADD COLUMN last_used_at INTEGER;

UPDATE roles
SET permissions = json_insert(permissions, '$[#]', 'teams:members', '$[#]', 'invitations:write'),
    revision = (SELECT int_value FROM catalog_meta WHERE name = 'revision'),
    updated_at = CAST(strftime('%s', 'now') AS INTEGER) * 1000
WHERE name IN ('api-owner', 'developer') AND built_in = 1;
