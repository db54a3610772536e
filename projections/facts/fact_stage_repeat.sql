SELECT recorded_at, learned_at, origin, position, event_id, item, session, s.stage AS stage, repeat, unit,
       TRUE AS readable, s.status AS status, s.reason AS reason, CAST(s.metrics AS VARCHAR) AS metrics,
       array_to_string(json_keys(s.metrics), ' ') AS metric_keys, len(json_keys(s.metrics)) AS metric_count,
       len(list_filter(map_values(from_json(s.metrics, '"MAP(VARCHAR,DOUBLE)"')), lambda v: v IS NULL)) AS null_count,
       s.sample_counts.total AS samples_total, s.sample_counts.ok AS samples_ok,
       nullif(git_sha, '') AS git_sha, nullif(git_sha_start, '') AS git_sha_start,
       nullif(diff_sha256, 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855') AS diff_sha256,
       measured_at, duration_s, attempts, pytest_rc, FALSE AS destructive, FALSE AS block_discarded, suspect,
       FALSE AS foreign_file
FROM (SELECT t.recorded_at, t.learned_at, t.origin, t.position, t.event_id, substr(t.stream, 13) AS session,
             t.p."repeat" AS repeat, t.p.unit AS unit, t.p.git_sha AS git_sha, t.p.git_sha_start AS git_sha_start,
             t.p.diff_sha256 AS diff_sha256, t.p.recorded_at AS measured_at, t.p.duration_s AS duration_s,
             t.p.attempts AS attempts, t.p.pytest_rc AS pytest_rc,
             array_to_string(list_concat(t.p.suspect, t.p.environment_problems), '; ') AS suspect,
             unnest(t.p.stages) AS s, generate_subscripts(t.p.stages, 1) AS item
      FROM (SELECT *, json_transform(payload, '{"repeat":"BIGINT","unit":"VARCHAR","git_sha":"VARCHAR",
              "git_sha_start":"VARCHAR","diff_sha256":"VARCHAR","recorded_at":"VARCHAR","duration_s":"DOUBLE",
              "attempts":"BIGINT","pytest_rc":"BIGINT","suspect":["VARCHAR"],"environment_problems":["VARCHAR"],
              "stages":[{"stage":"VARCHAR","status":"VARCHAR","reason":"VARCHAR","metrics":"JSON",
              "sample_counts":{"total":"BIGINT","ok":"BIGINT"}}]}') AS p
            FROM arrivals WHERE type = 'RepeatObserved' AND stream LIKE 'calibration/%') AS t)
UNION ALL
SELECT recorded_at, learned_at, origin, position, event_id, 0 AS item, p.session, p.stage, p."repeat", NULL AS unit,
       p.readable, p.status, p.reason, CAST(p.metrics AS VARCHAR), array_to_string(json_keys(p.metrics), ' '),
       len(json_keys(p.metrics)),
       len(list_filter(map_values(from_json(p.metrics, '"MAP(VARCHAR,DOUBLE)"')), lambda v: v IS NULL)),
       p.samples_total, p.samples_ok, nullif(p.git_sha, ''), NULL, NULL, p.recorded_at, p.duration_s, p.attempts,
       p.pytest_rc, p.destructive, p.block_discarded, '' AS suspect, TRUE AS foreign_file
FROM (SELECT * EXCLUDE (git_sha), json_transform(payload, '{"session":"VARCHAR","stage":"VARCHAR","repeat":"BIGINT",
        "readable":"BOOLEAN","status":"VARCHAR","reason":"VARCHAR","metrics":"JSON","samples_total":"BIGINT",
        "samples_ok":"BIGINT","git_sha":"VARCHAR","recorded_at":"VARCHAR","duration_s":"DOUBLE","attempts":"BIGINT",
        "pytest_rc":"BIGINT","destructive":"BOOLEAN","block_discarded":"BOOLEAN"}') AS p
      FROM arrivals WHERE type = 'RepeatImported')
