-- Who approved what, when and with which words: reseeds, pins, policies, threshold writes and reviews, newest first.
-- :since = -infinity   only from this time on
-- :who = %             the approver, as a LIKE pattern
SELECT approved_at, who, what, subject, reason, signed,
       CASE WHEN signed THEN 'signature not checked' ELSE 'not signed' END AS signature, event_id
FROM (
    SELECT recorded_at AS approved_at,
           COALESCE(payload->>'approver', payload->>'reviewer', actor) AS who,
           CASE type WHEN 'ReseedApproved' THEN 'reseed'
                     WHEN 'BaselinePinned' THEN 'pinned baseline'
                     WHEN 'BaselineUnpinned' THEN 'end of a pinned baseline'
                     WHEN 'MetricPolicyAdopted' THEN 'metric policy'
                     WHEN 'CiPolicyAdopted' THEN 'CI policy'
                     WHEN 'ReseedPolicyAdopted' THEN 'reseed policy'
                     WHEN 'ReseedPolicyEndorsed' THEN 'reseed policy'
                     WHEN 'ApprovalGiven' THEN payload->>'act'
                     WHEN 'ThresholdApplyPlanned' THEN 'threshold write'
                     ELSE 'pull request' END AS what,
           CASE type WHEN 'ReviewObserved' THEN (payload->>'repository') || '#' || (payload->>'number')
                     WHEN 'ReseedApproved' THEN (payload->>'reseed') || ' ' || (payload->>'digest')
                     WHEN 'ReseedPolicyEndorsed' THEN payload->>'digest'
                     WHEN 'ApprovalGiven' THEN (payload->>'subject') || ' ' || (payload->>'digest')
                     ELSE COALESCE(payload->>'target', payload->>'calibration', payload->>'name') END AS subject,
           payload->>'reason' AS reason,
           COALESCE(payload->>'signature', '') LIKE '-----BEGIN SSH SIGNATURE-----%' AS signed,
           event_id, origin, position
    FROM events
    WHERE unread IS NULL
      AND (type IN ('ReseedApproved', 'BaselinePinned', 'BaselineUnpinned', 'MetricPolicyAdopted', 'CiPolicyAdopted',
                    'ReseedPolicyAdopted', 'ReseedPolicyEndorsed', 'ApprovalGiven', 'ThresholdApplyPlanned')
           OR (type = 'ReviewObserved' AND payload->>'state' = 'approved'))
) AS approvals_of_every_kind
WHERE approved_at >= CAST($since AS TIMESTAMPTZ) AND who LIKE $who
ORDER BY approved_at DESC, origin, position DESC
