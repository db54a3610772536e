SELECT recorded_at, learned_at, origin, position, event_id, item,
       session, s.key AS stage, COALESCE(part, 0) * 100000 + item AS number,
       position - COALESCE(part, 0) AS plan_position, s.title, s."group" AS stage_group, s.test,
       s.calibration_preset AS preset, s.variant, s.expected_samples,
       s.samples_total.json_file IS NOT NULL AND s.samples_ok.json_file IS NOT NULL AS counted,
       len(s.metrics) = 0 AS docs,
       array_to_string(list_transform(list_filter(s.metrics, lambda m: m.configured), lambda m: m.key), ' ')
           AS required_metrics
FROM (SELECT recorded_at, learned_at, origin, position, event_id, p.session AS session, p.part AS part,
             unnest(COALESCE(p.stages, p.plan.stages)) AS s,
             generate_subscripts(COALESCE(p.stages, p.plan.stages), 1) AS item
      FROM (SELECT recorded_at, learned_at, origin, position, event_id,
                   json_transform(payload, '{"session":"VARCHAR","part":"BIGINT",
                     "stages":[{"key":"VARCHAR","title":"VARCHAR","group":"VARCHAR","test":"VARCHAR",
                       "calibration_preset":"VARCHAR","variant":"VARCHAR","expected_samples":"BIGINT",
                       "samples_total":{"json_file":"VARCHAR"},"samples_ok":{"json_file":"VARCHAR"},
                       "metrics":[{"key":"VARCHAR","configured":"BOOLEAN"}]}],
                     "plan":{"stages":[{"key":"VARCHAR","title":"VARCHAR","group":"VARCHAR","test":"VARCHAR",
                       "calibration_preset":"VARCHAR","variant":"VARCHAR","expected_samples":"BIGINT",
                       "samples_total":{"json_file":"VARCHAR"},"samples_ok":{"json_file":"VARCHAR"},
                       "metrics":[{"key":"VARCHAR","configured":"BOOLEAN"}]}]}}') AS p
            FROM arrivals WHERE type IN ('CalibrationPlanned', 'RunDirectoryImported', 'CalibrationMerged',
                                         'PlanContinued')))
