-- Every report of every context, those of our own included: a verdict on a result of a commit is a report of
-- perfledger/baseline (part: its target), a calibration one of perfledger/calibration (part: its session).
SELECT sha, context, '' AS part, state, reported_at, remote_id, source, description, target_url, repository,
       event_id, recorded_at, learned_at, origin, position
FROM fact_check
WHERE learned_at <= as_of AND recorded_at <= as_recorded
UNION ALL BY NAME
SELECT lower(r.commit_sha) AS sha, 'perfledger/baseline' AS context, j.target AS part,
       CASE WHEN j.status = 'PASS' AND j.success THEN 'success'
            WHEN j.status = 'CALIBRATION_NEEDED' THEN 'neutral'
            WHEN j.status IN ('REGRESSION', 'RECIPE_MISMATCH') THEN 'failure' ELSE 'error' END AS state,
       j.recorded_at AS reported_at, 0 AS remote_id, 'perfledger:check' AS source,
       j.target || ': ' || j.status || CASE WHEN j.reason <> '' THEN ', ' || j.reason ELSE '' END AS description,
       NULL AS target_url, NULL AS repository, j.event_id, j.recorded_at, j.learned_at, j.origin, j.position
FROM fact_judgement j
JOIN (SELECT DISTINCT event_id, commit_sha FROM fact_result
      WHERE learned_at <= as_of AND recorded_at <= as_recorded AND COALESCE(commit_sha, '') <> '') r
  ON r.event_id = j.result_event_id
WHERE j.learned_at <= as_of AND j.recorded_at <= as_recorded
UNION ALL BY NAME
SELECT lower(s.sha) AS sha, 'perfledger/calibration' AS context, c.session AS part, c.state,
       c.recorded_at AS reported_at, 0 AS remote_id, 'perfledger:calibrate' AS source,
       c.session || ': ' || c.description AS description, NULL AS target_url, NULL AS repository,
       c.event_id, c.recorded_at, c.learned_at, c.origin, c.position
FROM fact_calibration_step c
JOIN (SELECT session, arg_max(sha, recorded_at) AS sha FROM fact_calibration_step
      WHERE learned_at <= as_of AND recorded_at <= as_recorded AND COALESCE(sha, '') <> '' GROUP BY session) s
  ON s.session = c.session
WHERE c.learned_at <= as_of AND c.recorded_at <= as_recorded
