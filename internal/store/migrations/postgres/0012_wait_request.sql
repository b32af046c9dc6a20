-- The call that made a waitpoint, which may be sent again.
ALTER TABLE waitpoint ADD COLUMN request_key TEXT COLLATE "C";
CREATE UNIQUE INDEX waitpoint_request ON waitpoint (env_id, kind, request_key) WHERE request_key IS NOT NULL;
