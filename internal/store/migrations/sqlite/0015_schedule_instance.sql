-- What a caller can change of a schedule stands on its instance: a key of one environment
-- reaches no other. What was common to all instances becomes each one's own.
CREATE TABLE schedule_placed (
  env_id      TEXT    NOT NULL,
  schedule_id TEXT    NOT NULL,
  task        TEXT    NOT NULL,
  external_id TEXT,
  cron        TEXT    NOT NULL,
  timezone    TEXT    NOT NULL,
  span        TEXT,              -- the window, a word that Postgres reserves
  active      INTEGER NOT NULL,  -- whether it is switched on
  next_at     INTEGER,           -- the occurrence that is handled next; absent: there is none
  last_at     INTEGER,           -- the occurrence that made a run last
  created_at  INTEGER NOT NULL,
  PRIMARY KEY (env_id, schedule_id)
) STRICT;

INSERT INTO schedule_placed (env_id, schedule_id, task, external_id, cron, timezone, span, active, next_at, last_at, created_at)
  SELECT i.env_id, i.schedule_id, s.task, s.external_id, i.cron, i.timezone, i.span, s.active, i.next_at, i.last_at, i.created_at
  FROM schedule_instance i JOIN schedule s ON s.id = i.schedule_id;

DROP TABLE schedule_instance;
ALTER TABLE schedule_placed RENAME TO schedule_instance;
CREATE INDEX schedule_instance_schedule ON schedule_instance (schedule_id);
CREATE INDEX schedule_instance_next ON schedule_instance (next_at) WHERE next_at IS NOT NULL;

ALTER TABLE schedule DROP COLUMN external_id;
ALTER TABLE schedule DROP COLUMN active;
ALTER TABLE schedule DROP COLUMN updated_at;
