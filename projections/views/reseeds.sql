-- Each reseed as its last step left it: which baseline it moved, from what to what, why, and by whom.
SELECT p.reseed AS id, p.kind, p.target, p.model_id, p.gpu_type, p.reason,
       CASE s.step WHEN 'ReseedPlanned' THEN 'planned' WHEN 'ReseedApproved' THEN
                        CASE WHEN s.approver_count >= p.approvals_needed THEN 'approved' ELSE 'planned' END
                   WHEN 'RecordsPrepared' THEN 'prepared' WHEN 'ReseedUploadStarted' THEN 'uploading'
                   WHEN 'ReseedUploaded' THEN 'uploaded' WHEN 'ReseedCleanedUp' THEN 'cleaned up'
                   WHEN 'ReseedAborted' THEN 'aborted' WHEN 'ReseedSuperseded' THEN 'superseded' END AS step,
       p.seeds, p.old, p.batch, p.candidate, p.old_latency, p.candidate_latency, p.dataset, p.destination,
       s.approvers, p.approvals_needed, s.uploaded_at, s.revision, p.supersedes, s.superseded_by, p.digest,
       p.recorded_at AS planned_at, s.changed_at, p.event_id, p.origin, p.position
FROM fact_reseed_plan AS p
JOIN (
    SELECT reseed, last(step ORDER BY recorded_at, origin, position) AS step,
           string_agg(DISTINCT approver, ', ' ORDER BY approver) AS approvers, count(DISTINCT approver) AS approver_count,
           max(recorded_at) FILTER (WHERE step = 'ReseedUploaded') AS uploaded_at,
           max(revision) FILTER (WHERE step = 'ReseedUploaded') AS revision,
           max(superseded_by) AS superseded_by, max(recorded_at) AS changed_at
    FROM fact_reseed_step
    WHERE learned_at <= as_of AND recorded_at <= as_recorded
    GROUP BY reseed
) AS s ON s.reseed = p.reseed
WHERE p.learned_at <= as_of AND p.recorded_at <= as_recorded
ORDER BY p.recorded_at, p.origin, p.position
