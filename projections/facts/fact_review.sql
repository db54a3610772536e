SELECT recorded_at, learned_at, origin, position, event_id, 0 AS item,
       p.repository, p.number, p.reviewer, p.state, COALESCE(p.review_id, 0) AS review_id, p.sha,
       CASE WHEN TRY_CAST(p.submitted_at AS TIMESTAMPTZ) <= recorded_at + INTERVAL 5 MINUTE
            THEN TRY_CAST(p.submitted_at AS TIMESTAMPTZ) ELSE recorded_at END AS submitted_at
FROM (SELECT *, json_transform(payload, '{"repository":"VARCHAR","number":"BIGINT","reviewer":"VARCHAR",
        "state":"VARCHAR","review_id":"BIGINT","sha":"VARCHAR","submitted_at":"VARCHAR"}') AS p
      FROM arrivals WHERE type = 'ReviewObserved')
