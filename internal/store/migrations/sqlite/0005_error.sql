-- What runs of an environment failed of. spec is the group; the other columns are for looking it up.
CREATE TABLE error_group (
  id            TEXT    NOT NULL PRIMARY KEY,  -- of environment and fingerprint
  env_id        TEXT    NOT NULL,
  task          TEXT    NOT NULL,
  status        TEXT    NOT NULL,
  ignored_until INTEGER,
  last_seen     INTEGER NOT NULL,
  words         TEXT    NOT NULL,              -- type and message in small letters, to be searched
  spec          TEXT    NOT NULL               -- JSON
) STRICT;

CREATE INDEX error_group_list ON error_group (env_id, last_seen, id);

-- The runs of a group.
CREATE TABLE error_run (
  error_id TEXT    NOT NULL,
  run_id   TEXT    NOT NULL,
  at       INTEGER NOT NULL,
  version  TEXT    NOT NULL,                   -- empty: of none
  PRIMARY KEY (error_id, run_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX error_run_at ON error_run (error_id, at);
CREATE INDEX error_run_version ON error_run (error_id, version);
