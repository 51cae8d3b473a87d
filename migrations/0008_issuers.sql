-- What gateways need to know of issuers to take their tokens.
ALTER TABLE issuers ADD COLUMN clock_skew INTEGER NOT NULL DEFAULT 60000;
ALTER TABLE issuers ADD COLUMN principal_claim TEXT NOT NULL DEFAULT 'sub';
ALTER TABLE issuers ADD COLUMN groups_claim TEXT NOT NULL DEFAULT 'groups';
ALTER TABLE issuers ADD COLUMN scopes_claim TEXT NOT NULL DEFAULT 'scope';

-- The claims by which an issuer's credentials are found are few, the credentials may be many: one step for each claim.
CREATE INDEX credentials_oidc_claim ON credentials (oidc_issuer, json_extract(oidc, '$.claim')) WHERE revoked_at IS NULL;
