-- Per literal: how far its gate has moved from the first known value to the last (net_loosened, a signed fraction),
-- how much was given away on the way (given_away: the loosenings alone), and whether it swings both ways.
SELECT file, literal, group_name, worst_op, count(*) AS moves,
       count(*) FILTER (WHERE direction = 'loosens') AS loosenings,
       count(*) FILTER (WHERE direction = 'tightens') AS tightenings,
       count(*) FILTER (WHERE direction = 'loosens') > 0 AND count(*) FILTER (WHERE direction = 'tightens') > 0
           AS oscillates,
       max(loosened_by) AS largest_loosening,
       list_sum(list(greatest(loosened_by, 0.0) ORDER BY effective_at, origin, position)) AS given_away,
       first(old ORDER BY effective_at, origin, position) AS first_value,
       last(new ORDER BY effective_at, origin, position) AS last_value,
       CASE worst_op WHEN 'min' THEN -1.0 WHEN 'max' THEN 1.0 END
           * (last(new ORDER BY effective_at, origin, position) - first(old ORDER BY effective_at, origin, position))
           / nullif(abs(first(old ORDER BY effective_at, origin, position)), 0) AS net_loosened,
       max(effective_at) FILTER (WHERE direction = 'loosens') AS last_loosened_at,
       count(DISTINCT who) AS people
FROM threshold_changes(as_of := as_of, as_recorded := as_recorded)
WHERE change IN ('changed', 'undone')
GROUP BY file, literal, group_name, worst_op
ORDER BY net_loosened DESC NULLS LAST, file, literal
