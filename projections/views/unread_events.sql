-- Each event that counts for nothing yet: this version cannot read it, or its time has not come. `counts_from` is that time.
SELECT origin, position, event_id, stream, type, schema_version, recorded_at, learned_at, reason, detail, counts_from
FROM fact_unread
WHERE learned_at <= as_of AND recorded_at <= as_recorded AND (counts_from IS NULL OR counts_from > as_of)
