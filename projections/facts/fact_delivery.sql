SELECT recorded_at, learned_at, origin, position, event_id, 0 AS item,
       p.source, p.delivery, p.event, p.action, p.repository, p.body_sha256, p.body_bytes,
       COALESCE(p.understood, TRUE) AS understood
FROM (SELECT *, json_transform(payload, '{"source":"VARCHAR","delivery":"VARCHAR","event":"VARCHAR",
        "action":"VARCHAR","repository":"VARCHAR","body_sha256":"VARCHAR","body_bytes":"BIGINT",
        "understood":"BOOLEAN"}') AS p
      FROM arrivals WHERE type = 'WebhookReceived')
