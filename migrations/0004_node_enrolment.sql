-- The node CA can be rotated: who signed a node's certificate, and since when an authority is retiring. A retired one has
-- retired_at, and no key any more.
ALTER TABLE node_ca ADD COLUMN retiring_at INTEGER;
ALTER TABLE gateway_nodes ADD COLUMN certificate_authority TEXT;
UPDATE gateway_nodes SET certificate_authority = (SELECT id FROM node_ca WHERE state = 'active');

-- Where the keys of an issuer come from besides its jwks_url.
ALTER TABLE issuers ADD COLUMN jwks_file TEXT;
ALTER TABLE issuers ADD COLUMN ca_pem TEXT;

-- Who may enrol with a token of a service account instead of a join string.
CREATE TABLE enrolment_rules (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, manager TEXT NOT NULL,
    labels TEXT CHECK (labels IS NULL OR json_valid(labels)), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    name TEXT NOT NULL UNIQUE,
    title TEXT,
    "group" TEXT NOT NULL REFERENCES gateway_groups (id),
    issuer TEXT NOT NULL REFERENCES issuers (id),
    audience TEXT NOT NULL,
    namespace TEXT NOT NULL,
    service_account TEXT
) STRICT;
CREATE INDEX enrolment_rules_group ON enrolment_rules ("group");
CREATE INDEX enrolment_rules_issuer ON enrolment_rules (issuer);
