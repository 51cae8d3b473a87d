-- Full text search over event APIs (FTS5). A number of our own stands for each, since rowids of tables without an integer
-- key may change when the file is rewritten. Triggers keep the index in the transaction of the change.
CREATE TABLE catalog_entries (
    number INTEGER PRIMARY KEY,
    event_api TEXT NOT NULL UNIQUE REFERENCES event_apis (id) ON DELETE CASCADE
) STRICT;

CREATE VIRTUAL TABLE catalog_search USING fts5(
    name, title, tags, description, tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3');

INSERT INTO catalog_entries (event_api) SELECT id FROM event_apis ORDER BY key;
INSERT INTO catalog_search (rowid, name, title, tags, description)
SELECT c.number, e.name, e.title, e.tags, e.description FROM catalog_entries AS c JOIN event_apis AS e ON e.id = c.event_api;

CREATE TRIGGER event_apis_found AFTER INSERT ON event_apis BEGIN
    INSERT INTO catalog_entries (event_api) VALUES (new.id);
    INSERT INTO catalog_search (rowid, name, title, tags, description)
    SELECT number, new.name, new.title, new.tags, new.description FROM catalog_entries WHERE event_api = new.id;
END;

CREATE TRIGGER event_apis_found_anew AFTER UPDATE OF name, title, tags, description ON event_apis
WHEN old.name IS NOT new.name OR old.title IS NOT new.title OR old.tags IS NOT new.tags
     OR old.description IS NOT new.description BEGIN
    UPDATE catalog_search SET name = new.name, title = new.title, tags = new.tags, description = new.description
    WHERE rowid = (SELECT number FROM catalog_entries WHERE event_api = new.id);
END;

CREATE TRIGGER event_apis_lost BEFORE DELETE ON event_apis BEGIN
    DELETE FROM catalog_search WHERE rowid = (SELECT number FROM catalog_entries WHERE event_api = old.id);
END;
