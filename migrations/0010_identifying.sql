-- Which claims of an issuer's tokens credentials may name. Where credentials name one already it is that one. Where they
-- name several the list stays empty, which takes all of them as before: in which order they count, only the owner knows.
ALTER TABLE issuers ADD COLUMN identifying_claims TEXT NOT NULL DEFAULT '["sub"]' CHECK (json_valid(identifying_claims));
UPDATE issuers SET identifying_claims = coalesce(
    (SELECT CASE WHEN min(json_extract(oidc, '$.claim')) = max(json_extract(oidc, '$.claim'))
                 THEN json_array(min(json_extract(oidc, '$.claim'))) ELSE '[]' END
     FROM credentials WHERE oidc_issuer = issuers.id AND revoked_at IS NULL HAVING count(*) > 0), '["sub"]');

-- Alternative names of certificates say what kind they are. Of those that were the same but for the case of letters in
-- a DNS name, or in the domain of an address, the oldest stays.
CREATE TEMP TABLE sans AS SELECT id, created_at, revoked_at, json_extract(certificate, '$.san') AS san, '' AS kind, '' AS name
    FROM credentials WHERE json_extract(certificate, '$.san') IS NOT NULL;
UPDATE sans SET kind = CASE WHEN san LIKE '%:%' THEN 'URI' WHEN san LIKE '%@%' THEN 'email' ELSE 'DNS' END;
UPDATE sans SET name = CASE kind WHEN 'DNS' THEN 'dns:' || lower(san) WHEN 'URI' THEN 'uri:' || san
    ELSE 'email:' || substr(san, 1, instr(san, '@')) || lower(substr(san, instr(san, '@') + 1)) END;
UPDATE credentials SET revoked_at = CAST(strftime('%s', 'now') AS INTEGER) * 1000
    WHERE revoked_at IS NULL AND EXISTS (SELECT 1 FROM sans mine JOIN sans other ON other.name = mine.name
        WHERE mine.id = credentials.id AND other.revoked_at IS NULL
          AND (other.created_at, other.id) < (mine.created_at, mine.id));
UPDATE credentials SET
    certificate = json_set(certificate, '$.san', (SELECT kind || ':' || san FROM sans WHERE sans.id = credentials.id)),
    lookup = (SELECT 'cert:' || name FROM sans WHERE sans.id = credentials.id)
    WHERE id IN (SELECT id FROM sans);
DROP TABLE sans;
