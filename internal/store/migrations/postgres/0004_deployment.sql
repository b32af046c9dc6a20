-- A build on its way to be a version that runs are executed with.
CREATE TABLE deployment (
  id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  env_id      TEXT COLLATE "C" NOT NULL,
  project_id  TEXT COLLATE "C" NOT NULL,
  version     TEXT COLLATE "C" NOT NULL,
  short_code  TEXT COLLATE "C" NOT NULL,
  status      TEXT COLLATE "C" NOT NULL,
  external_id TEXT COLLATE "C",
  worker_id   TEXT COLLATE "C",
  request_key TEXT COLLATE "C",              -- of the call that began it
  due_at      BIGINT,           -- when it has taken too long
  spec        TEXT COLLATE "C" NOT NULL,  -- JSON: what nothing is looked up by
  build_env   BYTEA,              -- variables of the build, sealed
  created_at  BIGINT NOT NULL
);

CREATE INDEX deployment_list ON deployment (env_id, id);
CREATE INDEX deployment_due ON deployment (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX deployment_external ON deployment (env_id, external_id) WHERE external_id IS NOT NULL;
CREATE UNIQUE INDEX deployment_version ON deployment (env_id, version);
CREATE UNIQUE INDEX deployment_code ON deployment (project_id, short_code);
CREATE UNIQUE INDEX deployment_request ON deployment (env_id, request_key) WHERE request_key IS NOT NULL;

-- Which deployment has a label, such as current, in an environment.
CREATE TABLE promotion (
  env_id        TEXT COLLATE "C" NOT NULL,
  label         TEXT COLLATE "C" NOT NULL,
  deployment_id TEXT COLLATE "C" NOT NULL,
  promoted_at   BIGINT NOT NULL,
  PRIMARY KEY (env_id, label)
);

-- Absent on a worker that was registered without a deployment.
ALTER TABLE worker ADD COLUMN deployment_id TEXT COLLATE "C";
CREATE INDEX worker_newest ON worker (env_id, number) WHERE deployment_id IS NULL;
