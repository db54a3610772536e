-- Every record file that was to be put into a dataset, and how far it got: those of `check --upload` and of reseeds
-- (upload_id is then the reseed's id).
-- state: queued, started (a commit was about to be sent), uploaded (seen there, in `revision`) or refused.
SELECT q.upload_id, q.origin, q.dataset, q.path, q.target, q.result_event_id, q.sha256, q.size,
       COALESCE(s.step, q.step) AS state, q.recorded_at AS queued_at,
       CASE WHEN s.step IN ('uploaded', 'refused') THEN s.recorded_at END AS ended_at,
       s.revision, s.code, s.message, q.event_id, q.learned_at, q.recorded_at, q.position
FROM fact_upload AS q
LEFT JOIN (SELECT *, ROW_NUMBER() OVER (PARTITION BY origin, upload_id ORDER BY position DESC) AS nth
           FROM fact_upload
           WHERE step <> 'queued' AND path IS NULL AND learned_at <= as_of AND recorded_at <= as_recorded) AS s
       ON s.origin = q.origin AND s.upload_id = q.upload_id AND s.nth = 1
WHERE q.step = 'queued' AND q.learned_at <= as_of AND q.recorded_at <= as_recorded
UNION ALL
SELECT upload_id, origin, dataset, path, target, result_event_id, sha256, size, step AS state, begun AS queued_at,
       CASE WHEN step = 'uploaded' THEN recorded_at END AS ended_at,
       revision, code, message, event_id, learned_at, recorded_at, position
FROM (SELECT *, MIN(recorded_at) OVER (PARTITION BY origin, upload_id, path) AS begun,
             ROW_NUMBER() OVER (PARTITION BY origin, upload_id, path ORDER BY position DESC) AS nth
      FROM fact_upload
      WHERE step <> 'queued' AND path IS NOT NULL AND learned_at <= as_of AND recorded_at <= as_recorded) AS r
WHERE nth = 1
