-- Which tasks a batch is for, as its idempotency key leads to it from these only.
ALTER TABLE batch ADD COLUMN tasks TEXT COLLATE "C";

-- A token and a wait may have the same key.
DROP INDEX waitpoint_idem;
CREATE UNIQUE INDEX waitpoint_idem ON waitpoint (env_id, kind, idem_key) WHERE idem_key IS NOT NULL;
