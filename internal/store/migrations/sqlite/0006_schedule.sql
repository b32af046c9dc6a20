-- A schedule belongs to a project and fires in each environment that it has an instance in.
DROP TABLE schedule;

CREATE TABLE schedule (
  id          TEXT    NOT NULL PRIMARY KEY,
  project_id  TEXT    NOT NULL,
  type        TEXT    NOT NULL,  -- DECLARATIVE or IMPERATIVE
  task        TEXT    NOT NULL,
  dedup_key   TEXT    NOT NULL,
  user_key    INTEGER NOT NULL,  -- whether the user chose the key
  external_id TEXT,
  active      INTEGER NOT NULL,
  created_at  INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX schedule_dedup ON schedule (project_id, dedup_key);
CREATE UNIQUE INDEX schedule_declared ON schedule (project_id, task) WHERE type = 'DECLARATIVE';

-- The timing stands here, so that what one environment declares leaves the others alone.
CREATE TABLE schedule_instance (
  env_id      TEXT    NOT NULL,
  schedule_id TEXT    NOT NULL,
  cron        TEXT    NOT NULL,
  timezone    TEXT    NOT NULL,
  span        TEXT,              -- the window, a word that Postgres reserves
  active      INTEGER NOT NULL,  -- 0 once the environment is archived
  next_at     INTEGER,           -- the occurrence that is handled next; absent: there is none
  last_at     INTEGER,           -- the occurrence that made a run last
  created_at  INTEGER NOT NULL,
  PRIMARY KEY (env_id, schedule_id)
) STRICT;

CREATE INDEX schedule_instance_schedule ON schedule_instance (schedule_id);
CREATE INDEX schedule_instance_next ON schedule_instance (next_at) WHERE next_at IS NOT NULL;

-- Occurrences that nothing came of, each row one or several in a row.
CREATE TABLE schedule_miss (
  env_id      TEXT    NOT NULL,
  schedule_id TEXT    NOT NULL,
  from_at     INTEGER NOT NULL,
  to_at       INTEGER NOT NULL,
  count       INTEGER NOT NULL,
  reason      TEXT    NOT NULL,
  PRIMARY KEY (env_id, schedule_id, from_at)
) STRICT;

-- When a development environment last heard of its command line, on whichever node.
CREATE TABLE presence (
  env_id  TEXT    NOT NULL PRIMARY KEY,
  seen_at INTEGER NOT NULL
) STRICT;
