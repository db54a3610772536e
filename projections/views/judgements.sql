-- Every verdict ever given, also those a later one replaced.
SELECT event_id, target, result_event_id, status, reason, baseline_status, success, baseline_eligible, run_source,
       window_length, baseline_n, policy_digest, failing_metrics, pinned_exceeded, recorded_at, learned_at, origin, position
FROM fact_judgement
WHERE learned_at <= as_of AND recorded_at <= as_recorded
