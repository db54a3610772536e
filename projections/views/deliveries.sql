-- Every webhook delivery that was accepted.
SELECT source, delivery, event, action, repository, understood, body_bytes, body_sha256, event_id, recorded_at
FROM fact_delivery
WHERE learned_at <= as_of AND recorded_at <= as_recorded
