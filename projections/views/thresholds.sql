-- Each threshold literal as its last known move left it; removed ones are gone.
SELECT file, literal, symbol, subkey, group_name, new AS value, worst_op, effective_at AS since, way, commit_sha, pr, who,
       calibration, moves, loosenings, tightenings, event_id
FROM (
    SELECT *,
           row_number() OVER (PARTITION BY file, literal ORDER BY effective_at DESC, recorded_at DESC, origin, position DESC)
               AS newest,
           count(*) OVER (PARTITION BY file, literal) AS moves,
           count(*) FILTER (WHERE direction = 'loosens') OVER (PARTITION BY file, literal) AS loosenings,
           count(*) FILTER (WHERE direction = 'tightens') OVER (PARTITION BY file, literal) AS tightenings
    FROM threshold_changes(as_of := as_of, as_recorded := as_recorded)
) AS ranked
WHERE newest = 1 AND change <> 'removed'
ORDER BY file, literal
