-- Bulk actions: one cancels or replays the runs that its filter selects, newest first.
CREATE TABLE bulk (
  id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  env_id       TEXT COLLATE "C" NOT NULL,
  kind         TEXT COLLATE "C" NOT NULL,
  status       TEXT COLLATE "C" NOT NULL,
  name         TEXT COLLATE "C",
  region       TEXT COLLATE "C",              -- where to replay; NULL: where each run was
  filter       TEXT COLLATE "C" NOT NULL,     -- JSON object, frozen when the action was created
  last_run     TEXT COLLATE "C",              -- the run that was processed last
  total        BIGINT NOT NULL,
  success      BIGINT NOT NULL,
  failure      BIGINT NOT NULL,
  created_at   BIGINT NOT NULL,
  completed_at BIGINT
);

CREATE INDEX bulk_env ON bulk (env_id, id);
CREATE INDEX bulk_pending ON bulk (env_id, kind) WHERE status = 'PENDING';

-- The runs of a bulk action: those it was to cancel, or those its replays made.
CREATE TABLE bulk_run (
  bulk_id TEXT COLLATE "C" NOT NULL,
  run_id  TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (bulk_id, run_id)
);
