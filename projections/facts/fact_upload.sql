SELECT recorded_at, learned_at, origin, position, event_id, item, split_part(stream, '/', 2) AS upload_id,
       'queued' AS step, p.dataset, r.path, r.sha256, r.size, r.target, r.result_event_id,
       NULL AS revision, NULL AS code, NULL AS message
FROM (SELECT *, unnest(p.records) AS r, unnest(range(len(p.records))) AS item
      FROM (SELECT *, json_transform(payload, '{"dataset":"VARCHAR","records":[{"path":"VARCHAR","sha256":"VARCHAR",
              "size":"BIGINT","target":"VARCHAR","result_event_id":"VARCHAR"}]}') AS p
            FROM arrivals WHERE type = 'UploadQueued'))
UNION ALL
SELECT recorded_at, learned_at, origin, position, event_id, 0 AS item, split_part(stream, '/', 2) AS upload_id,
       CASE type WHEN 'UploadStarted' THEN 'started' WHEN 'RecordsUploaded' THEN 'uploaded' ELSE 'refused' END AS step,
       NULL, NULL, NULL, NULL, NULL, NULL, p.revision, p.code, p.message
FROM (SELECT *, json_transform(payload, '{"revision":"VARCHAR","code":"VARCHAR","message":"VARCHAR"}') AS p
      FROM arrivals WHERE type IN ('UploadStarted', 'RecordsUploaded', 'UploadRefused'))
UNION ALL
SELECT recorded_at, learned_at, origin, position, event_id, item, p.reseed AS upload_id,
       CASE type WHEN 'ReseedUploaded' THEN 'uploaded' ELSE 'started' END AS step, p.dataset,
       all_paths[item + 1] AS path, NULL, NULL, NULL, NULL, p.revision, NULL, NULL
FROM (SELECT *, unnest(range(len(all_paths))) AS item
      FROM (SELECT *, list_concat(list_concat(COALESCE(p.paths, []), COALESCE(p.written, [])),
                                  COALESCE(p.already, [])) AS all_paths
            FROM (SELECT *, json_transform(payload, '{"reseed":"VARCHAR","dataset":"VARCHAR","revision":"VARCHAR",
                    "paths":["VARCHAR"],"written":["VARCHAR"],"already":["VARCHAR"]}') AS p
                  FROM arrivals WHERE type IN ('ReseedUploadStarted', 'ReseedUploaded'))))
