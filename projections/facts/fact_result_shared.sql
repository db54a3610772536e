-- One event represents all that have the same in common; `arrivals` are those events alone. They are found first, and
-- kept: else the engine holds every event to look them up, instead of them to look at every event.
WITH firsts AS MATERIALIZED (
    SELECT origin, min(position) AS position FROM here.fact_result GROUP BY shared, origin),
arrivals AS (
    SELECT * FROM temp.main.arrivals SEMI JOIN firsts USING (origin, position))
SELECT DISTINCT shared, {{shared}}
FROM result_rows
