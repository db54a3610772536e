-- The order of a window under the `rules` of a policy: by instant and then path, or by path alone.
CASE WHEN rules.window_order = 'instant' THEN COALESCE(r.instant, TIMESTAMPTZ '0001-01-01 00:00:00+00') END DESC,
r.full_path DESC, r.event_id DESC
