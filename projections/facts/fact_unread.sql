SELECT recorded_at, learned_at, origin, position, event_id, 0 AS item,
       stream, type, schema_version, reason, detail, counts_from
FROM unread
