-- Clients are told since when an event API has been deprecated (RFC 9745).
ALTER TABLE event_apis ADD COLUMN deprecated_at INTEGER;
UPDATE event_apis SET deprecated_at = updated_at WHERE lifecycle = 'deprecated';
