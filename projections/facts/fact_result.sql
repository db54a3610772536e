SELECT recorded_at, learned_at, origin, position, event_id, item, target, shared, instant, commit_sha, path, sha256,
       {{each #}}, build_url
FROM result_rows
