-- What has no provenance: results of no known commit, repeats of another commit, thresholds without a measurement.
-- :since = -infinity   only from this time on
SELECT kind, subject, why, known_at, event_id
FROM (
    SELECT 'result' AS kind, target || ' ' || path AS subject,
           CASE WHEN COALESCE(commit_sha, '') = '' THEN 'names no commit'
                ELSE 'the original bytes were not kept' END AS why,
           recorded_at AS known_at, event_id
    FROM results
    WHERE COALESCE(commit_sha, '') = '' OR COALESCE(sha256, '') = ''
    UNION ALL
    SELECT 'repeat', session || ' ' || stage || ' repeat ' || CAST("repeat" AS VARCHAR), verdict,
           TRY_CAST(measured_at AS TIMESTAMPTZ), event_id
    FROM provenance
    WHERE verdict <> 'ok'
    UNION ALL
    SELECT 'threshold', file || ' ' || literal,
           CASE WHEN way = 'applied' THEN 'written without the repeats behind it'
                ELSE 'edited in ' || COALESCE(commit_sha, 'an unknown commit') || ', with no calibration' END,
           effective_at, event_id
    FROM threshold_changes
    WHERE calibration IS NULL OR COALESCE(evidence_event_ids, '[]') = '[]'
) AS unproven
WHERE COALESCE(known_at >= CAST($since AS TIMESTAMPTZ), true)
ORDER BY known_at DESC, kind, subject
