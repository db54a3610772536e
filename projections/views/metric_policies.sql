-- Every metric policy that was adopted; `current` is the one in force.
WITH adopted AS (
    SELECT 'metric' AS kind, * FROM fact_metric_policy WHERE learned_at <= as_of AND recorded_at <= as_recorded
)
SELECT event_id, recorded_at, name, digest, window_length, policy, reason, current, replaced
FROM ({{in_force}}) AS judged
