-- A session is as far as its last step: planned or imported, ended, halted, reported.
SELECT recorded_at, learned_at, origin, position, event_id, 0 AS item,
       p.session, COALESCE(p.plan.calibration_git_sha, p.calibration_git_sha) AS sha,
       CASE WHEN type IN ('CalibrationPlanned', 'CalibrationResumed', 'RunDirectoryImported') THEN 'pending'
            WHEN type = 'CalibrationHalted' THEN 'error'
            WHEN type = 'CalibrationReported' OR p.complete THEN 'success' ELSE 'failure' END AS state,
       CASE type WHEN 'CalibrationPlanned' THEN 'planned'
                 WHEN 'CalibrationResumed' THEN 'running again'
                 WHEN 'RunDirectoryImported' THEN 'imported, not reported yet'
                 WHEN 'CalibrationHalted' THEN 'halted: ' || p.cause
                 WHEN 'CalibrationReported' THEN 'reported: ' || p.report
                 ELSE CAST(p.ok AS VARCHAR) || ' of ' || CAST(p.total AS VARCHAR) || ' repeats complete' END AS description
FROM (SELECT *, json_transform(payload, '{"session":"VARCHAR","plan":{"calibration_git_sha":"VARCHAR"},
        "calibration_git_sha":"VARCHAR","complete":"BOOLEAN","cause":"VARCHAR","report":"VARCHAR",
        "ok":"BIGINT","total":"BIGINT"}') AS p
      FROM arrivals WHERE type IN ('CalibrationPlanned', 'CalibrationResumed', 'RunDirectoryImported',
                                   'CalibrationHalted', 'CalibrationEnded', 'CalibrationReported'))
