-- Every slash command, what it meant, and what its author was told.
SELECT repository, number, comment_id, entry, text, known, allowed, action, test_type, scope, ref, sha, answer,
       reaction, policy, event_id, recorded_at
FROM fact_command
WHERE learned_at <= as_of AND recorded_at <= as_recorded
