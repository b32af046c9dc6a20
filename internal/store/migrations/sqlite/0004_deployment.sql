-- A build on its way to be a version that runs are executed with.
CREATE TABLE deployment (
  id          TEXT    NOT NULL PRIMARY KEY,
  env_id      TEXT    NOT NULL,
  project_id  TEXT    NOT NULL,
  version     TEXT    NOT NULL,
  short_code  TEXT    NOT NULL,
  status      TEXT    NOT NULL,
  external_id TEXT,
  worker_id   TEXT,
  request_key TEXT,              -- of the call that began it
  due_at      INTEGER,           -- when it has taken too long
  spec        TEXT    NOT NULL,  -- JSON: what nothing is looked up by
  build_env   BLOB,              -- variables of the build, sealed
  created_at  INTEGER NOT NULL
) STRICT;

CREATE INDEX deployment_list ON deployment (env_id, id);
CREATE INDEX deployment_due ON deployment (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX deployment_external ON deployment (env_id, external_id) WHERE external_id IS NOT NULL;
CREATE UNIQUE INDEX deployment_version ON deployment (env_id, version);
CREATE UNIQUE INDEX deployment_code ON deployment (project_id, short_code);
CREATE UNIQUE INDEX deployment_request ON deployment (env_id, request_key) WHERE request_key IS NOT NULL;

-- Which deployment has a label, such as current, in an environment.
CREATE TABLE promotion (
  env_id        TEXT    NOT NULL,
  label         TEXT    NOT NULL,
  deployment_id TEXT    NOT NULL,
  promoted_at   INTEGER NOT NULL,
  PRIMARY KEY (env_id, label)
) STRICT, WITHOUT ROWID;

-- Absent on a worker that was registered without a deployment.
ALTER TABLE worker ADD COLUMN deployment_id TEXT;
CREATE INDEX worker_newest ON worker (env_id, number) WHERE deployment_id IS NULL;
