-- Every result with what it says of itself, its latest verdict, and whether the policy in force counts it for the baseline.
SELECT r.*, {{counts}} AS counted
FROM results_as_judged(as_of := as_of, as_recorded := as_recorded) AS r CROSS JOIN ({{rules}}) AS rules
