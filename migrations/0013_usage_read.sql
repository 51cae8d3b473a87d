-- Who sees what applications use: of their own teams, unless they may do everything.
UPDATE roles
SET permissions = json_insert(permissions, '$[#]', 'usage:read'),
    revision = (SELECT int_value FROM catalog_meta WHERE name = 'revision'),
    updated_at = CAST(strftime('%s', 'now') AS INTEGER) * 1000
WHERE name IN ('api-owner', 'developer', 'viewer') AND built_in = 1;
