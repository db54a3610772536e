-- Each session's plan as it stands: the newest of planned, imported and merged, and the commits it accepts.
SELECT p.session, p.kind, p.model, p.repeats, p.calibration_git_sha, p.git_branch, p.dirty, p.run_dir, p.started_at,
       p.gpu_summary, p.diff_sha256, p.event_id, p.origin, p.position, p.recorded_at, p.learned_at,
       list_filter(string_split(concat_ws(' ', p.calibration_git_sha, p.commits, e.commits), ' '), lambda c: c <> '')
           AS accepted_commits
FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY session ORDER BY recorded_at DESC, origin DESC, position DESC) AS nth
      FROM fact_calibration
      WHERE kind IN ('planned', 'imported', 'merged') AND learned_at <= as_of AND recorded_at <= as_recorded) AS p
LEFT JOIN (SELECT session, string_agg(commits, ' ' ORDER BY recorded_at, origin, position) AS commits
           FROM fact_calibration
           WHERE kind = 'resumed' AND commits IS NOT NULL AND learned_at <= as_of AND recorded_at <= as_recorded
           GROUP BY session) AS e ON e.session = p.session
WHERE p.nth = 1
