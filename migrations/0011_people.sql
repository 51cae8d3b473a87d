-- People who sign in to the portal.

-- argon2id in its encoded form, with parameters and salt. Not a column of users: no document and no answer has it.
CREATE TABLE user_passwords (
    user TEXT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    hash TEXT NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Of the secret in the browser's cookie only SHA-256 is kept.
CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    secret_sha256 BLOB NOT NULL UNIQUE CHECK (length(secret_sha256) = 32),
    user TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    address TEXT,
    agent TEXT,
    provider TEXT -- NULL: a local account
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_user ON sessions (user, created_at);
CREATE INDEX sessions_expires_at ON sessions (expires_at);

-- A link that makes one account. Using it deletes it.
CREATE TABLE invitations (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, manager TEXT NOT NULL,
    labels TEXT CHECK (labels IS NULL OR json_valid(labels)), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    email TEXT,
    team TEXT REFERENCES teams (id),
    role TEXT NOT NULL REFERENCES roles (id),
    expires_at INTEGER NOT NULL,
    invited_by TEXT REFERENCES users (id) ON DELETE CASCADE, -- NULL: the owner of the platform, or a machine
    secret_sha256 BLOB CHECK (secret_sha256 IS NULL OR length(secret_sha256) = 32)
) STRICT;
CREATE INDEX invitations_team ON invitations (team);
CREATE INDEX invitations_role ON invitations (role);
CREATE INDEX invitations_invited_by ON invitations (invited_by);
