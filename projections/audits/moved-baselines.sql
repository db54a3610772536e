-- Which baselines were moved on purpose, how and why: reseeds, corrections and pins, newest first.
-- :since = -infinity   only from this time on
-- :target = %          the target, as a LIKE pattern
WITH counted AS (
    SELECT * FROM events WHERE unread IS NULL
), plans AS (
    SELECT payload->>'reseed' AS reseed, payload->>'target' AS target, payload->>'kind' AS kind,
           payload->>'reason' AS reason, payload->>'old' AS medians_before, actor AS planned_by
    FROM counted WHERE type = 'ReseedPlanned'
), approvers AS (
    SELECT payload->>'reseed' AS reseed, string_agg((payload->>'approver') ||
               CASE WHEN COALESCE(payload->>'signature', '') LIKE '-----BEGIN SSH SIGNATURE-----%'
                    THEN ' (signature not checked)' ELSE ' (not signed)' END, ', ' ORDER BY recorded_at) AS approved_by
    FROM counted WHERE type = 'ReseedApproved' GROUP BY 1
), moves AS (
    SELECT e.recorded_at AS moved_at, p.target, p.kind AS how, p.reason, p.medians_before,
           e.payload->>'medians' AS medians_after, a.approved_by, e.payload->>'revision' AS revision, e.event_id
    FROM counted AS e
    JOIN plans AS p ON p.reseed = e.payload->>'reseed'
    LEFT JOIN approvers AS a ON a.reseed = p.reseed
    WHERE e.type = 'ReseedUploaded'
    UNION ALL
    SELECT e.recorded_at, p.target, 'superseded', e.payload->>'reason', NULL, NULL, e.actor, NULL, e.event_id
    FROM counted AS e
    JOIN plans AS p ON p.reseed = e.payload->>'reseed'
    WHERE e.type = 'ReseedSuperseded'
    UNION ALL
    SELECT recorded_at, payload->>'target', CASE type WHEN 'BaselinePinned' THEN 'pinned' ELSE 'unpinned' END,
           payload->>'reason', NULL, payload->>'medians', actor, NULL, event_id
    FROM counted WHERE type IN ('BaselinePinned', 'BaselineUnpinned')
)
SELECT * FROM moves
WHERE moved_at >= CAST($since AS TIMESTAMPTZ) AND target LIKE $target
ORDER BY moved_at DESC, event_id
