-- What imports found changed at their source: a file rewritten, or gone (new_sha256 is null).
SELECT event_id, source, path, old_sha256, new_sha256,
       CASE WHEN new_sha256 IS NULL THEN 'vanished' ELSE 'rewritten' END AS change, recorded_at, origin
FROM fact_record_change
WHERE learned_at <= as_of AND recorded_at <= as_recorded
