-- One row for each stage and repeat of a session: the strict cell and what it was decided from.
-- The signs and their order are those of the strict audit; a test holds both to the same answers.
SELECT p.session, p.model, s.number, s.stage, s.title, s.stage_group, k.k AS "repeat",
       CASE WHEN o.stage IS NULL THEN '—'
            WHEN o.aside THEN 'D'
            WHEN NOT o.readable THEN '✗'
            WHEN NOT s.docs AND (o.metric_count = 0 OR o.null_count > 0
                 OR len(list_filter(string_split(s.required_metrics, ' '),
                        lambda m: m <> '' AND NOT list_contains(string_split(o.metric_keys, ' '), m))) > 0) THEN '✗'
            WHEN s.counted AND (o.samples_total IS NULL OR o.samples_ok IS NULL) THEN '✗'
            WHEN o.samples_total <> o.samples_ok THEN '△'
            WHEN o.samples_ok IS NOT NULL AND o.samples_total <> s.expected_samples THEN '✗'
            WHEN o.status <> 'ok' THEN '✗'
            ELSE '✓' END AS cell,
       o.status, o.reason, o.samples_total, o.samples_ok, s.expected_samples, o.metrics, o.git_sha, o.measured_at,
       o.duration_s, o.attempts, o.suspect, COALESCE(e.enough, p.repeats) AS required, o.event_id
FROM calibration_plans(as_of := as_of, as_recorded := as_recorded) AS p
JOIN fact_calibration_stage AS s ON s.session = p.session AND s.event_id = p.event_id
LEFT JOIN (SELECT session, stage, max("repeat") AS last
           FROM calibration_rounds(as_of := as_of, as_recorded := as_recorded) GROUP BY session, stage) AS m
       ON m.session = s.session AND m.stage = s.stage
LEFT JOIN (SELECT session, stage, arg_max("repeat", recorded_at) AS enough FROM fact_round_mark
           WHERE mark = 'settled' AND learned_at <= as_of AND recorded_at <= as_recorded GROUP BY session, stage) AS e
       ON e.session = s.session AND e.stage = s.stage
CROSS JOIN LATERAL (SELECT unnest(range(1, greatest(COALESCE(e.enough, p.repeats), COALESCE(m.last, 0)) + 1)) AS k) AS k
LEFT JOIN calibration_rounds(as_of := as_of, as_recorded := as_recorded) AS o
       ON o.session = s.session AND o.stage = s.stage AND o."repeat" = k.k
