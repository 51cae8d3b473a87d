-- Developers could delete a credential, but not revoke it.
UPDATE roles
SET permissions = json_insert(permissions, '$[#]', 'credentials:revoke'),
    revision = (SELECT int_value FROM catalog_meta WHERE name = 'revision'),
    updated_at = CAST(strftime('%s', 'now') AS INTEGER) * 1000
WHERE name = 'developer' AND built_in = 1;
