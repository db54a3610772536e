SELECT recorded_at, learned_at, origin, position, event_id, 0 AS item,
       p.sha, CAST(p.files AS VARCHAR) AS files, p.base, p.repository, p.number
FROM (SELECT *, json_transform(payload, '{"sha":"VARCHAR","files":"JSON","base":"VARCHAR",
        "repository":"VARCHAR","number":"BIGINT"}') AS p
      FROM arrivals WHERE type = 'ChangeObserved')
