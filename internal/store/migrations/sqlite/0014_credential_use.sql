-- When a credential was last used, to the minute. Whoever lists them sees which one nobody needs.
ALTER TABLE pat ADD COLUMN last_used_at INTEGER;
ALTER TABLE api_key ADD COLUMN last_used_at INTEGER;
ALTER TABLE session ADD COLUMN last_used_at INTEGER;
CREATE INDEX session_account ON session (account_id);
