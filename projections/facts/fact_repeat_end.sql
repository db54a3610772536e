-- Four events take repeats out of the count; each names stages and one repeat or several.
SELECT recorded_at, learned_at, origin, position, event_id,
       ROW_NUMBER() OVER (PARTITION BY origin, position ORDER BY stage, repeat) - 1 AS item,
       session, stage, repeat, kind, reason
FROM (SELECT recorded_at, learned_at, origin, position, event_id, p.session, stage, unnest(repeats) AS repeat,
             CASE type WHEN 'RepeatPurged' THEN 'purged' WHEN 'RunFileVanished' THEN 'vanished'
                       WHEN 'RoundRejected' THEN 'rejected' ELSE 'discarded' END AS kind, p.reason
      FROM (SELECT *, unnest(COALESCE(p.stages, [p.stage])) AS stage, COALESCE(p.repeats, [p.repeat]) AS repeats
            FROM (SELECT *, json_transform(payload, '{"session":"VARCHAR","stage":"VARCHAR","stages":["VARCHAR"],
                    "repeat":"BIGINT","repeats":["BIGINT"],"reason":"VARCHAR"}') AS p
                  FROM arrivals
                  WHERE type IN ('RepeatPurged', 'RunFileVanished', 'RoundRejected', 'BlockDiscarded'))))
