-- Which of `adopted` is in force, of each kind: the one that nothing replaced. Recorded times decide only between adoptions
-- of schema version 1, which name no predecessor and follow each other. Where two machines replaced the same one, the
-- higher number holds, and of equal ones the higher digest: the same everywhere, whatever the clocks say.
SELECT *, ROW_NUMBER() OVER (PARTITION BY kind ORDER BY replaced, number DESC, digest DESC, origin, position) = 1 AS current
FROM (SELECT *, COALESCE(event_id IN (SELECT earlier FROM (SELECT event_id AS newer,
                                          unnest(from_json(replaces_events, '["VARCHAR"]')) AS earlier FROM adopted) AS named
                             WHERE earlier <> newer), FALSE)
             OR (replaces_events IS NULL AND nth > 1) AS replaced
      FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY kind, replaces_events IS NULL
                                         ORDER BY recorded_at DESC, origin DESC, position DESC) AS nth FROM adopted) AS a)
