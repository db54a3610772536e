SELECT recorded_at, learned_at, origin, position, event_id, item,
       session, s.key AS stage, item AS number, s.title, s."group" AS stage_group, s.test,
       s.calibration_preset AS preset, s.variant, s.expected_samples,
       s.samples_total.json_file IS NOT NULL AND s.samples_ok.json_file IS NOT NULL AS counted,
       len(s.metrics) = 0 AS docs,
       array_to_string(list_transform(list_filter(s.metrics, lambda m: m.configured), lambda m: m.key), ' ')
           AS required_metrics
FROM (SELECT t.recorded_at, t.learned_at, t.origin, t.position, t.event_id, t.p.session AS session,
             unnest(t.p.plan.stages) AS s, generate_subscripts(t.p.plan.stages, 1) AS item
      FROM (SELECT *, json_transform(payload, '{"session":"VARCHAR","plan":{"stages":[{"key":"VARCHAR","title":"VARCHAR",
              "group":"VARCHAR","test":"VARCHAR","calibration_preset":"VARCHAR","variant":"VARCHAR",
              "expected_samples":"BIGINT","samples_total":{"json_file":"VARCHAR"},"samples_ok":{"json_file":"VARCHAR"},
              "metrics":[{"key":"VARCHAR","configured":"BOOLEAN"}]}]}}') AS p
            FROM arrivals WHERE type IN ('CalibrationPlanned', 'RunDirectoryImported', 'CalibrationMerged')) AS t)
