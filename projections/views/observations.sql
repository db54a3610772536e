-- Every stage of every repeat ever observed; `counted` is false for those that something took out again or a later one replaced.
SELECT o.session, o.stage, o.repeat, o.unit, o.status, o.reason, o.metrics, o.problems, o.samples_total, o.samples_ok,
       o.duration_s, o.attempts, o.pytest_rc, o.git_sha, o.git_sha_start, o.dirty, o.measured_at, o.measured_on,
       o.gpu_uuids, o.telemetry, o.telemetry_sha256, o.environment, o.environment_problems, o.suspect, o.halt,
       o.log_sha256, o.imported,
       CASE WHEN o.nth > 1 THEN 'replaced' ELSE e.kind END AS ended, e.reason AS ended_reason,
       o.nth = 1 AND e.kind IS NULL AS counted,
       o.event_id, o.recorded_at, o.learned_at, o.origin, o.position
FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY session, stage, repeat
                                   ORDER BY recorded_at DESC, origin DESC, position DESC) AS nth
      FROM fact_observation
      WHERE learned_at <= as_of AND recorded_at <= as_recorded) AS o
LEFT JOIN (SELECT *, ROW_NUMBER() OVER (PARTITION BY session, stage, repeat
                                        ORDER BY recorded_at DESC, origin DESC, position DESC) AS nth
           FROM fact_repeat_end
           WHERE learned_at <= as_of AND recorded_at <= as_recorded) AS e
       ON e.session = o.session AND e.stage = o.stage AND e.repeat = o.repeat AND e.nth = 1 AND o.nth = 1
          AND e.recorded_at > o.recorded_at
