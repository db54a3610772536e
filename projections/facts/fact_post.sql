SELECT recorded_at, learned_at, origin, position, event_id, 0 AS item,
       p.plan, CASE type WHEN 'PublishPlanned' THEN 'planned' WHEN 'Published' THEN 'published' ELSE 'failed' END AS step,
       p.kind, p.repository, p.subject, p.sha, p.number, CAST(p.body AS VARCHAR) AS body, p.http_status, p.reason
FROM (SELECT *, json_transform(payload, '{"plan":"VARCHAR","kind":"VARCHAR","repository":"VARCHAR",
        "subject":"VARCHAR","sha":"VARCHAR","number":"BIGINT","body":"JSON","http_status":"BIGINT",
        "reason":"VARCHAR"}') AS p
      FROM arrivals WHERE type IN ('PublishPlanned', 'Published', 'PublishFailed'))
