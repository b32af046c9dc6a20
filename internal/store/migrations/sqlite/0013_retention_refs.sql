-- Who may still look at a run that ended long ago: its descendants, and batches that it answers an item of.
CREATE INDEX run_root ON run (root_id) WHERE root_id IS NOT NULL AND exec <> 'FINISHED';
CREATE INDEX batch_item_run ON batch_item (run_id) WHERE run_id IS NOT NULL;
