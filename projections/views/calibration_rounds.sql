-- The observation that counts for each session, stage and repeat: the newest that no purge took away.
-- aside: it is on record as destructive and enters no worst-of-N.
SELECT o.session, o.stage, o."repeat", o.unit, o.readable, o.status, o.reason, o.metrics, o.metric_keys, o.metric_count,
       o.null_count, o.samples_total, o.samples_ok, o.git_sha, o.git_sha_start, o.diff_sha256, o.measured_at, o.duration_s,
       o.attempts, o.pytest_rc, o.suspect, o.foreign_file, o.event_id, o.recorded_at, o.learned_at,
       o.destructive OR o.block_discarded OR d.stage IS NOT NULL
           OR (r.stage IS NOT NULL AND (f.last IS NULL OR f.last < r.last)) AS aside
FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY session, stage, "repeat"
                                   ORDER BY recorded_at DESC, origin DESC, position DESC) AS nth
      FROM fact_stage_repeat WHERE learned_at <= as_of AND recorded_at <= as_recorded) AS o
LEFT JOIN (SELECT session, stage, "repeat", max(recorded_at) AS last,
                  max(recorded_at) FILTER (WHERE mark = 'purged') AS last_purged FROM fact_round_mark
           WHERE mark IN ('purged', 'vanished') AND learned_at <= as_of AND recorded_at <= as_recorded
           GROUP BY session, stage, "repeat") AS g
       ON g.session = o.session AND g.stage = o.stage AND g."repeat" = o."repeat"
LEFT JOIN (SELECT session, stage, "repeat", max(recorded_at) AS last FROM fact_round_mark
           WHERE mark = 'rejected' AND learned_at <= as_of AND recorded_at <= as_recorded
           GROUP BY session, stage, "repeat") AS r
       ON r.session = o.session AND r.stage = o.stage AND r."repeat" = o."repeat"
      AND (g.last_purged IS NULL OR g.last_purged < r.last)
LEFT JOIN (SELECT DISTINCT session, stage, "repeat" FROM fact_round_mark
           WHERE mark = 'discarded' AND learned_at <= as_of AND recorded_at <= as_recorded) AS d
       ON d.session = o.session AND d.stage = o.stage AND d."repeat" = o."repeat"
LEFT JOIN (SELECT session, stage, max(recorded_at) AS last FROM fact_round_mark
           WHERE mark = 'flagged' AND learned_at <= as_of AND recorded_at <= as_recorded
           GROUP BY session, stage) AS f
       ON f.session = o.session AND f.stage = o.stage
WHERE o.nth = 1 AND (g.last IS NULL OR g.last < o.recorded_at)
