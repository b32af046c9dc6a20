-- Runs refer to packets, and tokens that were completed with one.
ALTER TABLE packet_ref RENAME COLUMN run_id TO owner_id;

INSERT INTO packet_ref (env_id, path, owner_id)
SELECT env_id, CAST(output AS TEXT), id FROM waitpoint WHERE output_type = 'application/store' AND output IS NOT NULL;

-- Source files, which every new build brought again and nobody read.
DROP TABLE worker_file;
