SELECT recorded_at, learned_at, origin, position, event_id, 0 AS item, p.reseed, p.sha256
FROM (SELECT *, json_transform(payload, '{"reseed":"VARCHAR","sha256":"VARCHAR"}') AS p
      FROM arrivals WHERE type = 'SourceValidated')
