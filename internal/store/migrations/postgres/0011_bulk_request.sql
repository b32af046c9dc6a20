-- The call that created a bulk action, which may be sent again.
ALTER TABLE bulk ADD COLUMN request_key TEXT COLLATE "C";
CREATE UNIQUE INDEX bulk_request ON bulk (env_id, request_key) WHERE request_key IS NOT NULL;
