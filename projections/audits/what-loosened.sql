-- What loosened: every threshold that let more through than before, by how much, by whom, newest first.
-- :since = -infinity   only from this time on
-- :least = 0           only moves of at least this fraction (0.1 is ten percent)
-- :file = %            the test file, as a LIKE pattern
SELECT effective_at, file, literal, old, new, loosened_by, way, who, pr, commit_sha, calibration, event_id
FROM threshold_changes
WHERE direction = 'loosens' AND effective_at >= CAST($since AS TIMESTAMPTZ)
  AND COALESCE(loosened_by, 0) >= CAST($least AS DOUBLE) AND file LIKE $file
ORDER BY effective_at DESC, file, literal
