-- A reporter's clock that is more than five minutes ahead of this machine's is not trusted: such a report would
-- stay the latest for ever.
SELECT recorded_at, learned_at, origin, position, event_id, 0 AS item,
       p.sha, p.context, p.state,
       CASE WHEN TRY_CAST(p.reported_at AS TIMESTAMPTZ) <= recorded_at + INTERVAL 5 MINUTE
            THEN TRY_CAST(p.reported_at AS TIMESTAMPTZ) ELSE recorded_at END AS reported_at,
       COALESCE(p.remote_id, 0) AS remote_id, COALESCE(p.source, '') AS source, p.repository,
       COALESCE(p.description, '') AS description, p.target_url
FROM (SELECT *, json_transform(payload, '{"sha":"VARCHAR","context":"VARCHAR","state":"VARCHAR",
        "reported_at":"VARCHAR","remote_id":"BIGINT","source":"VARCHAR","repository":"VARCHAR",
        "description":"VARCHAR","target_url":"VARCHAR"}') AS p
      FROM arrivals WHERE type = 'CheckReported')
