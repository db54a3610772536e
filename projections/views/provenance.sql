-- One row for each observed stage-repeat: does it belong to the commit its session was planned on?
SELECT o.session, p.model, s.number, o.stage, o."repeat", p.calibration_git_sha, o.git_sha,
       CASE WHEN NOT o.readable THEN 'corrupt'
            WHEN COALESCE(o.git_sha, o.git_sha_start) IS NULL THEN 'missing'
            WHEN NOT list_contains(p.accepted_commits, COALESCE(o.git_sha, o.git_sha_start))
                 OR NOT list_contains(p.accepted_commits, COALESCE(o.git_sha_start, o.git_sha)) THEN 'other commit'
            WHEN NOT o.foreign_file AND o.diff_sha256 IS DISTINCT FROM p.diff_sha256 THEN 'other workspace'
            ELSE 'ok' END AS verdict,
       o.measured_at, o.event_id
FROM calibration_rounds(as_of := as_of, as_recorded := as_recorded) AS o
JOIN calibration_plans(as_of := as_of, as_recorded := as_recorded) AS p ON p.session = o.session
JOIN fact_calibration_stage AS s ON s.session = p.session AND s.origin = p.origin AND s.plan_position = p.position AND s.stage = o.stage
