-- One event stands for all that have the same in common; `arrivals` are those events alone. They are found first, and
-- kept: else the engine holds every event to look them up, instead of them to look at every event.
WITH firsts AS MATERIALIZED (
    SELECT origin, min(position) AS position FROM here.fact_result GROUP BY shared, origin),
arrivals AS (
    SELECT * FROM temp.main.arrivals SEMI JOIN firsts USING (origin, position))
SELECT DISTINCT shared, target, identity_digest, model_id, gpu_type, workload_id, variant_id, benchmark_version,
       recipe_fingerprint, hardware_profile_id, software_profile_id, claims_identity, source, format, success_as_truth,
       success, marked_eligible, run_source_claimed, run_source, branch, pr_number, test_scope, comparison_status, seeded,
       regression_thresholds, static_limits, odd_timestamp, unusable
FROM result_rows
