-- What events say of results, one row each; `shared` is the number of what a result has in common with others.
-- success: what the field means, the text "false" being a no; success_as_truth: any text but the empty one is a yes.
-- Regular expressions, because the engine makes a join over every row of a list, also one in a branch nothing takes.
SELECT *, CAST(hash({{shared}}) >> 1 AS BIGINT) AS shared
FROM (SELECT recorded_at, learned_at, origin, position, event_id, 0 AS item,
             p.target, p.identity_digest,
             COALESCE(r.model_id, 'unknown') AS model_id, COALESCE(r.gpu_type, 'unknown') AS gpu_type,
             r.workload_id, r.variant_id, r.benchmark_version,
             r.recipe_fingerprint, r.hardware_profile_id, r.software_profile_id,
             CASE WHEN r.result_schema_version = '2' THEN TRUE
                  WHEN COALESCE(r.workload_id, r.variant_id, r.benchmark_version, r.recipe_fingerprint,
                                r.hardware_profile_id, r.software_profile_id) IS NOT NULL THEN TRUE
                  -- a key that is there with null: canonical JSON has no spaces, so text shows the few rows to look at;
                  -- the keys begin at a letter few records have, where a search stops
                  WHEN contains(payload, 'kload_id":null') OR contains(payload, 'variant_id":null')
                       OR contains(payload, 'k_version":null') OR contains(payload, 'gerprint":null')
                       OR contains(payload, 'ware_profile_id":null')
                  THEN list_has_any(json_keys(payload, '$.record'),
                                    ['workload_id', 'variant_id', 'benchmark_version', 'recipe_fingerprint',
                                     'hardware_profile_id', 'software_profile_id'])
                  ELSE FALSE END AS claims_identity,
             make_timestamptz(epoch_us(TRY_CAST(p.instant AS TIMESTAMP))) AS instant, r.commit_sha,
             p.path, p.source, p.format, p.sha256,
             CASE WHEN p.instant IS NULL THEN NULLIF(r.timestamp, '') END AS odd_timestamp,
             {{each r.#}},
             CASE WHEN CAST(r.success AS VARCHAR) = 'true' THEN TRUE
                  WHEN r.success IS NULL THEN NOT list_contains(json_keys(payload, '$.record'), 'success')
                  ELSE NOT regexp_full_match(CAST(r.success AS VARCHAR), 'null|false|0|-?0[.]0|""|\[\]|\{\}')
             END AS success_as_truth,
             CASE WHEN CAST(r.success AS VARCHAR) = 'true' THEN TRUE
                  WHEN r.success IS NULL THEN NOT list_contains(json_keys(payload, '$.record'), 'success')
                  WHEN regexp_full_match(CAST(r.success AS VARCHAR), 'null|false|0|-?0[.]0|""|\[\]|\{\}') THEN FALSE
                  WHEN json_type(r.success) = 'VARCHAR'
                  THEN NOT regexp_full_match(lower(trim(json_extract_string(r.success, '$'), {{space}})),
                                             '{{no_text}}')
                  ELSE TRUE END AS success,
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
                    "timestamp":"VARCHAR","commit_sha":"VARCHAR",{{each "#":"DOUBLE"}},
                    "success":"JSON","baseline_eligible":"JSON","run_source":"VARCHAR","branch":"VARCHAR",
                    "pr_number":"VARCHAR","test_scope":"VARCHAR","build_url":"VARCHAR","comparison_status":"VARCHAR",
                    "baseline_seed":"JSON","baseline_reseed":"JSON",
                    "regression_thresholds":"JSON","result_schema_version":"VARCHAR",
                    "workload_id":"VARCHAR","variant_id":"VARCHAR","benchmark_version":"VARCHAR",
                    "recipe_fingerprint":"VARCHAR","hardware_profile_id":"VARCHAR",
                    "software_profile_id":"VARCHAR"}}') AS p
                  FROM arrivals WHERE type = 'ResultRecorded')))
