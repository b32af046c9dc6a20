-- Who does what only one node may do. Whoever takes a lease over from another counts the token up.
CREATE TABLE lease (
  name       TEXT    NOT NULL PRIMARY KEY,
  holder     TEXT    NOT NULL,
  token      INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Which runs refer to a packet in the packet store: replays share that of their original.
CREATE TABLE packet_ref (
  env_id TEXT NOT NULL,
  path   TEXT NOT NULL,
  run_id TEXT NOT NULL,
  PRIMARY KEY (env_id, path, run_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX packet_ref_run ON packet_ref (run_id);

-- Packets to which no run refers any more, and since when.
CREATE TABLE packet_gone (
  env_id  TEXT    NOT NULL,
  path    TEXT    NOT NULL,
  gone_at INTEGER NOT NULL,
  PRIMARY KEY (env_id, path)
) STRICT, WITHOUT ROWID;

CREATE INDEX packet_gone_at ON packet_gone (gone_at);

INSERT INTO packet_ref (env_id, path, run_id)
SELECT env_id, CAST(payload AS TEXT), id FROM run WHERE payload_type = 'application/store' AND payload IS NOT NULL
UNION SELECT env_id, CAST(output AS TEXT), id FROM run WHERE output_type = 'application/store' AND output IS NOT NULL;

-- What belongs to a run is found by it.
CREATE INDEX error_run_run ON error_run (run_id);
CREATE INDEX bulk_run_run ON bulk_run (run_id);
CREATE INDEX debounce_run ON debounce (run_id);

-- Whether somebody waits, or has waited, for a waitpoint.
DROP INDEX edge_pending;
CREATE INDEX edge_waitpoint ON edge (waitpoint_id);
