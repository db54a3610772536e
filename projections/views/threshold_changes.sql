-- Every known move of a threshold literal, oldest first: who loosened what, by how much, in which commit.
-- percent is signed and a fraction of the old value; loosened_by is how far the gate opened, tightened is negative.
SELECT effective_at, way, file, literal, symbol, subkey, group_name, change, old, new, worst_op, direction, percent,
       CASE direction WHEN 'loosens' THEN abs(percent) WHEN 'tightens' THEN -abs(percent) WHEN 'equal' THEN 0.0 END
           AS loosened_by,
       commit_sha, pr, who, calibration, stage, metric, evidence_event_ids, source,
       event_id, recorded_at, learned_at, origin, position
FROM fact_threshold_change
WHERE learned_at <= as_of AND recorded_at <= as_recorded
ORDER BY effective_at, origin, position
