SELECT recorded_at, learned_at, origin, position, event_id, 0 AS item,
       p.remote, p.through, p.revision, p.segments, p.evidence
FROM (SELECT *, json_transform(payload, '{"remote":"VARCHAR","through":"BIGINT","revision":"VARCHAR",
        "segments":"BIGINT","evidence":"BIGINT"}') AS p
      FROM arrivals WHERE type = 'PushFinished')
