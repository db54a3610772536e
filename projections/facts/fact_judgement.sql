SELECT recorded_at, learned_at, origin, position, event_id, 0 AS item,
       p.target, p.result_event_id, p.status, p.reason, p.baseline_status, p.success, p.baseline_eligible,
       COALESCE(p.run_source, 'unknown') AS run_source, p."window" AS window_length, len(p.window_event_ids) AS baseline_n,
       p.policy_digest, array_to_string(p.failing_metrics, ', ') AS failing_metrics,
       array_to_string(p.pinned.exceeded, ', ') AS pinned_exceeded
FROM (SELECT *, json_transform(payload, '{"target":"VARCHAR","result_event_id":"VARCHAR","status":"VARCHAR",
        "reason":"VARCHAR","baseline_status":"VARCHAR","success":"BOOLEAN","baseline_eligible":"BOOLEAN",
        "run_source":"VARCHAR","window":"BIGINT","window_event_ids":["VARCHAR"],"policy_digest":"VARCHAR",
        "failing_metrics":["VARCHAR"],"pinned":{"exceeded":["VARCHAR"]}}') AS p
      FROM arrivals WHERE type = 'ResultJudged')
