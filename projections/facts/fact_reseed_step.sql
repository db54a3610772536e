SELECT recorded_at, learned_at, origin, position, event_id, 0 AS item,
       p.reseed, type AS step, actor, p.digest, p.approver, p.signature, p.folder, p.dataset, p.revision,
       p.reason, p."by" AS superseded_by, p.path
FROM (SELECT *, json_transform(payload, '{"reseed":"VARCHAR","digest":"VARCHAR","approver":"VARCHAR",
                 "signature":"VARCHAR","folder":"VARCHAR","dataset":"VARCHAR","revision":"VARCHAR","reason":"VARCHAR",
                 "by":"VARCHAR","path":"VARCHAR"}') AS p
      FROM arrivals
      WHERE type IN ('SourceValidated', 'SourceDropped', 'BackupTaken', 'ReseedPlanned', 'ReseedApproved',
                     'RecordsPrepared', 'ReseedUploadStarted', 'ReseedUploaded', 'ReseedCleanedUp', 'ReseedAborted',
                     'ReseedSuperseded'))
