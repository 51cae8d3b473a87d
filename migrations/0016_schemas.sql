-- How gateways use a schema registry: TLS, time limits, and how long they keep what it said.
ALTER TABLE schema_registries ADD COLUMN tls TEXT CHECK (tls IS NULL OR json_valid(tls));
ALTER TABLE schema_registries ADD COLUMN timeout INTEGER NOT NULL DEFAULT 5000;
ALTER TABLE schema_registries ADD COLUMN cache_schemas INTEGER NOT NULL DEFAULT 1000;
ALTER TABLE schema_registries ADD COLUMN cache_ttl INTEGER NOT NULL DEFAULT 3600000;
ALTER TABLE schema_registries ADD COLUMN latest_ttl INTEGER NOT NULL DEFAULT 60000;
ALTER TABLE schema_registries ADD COLUMN missing_ttl INTEGER NOT NULL DEFAULT 10000;
ALTER TABLE schema_registries ADD COLUMN stale INTEGER NOT NULL DEFAULT 86400000;
