-- The credential that made a batch, when it is held to scopes: it may send the items.
ALTER TABLE batch ADD COLUMN maker TEXT;
