-- Who owns what, and the credentials that prove it.
-- Times are microseconds since 1970 in UTC. Columns named sealed hold AES-256-GCM
-- ciphertext bound to their table and row; columns named hash hold SHA-256 in hex.

CREATE TABLE org (
  id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  slug       TEXT COLLATE "C" NOT NULL UNIQUE,
  title      TEXT COLLATE "C" NOT NULL,
  created_at BIGINT NOT NULL
);

CREATE TABLE project (
  id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  org_id     TEXT COLLATE "C" NOT NULL REFERENCES org (id),
  ref        TEXT COLLATE "C" NOT NULL UNIQUE,
  slug       TEXT COLLATE "C" NOT NULL,
  name       TEXT COLLATE "C" NOT NULL,
  created_at BIGINT NOT NULL,
  UNIQUE (org_id, slug)
);

-- A branch is an environment below a root one; it has no keys of its own.
CREATE TABLE env (
  id                TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  org_id            TEXT COLLATE "C" NOT NULL REFERENCES org (id),
  project_id        TEXT COLLATE "C" NOT NULL REFERENCES project (id),
  parent_id         TEXT COLLATE "C" REFERENCES env (id),
  type              TEXT COLLATE "C" NOT NULL CHECK (type IN ('DEVELOPMENT', 'STAGING', 'PRODUCTION', 'PREVIEW')),
  branch            TEXT COLLATE "C",
  concurrency_limit BIGINT NOT NULL CHECK (concurrency_limit >= 0),
  paused            BOOLEAN NOT NULL DEFAULT FALSE,
  created_at        BIGINT NOT NULL,
  archived_at       BIGINT,
  CHECK ((parent_id IS NULL) = (branch IS NULL))
);
CREATE UNIQUE INDEX env_root ON env (project_id, type) WHERE parent_id IS NULL;
-- A name may be used again once its branch is archived.
CREATE UNIQUE INDEX env_branch ON env (parent_id, branch) WHERE archived_at IS NULL;

-- A user; the table is not called so because the word is reserved in SQL.
CREATE TABLE account (
  id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  email         TEXT COLLATE "C" NOT NULL UNIQUE,
  name          TEXT COLLATE "C" NOT NULL,
  password_hash TEXT COLLATE "C",
  created_at    BIGINT NOT NULL
);

CREATE TABLE org_member (
  org_id     TEXT COLLATE "C" NOT NULL REFERENCES org (id),
  account_id TEXT COLLATE "C" NOT NULL REFERENCES account (id),
  role       TEXT COLLATE "C" NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (org_id, account_id)
);
CREATE INDEX org_member_account ON org_member (account_id);

-- Keys of root environments. A root key is sealed too, because it signs public tokens
-- and people ask for it again; a rotated one works on until expires_at.
CREATE TABLE api_key (
  id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  env_id     TEXT COLLATE "C" NOT NULL REFERENCES env (id),
  hash       TEXT COLLATE "C" NOT NULL UNIQUE,
  sealed     BYTEA,
  scopes     TEXT COLLATE "C",
  name       TEXT COLLATE "C" NOT NULL,
  last_four  TEXT COLLATE "C" NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT,
  CHECK ((sealed IS NULL) <> (scopes IS NULL))
);
CREATE INDEX api_key_env ON api_key (env_id);
CREATE UNIQUE INDEX api_key_root ON api_key (env_id) WHERE sealed IS NOT NULL AND expires_at IS NULL;

-- Personal access tokens. Only the one created with the server can be shown again.
CREATE TABLE pat (
  id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  account_id TEXT COLLATE "C" NOT NULL REFERENCES account (id),
  name       TEXT COLLATE "C" NOT NULL,
  hash       TEXT COLLATE "C" NOT NULL UNIQUE,
  obfuscated TEXT COLLATE "C" NOT NULL,
  sealed     BYTEA,
  created_at BIGINT NOT NULL,
  revoked_at BIGINT
);
CREATE INDEX pat_account ON pat (account_id);

-- Variables of a run's process. A branch sees its root's too and may replace them.
CREATE TABLE env_var (
  env_id     TEXT COLLATE "C" NOT NULL REFERENCES env (id),
  name       TEXT COLLATE "C" NOT NULL,
  sealed     BYTEA NOT NULL,
  is_secret  BOOLEAN NOT NULL,
  version    BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (env_id, name)
);

-- Logins begun by a command line. The code itself is known to that program only.
CREATE TABLE auth_code (
  hash          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  approval      TEXT COLLATE "C" NOT NULL CHECK (approval IN ('poll', 'paste', 'callback')),
  challenge     TEXT COLLATE "C",
  callback_port BIGINT,
  account_id    TEXT COLLATE "C" REFERENCES account (id),
  approval_hash TEXT COLLATE "C",
  sealed        BYTEA,
  created_at    BIGINT NOT NULL,
  expires_at    BIGINT NOT NULL
);
CREATE INDEX auth_code_expiry ON auth_code (expires_at);

CREATE TABLE session (
  hash       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  account_id TEXT COLLATE "C" NOT NULL REFERENCES account (id),
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE INDEX session_expiry ON session (expires_at);

-- Public tokens for one use that have been used, until they would expire anyway.
CREATE TABLE used_token (
  hash       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  expires_at BIGINT NOT NULL
);
CREATE INDEX used_token_expiry ON used_token (expires_at);

-- The one row that says this store has been set up, and under which sealing key.
CREATE TABLE instance (
  id         BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
  sealed     BYTEA NOT NULL,
  created_at BIGINT NOT NULL
);
