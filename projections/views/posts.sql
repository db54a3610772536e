-- Every write to the outside: planned, and what became of it. outcome `unknown` was tried and not heard of again.
SELECT p.plan, p.kind, p.repository, p.subject, p.sha, p.number, p.body, COALESCE(d.step, 'unknown') AS outcome,
       d.http_status, d.reason, p.event_id, p.recorded_at AS planned_at, d.recorded_at AS decided_at
FROM fact_post p
LEFT JOIN (SELECT plan, step, http_status, reason, recorded_at,
                  ROW_NUMBER() OVER (PARTITION BY plan ORDER BY recorded_at DESC, origin DESC, position DESC) AS nth
           FROM fact_post WHERE step <> 'planned' AND learned_at <= as_of AND recorded_at <= as_recorded) d
       ON d.plan = p.plan AND d.nth = 1
WHERE p.step = 'planned' AND p.learned_at <= as_of AND p.recorded_at <= as_recorded
