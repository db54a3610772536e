-- The results each target's rolling baseline is made of; place 1 is the newest.
SELECT *
FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY target
                                   ORDER BY COALESCE(instant, TIMESTAMPTZ '0001-01-01 00:00:00+00') DESC,
                                            full_path DESC, event_id DESC) AS place
      FROM results(as_of := as_of, as_recorded := as_recorded)
      WHERE counted) AS ordered
WHERE place <= COALESCE((SELECT window_length FROM metric_policies(as_of := as_of, as_recorded := as_recorded)
                         WHERE current), 5)
