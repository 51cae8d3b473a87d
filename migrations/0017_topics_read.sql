-- Who sees topics of backends: those who read backends all of them, owners of event APIs what grants give to their teams.
UPDATE roles
SET permissions = json_insert(permissions, '$[#]', 'topics:read'),
    revision = (SELECT int_value FROM catalog_meta WHERE name = 'revision'),
    updated_at = CAST(strftime('%s', 'now') AS INTEGER) * 1000
WHERE name IN ('api-owner', 'viewer') AND built_in = 1;
