-- success: what the field means, the text "false" being a no; success_as_truth: any text but the empty one is a yes.
SELECT recorded_at, learned_at, origin, position, event_id, 0 AS item,
       p.target, p.identity_digest,
       COALESCE(r.model_id, 'unknown') AS model_id, COALESCE(r.gpu_type, 'unknown') AS gpu_type,
       r.workload_id, r.variant_id, r.benchmark_version,
       r.recipe_fingerprint, r.hardware_profile_id, r.software_profile_id,
       (r.result_schema_version = '2'
        OR list_has_any(json_keys(payload, '$.record'),
                        ['workload_id', 'variant_id', 'benchmark_version', 'recipe_fingerprint',
                         'hardware_profile_id', 'software_profile_id'])) IS TRUE AS claims_identity,
       CAST(p.instant AS TIMESTAMPTZ) AS instant, r.commit_sha,
       p.path, p.source, split_part(p.path, '/', 1) AS folder, p.format, p.sha256,
       md5(concat_ws(chr(31), COALESCE(r.model_id, ''), COALESCE(r.gpu_type, ''), COALESCE(NULLIF(r.timestamp, ''), event_id),
                     COALESCE(r.commit_sha, ''), COALESCE(CAST(r.latency AS VARCHAR), ''),
                     COALESCE(CAST(r.throughput AS VARCHAR), ''), COALESCE(CAST(r.memory AS VARCHAR), ''),
                     COALESCE(CAST(r.text_encoder_time_s AS VARCHAR), ''),
                     COALESCE(CAST(r.dit_time_s AS VARCHAR), ''),
                     COALESCE(CAST(r.vae_decode_time_s AS VARCHAR), ''))) AS measurement,
       r.latency, r.throughput, r.memory, r.text_encoder_time_s, r.dit_time_s, r.vae_decode_time_s,
       COALESCE(r.latency, r.throughput, r.memory, r.text_encoder_time_s, r.dit_time_s, r.vae_decode_time_s)
           IS NOT NULL AS measured,
       CASE WHEN CAST(r.success AS VARCHAR) = 'true' THEN TRUE
            ELSE NOT list_contains(json_keys(payload, '$.record'), 'success')
           OR COALESCE(CAST(r.success AS VARCHAR), 'null')
              NOT IN ('null', 'false', '0', '0.0', '-0.0', '""', '[]', '{}') END AS success_as_truth,
       CASE WHEN CAST(r.success AS VARCHAR) = 'true' THEN TRUE
            ELSE NOT list_contains(json_keys(payload, '$.record'), 'success')
           OR (COALESCE(CAST(r.success AS VARCHAR), 'null')
               NOT IN ('null', 'false', '0', '0.0', '-0.0', '""', '[]', '{}')
               AND NOT (json_type(r.success) = 'VARCHAR'
                        AND lower(trim(json_extract_string(r.success, '$'), chr(32) || chr(9) || chr(10) || chr(13)))
                            IN ('', 'false', '0', 'no', 'off'))) END AS success,
       (CAST(r.baseline_eligible AS VARCHAR) = 'true') IS TRUE AS marked_eligible,
       COALESCE(p.run_source_claimed, TRUE) AS run_source_claimed,
       r.run_source, r.branch, r.pr_number, r.test_scope, r.build_url, r.comparison_status,
       (CAST(r.baseline_seed AS VARCHAR) = 'true' OR CAST(r.baseline_reseed AS VARCHAR) = 'true') IS TRUE AS seeded,
       CASE WHEN json_type(r.regression_thresholds) = 'OBJECT'
            THEN CAST(r.regression_thresholds AS VARCHAR) END AS regression_thresholds,
       CASE WHEN CAST(p.static_limits AS VARCHAR) <> '{}' THEN CAST(p.static_limits AS VARCHAR) END AS static_limits,
       CASE WHEN CAST(p.unusable AS VARCHAR) <> '{}' THEN CAST(p.unusable AS VARCHAR) END AS unusable
FROM (SELECT *, p.record AS r
      FROM (SELECT *, json_transform(payload, '{"target":"VARCHAR","identity_digest":"VARCHAR","path":"VARCHAR",
              "source":"VARCHAR","format":"VARCHAR","sha256":"VARCHAR","instant":"VARCHAR","unusable":"JSON",
              "static_limits":"JSON",
              "run_source_claimed":"BOOLEAN","record":{"model_id":"VARCHAR","gpu_type":"VARCHAR",
              "timestamp":"VARCHAR","commit_sha":"VARCHAR","latency":"DOUBLE","throughput":"DOUBLE",
              "memory":"DOUBLE","text_encoder_time_s":"DOUBLE","dit_time_s":"DOUBLE","vae_decode_time_s":"DOUBLE",
              "success":"JSON","baseline_eligible":"JSON","run_source":"VARCHAR","branch":"VARCHAR",
              "pr_number":"VARCHAR","test_scope":"VARCHAR","build_url":"VARCHAR","comparison_status":"VARCHAR",
              "baseline_seed":"JSON","baseline_reseed":"JSON",
              "regression_thresholds":"JSON","result_schema_version":"VARCHAR",
              "workload_id":"VARCHAR","variant_id":"VARCHAR","benchmark_version":"VARCHAR",
              "recipe_fingerprint":"VARCHAR","hardware_profile_id":"VARCHAR",
              "software_profile_id":"VARCHAR"}}') AS p
            FROM arrivals WHERE type = 'ResultRecorded'))
-- together by target, so that one target's rows are in one place of the state file
ORDER BY p.target, p.instant, origin, position
