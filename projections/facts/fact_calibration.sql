SELECT recorded_at, learned_at, origin, position, event_id, 0 AS item,
       p.session,
       CASE type WHEN 'CalibrationPlanned' THEN 'planned' WHEN 'RunDirectoryImported' THEN 'imported'
                 WHEN 'CalibrationMerged' THEN 'merged' WHEN 'CalibrationResumed' THEN 'resumed'
                 WHEN 'CalibrationHalted' THEN 'halted' WHEN 'CalibrationReported' THEN 'reported'
                 ELSE CASE WHEN p.complete THEN 'complete' ELSE 'incomplete' END END AS kind,
       p.plan.model AS model, p.plan.repeats AS repeats, p.plan.calibration_git_sha AS calibration_git_sha,
       p.plan.git_branch AS git_branch, p.plan.dirty AS dirty, p.plan.run_dir AS run_dir,
       p.plan.started_at AS started_at, p.plan.gpu_summary AS gpu_summary,
       CASE WHEN p.plan IS NOT NULL AND p.plan.model IS NOT NULL THEN array_to_string(p.plan.equivalent_commits, ' ')
            WHEN type = 'CalibrationResumed' AND p.equivalent THEN p.git_sha END AS commits,
       p.plan.diff_sha256 AS diff_sha256
FROM (SELECT *, json_transform(payload, '{"session":"VARCHAR","complete":"BOOLEAN","equivalent":"BOOLEAN",
        "git_sha":"VARCHAR","plan":{"model":"VARCHAR","repeats":"BIGINT","calibration_git_sha":"VARCHAR",
        "git_branch":"VARCHAR","dirty":"BOOLEAN","run_dir":"VARCHAR","started_at":"VARCHAR","gpu_summary":"VARCHAR",
        "diff_sha256":"VARCHAR","equivalent_commits":["VARCHAR"]}}') AS p
      FROM arrivals WHERE type IN ('CalibrationPlanned', 'RunDirectoryImported', 'CalibrationMerged',
                                   'CalibrationResumed', 'CalibrationEnded', 'CalibrationHalted', 'CalibrationReported'))
