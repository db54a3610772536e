-- One row per stage: a repeat measured here holds all stages of its pytest run, an imported run file holds one.
SELECT recorded_at, learned_at, origin, position, event_id, nth AS item,
       split_part(stream, '/', 2) AS session, p.unit, s.stage, p.repeat, s.status, s.reason,
       CAST(s.metrics AS VARCHAR) AS metrics,
       CASE WHEN CAST(s.problems AS VARCHAR) <> '{}' THEN CAST(s.problems AS VARCHAR) END AS problems,
       s.sample_counts.total AS samples_total, s.sample_counts.ok AS samples_ok,
       p.duration_s, p.attempts, p.pytest_rc, p.git_sha, p.git_sha_start, p.dirty,
       TRY_CAST(p.recorded_at AS TIMESTAMPTZ) AS measured_at, p.host AS measured_on,
       CAST(p.gpu_uuids AS VARCHAR) AS gpu_uuids, CAST(p.telemetry AS VARCHAR) AS telemetry, p.telemetry_sha256,
       p.environment,
       CASE WHEN CAST(p.environment_problems AS VARCHAR) <> '[]' THEN CAST(p.environment_problems AS VARCHAR) END
           AS environment_problems,
       CASE WHEN CAST(p.suspect AS VARCHAR) <> '[]' THEN CAST(p.suspect AS VARCHAR) END AS suspect,
       p.halt, p.log_sha256, FALSE AS imported
FROM (SELECT *, unnest(p.stages) AS s, generate_subscripts(p.stages, 1) - 1 AS nth
      FROM (SELECT *, json_transform(payload, '{"unit":"VARCHAR","repeat":"BIGINT","duration_s":"DOUBLE",
              "attempts":"BIGINT","pytest_rc":"BIGINT","git_sha":"VARCHAR","git_sha_start":"VARCHAR",
              "dirty":"BOOLEAN","recorded_at":"VARCHAR","host":"VARCHAR","gpu_uuids":"JSON","telemetry":"JSON",
              "telemetry_sha256":"VARCHAR","environment":"VARCHAR","environment_problems":"JSON","suspect":"JSON",
              "halt":"VARCHAR","log_sha256":"VARCHAR",
              "stages":[{"stage":"VARCHAR","status":"VARCHAR","reason":"VARCHAR","metrics":"JSON","problems":"JSON",
                         "sample_counts":{"total":"BIGINT","ok":"BIGINT"}}]}') AS p
            FROM arrivals WHERE type = 'RepeatObserved'))
UNION ALL
SELECT recorded_at, learned_at, origin, position, event_id, 0 AS item,
       p.session, NULL AS unit, p.stage, p.repeat, p.status, p.reason, CAST(p.metrics AS VARCHAR) AS metrics,
       CASE WHEN CAST(p.not_finite AS VARCHAR) <> '{}' THEN CAST(p.not_finite AS VARCHAR) END AS problems,
       p.samples_total, p.samples_ok, p.duration_s, p.attempts, p.pytest_rc, NULLIF(p.git_sha, '') AS git_sha,
       NULL AS git_sha_start, NULL AS dirty, TRY_CAST(p.recorded_at AS TIMESTAMPTZ) AS measured_at,
       NULL AS measured_on, NULL AS gpu_uuids, NULL AS telemetry, NULL AS telemetry_sha256, NULL AS environment,
       NULL AS environment_problems, NULL AS suspect, NULL AS halt, p.log_sha256, TRUE AS imported
FROM (SELECT *, json_transform(payload, '{"session":"VARCHAR","stage":"VARCHAR","repeat":"BIGINT","status":"VARCHAR",
        "reason":"VARCHAR","metrics":"JSON","not_finite":"JSON","samples_total":"BIGINT","samples_ok":"BIGINT",
        "duration_s":"DOUBLE","attempts":"BIGINT","pytest_rc":"BIGINT","git_sha":"VARCHAR","recorded_at":"VARCHAR",
        "log_sha256":"VARCHAR"}') AS p
      FROM arrivals WHERE type = 'RepeatImported')
