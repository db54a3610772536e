-- The results each target's rolling baseline is made of, under the policy in force; place 1 is the newest.
SELECT * EXCLUDE (window_length)
FROM (SELECT r.*, TRUE AS counted, rules.window_length,
             ROW_NUMBER() OVER (PARTITION BY r.target ORDER BY {{newest_first}}) AS place
      FROM results_as_judged(as_of := as_of, as_recorded := as_recorded) AS r CROSS JOIN ({{rules}}) AS rules
      WHERE {{counts}}) AS ordered
WHERE place <= window_length
