-- Every policy ever adopted, for CI and for metrics; `current` marks the one in force of each kind.
SELECT kind, name, digest, recorded_at AS adopted_at, reason,
       ROW_NUMBER() OVER (PARTITION BY kind ORDER BY recorded_at DESC, origin DESC, position DESC) = 1 AS current,
       policy, event_id, origin
FROM (SELECT 'ci' AS kind, name, digest, recorded_at, reason, policy, event_id, origin, position
      FROM fact_ci_policy WHERE learned_at <= as_of AND recorded_at <= as_recorded
      UNION ALL BY NAME
      SELECT 'metric' AS kind, name, digest, recorded_at, reason, policy, event_id, origin, position
      FROM fact_metric_policy WHERE learned_at <= as_of AND recorded_at <= as_recorded)
