-- A link by which somebody sets a new password, made by an administrator: one for each user, used once.
CREATE TABLE password_resets (
    user TEXT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    id TEXT NOT NULL UNIQUE,
    secret_sha256 BLOB NOT NULL CHECK (length(secret_sha256) = 32),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
