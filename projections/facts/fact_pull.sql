SELECT recorded_at, learned_at, origin, position, event_id, 0 AS item,
       p.from_origin, p.first, p.last, p.remote
FROM (SELECT *, json_transform(payload, '{"from_origin":"VARCHAR","first":"BIGINT","last":"BIGINT","remote":"VARCHAR"}') AS p
      FROM arrivals WHERE type = 'EventsPulled')
