-- One row for each session: scope, how many stages are strict-ready, whether provenance holds, how far it is.
SELECT p.session, p.model, p.repeats, COALESCE(a.stages, 0) AS stages, COALESCE(a.strict_stages, 0) AS strict_stages,
       COALESCE(a.strict_stages = a.stages, FALSE) AS strict_complete,
       p.calibration_git_sha <> '' AND COALESCE(v.broken, 0) = 0 AS provenance_ok, COALESCE(v.broken, 0) AS provenance_broken,
       p.calibration_git_sha, p.git_branch, p.dirty, p.run_dir, p.started_at, p.gpu_summary, p.kind = 'imported' AS imported,
       COALESCE(r.reported, FALSE) AS reported, COALESCE(r.last_step, p.kind) AS last_step, p.recorded_at, p.learned_at
FROM calibration_plans(as_of := as_of, as_recorded := as_recorded) AS p
LEFT JOIN (SELECT session, count(*) AS stages, count(*) FILTER (WHERE strict >= required) AS strict_stages
           FROM (SELECT session, stage, required, count(*) FILTER (WHERE cell = '✓') AS strict
                 FROM audit_matrix(as_of := as_of, as_recorded := as_recorded) GROUP BY session, stage, required)
           GROUP BY session) AS a ON a.session = p.session
LEFT JOIN (SELECT session, count(*) FILTER (WHERE verdict <> 'ok') AS broken
           FROM provenance(as_of := as_of, as_recorded := as_recorded) GROUP BY session) AS v ON v.session = p.session
LEFT JOIN (SELECT session, bool_or(kind = 'reported') AS reported, arg_max(kind, recorded_at) AS last_step
           FROM fact_calibration WHERE learned_at <= as_of AND recorded_at <= as_recorded
           GROUP BY session) AS r ON r.session = p.session
