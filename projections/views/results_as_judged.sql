-- Every result with what it says of itself and its latest verdict, whatever policy is in force. Superseded is a result by
-- newer content of the same file, by its own copy that came back from a history, or, for a seed, by a corrective reseed.
-- Windows are per target, so that one target costs one target.
SELECT r.event_id, r.target, r.identity_digest, r.model_id, r.gpu_type, r.workload_id, r.variant_id, r.benchmark_version,
       r.recipe_fingerprint, r.hardware_profile_id, r.software_profile_id, r.claims_identity, r.instant, r.commit_sha,
       {{each r.#}}, r.measured,
       COALESCE(j.status, r.comparison_status) AS status, j.reason, j.baseline_status,
       COALESCE(j.success, r.success) AS success, COALESCE(j.success, r.success_as_truth) AS success_as_truth,
       COALESCE(j.baseline_eligible, r.eligible_as_recorded) AS eligible,
       CASE WHEN c.new_sha256 IS NOT NULL THEN 'rewritten'
            WHEN r.copy > 1 THEN 'copy'
            WHEN r.source IS NULL AND r.imported_too THEN 'uploaded'
            WHEN s.path IS NOT NULL THEN 'reseeded' END AS superseded,
       COALESCE(j.run_source, r.run_source) AS run_source, r.run_source_claimed, r.marked_eligible, r.branch, r.pr_number, r.test_scope,
       r.build_url, r.seeded, r.regression_thresholds, r.static_limits, r.unusable, r.path, r.source, split_part(r.path, '/', 1) AS folder,
       r.format, r.sha256, format('{:016x}', r.measurement) AS measurement,
       CASE WHEN r.source IS NULL THEN r.path ELSE r.source || '/' || r.path END AS full_path,
       j.event_id AS judgement_event_id, j.policy_digest, j.failing_metrics, j.pinned_exceeded,
       r.recorded_at, r.learned_at, r.origin, r.position
FROM (SELECT *, COALESCE({{each #}})
                    IS NOT NULL AS measured,
             CASE WHEN identity_digest IS NULL AND claims_identity THEN FALSE
                  WHEN marked_eligible OR NOT run_source_claimed THEN TRUE
                  ELSE identity_digest IS NULL AND run_source IS NOT DISTINCT FROM 'scheduled_main' END AS eligible_as_recorded,
             ROW_NUMBER() OVER (PARTITION BY target, path, sha256 ORDER BY recorded_at, origin, position) AS copy,
             BOOL_OR(source IS NOT NULL) OVER (PARTITION BY target, measurement) AS imported_too
      FROM (SELECT *, hash(model_id, gpu_type, instant, odd_timestamp,
                           CASE WHEN instant IS NULL AND odd_timestamp IS NULL THEN event_id END, COALESCE(commit_sha, ''),
                           {{each #}}) AS measurement
            FROM fact_result r JOIN (SELECT * EXCLUDE (target) FROM fact_result_shared) USING (shared))
      WHERE learned_at <= as_of AND recorded_at <= as_recorded) AS r
LEFT JOIN (SELECT *, ROW_NUMBER() OVER (PARTITION BY target, result_event_id
                                        ORDER BY recorded_at DESC, origin DESC, position DESC) AS nth
           FROM fact_judgement
           WHERE learned_at <= as_of AND recorded_at <= as_recorded) AS j
       ON j.target = r.target AND j.result_event_id = r.event_id AND j.nth = 1
LEFT JOIN (SELECT source, path, new_sha256, ROW_NUMBER() OVER (PARTITION BY source, path
                                                               ORDER BY recorded_at DESC, origin DESC, position DESC) AS nth
           FROM fact_record_change
           WHERE new_sha256 IS NOT NULL AND learned_at <= as_of AND recorded_at <= as_recorded) AS c
       ON c.source = r.source AND c.path = r.path AND c.nth = 1 AND c.new_sha256 <> r.sha256
LEFT JOIN (SELECT DISTINCT dataset, path FROM fact_superseded_seed
           WHERE learned_at <= as_of AND recorded_at <= as_recorded) AS s
       ON s.dataset = r.source AND s.path = r.path
