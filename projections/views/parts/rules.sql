-- What the policy in force says of windows: always one row, the defaults of `MetricPolicy` when none was adopted.
SELECT COALESCE(MAX(window_length), 5) AS window_length,
       COALESCE(MAX(json_extract_string(policy, '$.rules.order')), 'instant') AS window_order,
       COALESCE(MAX(json_extract_string(policy, '$.rules.nothing_measured')), 'inconclusive') AS nothing_measured,
       COALESCE(MAX(json_extract_string(policy, '$.rules.success_text')), 'meaning') AS success_text,
       COALESCE(MAX(json_extract_string(policy, '$.rules.legacy_eligibility')), 'trusted') AS legacy_eligibility,
       COALESCE(MAX(CAST(json_extract(policy, '$.rules.eligible_run_sources') AS VARCHAR[])),
                ['scheduled_main']) AS eligible_run_sources
FROM metric_policies(as_of := as_of, as_recorded := as_recorded)
WHERE current
