SELECT recorded_at, learned_at, origin, position, event_id, 0 AS item,
       p.source, p.path, COALESCE(p.old_sha256, p.sha256) AS old_sha256, p.new_sha256
FROM (SELECT *, json_transform(payload, '{"source":"VARCHAR","path":"VARCHAR","old_sha256":"VARCHAR",
        "sha256":"VARCHAR","new_sha256":"VARCHAR"}') AS p
      FROM arrivals WHERE type IN ('RecordRewritten', 'RecordVanished'))
