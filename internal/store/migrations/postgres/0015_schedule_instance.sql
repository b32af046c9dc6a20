-- What a caller can change of a schedule stands on its instance: a key of one environment
-- reaches no other. What was common to all instances becomes each one's own.
ALTER TABLE schedule_instance ADD COLUMN task TEXT;
ALTER TABLE schedule_instance ADD COLUMN external_id TEXT;

-- active was 0 once the environment is archived, which the absence of next_at says as well;
-- from here on it is whether the instance is switched on.
UPDATE schedule_instance i SET task = s.task, external_id = s.external_id, active = s.active
  FROM schedule s WHERE s.id = i.schedule_id;

DELETE FROM schedule_instance WHERE task IS NULL;
ALTER TABLE schedule_instance ALTER COLUMN task SET NOT NULL;

ALTER TABLE schedule DROP COLUMN external_id;
ALTER TABLE schedule DROP COLUMN active;
ALTER TABLE schedule DROP COLUMN updated_at;
