-- A run's row holds its newest snapshot, its place in the queue, its slot and its one deadline.
CREATE TABLE run (
  id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  env_id        TEXT COLLATE "C" NOT NULL,
  task          TEXT COLLATE "C" NOT NULL,
  status        TEXT COLLATE "C" NOT NULL,
  exec          TEXT COLLATE "C" NOT NULL,
  seq           BIGINT NOT NULL,
  attempt       BIGINT NOT NULL,
  began         BIGINT NOT NULL,
  note          TEXT COLLATE "C" NOT NULL,
  moved_at      BIGINT NOT NULL,
  wait_for      TEXT COLLATE "C",
  reason        TEXT COLLATE "C",
  call_key      TEXT COLLATE "C",              -- request key of the worker call that made the newest snapshot
  queued        BIGINT NOT NULL,  -- 0: not in the queue, 1: for a worker, 2: for its slot back
  lane          TEXT COLLATE "C" NOT NULL,  -- queue, or queue:key
  score         BIGINT NOT NULL,  -- milliseconds
  slot          BIGINT NOT NULL,
  nacks         BIGINT NOT NULL,
  due_at        BIGINT,
  worker_id     TEXT COLLATE "C",
  version       TEXT COLLATE "C",
  max_attempts  BIGINT NOT NULL,
  max_duration  BIGINT NOT NULL,
  machine       TEXT COLLATE "C",
  ttl           BIGINT NOT NULL,
  parent_id     TEXT COLLATE "C",
  root_id       TEXT COLLATE "C",              -- absent on a root
  batch_id      TEXT COLLATE "C",
  batch_index   BIGINT NOT NULL,
  depth         BIGINT NOT NULL,
  resume_parent BIGINT NOT NULL,
  usage         BIGINT NOT NULL,
  created_at    BIGINT NOT NULL,
  updated_at    BIGINT NOT NULL,
  delay_until   BIGINT,
  queued_at     BIGINT,
  started_at    BIGINT,
  executed_at   BIGINT,
  completed_at  BIGINT,
  expired_at    BIGINT,
  is_test       BIGINT NOT NULL,
  tags          TEXT COLLATE "C",              -- JSON array; run_tag is its index
  idem_key      TEXT COLLATE "C",
  idem_expires  BIGINT,
  request_key   TEXT COLLATE "C",              -- transport idempotency key of the trigger
  extra         TEXT COLLATE "C",              -- JSON object: shown and handed on, never decided upon
  region        TEXT COLLATE "C",              -- as in extra, for lists to filter by; so is the next
  schedule_id   TEXT COLLATE "C",
  error         TEXT COLLATE "C",
  metadata      TEXT COLLATE "C",
  metadata_type TEXT COLLATE "C",
  seed          TEXT COLLATE "C",
  seed_type     TEXT COLLATE "C",
  payload       BYTEA,               -- absent when it has a row in packet
  payload_type  TEXT COLLATE "C",
  output        BYTEA,
  output_type   TEXT COLLATE "C"
);

CREATE INDEX run_list ON run (env_id, id);
CREATE INDEX run_queue ON run (env_id, queued, lane, score, id) WHERE queued > 0;
CREATE INDEX run_slot ON run (env_id, lane) WHERE slot = 1;
CREATE INDEX run_due ON run (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX run_parked ON run (env_id, id) WHERE exec = 'RUN_CREATED';
CREATE INDEX run_resume ON run (env_id) WHERE exec = 'QUEUED_EXECUTING';
CREATE INDEX run_parent ON run (parent_id) WHERE parent_id IS NOT NULL;
CREATE UNIQUE INDEX run_batch ON run (batch_id, batch_index) WHERE batch_id IS NOT NULL;
CREATE UNIQUE INDEX run_idem ON run (env_id, task, idem_key) WHERE idem_key IS NOT NULL;
CREATE UNIQUE INDEX run_request ON run (env_id, request_key, task) WHERE request_key IS NOT NULL;

-- Payloads too large to be rewritten with every transition of their run.
CREATE TABLE packet (
  run_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  data   BYTEA NOT NULL
);

CREATE TABLE run_tag (
  env_id TEXT COLLATE "C" NOT NULL,
  tag    TEXT COLLATE "C" NOT NULL,
  run_id TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (env_id, tag, run_id)
);

-- Superseded snapshots. The newest one is in the run's row.
CREATE TABLE snapshot (
  run_id    TEXT COLLATE "C" NOT NULL,
  seq       BIGINT NOT NULL,
  exec      TEXT COLLATE "C" NOT NULL,
  status    TEXT COLLATE "C" NOT NULL,
  attempt   BIGINT NOT NULL,
  note      TEXT COLLATE "C" NOT NULL,
  wait_for  TEXT COLLATE "C",
  worker_id TEXT COLLATE "C",
  moved_at  BIGINT NOT NULL,
  PRIMARY KEY (run_id, seq)
);

-- DATETIME and MANUAL waitpoints. A RUN waitpoint is the run itself, a BATCH waitpoint the batch.
CREATE TABLE waitpoint (
  id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  env_id       TEXT COLLATE "C" NOT NULL,
  kind         TEXT COLLATE "C" NOT NULL,
  done         BIGINT NOT NULL,
  output       BYTEA,
  output_type  TEXT COLLATE "C",
  is_error     BIGINT NOT NULL,
  due_at       BIGINT,            -- end of a DATETIME, timeout of a MANUAL; kept when done
  idem_key     TEXT COLLATE "C",
  idem_expires BIGINT,
  old_key      TEXT COLLATE "C",               -- the user's key after it expired
  tags         TEXT COLLATE "C",
  created_at   BIGINT NOT NULL,
  completed_at BIGINT
);

CREATE INDEX waitpoint_list ON waitpoint (env_id, kind, id);
CREATE INDEX waitpoint_due ON waitpoint (due_at) WHERE due_at IS NOT NULL AND done = 0;
CREATE UNIQUE INDEX waitpoint_idem ON waitpoint (env_id, idem_key) WHERE idem_key IS NOT NULL;

-- Run run_id is, or was, blocked by a waitpoint. seq is the snapshot that delivered it, 0 before.
CREATE TABLE edge (
  run_id       TEXT COLLATE "C" NOT NULL,
  kind         TEXT COLLATE "C" NOT NULL,
  waitpoint_id TEXT COLLATE "C" NOT NULL,
  idx          BIGINT NOT NULL,   -- position in the batch, -1 outside one
  batch_id     TEXT COLLATE "C",
  done         BIGINT NOT NULL,
  seq          BIGINT NOT NULL,
  PRIMARY KEY (run_id, seq, waitpoint_id, idx)
);

CREATE INDEX edge_pending ON edge (waitpoint_id) WHERE done = 0;
CREATE INDEX edge_blocks ON edge (run_id) WHERE done = 0;

-- Work that a commit left for the moment after it: wake a run whose waitpoint completed, cancel a run's children.
CREATE TABLE wake (
  id     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  kind   TEXT COLLATE "C" NOT NULL,
  run_id TEXT COLLATE "C" NOT NULL,
  note   TEXT COLLATE "C"
);

CREATE TABLE batch (
  id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  env_id        TEXT COLLATE "C" NOT NULL,
  run_count     BIGINT NOT NULL,
  status        TEXT COLLATE "C" NOT NULL,
  parent_id     TEXT COLLATE "C",
  resume_parent BIGINT NOT NULL,
  idem_key      TEXT COLLATE "C",
  idem_expires  BIGINT,
  key_options   TEXT COLLATE "C",
  request_key   TEXT COLLATE "C",
  due_at        BIGINT,           -- when an unsealed batch is given up
  created_at    BIGINT NOT NULL,
  updated_at    BIGINT NOT NULL,
  sealed_at     BIGINT
);

CREATE INDEX batch_due ON batch (due_at) WHERE due_at IS NOT NULL;
CREATE UNIQUE INDEX batch_idem ON batch (env_id, idem_key) WHERE idem_key IS NOT NULL;
CREATE UNIQUE INDEX batch_request ON batch (env_id, request_key) WHERE request_key IS NOT NULL;

-- Items of a batch that made no run of their own: answered by an earlier run, or refused.
CREATE TABLE batch_item (
  batch_id TEXT COLLATE "C" NOT NULL,
  idx      BIGINT NOT NULL,
  run_id   TEXT COLLATE "C",
  task     TEXT COLLATE "C" NOT NULL,
  error    TEXT COLLATE "C",
  code     TEXT COLLATE "C",
  PRIMARY KEY (batch_id, idx)
);

CREATE TABLE debounce (
  env_id TEXT COLLATE "C" NOT NULL,
  task   TEXT COLLATE "C" NOT NULL,
  key    TEXT COLLATE "C" NOT NULL,
  run_id TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (env_id, task, key)
);

CREATE TABLE queue (
  id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  env_id        TEXT COLLATE "C" NOT NULL,
  name          TEXT COLLATE "C" NOT NULL,
  kind          TEXT COLLATE "C" NOT NULL,  -- task or custom
  base_limit    BIGINT,           -- as declared in code
  override      BIGINT,
  override_pct  DOUBLE PRECISION,
  overridden_at BIGINT,
  paused        BIGINT NOT NULL,
  created_at    BIGINT NOT NULL
);

CREATE UNIQUE INDEX queue_name ON queue (env_id, name);

CREATE TABLE worker (
  id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  env_id       TEXT COLLATE "C" NOT NULL,
  number       BIGINT NOT NULL,   -- counts the workers of an environment: the highest is the newest
  version      TEXT COLLATE "C" NOT NULL,
  content_hash TEXT COLLATE "C" NOT NULL,
  manifest     TEXT COLLATE "C" NOT NULL,   -- JSON, without source files
  created_at   BIGINT NOT NULL
);

CREATE UNIQUE INDEX worker_version ON worker (env_id, version);
CREATE UNIQUE INDEX worker_number ON worker (env_id, number);

CREATE TABLE worker_file (
  worker_id TEXT COLLATE "C" NOT NULL,
  path      TEXT COLLATE "C" NOT NULL,
  hash      TEXT COLLATE "C" NOT NULL,
  contents  TEXT COLLATE "C" NOT NULL,         -- base64 of deflated text, as the CLI sends it
  PRIMARY KEY (worker_id, path)
);

-- Declarative schedules, as the newest worker of the environment declares them.
CREATE TABLE schedule (
  id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  env_id     TEXT COLLATE "C" NOT NULL,
  task       TEXT COLLATE "C" NOT NULL,
  cron       TEXT COLLATE "C" NOT NULL,
  timezone   TEXT COLLATE "C" NOT NULL,
  spec       TEXT COLLATE "C" NOT NULL,     -- the declaration as JSON
  worker_id  TEXT COLLATE "C" NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX schedule_task ON schedule (env_id, task);
