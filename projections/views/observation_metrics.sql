-- One row per metric of every observed repeat, in raw units: the long form of `observations`.
SELECT o.session, o.stage, o.repeat, m.metric, m.value, o.status, o.counted, o.suspect, o.git_sha, o.measured_at,
       o.imported, o.event_id, o.recorded_at, o.learned_at, o.origin, o.position
FROM observations(as_of := as_of, as_recorded := as_recorded) AS o
JOIN fact_metric AS m ON m.origin = o.origin AND m.position = o.position AND m.stage = o.stage
