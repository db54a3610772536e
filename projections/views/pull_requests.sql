-- Every pull request as it was last seen. GitHub sends a null `mergeable` until it has worked it out, so
-- that one is the last word on the same head.
SELECT p.repository, p.number, p.title, p.state, p.draft, p.merged, m.mergeable, p.mergeable_state, p.head_sha, p.head_ref,
       p.base_ref, p.labels, p.author, p.seen_at, p.event_id, m.event_id AS mergeable_event_id, p.recorded_at
FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY repository, number
                                   ORDER BY seen_at DESC, recorded_at DESC, event_id DESC) AS nth
      FROM fact_pull_request WHERE learned_at <= as_of AND recorded_at <= as_recorded) p
LEFT JOIN (SELECT *, ROW_NUMBER() OVER (PARTITION BY repository, number, head_sha
                                        ORDER BY seen_at DESC, recorded_at DESC, event_id DESC) AS nth
           FROM fact_pull_request
           WHERE mergeable IS NOT NULL AND learned_at <= as_of AND recorded_at <= as_recorded) m
       ON m.repository = p.repository AND m.number = p.number AND m.head_sha = p.head_sha AND m.nth = 1
WHERE p.nth = 1
