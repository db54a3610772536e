SELECT recorded_at, learned_at, origin, position, event_id, s.n - 1 AS item,
       p.reseed, p."by" AS by_reseed, p.dataset, p.paths[s.n] AS path
FROM (SELECT *, json_transform(payload, '{"reseed":"VARCHAR","by":"VARCHAR","dataset":"VARCHAR","paths":["VARCHAR"]}') AS p
      FROM arrivals WHERE type = 'ReseedSuperseded') AS e,
     LATERAL (SELECT unnest(range(1, len(p.paths) + 1)) AS n) AS s
