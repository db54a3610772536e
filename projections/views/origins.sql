-- Every ledger replica whose events are known here: when it began, how far we pulled it, how far it said it had pushed.
-- Pulls by other replicas are their knowledge, not ours: ours are the ones learned as they were recorded.
SELECT c.origin, c.recorded_at AS created_at, c.host, c.perfledger_version,
       l.last AS pulled_through, l.recorded_at AS pulled_at, l.remote AS pulled_from,
       u.through AS pushed_through, u.recorded_at AS pushed_at, u.remote AS pushed_to,
       c.event_id, c.learned_at, c.recorded_at, c.position
FROM (SELECT * FROM fact_origin WHERE learned_at <= as_of AND recorded_at <= as_recorded) AS c
LEFT JOIN (SELECT *, ROW_NUMBER() OVER (PARTITION BY from_origin ORDER BY last DESC) AS nth
           FROM fact_pull
           WHERE learned_at = recorded_at AND learned_at <= as_of AND recorded_at <= as_recorded) AS l
       ON l.from_origin = c.origin AND l.nth = 1
LEFT JOIN (SELECT *, ROW_NUMBER() OVER (PARTITION BY origin ORDER BY position DESC) AS nth
           FROM fact_push
           WHERE learned_at <= as_of AND recorded_at <= as_recorded) AS u
       ON u.origin = c.origin AND u.nth = 1
