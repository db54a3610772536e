-- One row for each stage and repeat of a session: the strict cell and what it was decided from.
-- The signs and their order are those of the strict audit; a test holds both to the same answers.
SELECT s.session, s.model, s.number, s.stage, s.title, s.stage_group, s.k AS "repeat",
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
       o.duration_s, o.attempts, o.suspect, s.required, o.event_id
FROM (SELECT session, model, number, stage, title, stage_group, expected_samples, counted, docs, required_metrics, required,
             unnest(range(1, greatest(required, last) + 1)) AS k
      FROM (SELECT p.session, p.model, t.number, t.stage, t.title, t.stage_group, t.expected_samples, t.counted, t.docs,
                   t.required_metrics, COALESCE(e.enough, p.repeats) AS required, COALESCE(m.last, 0) AS last
            FROM calibration_plans(as_of := as_of, as_recorded := as_recorded) AS p
            JOIN fact_calibration_stage AS t
                 ON t.session = p.session AND t.origin = p.origin AND t.plan_position = p.position
            LEFT JOIN (SELECT session, stage, max("repeat") AS last
                       FROM calibration_rounds(as_of := as_of, as_recorded := as_recorded) GROUP BY session, stage) AS m
                   ON m.session = t.session AND m.stage = t.stage
            LEFT JOIN (SELECT session, stage, arg_max("repeat", recorded_at) AS enough FROM fact_round_mark
                       WHERE mark = 'settled' AND learned_at <= as_of AND recorded_at <= as_recorded
                       GROUP BY session, stage) AS e
                   ON e.session = t.session AND e.stage = t.stage)) AS s
LEFT JOIN calibration_rounds(as_of := as_of, as_recorded := as_recorded) AS o
       ON o.session = s.session AND o.stage = s.stage AND o."repeat" = s.k
