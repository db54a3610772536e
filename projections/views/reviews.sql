-- The latest decision of every reviewer. A mere comment is neither an approval nor a rejection;
-- a dismissal keeps the time and number of the review it takes back.
SELECT repository, number, reviewer, state, sha, submitted_at, review_id, event_id, recorded_at
FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY repository, number, reviewer
                                   ORDER BY submitted_at DESC, review_id DESC, state = 'dismissed' DESC,
                                            recorded_at DESC, event_id DESC) AS nth
      FROM fact_review
      WHERE state NOT IN ('commented', 'pending') AND learned_at <= as_of AND recorded_at <= as_recorded)
WHERE nth = 1
