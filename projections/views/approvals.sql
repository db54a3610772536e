-- Who approved what: each approval of a reseed, whether it is of the plan that was carried out, and whether it
-- carries a signature. A view checks none: `perfledger reseed show` and `upload` do.
SELECT 'reseed' AS workflow, a.reseed AS id, a.approver, a.recorded_at AS approved_at, a.digest,
       a.signature LIKE '-----BEGIN SSH SIGNATURE-----%' AS signed,
       CASE WHEN signed THEN 'signature not checked' ELSE 'not signed' END AS signature,
       a.digest = p.digest AS of_this_plan, p.target, p.kind, p.reason, p.old_latency, p.candidate_latency,
       u.recorded_at AS uploaded_at, a.event_id, a.origin, a.position, a.learned_at
FROM fact_reseed_step AS a
JOIN fact_reseed_plan AS p ON p.reseed = a.reseed
LEFT JOIN (SELECT * FROM fact_reseed_step WHERE learned_at <= as_of AND recorded_at <= as_recorded) AS u
       ON u.reseed = a.reseed AND u.step = 'ReseedUploaded'
WHERE a.step = 'ReseedApproved' AND a.learned_at <= as_of AND a.recorded_at <= as_recorded
ORDER BY a.recorded_at, a.origin, a.position
