SELECT recorded_at, learned_at, origin, position, event_id, 0 AS item,
       p.repository, p.number, p.title, p.state, COALESCE(p.draft, FALSE) AS draft,
       COALESCE(p.merged, FALSE) AS merged, p.mergeable, p.mergeable_state, p.head_sha, COALESCE(p.head_ref, '') AS head_ref,
       COALESCE(p.base_ref, '') AS base_ref, COALESCE(CAST(p.labels AS VARCHAR), '[]') AS labels,
       COALESCE(p.author, '') AS author,
       CASE WHEN TRY_CAST(p.updated_at AS TIMESTAMPTZ) <= recorded_at + INTERVAL 5 MINUTE
            THEN TRY_CAST(p.updated_at AS TIMESTAMPTZ) ELSE recorded_at END AS seen_at
FROM (SELECT *, json_transform(payload, '{"repository":"VARCHAR","number":"BIGINT","title":"VARCHAR",
        "state":"VARCHAR","draft":"BOOLEAN","merged":"BOOLEAN","mergeable":"BOOLEAN","mergeable_state":"VARCHAR","head_sha":"VARCHAR",
        "head_ref":"VARCHAR","base_ref":"VARCHAR","labels":"JSON","author":"VARCHAR","updated_at":"VARCHAR"}') AS p
      FROM arrivals WHERE type = 'PullRequestObserved')
