SELECT recorded_at, learned_at, origin, position, event_id,
       CAST(ROW_NUMBER() OVER (PARTITION BY origin, position ORDER BY stage, repeat) AS BIGINT) AS item,
       session, stage, repeat, mark, reason
FROM (SELECT t.recorded_at, t.learned_at, t.origin, t.position, t.event_id, t.p.session AS session,
             unnest(CASE WHEN t.type = 'RunFileVanished' THEN [t.p.stage] ELSE t.p.stages END) AS stage,
             t."repeat" AS repeat,
             CASE t.type WHEN 'RepeatPurged' THEN 'purged' WHEN 'RunFileVanished' THEN 'vanished'
                         WHEN 'RoundRejected' THEN 'rejected' WHEN 'BlockDiscarded' THEN 'discarded'
                         WHEN 'RepeatsSettled' THEN 'settled'
                         ELSE 'flagged' END AS mark,
             COALESCE(t.p.reason, '') AS reason
      FROM (SELECT *, unnest(CASE WHEN type = 'BlockDiscarded' THEN from_json(p.repeats, '["BIGINT"]')
                                  WHEN type = 'UnitFlagged' THEN [CAST(NULL AS BIGINT)]
                                  WHEN type = 'RepeatsSettled' THEN [CAST(p.repeats AS BIGINT)]
                                  ELSE [p."repeat"] END) AS "repeat"
            FROM (SELECT *, json_transform(payload, '{"session":"VARCHAR","stage":"VARCHAR","stages":["VARCHAR"],
                    "repeat":"BIGINT","repeats":"JSON","reason":"VARCHAR"}') AS p
                  FROM arrivals WHERE type IN ('RepeatPurged', 'RunFileVanished', 'RoundRejected', 'BlockDiscarded',
                                               'UnitFlagged', 'RepeatsSettled'))) AS t)
