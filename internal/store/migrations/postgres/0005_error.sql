-- What runs of an environment failed of. spec is the group; the other columns are for looking it up.
CREATE TABLE error_group (
  id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,  -- of environment and fingerprint
  env_id        TEXT COLLATE "C" NOT NULL,
  task          TEXT COLLATE "C" NOT NULL,
  status        TEXT COLLATE "C" NOT NULL,
  ignored_until BIGINT,
  last_seen     BIGINT NOT NULL,
  words         TEXT COLLATE "C" NOT NULL,              -- type and message in small letters, to be searched
  spec          TEXT COLLATE "C" NOT NULL               -- JSON
);

CREATE INDEX error_group_list ON error_group (env_id, last_seen, id);

-- The runs of a group.
CREATE TABLE error_run (
  error_id TEXT COLLATE "C" NOT NULL,
  run_id   TEXT COLLATE "C" NOT NULL,
  at       BIGINT NOT NULL,
  version  TEXT COLLATE "C" NOT NULL,                   -- empty: of none
  PRIMARY KEY (error_id, run_id)
);

CREATE INDEX error_run_at ON error_run (error_id, at);
CREATE INDEX error_run_version ON error_run (error_id, version);
