SELECT recorded_at, learned_at, origin, position, event_id, 0 AS item,
       p.name, p.digest, CAST(p.policy AS VARCHAR) AS policy,
       CAST(p.globs AS VARCHAR) AS globs, p.reason, p.replaces,
       NULLIF(CAST(p.replaces_events AS VARCHAR), 'null') AS replaces_events, COALESCE(p.number, 0) AS number
FROM (SELECT *, json_transform(payload, '{"name":"VARCHAR","digest":"VARCHAR","policy":"JSON","globs":"JSON",
        "reason":"VARCHAR","replaces":"VARCHAR","replaces_events":"JSON","number":"BIGINT"}') AS p
      FROM arrivals WHERE type = 'CiPolicyAdopted')
