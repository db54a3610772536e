-- Every policy ever adopted, for CI and for metrics; `current` marks the one in force of each kind. `replaced` is false for
-- more than one where two machines replaced the same policy: the next adoption settles it.
WITH adopted AS (
    SELECT 'ci' AS kind, name, digest, recorded_at, reason, policy, replaces, replaces_events, number, event_id, origin, position
    FROM fact_ci_policy WHERE learned_at <= as_of AND recorded_at <= as_recorded
    UNION ALL BY NAME
    SELECT 'metric' AS kind, name, digest, recorded_at, reason, policy, NULL AS replaces, replaces_events, number, event_id, origin, position
    FROM fact_metric_policy WHERE learned_at <= as_of AND recorded_at <= as_recorded
)
SELECT kind, name, digest, recorded_at AS adopted_at, reason, current, policy, event_id, origin, position, replaces,
       replaces_events, replaced, number
FROM ({{in_force}}) AS judged
