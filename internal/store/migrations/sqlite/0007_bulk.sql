-- Bulk actions: one cancels or replays the runs that its filter selects, newest first.
CREATE TABLE bulk (
  id           TEXT NOT NULL PRIMARY KEY,
  env_id       TEXT NOT NULL,
  kind         TEXT NOT NULL,
  status       TEXT NOT NULL,
  name         TEXT,
  region       TEXT,              -- where to replay; NULL: where each run was
  filter       TEXT NOT NULL,     -- JSON object, frozen when the action was created
  last_run     TEXT,              -- the run that was processed last
  total        INTEGER NOT NULL,
  success      INTEGER NOT NULL,
  failure      INTEGER NOT NULL,
  created_at   INTEGER NOT NULL,
  completed_at INTEGER
) STRICT;

CREATE INDEX bulk_env ON bulk (env_id, id);
CREATE INDEX bulk_pending ON bulk (env_id, kind) WHERE status = 'PENDING';

-- The runs of a bulk action: those it was to cancel, or those its replays made.
CREATE TABLE bulk_run (
  bulk_id TEXT NOT NULL,
  run_id  TEXT NOT NULL,
  PRIMARY KEY (bulk_id, run_id)
) STRICT, WITHOUT ROWID;
