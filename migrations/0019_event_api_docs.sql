-- What an event API's page shows beside its description: what changed, and what events look like.
ALTER TABLE event_apis ADD COLUMN changelog TEXT;
ALTER TABLE event_apis ADD COLUMN examples TEXT CHECK (examples IS NULL OR json_valid(examples));
