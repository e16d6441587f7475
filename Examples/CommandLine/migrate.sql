-- Once, before the first migration: what guards the schema remembers the largest fencing token it has seen.
CREATE TABLE IF NOT EXISTS schema_guard (
  name text PRIMARY KEY,
  fence bigint NOT NULL
);

BEGIN;

-- Fails, and undoes everything, if a later holder was here before. The row stays locked until COMMIT, so a later
-- holder waits for this transaction, and an earlier one finds the larger number.
INSERT INTO schema_guard (name, fence) VALUES ('schema', :fence)
ON CONFLICT (name) DO UPDATE SET fence = excluded.fence WHERE schema_guard.fence <= excluded.fence;
SELECT 1 / count(*) AS "not overtaken" FROM schema_guard WHERE name = 'schema' AND fence = :fence;

-- The migration itself.
CREATE TABLE IF NOT EXISTS invoices (id bigint PRIMARY KEY, total bigint NOT NULL);

COMMIT;
