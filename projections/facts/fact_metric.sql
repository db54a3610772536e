SELECT recorded_at, learned_at, origin, position, event_id,
       ROW_NUMBER() OVER (PARTITION BY origin, position ORDER BY nth, e.key) - 1 AS item,
       session, stage, repeat, e.key AS metric, e.value AS value
FROM (SELECT *, unnest(map_entries(metrics)) AS e
      FROM (SELECT recorded_at, learned_at, origin, position, event_id, split_part(stream, '/', 2) AS session,
                   p.repeat, nth, s.stage, s.metrics
            FROM (SELECT *, unnest(p.stages) AS s, generate_subscripts(p.stages, 1) AS nth
                  FROM (SELECT *, json_transform(payload, '{"repeat":"BIGINT",
                          "stages":[{"stage":"VARCHAR","metrics":"MAP(VARCHAR, DOUBLE)"}]}') AS p
                        FROM arrivals WHERE type = 'RepeatObserved'))
            UNION ALL
            SELECT recorded_at, learned_at, origin, position, event_id, p.session, p.repeat, 1 AS nth, p.stage, p.metrics
            FROM (SELECT *, json_transform(payload, '{"session":"VARCHAR","stage":"VARCHAR","repeat":"BIGINT",
                    "metrics":"MAP(VARCHAR, DOUBLE)"}') AS p
                  FROM arrivals WHERE type = 'RepeatImported')))
