-- Every report of every context, those of our own included: a verdict on a result of a commit is a report of
-- perfledger/baseline (part: its target), so is a step of a reseed made from results of that commit (part: the
-- reseed), and a calibration of it one of perfledger/calibration (part: its session). A report is refused
-- unless a calibration is strict-ready and its provenance holds, so a reported one is a success. A reseed in
-- progress keeps the context open; one that is done or given up leaves it to the verdicts.
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
SELECT DISTINCT lower(r.commit_sha) AS sha, 'perfledger/baseline' AS context, 'reseed ' || s.reseed AS part,
       CASE WHEN t.step IN ('uploaded', 'cleaned up', 'aborted', 'superseded') THEN 'success' ELSE 'pending' END AS state,
       s.recorded_at AS reported_at, 0 AS remote_id, 'perfledger:reseed' AS source,
       'reseed ' || s.reseed || ': ' || s.step || CASE WHEN s.reason <> '' THEN ', ' || s.reason ELSE '' END AS description,
       NULL AS target_url, NULL AS repository, s.event_id, s.recorded_at, s.learned_at, s.origin, s.position
FROM fact_reseed_step s
JOIN reseed_steps t ON t.event_id = s.event_id AND t.passed_over IS NULL
JOIN fact_reseed_source f ON f.reseed = s.reseed AND f.learned_at <= as_of AND f.recorded_at <= as_recorded
JOIN (SELECT DISTINCT sha256, commit_sha FROM fact_result
      WHERE learned_at <= as_of AND recorded_at <= as_recorded AND COALESCE(commit_sha, '') <> '') r
  ON r.sha256 = f.sha256
WHERE s.step LIKE 'Reseed%' AND s.learned_at <= as_of AND s.recorded_at <= as_recorded
UNION ALL BY NAME
SELECT lower(p.sha) AS sha, 'perfledger/calibration' AS context, c.session AS part,
       CASE c.kind WHEN 'reported' THEN 'success' WHEN 'halted' THEN 'error' WHEN 'incomplete' THEN 'failure'
                   ELSE 'pending' END AS state,
       c.recorded_at AS reported_at, 0 AS remote_id, 'perfledger:calibrate' AS source,
       c.session || ': ' || c.kind || CASE WHEN c.kind = 'reported' THEN ', strict-ready' ELSE ', not reported' END
           AS description,
       NULL AS target_url, NULL AS repository, c.event_id, c.recorded_at, c.learned_at, c.origin, c.position
FROM fact_calibration c
JOIN (SELECT session, arg_max(calibration_git_sha, recorded_at) AS sha FROM fact_calibration
      WHERE learned_at <= as_of AND recorded_at <= as_recorded AND COALESCE(calibration_git_sha, '') <> ''
      GROUP BY session) p ON p.session = c.session
WHERE c.learned_at <= as_of AND c.recorded_at <= as_recorded
