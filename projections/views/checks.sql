-- The latest state of every context of every commit: by the reporter's time, then the reporter's number,
-- then the order of recording. A context with parts is as bad as the worst of them.
SELECT sha, context, state, reported_at, source, description, target_url, repository, remote_id, part,
       report_count, event_id, recorded_at
FROM (SELECT *, CAST(SUM(part_count) OVER (PARTITION BY sha, context) AS BIGINT) AS report_count,
             ROW_NUMBER() OVER (PARTITION BY sha, context
                                ORDER BY severity DESC, reported_at DESC, remote_id DESC, recorded_at DESC,
                                         event_id DESC) AS nth
      FROM (SELECT *, CASE state WHEN 'success' THEN 0 WHEN 'pending' THEN 1 WHEN 'skipped' THEN 2
                                 WHEN 'neutral' THEN 3 WHEN 'cancelled' THEN 4 WHEN 'failure' THEN 5
                                 WHEN 'error' THEN 6 ELSE 7 END AS severity,
                   COUNT(*) OVER (PARTITION BY sha, context, part) AS part_count,
                   ROW_NUMBER() OVER (PARTITION BY sha, context, part
                                      ORDER BY reported_at DESC, remote_id DESC, recorded_at DESC,
                                               event_id DESC) AS newest
            FROM check_reports(as_of := as_of, as_recorded := as_recorded))
      WHERE newest = 1)
WHERE nth = 1
