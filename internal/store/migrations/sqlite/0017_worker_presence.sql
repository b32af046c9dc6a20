-- When a worker of a development environment last asked for runs, on whichever node.
CREATE TABLE worker_presence (
  env_id    TEXT    NOT NULL,
  worker_id TEXT    NOT NULL,
  seen_at   INTEGER NOT NULL,
  PRIMARY KEY (env_id, worker_id)
) STRICT;
