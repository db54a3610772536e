-- The pinned baselines in force; `newest` is the one results are compared with.
SELECT target, name, medians, result_event_ids, reason, event_id, recorded_at,
       ROW_NUMBER() OVER (PARTITION BY target ORDER BY recorded_at DESC, origin DESC, position DESC) = 1 AS newest
FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY target, name
                                   ORDER BY recorded_at DESC, origin DESC, position DESC) AS nth
      FROM fact_pin
      WHERE learned_at <= as_of AND recorded_at <= as_recorded) AS last
WHERE nth = 1 AND pinned
