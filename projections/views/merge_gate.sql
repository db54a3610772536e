-- Every merge condition of every pull request under the CI policy in force: met or not, and why. Empty until a
-- policy is adopted (`perfledger ci policy adopt`). event_id and decided_at: the newest event it rests on.
WITH policy AS (
    SELECT policy AS body, digest FROM policies(as_of := as_of, as_recorded := as_recorded) WHERE kind = 'ci' AND current
), pulls AS (
    SELECT * FROM pull_requests(as_of := as_of, as_recorded := as_recorded)
), states AS (
    SELECT * FROM checks(as_of := as_of, as_recorded := as_recorded) WHERE sha IN (SELECT head_sha FROM pulls)
), passing AS (
    SELECT unnest(from_json(body->'$.passing_states', '["VARCHAR"]')) AS state FROM policy
), rules AS (
    SELECT digest, nth, r.* FROM (
        SELECT digest, unnest(range(len(rs))) AS nth, unnest(rs) AS r FROM (
            SELECT digest, from_json(body->'$.merge.conditions', '[{"id":"VARCHAR","kind":"VARCHAR","context":"VARCHAR",
                "pattern":"BOOLEAN","tier":"VARCHAR","label":"VARCHAR","at_least":"BIGINT","advisory":"BOOLEAN",
                "optional":"BOOLEAN"}]') AS rs FROM policy))
), tiers AS (
    SELECT t.name, t.aggregate, t.prefixes, t.also_watches FROM (
        SELECT unnest(from_json(body->'$.tiers', '[{"name":"VARCHAR","aggregate":"VARCHAR","prefixes":["VARCHAR"],
            "also_watches":["VARCHAR"]}]')) AS t FROM policy)
), watched AS (
    SELECT l.context, l.tier, unnest(list_concat(l.watches, CASE WHEN l.common THEN t.also_watches ELSE [] END)) AS pattern
    FROM (SELECT unnest(from_json(body->'$.lanes', '[{"context":"VARCHAR","tier":"VARCHAR","watches":["VARCHAR"],
              "common":"BOOLEAN"}]')) AS l FROM policy)
    JOIN tiers t ON t.name = l.tier
), globs AS (
    SELECT g.pattern, g.regex FROM (
        SELECT unnest(from_json(globs, '[{"pattern":"VARCHAR","regex":"VARCHAR"}]')) AS g FROM fact_ci_policy
        WHERE digest = (SELECT digest FROM policy) LIMIT 100000)
), changes AS (
    SELECT sha, files, event_id, recorded_at FROM (
        SELECT *, ROW_NUMBER() OVER (PARTITION BY sha ORDER BY recorded_at DESC, event_id DESC) AS nth FROM fact_change
        WHERE learned_at <= as_of AND recorded_at <= as_recorded AND sha IN (SELECT head_sha FROM pulls))
    WHERE nth = 1
), whole_names AS (
    SELECT sha, unnest(from_json(files, '["VARCHAR"]')) AS name FROM changes
), names AS (
    SELECT sha, name FROM whole_names
    UNION
    SELECT sha, unnest(string_split_regex(name, '\s+')) FROM whole_names
    WHERE (SELECT body->>'$.split_names_on_whitespace' FROM policy) = 'true'
), required AS (
    SELECT DISTINCT n.sha, w.tier, w.context
    FROM names n JOIN watched w
      ON n.name <> '' AND (starts_with(n.name, w.pattern)
                           OR EXISTS (SELECT 1 FROM globs g WHERE g.pattern = w.pattern
                                      AND regexp_full_match(n.name, g.regex, 's')))
), members AS (
    SELECT h.sha, t.name AS tier, m.context, r.context IS NOT NULL AS required, s.state,
           s.state IN (SELECT state FROM passing) AS passes, s.event_id, s.recorded_at
    FROM (SELECT DISTINCT head_sha AS sha FROM pulls) h
    CROSS JOIN (SELECT * FROM tiers WHERE aggregate IS NOT NULL) t
    JOIN (SELECT sha, tier, context FROM required
          UNION
          SELECT s.sha, t.name, s.context FROM states s JOIN tiers t
            ON len(list_filter(t.prefixes, lambda p: starts_with(s.context, p))) > 0) m
      ON m.sha = h.sha AND m.tier = t.name
    LEFT JOIN required r ON r.sha = m.sha AND r.tier = m.tier AND r.context = m.context
    LEFT JOIN states s ON s.sha = m.sha AND s.context = m.context
), totals AS (
    SELECT h.sha, t.name AS tier, t.aggregate AS context,
           c.sha IS NOT NULL AND BOOL_AND(COALESCE(m.passes, m.context IS NULL)) AS strict_green,
           COUNT(m.state) > 0 AND BOOL_AND(COALESCE(m.passes, TRUE)) AS observed_green,
           c.sha IS NULL AS blind, COUNT(m.context) AS member_count,
           COUNT(m.context) FILTER (m.state IS NULL) AS missing_count,
           COUNT(m.context) FILTER (m.state IS NOT NULL AND NOT m.passes AND m.state <> 'pending') AS failing_count,
           arg_max(m.event_id, m.recorded_at) AS event_id, MAX(m.recorded_at) AS recorded_at,
           ANY_VALUE(c.event_id) AS change_event_id
    FROM (SELECT DISTINCT head_sha AS sha FROM pulls) h
    CROSS JOIN (SELECT * FROM tiers WHERE aggregate IS NOT NULL) t
    LEFT JOIN changes c ON c.sha = h.sha
    LEFT JOIN members m ON m.sha = h.sha AND m.tier = t.name
    GROUP BY h.sha, t.name, t.aggregate, c.sha
), approvals AS (
    SELECT v.repository, v.number, COUNT(*) AS given, arg_max(v.event_id, v.recorded_at) AS event_id
    FROM reviews(as_of := as_of, as_recorded := as_recorded) v
    JOIN pulls p ON p.repository = v.repository AND p.number = v.number
    WHERE v.state = 'approved' AND v.reviewer <> p.author
    GROUP BY v.repository, v.number
), context_states AS (
    SELECT p.repository, p.number, r.id, COUNT(s.context) AS found,
           COUNT(s.context) FILTER (s.state IN (SELECT state FROM passing)) AS passed,
           COALESCE(arg_max(s.event_id, s.recorded_at) FILTER (s.state IN (SELECT state FROM passing)),
                    arg_max(s.event_id, s.recorded_at)) AS event_id,
           COALESCE(arg_max(s.state, s.recorded_at) FILTER (s.state IN (SELECT state FROM passing)),
                    arg_max(s.state, s.recorded_at)) AS state
    FROM pulls p CROSS JOIN (SELECT * FROM rules WHERE kind = 'context') r
    LEFT JOIN states s ON s.sha = p.head_sha
         AND CASE WHEN r.pattern THEN regexp_matches(s.context, r.context) ELSE s.context = r.context END
    GROUP BY p.repository, p.number, r.id
), judged AS (
    SELECT p.repository, p.number, p.head_sha, r.nth, r.id AS condition, r.advisory, r.digest AS policy_digest,
        CASE r.kind
            WHEN 'context' THEN c.passed > 0 OR (c.found = 0 AND r.optional)
            WHEN 'aggregate' THEN CASE WHEN (SELECT body->>'$.aggregates' FROM policy) = 'strict' THEN t.strict_green
                                       ELSE t.observed_green OR posted.state IS NOT DISTINCT FROM 'success' END
            WHEN 'approvals' THEN COALESCE(a.given, 0) >= r.at_least
            -- the first expression: a tag is ASCII, and letters elsewhere that fold to one are not it
            WHEN 'title' THEN regexp_matches(p.title, '^\[[ -~]*\]') AND regexp_matches(p.title, (
                SELECT '^\[(?:' || string_agg(COALESCE(g.pattern, regexp_escape(g.tag)), '|') || ')\]'
                FROM (SELECT unnest(from_json(body->'$.title.tags', '[{"tag":"VARCHAR","pattern":"VARCHAR"}]')) AS g
                      FROM policy)), 'i')
            WHEN 'not_draft' THEN NOT p.draft
            WHEN 'no_conflict' THEN COALESCE(p.mergeable, FALSE)
            WHEN 'open' THEN p.state = 'open' AND NOT p.merged
            WHEN 'label' THEN list_contains(from_json(p.labels, '["VARCHAR"]'), r.label)
            WHEN 'no_label' THEN NOT list_contains(from_json(p.labels, '["VARCHAR"]'), r.label)
        END AS met,
        CASE r.kind
            WHEN 'context' THEN r.context || ' ' || COALESCE(c.state, 'has reported nothing')
            WHEN 'aggregate' THEN t.context || ': ' || t.member_count || ' needed, ' || t.missing_count
                 || ' not reported, ' || t.failing_count || ' not successful'
                 || CASE WHEN t.blind THEN '; the changed files are not known' ELSE '' END
            WHEN 'approvals' THEN COALESCE(a.given, 0) || ' of ' || r.at_least || ' approving reviews'
            WHEN 'title' THEN p.title
            WHEN 'not_draft' THEN CASE WHEN p.draft THEN 'a draft' ELSE 'not a draft' END
            WHEN 'no_conflict' THEN CASE p.mergeable WHEN TRUE THEN 'no conflict' WHEN FALSE THEN 'conflicts'
                                                     ELSE 'not known yet' END
            WHEN 'open' THEN CASE WHEN p.merged THEN 'merged' ELSE p.state END
            ELSE 'labels ' || p.labels
        END AS why,
        CASE r.kind WHEN 'context' THEN c.event_id WHEN 'aggregate' THEN COALESCE(t.event_id, t.change_event_id)
                    WHEN 'approvals' THEN a.event_id WHEN 'no_conflict' THEN COALESCE(p.mergeable_event_id, p.event_id)
                    ELSE p.event_id END AS event_id
    FROM pulls p CROSS JOIN rules r
    LEFT JOIN context_states c ON c.repository = p.repository AND c.number = p.number AND c.id = r.id
    LEFT JOIN totals t ON t.sha = p.head_sha AND t.tier = r.tier
    LEFT JOIN states posted ON posted.sha = p.head_sha AND posted.context = t.context
    LEFT JOIN approvals a ON a.repository = p.repository AND a.number = p.number
)
SELECT repository, number, head_sha, condition, met, advisory, why, event_id, nth + 1 AS place,
       BOOL_AND(met OR advisory) OVER (PARTITION BY repository, number) AS mergeable, policy_digest
FROM judged
