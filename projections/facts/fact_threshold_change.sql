SELECT recorded_at, learned_at, origin, position, event_id, 0 AS item,
       CASE type WHEN 'ThresholdApplied' THEN 'applied' ELSE 'edited' END AS way,
       p.file, p.symbol, p.subkey, p.literal,
       CASE WHEN type = 'ThresholdEdited' THEN p.change WHEN p.undone THEN 'undone' ELSE 'changed' END AS change,
       p.old, p.new, p.worst_op, p.direction, p.percent, p."group" AS group_name,
       coalesce(p.committed_at, recorded_at) AS effective_at, p.commit AS commit_sha, p.pr,
       CASE type WHEN 'ThresholdApplied' THEN actor ELSE p.author_hash END AS who,
       p.calibration, p.stage, p.metric, p.evidence_event_ids, p.source
FROM (SELECT *, json_transform(payload, '{"file":"VARCHAR","symbol":"VARCHAR","subkey":"VARCHAR","literal":"VARCHAR",
                 "change":"VARCHAR","old":"DOUBLE","new":"DOUBLE","worst_op":"VARCHAR","direction":"VARCHAR",
                 "percent":"DOUBLE","group":"VARCHAR","committed_at":"TIMESTAMPTZ","commit":"VARCHAR","pr":"BIGINT",
                 "author_hash":"VARCHAR","calibration":"VARCHAR","stage":"VARCHAR","metric":"VARCHAR",
                 "evidence_event_ids":"VARCHAR","source":"VARCHAR","undone":"BOOLEAN"}') AS p
      FROM arrivals WHERE type IN ('ThresholdApplied', 'ThresholdEdited'))
