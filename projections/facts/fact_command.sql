SELECT recorded_at, learned_at, origin, position, event_id, 0 AS item,
       p.repository, p.number, p.comment_id, p.item AS entry, p.text, p.known, p.allowed, p.action,
       p.test_type, p.scope, p.ref, p.sha, p.answer, COALESCE(p.reaction, '') AS reaction, p.policy
FROM (SELECT *, json_transform(payload, '{"repository":"VARCHAR","number":"BIGINT","comment_id":"BIGINT",
        "item":"BIGINT","text":"VARCHAR","known":"BOOLEAN","allowed":"BOOLEAN","action":"VARCHAR",
        "test_type":"VARCHAR","scope":"VARCHAR","ref":"VARCHAR","sha":"VARCHAR","answer":"VARCHAR",
        "reaction":"VARCHAR","policy":"VARCHAR"}') AS p
      FROM arrivals WHERE type = 'CommandDecided')
