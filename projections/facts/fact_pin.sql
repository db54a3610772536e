SELECT recorded_at, learned_at, origin, position, event_id, 0 AS item,
       p.target, p.name, type = 'BaselinePinned' AS pinned,
       CAST(p.medians AS VARCHAR) AS medians, CAST(p.result_event_ids AS VARCHAR) AS result_event_ids, p.reason
FROM (SELECT *, json_transform(payload, '{"target":"VARCHAR","name":"VARCHAR","medians":"JSON",
        "result_event_ids":"JSON","reason":"VARCHAR"}') AS p
      FROM arrivals WHERE type IN ('BaselinePinned', 'BaselineUnpinned'))
