-- Every metric policy that was adopted; `current` is the one in force.
SELECT event_id, recorded_at, name, digest, window_length, policy, reason,
       ROW_NUMBER() OVER (ORDER BY recorded_at DESC, origin DESC, position DESC) = 1 AS current
FROM fact_metric_policy
WHERE learned_at <= as_of AND recorded_at <= as_recorded
