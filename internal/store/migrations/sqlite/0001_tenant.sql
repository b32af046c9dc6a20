-- Who owns what, and the credentials that prove it.
-- Times are microseconds since 1970 in UTC. Columns named sealed hold AES-256-GCM
-- ciphertext bound to their table and row; columns named hash hold SHA-256 in hex.

CREATE TABLE org (
  id         TEXT    NOT NULL PRIMARY KEY,
  slug       TEXT    NOT NULL UNIQUE,
  title      TEXT    NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE project (
  id         TEXT    NOT NULL PRIMARY KEY,
  org_id     TEXT    NOT NULL REFERENCES org (id),
  ref        TEXT    NOT NULL UNIQUE,
  slug       TEXT    NOT NULL,
  name       TEXT    NOT NULL,
  created_at INTEGER NOT NULL,
  UNIQUE (org_id, slug)
) STRICT;

-- A branch is an environment below a root one; it has no keys of its own.
CREATE TABLE env (
  id                TEXT    NOT NULL PRIMARY KEY,
  org_id            TEXT    NOT NULL REFERENCES org (id),
  project_id        TEXT    NOT NULL REFERENCES project (id),
  parent_id         TEXT    REFERENCES env (id),
  type              TEXT    NOT NULL CHECK (type IN ('DEVELOPMENT', 'STAGING', 'PRODUCTION', 'PREVIEW')),
  branch            TEXT,
  concurrency_limit INTEGER NOT NULL CHECK (concurrency_limit >= 0),
  paused            INTEGER NOT NULL DEFAULT FALSE CHECK (paused IN (FALSE, TRUE)),
  created_at        INTEGER NOT NULL,
  archived_at       INTEGER,
  CHECK ((parent_id IS NULL) = (branch IS NULL))
) STRICT;
CREATE UNIQUE INDEX env_root ON env (project_id, type) WHERE parent_id IS NULL;
-- A name may be used again once its branch is archived.
CREATE UNIQUE INDEX env_branch ON env (parent_id, branch) WHERE archived_at IS NULL;

-- A user; the table is not called so because the word is reserved in SQL.
CREATE TABLE account (
  id            TEXT    NOT NULL PRIMARY KEY,
  email         TEXT    NOT NULL UNIQUE,
  name          TEXT    NOT NULL,
  password_hash TEXT,
  created_at    INTEGER NOT NULL
) STRICT;

CREATE TABLE org_member (
  org_id     TEXT    NOT NULL REFERENCES org (id),
  account_id TEXT    NOT NULL REFERENCES account (id),
  role       TEXT    NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (org_id, account_id)
) STRICT;
CREATE INDEX org_member_account ON org_member (account_id);

-- Keys of root environments. A root key is sealed too, because it signs public tokens
-- and people ask for it again; a rotated one works on until expires_at.
CREATE TABLE api_key (
  id         TEXT    NOT NULL PRIMARY KEY,
  env_id     TEXT    NOT NULL REFERENCES env (id),
  hash       TEXT    NOT NULL UNIQUE,
  sealed     BLOB,
  scopes     TEXT,
  name       TEXT    NOT NULL,
  last_four  TEXT    NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  CHECK ((sealed IS NULL) <> (scopes IS NULL))
) STRICT;
CREATE INDEX api_key_env ON api_key (env_id);
CREATE UNIQUE INDEX api_key_root ON api_key (env_id) WHERE sealed IS NOT NULL AND expires_at IS NULL;

-- Personal access tokens. Only the one created with the server can be shown again.
CREATE TABLE pat (
  id         TEXT    NOT NULL PRIMARY KEY,
  account_id TEXT    NOT NULL REFERENCES account (id),
  name       TEXT    NOT NULL,
  hash       TEXT    NOT NULL UNIQUE,
  obfuscated TEXT    NOT NULL,
  sealed     BLOB,
  created_at INTEGER NOT NULL,
  revoked_at INTEGER
) STRICT;
CREATE INDEX pat_account ON pat (account_id);

-- Variables of a run's process. A branch sees its root's too and may replace them.
CREATE TABLE env_var (
  env_id     TEXT    NOT NULL REFERENCES env (id),
  name       TEXT    NOT NULL,
  sealed     BLOB    NOT NULL,
  is_secret  INTEGER NOT NULL CHECK (is_secret IN (FALSE, TRUE)),
  version    INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (env_id, name)
) STRICT, WITHOUT ROWID;

-- Logins begun by a command line. The code itself is known to that program only.
CREATE TABLE auth_code (
  hash          TEXT    NOT NULL PRIMARY KEY,
  approval      TEXT    NOT NULL CHECK (approval IN ('poll', 'paste', 'callback')),
  challenge     TEXT,
  callback_port INTEGER,
  account_id    TEXT    REFERENCES account (id),
  approval_hash TEXT,
  sealed        BLOB,
  created_at    INTEGER NOT NULL,
  expires_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX auth_code_expiry ON auth_code (expires_at);

CREATE TABLE session (
  hash       TEXT    NOT NULL PRIMARY KEY,
  account_id TEXT    NOT NULL REFERENCES account (id),
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX session_expiry ON session (expires_at);

-- Public tokens for one use that have been used, until they would expire anyway.
CREATE TABLE used_token (
  hash       TEXT    NOT NULL PRIMARY KEY,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX used_token_expiry ON used_token (expires_at);

-- The one row that says this store has been set up, and under which sealing key.
CREATE TABLE instance (
  id         INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  sealed     BLOB    NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
