-- REST APIs that were imported from OpenAPI documents: part of the catalog, served by no gateway.
CREATE TABLE rest_apis (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, manager TEXT NOT NULL,
    labels TEXT CHECK (labels IS NULL OR json_valid(labels)), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    name TEXT NOT NULL UNIQUE,
    title TEXT,
    description TEXT,
    team TEXT NOT NULL REFERENCES teams (id),
    lifecycle TEXT NOT NULL CHECK (lifecycle IN ('draft', 'published', 'deprecated', 'retired')),
    sunset_at INTEGER,
    deprecated_at INTEGER,
    visibility TEXT NOT NULL CHECK (visibility IN ('public', 'signed-in', 'teams')),
    tags TEXT CHECK (tags IS NULL OR json_valid(tags)),
    changelog TEXT,
    document TEXT NOT NULL,
    -- What the document says, so that nobody has to read it for a list.
    version TEXT,
    openapi TEXT NOT NULL,
    servers TEXT CHECK (servers IS NULL OR json_valid(servers)),
    operations TEXT CHECK (operations IS NULL OR json_valid(operations)),
    operation_count INTEGER NOT NULL,
    from_document TEXT CHECK (from_document IS NULL OR json_valid(from_document))
) STRICT;
CREATE INDEX rest_apis_team ON rest_apis (team);

CREATE TABLE rest_apis_visible_to (
    owner_id TEXT NOT NULL REFERENCES rest_apis (id) ON DELETE CASCADE,
    target_id TEXT NOT NULL REFERENCES teams (id),
    position INTEGER NOT NULL,
    PRIMARY KEY (owner_id, target_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX rest_apis_visible_to_target ON rest_apis_visible_to (target_id);

-- A number stands for either. The triggers name the table, so they are made again.
DROP TRIGGER event_apis_found;
DROP TRIGGER event_apis_found_anew;
DROP TRIGGER event_apis_lost;
ALTER TABLE catalog_entries RENAME TO catalog_entries_before;
CREATE TABLE catalog_entries (
    number INTEGER PRIMARY KEY,
    event_api TEXT UNIQUE REFERENCES event_apis (id) ON DELETE CASCADE,
    rest_api TEXT UNIQUE REFERENCES rest_apis (id) ON DELETE CASCADE,
    CHECK ((event_api IS NULL) <> (rest_api IS NULL))
) STRICT;
INSERT INTO catalog_entries (number, event_api) SELECT number, event_api FROM catalog_entries_before;
DROP TABLE catalog_entries_before;

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

CREATE TRIGGER rest_apis_found AFTER INSERT ON rest_apis BEGIN
    INSERT INTO catalog_entries (rest_api) VALUES (new.id);
    INSERT INTO catalog_search (rowid, name, title, tags, description)
    SELECT number, new.name, new.title, new.tags, new.description FROM catalog_entries WHERE rest_api = new.id;
END;

CREATE TRIGGER rest_apis_found_anew AFTER UPDATE OF name, title, tags, description ON rest_apis
WHEN old.name IS NOT new.name OR old.title IS NOT new.title OR old.tags IS NOT new.tags
     OR old.description IS NOT new.description BEGIN
    UPDATE catalog_search SET name = new.name, title = new.title, tags = new.tags, description = new.description
    WHERE rowid = (SELECT number FROM catalog_entries WHERE rest_api = new.id);
END;

CREATE TRIGGER rest_apis_lost BEFORE DELETE ON rest_apis BEGIN
    DELETE FROM catalog_search WHERE rowid = (SELECT number FROM catalog_entries WHERE rest_api = old.id);
END;

-- Who reads event APIs reads these, and who writes them writes these.
UPDATE roles
SET permissions = json_insert(permissions, '$[#]', 'rest-apis:read'),
    revision = (SELECT int_value FROM catalog_meta WHERE name = 'revision'),
    updated_at = CAST(strftime('%s', 'now') AS INTEGER) * 1000
WHERE name IN ('api-owner', 'developer', 'viewer') AND built_in = 1;
UPDATE roles SET permissions = json_insert(permissions, '$[#]', 'rest-apis:write') WHERE name = 'api-owner' AND built_in = 1;
