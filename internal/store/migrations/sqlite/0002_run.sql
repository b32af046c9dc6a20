-- A run's row holds its newest snapshot, its place in the queue, its slot and its one deadline.
CREATE TABLE run (
  id            TEXT    NOT NULL PRIMARY KEY,
  env_id        TEXT    NOT NULL,
  task          TEXT    NOT NULL,
  status        TEXT    NOT NULL,
  exec          TEXT    NOT NULL,
  seq           INTEGER NOT NULL,
  attempt       INTEGER NOT NULL,
  began         INTEGER NOT NULL,
  note          TEXT    NOT NULL,
  moved_at      INTEGER NOT NULL,
  wait_for      TEXT,
  reason        TEXT,
  call_key      TEXT,              -- request key of the worker call that made the newest snapshot
  queued        INTEGER NOT NULL,  -- 0: not in the queue, 1: for a worker, 2: for its slot back
  lane          TEXT    NOT NULL,  -- queue, or queue:key
  score         INTEGER NOT NULL,  -- milliseconds
  slot          INTEGER NOT NULL,
  nacks         INTEGER NOT NULL,
  due_at        INTEGER,
  worker_id     TEXT,
  version       TEXT,
  max_attempts  INTEGER NOT NULL,
  max_duration  INTEGER NOT NULL,
  machine       TEXT,
  ttl           INTEGER NOT NULL,
  parent_id     TEXT,
  root_id       TEXT,              -- absent on a root
  batch_id      TEXT,
  batch_index   INTEGER NOT NULL,
  depth         INTEGER NOT NULL,
  resume_parent INTEGER NOT NULL,
  usage         INTEGER NOT NULL,
  created_at    INTEGER NOT NULL,
  updated_at    INTEGER NOT NULL,
  delay_until   INTEGER,
  queued_at     INTEGER,
  started_at    INTEGER,
  executed_at   INTEGER,
  completed_at  INTEGER,
  expired_at    INTEGER,
  is_test       INTEGER NOT NULL,
  tags          TEXT,              -- JSON array; run_tag is its index
  idem_key      TEXT,
  idem_expires  INTEGER,
  request_key   TEXT,              -- transport idempotency key of the trigger
  extra         TEXT,              -- JSON object: shown and handed on, never decided upon
  region        TEXT,              -- as in extra, for lists to filter by; so is the next
  schedule_id   TEXT,
  error         TEXT,
  metadata      TEXT,
  metadata_type TEXT,
  seed          TEXT,
  seed_type     TEXT,
  payload       BLOB,               -- absent when it has a row in packet
  payload_type  TEXT,
  output        BLOB,
  output_type   TEXT
) STRICT;

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
  run_id TEXT NOT NULL PRIMARY KEY,
  data   BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE run_tag (
  env_id TEXT NOT NULL,
  tag    TEXT NOT NULL,
  run_id TEXT NOT NULL,
  PRIMARY KEY (env_id, tag, run_id)
) STRICT, WITHOUT ROWID;

-- Superseded snapshots. The newest one is in the run's row.
CREATE TABLE snapshot (
  run_id    TEXT    NOT NULL,
  seq       INTEGER NOT NULL,
  exec      TEXT    NOT NULL,
  status    TEXT    NOT NULL,
  attempt   INTEGER NOT NULL,
  note      TEXT    NOT NULL,
  wait_for  TEXT,
  worker_id TEXT,
  moved_at  INTEGER NOT NULL,
  PRIMARY KEY (run_id, seq)
) STRICT, WITHOUT ROWID;

-- DATETIME and MANUAL waitpoints. A RUN waitpoint is the run itself, a BATCH waitpoint the batch.
CREATE TABLE waitpoint (
  id           TEXT    NOT NULL PRIMARY KEY,
  env_id       TEXT    NOT NULL,
  kind         TEXT    NOT NULL,
  done         INTEGER NOT NULL,
  output       BLOB,
  output_type  TEXT,
  is_error     INTEGER NOT NULL,
  due_at       INTEGER,            -- end of a DATETIME, timeout of a MANUAL; kept when done
  idem_key     TEXT,
  idem_expires INTEGER,
  old_key      TEXT,               -- the user's key after it expired
  tags         TEXT,
  created_at   INTEGER NOT NULL,
  completed_at INTEGER
) STRICT;

CREATE INDEX waitpoint_list ON waitpoint (env_id, kind, id);
CREATE INDEX waitpoint_due ON waitpoint (due_at) WHERE due_at IS NOT NULL AND done = 0;
CREATE UNIQUE INDEX waitpoint_idem ON waitpoint (env_id, idem_key) WHERE idem_key IS NOT NULL;

-- Run run_id is, or was, blocked by a waitpoint. seq is the snapshot that delivered it, 0 before.
CREATE TABLE edge (
  run_id       TEXT    NOT NULL,
  kind         TEXT    NOT NULL,
  waitpoint_id TEXT    NOT NULL,
  idx          INTEGER NOT NULL,   -- position in the batch, -1 outside one
  batch_id     TEXT,
  done         INTEGER NOT NULL,
  seq          INTEGER NOT NULL,
  PRIMARY KEY (run_id, seq, waitpoint_id, idx)
) STRICT, WITHOUT ROWID;

CREATE INDEX edge_pending ON edge (waitpoint_id) WHERE done = 0;
CREATE INDEX edge_blocks ON edge (run_id) WHERE done = 0;

-- Work that a commit left for the moment after it: wake a run whose waitpoint completed, cancel a run's children.
CREATE TABLE wake (
  id     TEXT NOT NULL PRIMARY KEY,
  kind   TEXT NOT NULL,
  run_id TEXT NOT NULL,
  note   TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE batch (
  id            TEXT    NOT NULL PRIMARY KEY,
  env_id        TEXT    NOT NULL,
  run_count     INTEGER NOT NULL,
  status        TEXT    NOT NULL,
  parent_id     TEXT,
  resume_parent INTEGER NOT NULL,
  idem_key      TEXT,
  idem_expires  INTEGER,
  key_options   TEXT,
  request_key   TEXT,
  due_at        INTEGER,           -- when an unsealed batch is given up
  created_at    INTEGER NOT NULL,
  updated_at    INTEGER NOT NULL,
  sealed_at     INTEGER
) STRICT;

CREATE INDEX batch_due ON batch (due_at) WHERE due_at IS NOT NULL;
CREATE UNIQUE INDEX batch_idem ON batch (env_id, idem_key) WHERE idem_key IS NOT NULL;
CREATE UNIQUE INDEX batch_request ON batch (env_id, request_key) WHERE request_key IS NOT NULL;

-- Items of a batch that made no run of their own: answered by an earlier run, or refused.
CREATE TABLE batch_item (
  batch_id TEXT    NOT NULL,
  idx      INTEGER NOT NULL,
  run_id   TEXT,
  task     TEXT    NOT NULL,
  error    TEXT,
  code     TEXT,
  PRIMARY KEY (batch_id, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE debounce (
  env_id TEXT NOT NULL,
  task   TEXT NOT NULL,
  key    TEXT NOT NULL,
  run_id TEXT NOT NULL,
  PRIMARY KEY (env_id, task, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE queue (
  id            TEXT    NOT NULL PRIMARY KEY,
  env_id        TEXT    NOT NULL,
  name          TEXT    NOT NULL,
  kind          TEXT    NOT NULL,  -- task or custom
  base_limit    INTEGER,           -- as declared in code
  override      INTEGER,
  override_pct  REAL,
  overridden_at INTEGER,
  paused        INTEGER NOT NULL,
  created_at    INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX queue_name ON queue (env_id, name);

CREATE TABLE worker (
  id           TEXT    NOT NULL PRIMARY KEY,
  env_id       TEXT    NOT NULL,
  number       INTEGER NOT NULL,   -- counts the workers of an environment: the highest is the newest
  version      TEXT    NOT NULL,
  content_hash TEXT    NOT NULL,
  manifest     TEXT    NOT NULL,   -- JSON, without source files
  created_at   INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX worker_version ON worker (env_id, version);
CREATE UNIQUE INDEX worker_number ON worker (env_id, number);

CREATE TABLE worker_file (
  worker_id TEXT NOT NULL,
  path      TEXT NOT NULL,
  hash      TEXT NOT NULL,
  contents  TEXT NOT NULL,         -- base64 of deflated text, as the CLI sends it
  PRIMARY KEY (worker_id, path)
) STRICT, WITHOUT ROWID;

-- Declarative schedules, as the newest worker of the environment declares them.
CREATE TABLE schedule (
  id         TEXT    NOT NULL PRIMARY KEY,
  env_id     TEXT    NOT NULL,
  task       TEXT    NOT NULL,
  cron       TEXT    NOT NULL,
  timezone   TEXT    NOT NULL,
  spec       TEXT    NOT NULL,     -- the declaration as JSON
  worker_id  TEXT    NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX schedule_task ON schedule (env_id, task);
